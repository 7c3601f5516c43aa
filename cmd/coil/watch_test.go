package main

import (
	"path/filepath"
	"testing"

	"coil/run"
)

// Without a name, coil watch shows the run that is trained.
func TestTrainedNow(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"first", "second"} {
		r, err := run.Create(root, name, []byte(tiny), run.Info{})
		if err != nil {
			t.Fatal(err)
		}
		// While it is open it is trained, by this process.
		if got, err := trainedNow(root); got != filepath.Base(r.Path()) || err != nil {
			t.Errorf("%s is trained, not %q, %v", r.Path(), got, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := trainedNow(root); got != "" || err != nil {
			t.Errorf("none is trained, not %q, %v", got, err)
		}
	}
}
