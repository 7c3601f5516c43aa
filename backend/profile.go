package backend

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
	Op      Op // nil for what is no operation
	Calls   int
	Seconds float64 // summed over the workers
}

// FLOPs is the number of floating point operations of op in matmuls, a multiplication and an addition being two. As is
// usual, attention counts the whole square of scores, of which the upper half need not be computed: 4·T·d for each row
// forward, twice as much backward.
func FLOPs(op Op) int64 {
	switch o := op.(type) {
	case *Matmul:
		m, n, k := o.Shape()
		return 2 * int64(m) * int64(n) * int64(k)
	case *Attention:
		return 4 * int64(o.Length) * int64(o.Out.Cols) * int64(o.Out.Rows)
	case *AttentionBackward:
		return 8 * int64(o.Length) * int64(o.Out.Cols) * int64(o.Out.Rows)
	}
	return 0
}

// Parts are the kinds of work that a step's time is split by: see [OpTime.Part].
var Parts = []string{"matmul", "attention", "norm", "elementwise", "loss", "optimizer", "other"}

// Part is the one of [Parts] that the operation belongs to. What is no operation, such as packing weights and adding up the
// gradients of groups, is other.
func (t OpTime) Part() string {
	switch t.Op.(type) {
	case *Matmul:
		return "matmul"
	case *Attention, *AttentionBackward, *Softmax, *SoftmaxBackward:
		return "attention"
	case *LayerNorm, *LayerNormBackward:
		return "norm"
	case *Activate, *ActivateBackward, *SwiGLU, *SwiGLUBackward, *Add, *Fill, *ColumnSums, *Rotary, *Embedding, *EmbeddingBackward:
		return "elementwise"
	case *CrossEntropy, *Exit, *ExitLoss:
		return "loss"
	case *AdamW, *Adafactor, *Average, *ClipFactor, *Sum, *Cosine, *CosineBackward:
		return "optimizer"
	}
	return "other"
}
