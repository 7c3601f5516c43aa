package backend

import "coil/graph"

// A Profiler is a [Program] that can tell where its time goes.
type Profiler interface {
	// Profile begins to measure, from zero, or stops.
	Profile(on bool)
	// Times returns what was measured: an entry for each operation in the order of the recording, and one for each
	// part of the work that is no operation.
	Times() []OpTime
}

// OpTime is the time of one operation over all steps, groups and workers since [Profiler.Profile].
type OpTime struct {
	Name    string
	Op      graph.Op // nil for what is no operation
	Calls   int
	Seconds float64 // summed over the workers
}

// Other is the kind of what is no operation, such as packing weights and adding up the gradients of groups.
const Other graph.Kind = "other"

// Kind is the kind of work that the time went into.
func (t OpTime) Kind() graph.Kind {
	if t.Op == nil {
		return Other
	}
	return graph.Describe(t.Op).Kind
}

// A Positioner is a [Program] that can tell how far its step is.
type Positioner interface {
	// Position returns the number of the operation of the body that runs, of whichever group; about, on a device
	// that runs them in batches. While the update runs it is the number of operations in the body, and
	// negative while nothing runs. It may be called from any goroutine until Close is.
	Position() int
}
