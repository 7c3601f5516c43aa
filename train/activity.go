package train

import (
	"sync"
	"sync/atomic"

	"coil/graph"
	"coil/run"
)

// activity is what the trainer is doing, for other goroutines.
type activity struct {
	phase atomic.Int32 // index of phases
	step  atomic.Int64

	mu      sync.Mutex    // held while running is queried, so that it is not closed at the same time
	running *compiledStep // nil if none is, or if it will be closed
}

var phases = []run.Phase{run.PhasePreparing, run.PhaseTraining, run.PhaseEvaluating, run.PhaseSaving, run.PhasePaused, run.PhaseDone}

// enter starts a phase and returns the previous one.
func (a *activity) enter(p run.Phase) (before run.Phase) {
	for i, q := range phases {
		if p == q {
			return phases[a.phase.Swap(int32(i))]
		}
	}
	panic("train: unknown phase")
}

func (a *activity) done(steps int) { a.step.Store(int64(steps)) }

// runs records which step runs, or nil for none, which must be recorded before a step is closed.
func (a *activity) runs(st *compiledStep) {
	a.mu.Lock()
	a.running = st
	a.mu.Unlock()
}

// scope is the part of the model that the running step is at.
func (a *activity) scope() graph.Scope {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running == nil {
		return graph.Scope{}
	}
	return a.running.scope()
}

// Activity is what the trainer is doing. It may be called from any goroutine.
func (t *Trainer) Activity() run.Activity {
	at := t.activity.scope()
	return run.Activity{Phase: phases[t.activity.phase.Load()], Step: int(t.activity.step.Load()), Loop: at.Loop, Backward: at.Backward}
}
