package train

import (
	"errors"
	"math"
	"testing"
	"time"

	"coil/config"
	"coil/run"
)

// ticking is a clock that goes on by 1/64 s whenever it is read: so long takes a step.
func ticking() func() time.Time {
	at := time.Now()
	return func() time.Time {
		at = at.Add(time.Second / 64)
		return at
	}
}

// timed is a run that ends by its budget of time, long before its steps are done.
func timed() config.Config {
	c := tiny()
	c.Train.Steps, c.Train.Warmup, c.Train.Time, c.Train.Report = 1_000_000, 4, 10.0/64, 3
	c.Train.Schedule, c.Evaluate.Every, c.Checkpoint.Every = "linear", 0, 0
	return c
}

// wantExplained checks that the rate of every report follows from the seconds in the events before it, and returns the last step.
func wantExplained(t *testing.T, c config.Config, r *run.Run) int {
	t.Helper()
	er, err := r.Events()
	if err != nil {
		t.Fatal(err)
	}
	defer er.Close()
	share, last := math.NaN(), 0
	for {
		e, err := er.Next()
		if err != nil {
			return last
		}
		switch e.Kind {
		case run.KindSetup:
			share = float64(*e.Seconds) / c.Train.Time
		case run.KindTrain:
			if got, want := float64(*e.Train.Rate), c.Train.RateAt(e.Step-1, share); got != want {
				t.Errorf("step %d: the rate was %g, and %g follows from the events", e.Step, got, want)
			}
			share, last = min(1, float64(*e.Train.Seconds)/c.Train.Time), e.Step
		}
	}
}

// A run with a budget of time ends when it is used, with a checkpoint and an evaluation, and its events explain each rate. So do
// those of a run that was stopped and resumed, which has the rest of the budget. More time lets it go on.
func TestTime(t *testing.T) {
	c := timed()
	r := newRun(t, c)
	tr := newTrainer(t, c, 1)
	tr.now = ticking()
	if err := tr.Run(r, after(4)); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	tr = resume(t, c, r, 1)
	tr.now = ticking()
	stopped := tr.Done()
	if err := tr.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	check := func(seconds float64) {
		t.Helper()
		last := wantExplained(t, c, r)
		h, err := r.History()
		if err != nil {
			t.Fatal(err)
		}
		saved, ok := h.Saved()
		if !h.Ended() || !ok || saved != tr.Done() || last != tr.Done() || h.HeldOut.Step() != tr.Done() || h.Left() != 0 || h.Setup.Share(tr.Done(), h.Seconds) != 1 {
			t.Errorf("after step %d: %s, checkpoint of step %d, report of step %d, evaluation of step %d, %g s left", tr.Done(), h.State, saved, last, h.HeldOut.Step(), h.Left())
		}
		if h.Seconds < seconds || tr.Done() >= c.Train.Steps {
			t.Errorf("it ended at step %d after %g s, want %g", tr.Done(), h.Seconds, seconds)
		}
	}
	check(10.0 / 64)
	if tr.Done() != 10 || stopped == 0 || stopped >= 10 {
		t.Errorf("it was stopped at step %d and ended at step %d, want 10", stopped, tr.Done())
	}
	c.Train.Time = 15.0 / 64
	tr = resume(t, c, r, 1)
	tr.now = ticking()
	if err := tr.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	if h, _ := r.History(); !h.Ended() || tr.Done() != 15 {
		t.Errorf("with more time it ended at step %d after %g s, want step 15", tr.Done(), h.Seconds)
	}
}
