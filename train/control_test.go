package train

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coil/run"
	"coil/run/runtest"
)

// told returns a function next that gives commands after certain steps.
func told(tr *Trainer, commands map[int][]run.Command) func() run.Command {
	return func() run.Command {
		k := commands[tr.Done()]
		if len(k) == 0 {
			return ""
		}
		commands[tr.Done()] = k[1:]
		return k[0]
	}
}

// kinds are the kinds and steps of all events but reports of training.
func kinds(t *testing.T, r *run.Run) string {
	t.Helper()
	h, err := runtest.Events(r)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, e := range h {
		if e.Kind != run.KindTrain {
			s = append(s, e.Kind+" "+itoa(e.Step))
		}
	}
	return strings.Join(s, ", ")
}

func itoa(n int) string { return string(rune('0'+n/10)) + string(rune('0'+n%10)) }

// Pauses, and checkpoints and evaluations that are asked for, happen when they are asked for, and change no bit of the weights.
func TestSteering(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Evaluate.Every, c.Checkpoint.Every = 0, 0
	whole := newRun(t, c)
	if err := newTrainer(t, c, 2).Run(whole, nil); err != nil {
		t.Fatal(err)
	}
	r := newRun(t, c)
	tr := newTrainer(t, c, 2)
	err := tr.Run(r, told(tr, map[int][]run.Command{
		2: {run.SaveCheckpoint},
		4: {run.Evaluate},
		5: {run.Pause, "", run.Evaluate, "", run.SaveCheckpoint, "", "", run.Continue},
		7: {run.Pause, run.Continue},
		9: {run.Evaluate, run.SaveCheckpoint},
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := "start 00, setup 00, checkpoint 02, eval 04, pause 05, eval 05, checkpoint 05, continue 05, eval 09, checkpoint 09, checkpoint 12, eval 12, end 12"
	if got := kinds(t, r); got != want {
		t.Errorf("events are\n%s\nwant\n%s", got, want)
	}
	wantSame(t, latest(t, r), latest(t, whole))
	if now := tr.Activity(); now.Phase != run.PhaseDone || now.Step != 12 {
		t.Errorf("now %+v", now)
	}
}

// A run that is stopped while it waits can be gone on with, exactly.
func TestStopWhilePaused(t *testing.T) {
	t.Parallel()
	c := tiny()
	whole := newRun(t, c)
	if err := newTrainer(t, c, 2).Run(whole, nil); err != nil {
		t.Fatal(err)
	}
	r := newRun(t, c)
	tr := newTrainer(t, c, 2)
	seen := run.Phase("")
	next := told(tr, map[int][]run.Command{7: {run.Pause, "", run.Stop}})
	err := tr.Run(r, func() run.Command {
		if k := next(); k != run.Stop {
			return k
		}
		seen = tr.Activity().Phase
		return run.Stop
	})
	if !errors.Is(err, ErrStopped) || seen != run.PhasePaused {
		t.Fatal(err, seen)
	}
	if err := r.Rewind(7); err != nil {
		t.Fatal(err)
	}
	if err := resume(t, c, r, 1).Run(r, nil); err != nil {
		t.Fatal(err)
	}
	wantSame(t, latest(t, r), latest(t, whole))
}

// Another process controls training through the run's directory; requests to an earlier process are ignored.
func TestRequests(t *testing.T) {
	t.Parallel()
	c := tiny()
	path := filepath.Join(t.TempDir(), "run")
	r, err := run.CreateAt(path, c.Encode(), run.Info{})
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := run.View(path)
	if err != nil {
		t.Fatal(err)
	}
	tr := newTrainer(t, c, 2)
	// While the run waits the watcher has all the time it needs.
	asked := 0
	next := told(tr, map[int][]run.Command{3: {run.Pause}})
	err = tr.Run(r, func() run.Command {
		if tr.Activity().Phase == run.PhasePaused && asked == 0 {
			for _, k := range []run.Command{run.Evaluate, run.Continue, run.Stop} {
				if err := watcher.Send(k); err != nil {
					t.Error(err)
				}
			}
			asked++
		}
		return next()
	})
	if !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	if got := kinds(t, r); !strings.Contains(got, "pause 03, note 03, note 03, note 03, checkpoint 03, stop 03") {
		t.Errorf("events are %s", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := watcher.Send(run.Stop); !errors.Is(err, run.ErrNotTrained) || !strings.Contains(err.Error(), "coil resume "+path) {
		t.Errorf("sent to nobody: %v", err)
	}
	f, err := os.OpenFile(filepath.Join(path, "control.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"command":"stop"}` + "\n"); err != nil { // requested while no process trained it
		t.Fatal(err)
	}
	if r, err = run.Open(path); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Rewind(3); err != nil {
		t.Fatal(err)
	}
	if err := resume(t, c, r, 2).Run(r, nil); err != nil {
		t.Fatal(err)
	}
}
