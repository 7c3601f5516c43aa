package train

import (
	"slices"
	"testing"

	"coil/optim"
	"coil/run"
)

// What an optimizer keeps follows its parameter into another layout, from a checkpoint of today and from one of the time when
// all of it was one long tensor.
func TestMomentsFollowTheirParameters(t *testing.T) {
	for _, optimizer := range []string{"adamw", "adafactor"} {
		dir, c := archivedRun(t, optimizer)
		archived, err := run.View(dir)
		if err != nil {
			t.Fatal(err)
		}
		flat, err := archived.Checkpoint(3)
		if err != nil {
			t.Fatal(err)
		}
		tr := newTrainer(t, c, 1)
		if err := tr.Resume(flat); err != nil {
			t.Fatal(err)
		}
		r := newRun(t, c)
		tr.run, tr.saved = r, -1
		if err := tr.save(false); err != nil {
			t.Fatal(err)
		}
		named, err := r.Checkpoint(3)
		if err != nil {
			t.Fatal(err)
		}

		parameters := optimized(tr.Model)
		reversed := slices.Clone(parameters)
		slices.Reverse(reversed)
		o := tr.state.optimizer
		var want map[string][]float32
		for _, from := range []run.Checkpoint{flat, named} {
			byKey := map[string][]float32{}
			for _, ps := range [][]optim.Parameter{parameters, reversed} {
				for _, m := range momentsOf(o, ps) {
					x, err := readMoment(from, o, m)
					if err != nil {
						t.Fatal(err)
					}
					for _, p := range m.parts {
						values := x[p.offset : p.offset+p.Len()]
						if had, ok := byKey[p.key()]; ok && !slices.Equal(had, values) {
							t.Errorf("%s: %s differs in another layout", optimizer, p.key())
						}
						byKey[p.key()] = values
					}
				}
			}
			if want == nil {
				want = byKey
			}
			for key, values := range want {
				if !slices.Equal(byKey[key], values) || !slices.ContainsFunc(values, func(v float32) bool { return v != 0 }) {
					t.Errorf("%s: %s is %v, want %v", optimizer, key, byKey[key], values)
				}
			}
		}
	}
}
