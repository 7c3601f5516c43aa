package run

// Activity is what the process that trains is doing at this moment, between two events.
type Activity struct {
	Phase    Phase
	Step     int  // steps that are done
	Loop     int  // of the looped block, from 1; 0 if something else is running
	Backward bool // it is the backward pass
}

// Phase is what a run is busy with.
type Phase string

// The phases.
const (
	PhasePreparing  Phase = "preparing"
	PhaseTraining   Phase = "training"
	PhaseEvaluating Phase = "evaluating"
	PhaseSaving     Phase = "saving"
	PhasePaused     Phase = "paused"
	PhaseDone       Phase = "done"
)
