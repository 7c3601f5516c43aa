package train

import (
	"errors"
	"strings"
	"testing"

	"coil/backend/cpu"
	"coil/config"
	"coil/run"
	"coil/run/runtest"
)

// The advice after divergence is a checkpoint from which the run can continue: not one that was saved because the next step was
// not finite, nor one whose weights make it so, nor one that is worse than guessing.
func TestGoBack(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Checkpoint, c.Evaluate.Every = config.Checkpoint{Every: 3, Keep: 0}, 0
	diverge := func(tr *Trainer, r *run.Run, next func() run.Command) {
		t.Helper()
		if err := tr.Run(r, next); !errors.As(err, new(*DivergedError)) {
			t.Fatal(err)
		}
	}
	want := func(tr *Trainer, step int) {
		t.Helper()
		if got := tr.GoBack(); got != step {
			t.Errorf("back to step %d, want %d", got, step)
		}
	}
	stopped := func() *run.Run {
		r := newRun(t, c)
		if err := newTrainer(t, c, 1).Run(r, after(3)); !errors.Is(err, ErrStopped) {
			t.Fatal(err)
		}
		return r
	}

	// On the way from the checkpoint of step 3, and saved at step 5.
	r := newRun(t, c)
	tr := newTrainer(t, c, 1)
	w := make([]float32, tr.Model.Size)
	for i := range w {
		w[i] = 1e30
	}
	diverge(tr, r, stopWhen(func() bool {
		if tr.Done() == 5 {
			if err := tr.state.weights.Write(0, w); err != nil {
				t.Error(err)
			}
		}
		return false
	}))
	if cs, err := r.Checkpoints(); err != nil || cs[len(cs)-1].Step != 5 {
		t.Fatal(cs, err)
	}
	want(tr, 3)

	// The newest is poisoned, and there is an older one.
	r = stopped()
	poison(t, c, r, 1e30, "")
	tr = resume(t, c, r, 1)
	diverge(tr, r, nil)
	want(tr, 3)
	good, err := r.Checkpoint(3)
	if err != nil {
		t.Fatal(err)
	}
	again := newTrainer(t, c, 1)
	if err := errors.Join(again.Resume(good), r.Rewind(3), again.Run(r, nil)); err != nil {
		t.Errorf("the advice does not work: %v", err)
	}

	// It is the only one.
	r = stopped()
	poison(t, c, r, 1e30, "")
	if err := r.Prune(1); err != nil {
		t.Fatal(err)
	}
	tr = resume(t, c, r, 1)
	diverge(tr, r, nil)
	want(tr, 0)

	// All have a loss that no model which has learnt anything has.
	c.Train.Rate, c.Train.Clip, c.Train.Warmup, c.Train.Steps = 1e6, 0, 0, 100
	r, tr = newRun(t, c), newTrainer(t, c, 1)
	diverge(tr, r, nil)
	want(tr, 0)
}

// A run that continues with other kernels, or other keys, says so.
func TestRemarks(t *testing.T) {
	c := tiny()
	r := newRun(t, c)
	old, err := New(c, newBackend(t, cpu.Options{Workers: 1, Kernels: "portable"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := old.Run(r, after(3)); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	notes := func() string {
		h, err := runtest.Events(r)
		if err != nil {
			t.Fatal(err)
		}
		var s string
		for _, e := range h {
			if e.Kind == run.KindNote {
				s += e.Text + "\n"
			}
		}
		return s
	}
	same, err := New(c, newBackend(t, cpu.Options{Workers: 2, Kernels: "portable"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer same.Close()
	from, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(same.Resume(from), r.Rewind(3)); err != nil {
		t.Fatal(err)
	}
	if err := same.Run(r, after(2)); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	if s := notes(); s != "" {
		t.Errorf("with nothing changed: %s", s)
	}
	c.Train.Rate, c.Checkpoint.Keep = 0.5, 7
	other := resume(t, c, r, 1)
	if kernels(other.backend.Info()) == "cpu portable" {
		t.Skip("this machine has only the portable kernels")
	}
	if err := other.Run(r, after(2)); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	for _, want := range []string{"checkpoint.keep = 7, was 0; train.rate = 0.5, was 0.01\n", "computed by the kernels cpu portable, and these are cpu "} {
		if s := notes(); !strings.Contains(s, want) {
			t.Errorf("%q is not said: %s", want, s)
		}
	}
}
