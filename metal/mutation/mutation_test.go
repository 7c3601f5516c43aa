package mutation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	got, err := Parse("# A list.\n\na.go TestA|TestB\n- x < n\n+ x <= n\n\nb.go TestB\n- if y {\n- \tz()\n+ if true {\n= nobody can see it\n")
	want := []Mutant{{"a.go", "TestA|TestB", "x < n", "x <= n", "", 3}, {"b.go", "TestB", "if y {\n\tz()", "if true {", "nobody can see it", 7}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, -want +got:\n%s", err, diff)
	}
	for _, bad := range []string{"a.go\n- x\n+ y\n", "a TestA\n- x\n+ y\n", "a.go TestA\n- x\n+ x\n", "a.go TestA\n+ x\n", "a.go TestA\nx\n"} {
		if m, err := Parse(bad); err == nil {
			t.Errorf("%q: %+v, want an error", bad, m)
		}
	}
}
