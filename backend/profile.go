package backend

import "coil/graph"

// A Profiler is a [Program] that can report where its time goes.
type Profiler interface {
	// Profile starts measuring, from zero, or stops.
	Profile(on bool)
	// Times returns the measured times: an entry for each operation in the order of the recording, except those that run
	// together with one before them, and one for each part of the work that is not an operation.
	Times() []OpTime
}

// OpTime is the time of one operation over all steps, groups and workers since [Profiler.Profile].
type OpTime struct {
	Name    string
	Op      graph.Op // nil for work that is not an operation
	Update  bool     // it is an operation of the update
	Calls   int
	Seconds float64 // summed over the workers

	Fused []graph.Op // operations after Op that the backend ran together with it
}

// FLOPs is the number of floating-point operations in matmuls of one call.
func (t OpTime) FLOPs() int64 {
	if t.Op == nil {
		return 0
	}
	n := graph.Describe(t.Op).FLOPs
	for _, op := range t.Fused {
		n += graph.Describe(op).FLOPs
	}
	return n
}

// Other is the kind of work that is not an operation, such as packing weights and adding up the gradients of groups.
const Other graph.Kind = "other"

// Kind is the kind of work that the time went into.
func (t OpTime) Kind() graph.Kind {
	switch {
	case t.Op == nil:
		return Other
	case t.Update: // also products and sums
		return graph.KindUpdate
	}
	return graph.Describe(t.Op).Kind
}

// A Positioner is a [Program] that can report how far its step has come.
type Positioner interface {
	// Position returns the number of the operation of the body that runs, in any group. It is approximate on a device
	// that runs operations in batches. While the update runs it is the number of operations in the body, and
	// negative while nothing runs. It may be called from any goroutine until Close is.
	Position() int
}
