package train

import (
	"errors"
	"fmt"
	"time"

	"coil/run"
)

// pendingCommands are the commands that a run has received and not yet carried out.
type pendingCommands struct {
	next                          func() run.Command
	stop, pause, checkpoint, eval bool
	err                           error // of writing down who asked
}

// pending reports whether there is something to do before the next step.
func (s *pendingCommands) pending() bool { return s.stop || s.pause || s.checkpoint || s.eval }

// take notes a command.
func (s *pendingCommands) take(c run.Command) {
	switch c {
	case run.Stop:
		s.stop = true
	case run.Pause:
		s.pause = true
	case run.Continue:
		s.pause = false
	case run.SaveCheckpoint:
		s.checkpoint = true
	case run.Evaluate:
		s.eval = true
	}
}

// ask takes the commands of this process, and those of others in the run's directory.
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
		asked, ok, err := t.run.NextCommand()
		if err != nil {
			err = fmt.Errorf("requests of other processes can't be read: %w", err)
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

// between does the scheduled and requested work between two steps, when none is in flight.
func (t *Trainer) between() error {
	c, s := t.Config, &t.steering
	// Before the checkpoint, so that a run that continues from it is not evaluated twice.
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
	defer t.activity.enter(t.activity.enter(run.PhasePaused))
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
