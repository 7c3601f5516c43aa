package train

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"coil/backend"
	"coil/eval"
	"coil/graph"
	"coil/run"
)

// steering is what a run was told and has not done yet.
type steering struct {
	next                          func() run.Command
	stop, pause, checkpoint, eval bool
	err                           error // of writing down who asked
}

// pending reports whether there is something to do before the next step.
func (s *steering) pending() bool { return s.stop || s.pause || s.checkpoint || s.eval }

// take notes a command.
func (s *steering) take(c run.Command) {
	switch c {
	case run.Stop:
		s.stop = true
	case run.Pause:
		s.pause = true
	case run.Continue:
		s.pause = false
	case run.Save:
		s.checkpoint = true
	case run.Evaluate:
		s.eval = true
	}
}

// ask takes what was asked in this process, and in the run's directory by others.
func (t *Trainer) ask() error {
	s := &t.steering
	for !s.stop && s.next != nil {
		c := s.next()
		if c == "" {
			break
		}
		s.take(c)
	}
	for !s.stop {
		asked, ok, err := t.run.NextRequest()
		if err != nil {
			err = fmt.Errorf("what others ask can't be read: %w", err)
			return t.noteOnce(&t.unasked, err)
		} else if !ok {
			break
		}
		s.take(asked.Command)
		if err := t.event(Report{Event: run.Event{Kind: run.KindNote, Step: t.done, Text: fmt.Sprintf("%s, asked by %s", asked.Command, asked.Holder)}}); err != nil {
			return err
		}
	}
	return nil
}

// stopAsked reports whether the run is to stop; the rest waits.
func (t *Trainer) stopAsked() bool {
	t.steering.err = errors.Join(t.steering.err, t.ask())
	return t.steering.stop || t.steering.err != nil
}

// between does what is due or was asked between two steps, when none is in flight.
func (t *Trainer) between() error {
	c, s := t.Config, &t.steering
	// Before the checkpoint: a run that goes on from it has been evaluated, once.
	if !s.stop && (s.eval || due(c.Evaluate.Every, t.done)) {
		if err := t.evaluateNow(); err != nil {
			return err
		}
	}
	if s.stop || s.checkpoint || due(c.Checkpoint.Every, t.done) {
		s.checkpoint = false
		if err := t.checkpoint(); err != nil {
			return err
		}
	}
	if s.pause && !s.stop {
		if err := t.wait(); err != nil {
			return err
		}
	}
	if s.stop {
		return ErrStopped
	}
	return nil
}

// evaluateNow evaluates between two steps; a wish to stop ends only the evaluation.
func (t *Trainer) evaluateNow() error {
	t.steering.eval = false
	err := t.evaluate(t.Config.Evaluate.Examples)
	if errors.Is(err, ErrStopped) {
		return t.steering.err
	}
	return err
}

// pausePoll is how often a run that waits asks whether it is to go on.
const pausePoll = 20 * time.Millisecond

// wait is a pause.
func (t *Trainer) wait() error {
	s := &t.steering
	defer t.now.enter(t.now.enter(run.PhasePaused))
	if err := t.event(Report{Event: run.Event{Kind: run.KindPause, Step: t.done}}); err != nil {
		return err
	}
	for s.pause && !s.stop {
		time.Sleep(pausePoll)
		if err := t.ask(); err != nil {
			return err
		}
		if s.eval {
			if err := t.evaluateNow(); err != nil {
				return err
			}
		}
		if s.checkpoint || s.stop {
			s.checkpoint = false
			if err := t.checkpoint(); err != nil {
				return err
			}
		}
	}
	if s.stop {
		return nil
	}
	return t.event(Report{Event: run.Event{Kind: run.KindContinue, Step: t.done}})
}

// now is what the trainer is doing, for other goroutines.
type now struct {
	phase atomic.Int32 // index of phases
	step  atomic.Int64

	mu      sync.Mutex    // held while running is asked, so that it is not closed meanwhile
	running *compiledStep // nil if none is, or it is to be closed
}

var phases = []run.Phase{run.PhasePreparing, run.PhaseTraining, run.PhaseEvaluating, run.PhaseSaving, run.PhasePaused, run.PhaseDone}

// enter begins a phase and returns the one before.
func (n *now) enter(p run.Phase) (before run.Phase) {
	for i, q := range phases {
		if p == q {
			return phases[n.phase.Swap(int32(i))]
		}
	}
	panic("train: unknown phase")
}

func (n *now) done(steps int) { n.step.Store(int64(steps)) }

// runs says which step runs; nil if none, and that must be said before one is closed.
func (n *now) runs(st *compiledStep) {
	n.mu.Lock()
	n.running = st
	n.mu.Unlock()
}

// place is the part of the model that the running step is at.
func (n *now) place() graph.Scope {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running == nil {
		return graph.Scope{}
	}
	return n.running.place()
}

// Now is what the trainer is doing. It may be called from any goroutine.
func (t *Trainer) Now() run.Now {
	at := t.now.place()
	return run.Now{Phase: phases[t.now.phase.Load()], Step: int(t.now.step.Load()), Loop: at.Loop, Backward: at.Backward}
}

// Variants are those of a backend as a run has them.
func Variants(i backend.Info) (all []run.Variant) {
	for _, v := range i.Variants {
		all = append(all, run.Variant(v))
	}
	return all
}

// setup says what is trained.
func (t *Trainer) setup() *run.Setup {
	a, i := t.Model.Architecture, t.backend.Info()
	return &run.Setup{Model: a.String(), LayersPerBlock: a.K, Loops: a.Loops, Looped: a.Looped(),
		Parameters: int64(t.Model.Size), FLOPs: t.Model.FLOPs(), Task: t.Task.Name(), Kinds: t.Task.Kinds(), Metric: eval.MetricName(t.Task),
		Steps: t.Config.Train.Steps, Batch: t.Config.Train.Batch, Length: t.Model.Length,
		Backend: i.Name, Device: i.Device, Kernels: i.Kernels, Variants: Variants(i), Workers: i.Workers, Memory: t.Memory.Total(), MemoryLimit: i.Memory}
}
