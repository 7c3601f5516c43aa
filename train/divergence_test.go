package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"coil/config"
	"coil/graph"
	"coil/optim"
	"coil/run"
	"coil/run/runtest"
	"coil/thorough"
)

// poison changes weights of the newest checkpoint into ones of the size of x and saves that as the next step's.
func poison(t *testing.T, c config.Config, r *run.Run, x float32, which string) {
	t.Helper()
	tr := resume(t, c, r, 1)
	for _, p := range tr.Model.Parameters {
		if !strings.HasPrefix(p.Name, which) {
			continue
		}
		w := make([]float32, p.Size())
		for i := range w {
			w[i] = x * float32(1-i%3)
		}
		if err := tr.state.weights.Write(p.Offset, w); err != nil {
			t.Fatal(err)
		}
	}
	tr.run, tr.done = r, tr.done+1
	if err := tr.save(false); err != nil {
		t.Fatal(err)
	}
}

func wantFinite(t *testing.T, tr *Trainer) {
	t.Helper()
	for _, b := range []graph.Buffer{tr.state.weights, tr.state.moments[0].buffer, tr.state.moments[1].buffer, tr.state.average} {
		if b == nil {
			continue
		}
		x := make([]float32, b.Len())
		if err := b.Read(0, x); err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(x, func(x float32) bool { return notFinite(float64(x)) }); i >= 0 {
			t.Errorf("value %d is %g", i, x[i])
		}
	}
}

// A step that is not finite ends the run, says so, and leaves the weights of before it.
func TestDivergence(t *testing.T) {
	t.Parallel()
	for _, v := range thorough.Cases(t, 3, "causes", []struct {
		optimizer, which string
		loss             bool // is bad
	}{{"adamw", "", true}, {"adafactor", "", true}, {"adamw", "head.", false}, {"adafactor", "head.", false}}) {
		optimizer := v.optimizer
		c := tiny()
		c.Train.Optimizer, c.Train.Average, c.Checkpoint.Every = optim.Name(optimizer), 0.5, 3
		r := newRun(t, c)
		if err := newTrainer(t, c, 2).Run(r, after(3)); !errors.Is(err, ErrStopped) {
			t.Fatal(err)
		}
		poison(t, c, r, 1e30, v.which)
		before := latest(t, r)
		tr := resume(t, c, r, 2)
		err := tr.Run(r, nil)
		var d *DivergedError
		if !errors.As(err, &d) {
			t.Fatalf("%s: %v", optimizer, err)
		}
		if d.Step != tr.Done()+1 || notFinite(d.Loss) != v.loss || !notFinite(d.Norm) || d.Last.Loss == 0 || d.Last.Norm == 0 {
			t.Errorf("%s: %+v", optimizer, d)
		}
		for _, want := range []string{fmt.Sprintf("diverged at step %d: loss ", d.Step), "the step before had loss", "at learning rate", "train.rate"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", optimizer, err, want)
			}
		}
		wantSame(t, latest(t, r), before)
		wantFinite(t, tr)
		h, err := runtest.Events(r)
		if last := h[len(h)-1]; err != nil || last.Kind != run.KindError || !strings.HasPrefix(last.Text, "diverged at step") {
			t.Errorf("%s: the last event is %v, %v", optimizer, last, err)
		}
	}
}

// The weights of before a step that is not finite are saved, though no checkpoint was due, and push out no older one.
func TestDivergenceSaves(t *testing.T) {
	c := tiny()
	c.Checkpoint, c.Evaluate.Every, c.Train.Steps = config.Checkpoint{Every: 3, Keep: 1}, 0, 100
	r := newRun(t, c)
	tr := newTrainer(t, c, 2)
	w := make([]float32, tr.Model.Size)
	for i := range w {
		w[i] = 1e30
	}
	err := tr.Run(r, stopWhen(func() bool {
		if tr.Done() == 5 {
			if err := tr.state.weights.Write(0, w); err != nil {
				t.Error(err)
			}
		}
		return false
	}))
	if d := (*DivergedError)(nil); !errors.As(err, &d) || d.Step != 6 {
		t.Fatal(err)
	}
	cs, err := r.Checkpoints()
	if err != nil || len(cs) != 2 || cs[0].Step != 3 || cs[1].Step != 5 {
		t.Fatalf("saved are %v, %v", cs, err)
	}
	saved := cs[1]
	f := newTrainer(t, c, 1)
	if err := f.Resume(saved); err != nil {
		t.Fatal(err)
	}
	wantFinite(t, f)
}

// Weights that are not finite never become a checkpoint, and never take the place of one.
func TestOverflow(t *testing.T) {
	c := tiny()
	c.Checkpoint = config.Checkpoint{Every: 1, Keep: 1}
	r := newRun(t, c)
	tr := newTrainer(t, c, 2)
	err := tr.Run(r, stopWhen(func() bool {
		if tr.Done() == 3 {
			if err := tr.state.weights.Write(7, []float32{float32(math.Inf(-1))}); err != nil {
				t.Error(err)
			}
		}
		return false
	}))
	d := (*DivergedError)(nil)
	if !errors.As(err, &d) || !d.Overflow || d.Step != 3 || !strings.Contains(err.Error(), "weights that are not finite") {
		t.Fatal(err)
	}
	if cs, err := r.Checkpoints(); err != nil || len(cs) != 1 || cs[0].Step != 2 {
		t.Errorf("there are %v, %v", cs, err)
	}
}
