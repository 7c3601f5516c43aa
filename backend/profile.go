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

// Parts are the kinds of work that a step's time is split by: see [OpTime.Part].
var Parts = []string{"matmul", "attention", "norm", "elementwise", "loss", "optimizer", "other"}

// Part is the one of [Parts] that the operation belongs to. What is no operation, such as packing weights and adding up the
// gradients of groups, is other.
func (t OpTime) Part() string {
	switch t.Op.(type) {
	case *graph.Matmul:
		return "matmul"
	case *graph.Attention, *graph.AttentionBackward, *graph.Softmax, *graph.SoftmaxBackward:
		return "attention"
	case *graph.LayerNorm, *graph.LayerNormBackward:
		return "norm"
	case *graph.Activate, *graph.ActivateBackward, *graph.SwiGLU, *graph.SwiGLUBackward, *graph.Add, *graph.Fill, *graph.ColumnSums, *graph.Rotary, *graph.Embedding, *graph.EmbeddingBackward:
		return "elementwise"
	case *graph.CrossEntropy, *graph.Exit, *graph.ExitLoss:
		return "loss"
	case *graph.AdamW, *graph.Adafactor, *graph.Average, *graph.ClipFactor, *graph.Sum, *graph.Cosine, *graph.CosineBackward:
		return "optimizer"
	}
	return "other"
}

// A Positioner is a [Program] that can tell how far its step is.
type Positioner interface {
	// Position returns the number of the operation of the group part that runs, of whichever group; about, on a device
	// that runs them in batches. While the step part runs it is the number of operations in the group part, and
	// negative while nothing runs. It may be called from any goroutine until Close is.
	Position() int
}
