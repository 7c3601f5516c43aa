package train

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"coil/backend/cpu"
	"coil/config"
	"coil/run"
)

// archivedRun copies a run of testdata/archive, and returns its folder and its configuration.
func archivedRun(t *testing.T, name string) (dir string, c config.Config) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "archive", name))); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err = config.Stored("config.toml", text); err != nil {
		t.Fatal(err)
	}
	return dir, c
}

// A run continues from a checkpoint of an earlier coil and ends, bit for bit, where that coil ended. The runs of 6 steps in
// testdata/archive have the checkpoints of steps 3 and 6, of either optimizer, with an average of the weights, middle looping
// and a learned exit. The kernels are those of portable Go, on amd64: a compiler for another processor may fuse a
// multiplication and an addition.
func TestArchive(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		t.Skip("the archived runs were computed on amd64, and other processors round differently")
	}
	for _, name := range []string{"adamw", "adafactor", "ema", "exit"} {
		t.Run(name, func(t *testing.T) {
			dir, c := archivedRun(t, name)
			tr, err := New(c, newBackend(t, cpu.Options{Workers: 2, Kernels: "portable"}), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			r, err := run.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			checkpoint := func(step int) run.Checkpoint {
				c, err := r.Checkpoint(step)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			from := checkpoint(3)
			// The optimizer's file has had other names since.
			trained := func() (files map[string][]byte, kept [][]float32) {
				files = contents(t, checkpoint(6))
				delete(files, optimizerFile)
				o, err := c.Train.NewOptimizer()
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range momentsOf(o, optimized(tr.Model)) {
					x, err := readMoment(checkpoint(6), o, m)
					if err != nil {
						t.Fatal(err)
					}
					kept = append(kept, x)
				}
				return files, kept
			}
			want, wantKept := trained()
			if err := tr.Resume(from); err != nil {
				t.Fatal(err)
			}
			if err := r.Rewind(3); err != nil {
				t.Fatal(err)
			}
			if err := tr.Run(r, nil); err != nil {
				t.Fatal(err)
			}
			files, kept := trained()
			forgetYounger(t, files, want)
			wantSame(t, files, want)
			if len(kept) != 2 || !slices.EqualFunc(kept, wantKept, slices.Equal[[]float32]) {
				t.Error("what the optimizer keeps differs from that of a run that was never stopped")
			}
		})
	}
}

// forgetYounger takes the keys out of a checkpoint's facts that an older one does not have, if their values do what coil did before
// it had them.
func forgetYounger(t *testing.T, files, older map[string][]byte) {
	t.Helper()
	var now, had position
	if err := errors.Join(json.Unmarshal(files["meta"], &now), json.Unmarshal(older["meta"], &had)); err != nil {
		t.Fatal(err)
	}
	before := config.Unwritten()
	unwritten := before.FixedKeys()
	for key, v := range now.Config {
		if _, ok := had.Config[key]; !ok {
			if v != unwritten[key] {
				t.Errorf("%s = %s, which the older checkpoint does not have", key, v)
			}
			delete(now.Config, key)
		}
	}
	for files, p := range map[*map[string][]byte]position{&files: now, &older: had} {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		(*files)["meta"] = text
	}
}
