package thorough

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// recorder keeps what a test says.
type recorder struct {
	testing.TB
	log     []string
	skipped bool
}

func (r *recorder) Helper()                      {}
func (r *recorder) Logf(format string, a ...any) { r.log = append(r.log, fmt.Sprintf(format, a...)) }
func (r *recorder) Skipf(format string, a ...any) {
	r.Logf(format, a...)
	r.skipped = true
}

func TestCases(t *testing.T) {
	all := []int{1, 2, 3, 4, 5, 6, 7}
	for value, want := range map[string][]int{"": {1, 4, 7}, "some": {1, 4, 7}, "all": all} {
		t.Setenv(variable, value)
		var r recorder
		if got := Cases(&r, 3, "numbers", all); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
		if said := strings.Join(r.log, "\n"); (value == "all") != (said == "") || said != "" && (!strings.Contains(said, "1 of 3 numbers") || !strings.Contains(said, variable+"=all")) {
			t.Errorf("%q: it says %q", value, said)
		}
		r.log = nil
		if Skip(&r); r.skipped == (value == "all") || r.skipped && !strings.Contains(r.log[0], variable+"=all") {
			t.Errorf("%q: skipped %t, saying %q", value, r.skipped, r.log)
		}
	}
}
