package train

import (
	"math"
	"slices"
	"strings"

	"coil/run"
)

// GoBack returns the step of the newest checkpoint from which a run that diverged may continue with a lower rate; 0, from which
// every run can start, if there is none. It excludes checkpoints
//
//   - that were saved because the next step was not finite,
//   - that are worse than guessing: their last loss is more than twice that of a uniform guess, ln V, plus 1,
//   - after which the very next step was not finite, so that the rate is not the cause,
//   - from which the run has diverged twice without another checkpoint: their moments may be at fault.
func (t *Trainer) GoBack() int {
	cs, err := t.run.Checkpoints()
	if err != nil {
		return 0
	}
	h, _ := t.run.History() // garbled lines are ignored
	in := inVain(h.Log)
	for _, c := range slices.Backward(cs) {
		p, err := positionAt(c)
		if err == nil && !circumstancesOf(c).Diverged && p.Loss <= 2*math.Log(float64(t.Model.Vocabulary))+1 && in[c.Step] < 2 {
			return c.Step
		}
	}
	return 0
}

// inVain counts, for each checkpoint, how often the run diverged from it without saving another.
func inVain(log []run.Event) map[int]int {
	failed := map[int]int{}
	at, before, saved := 0, 0, false
	for _, e := range log {
		switch {
		case e.Kind == run.KindCheckpoint || e.Kind == run.KindResume:
			at, before, saved = e.Step, at, e.Kind == run.KindCheckpoint
		case e.Kind == run.KindError && strings.HasPrefix(e.Text, divergedText):
			failed[at]++
			if e.Step != at {
				continue
			}
			failed[at] = math.MaxInt
			if saved { // because it has diverged, perhaps
				failed[before]++
			}
		}
	}
	return failed
}

// divergedText is the beginning of the text of a [DivergedError].
const divergedText = "diverged at step "
