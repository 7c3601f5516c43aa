package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every value of training that has a chart is written by training, and documented.
func TestChartsOfWhatIsWritten(t *testing.T) {
	files, err := filepath.Glob("../train/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(b)
	}
	documented, err := os.ReadFile("../run/event.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range trained {
		if !strings.Contains(source.String(), `"`+n.value+`"`) {
			t.Errorf("nothing writes %s", n.value)
		}
		if !strings.Contains(string(documented), n.value) {
			t.Errorf("%s is not documented", n.value)
		}
	}
}
