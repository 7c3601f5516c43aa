package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coil/run"
)

// Without a name, coil watch shows the run that is trained, or lets one be chosen from the list.
func TestPickRun(t *testing.T) {
	root := t.TempDir()
	var ids []string
	for _, name := range []string{"first", "second"} {
		r, err := run.Create(root, name, []byte(tiny), run.Info{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, filepath.Base(r.Path()))
		if name == "first" {
			// While it is open it is trained, by this process.
			if got, err := pickRun(strings.NewReader(""), os.Stdout, root); got != ids[0] || err != nil {
				t.Errorf("of a run that is trained: %s, %v", got, err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for answer, want := range map[string]string{"": ids[1], "\n": ids[1], "1\n": ids[1], "2\n": ids[0], "first\n": "first"} {
		var shown strings.Builder
		if got, err := pickRun(strings.NewReader(answer), &shown, root); got != want || err != nil {
			t.Errorf("%q chooses %s, %v; want %s", answer, got, err, want)
		}
		if !strings.Contains(shown.String(), " 1  "+ids[1]) || !strings.Contains(shown.String(), " 2  "+ids[0]) || !strings.HasSuffix(shown.String(), "which run? [1] ") {
			t.Errorf("it shows %s", shown.String())
		}
	}
	var shown strings.Builder
	if _, err := pickRun(strings.NewReader("3\n"), &shown, root); exitCode(err) != exitUsage || !strings.Contains(err.Error(), "1 to 2") {
		t.Errorf("3 of 2: %v", err)
	}
}
