package graph

// Facts describe an operation, beyond its formula and its shapes. Everything else that treats operations differently derives from
// them, except a backend's way of computing each.
type Facts struct {
	// Reads and Writes are the tensors that the operation reads and those that it writes. One that it does both to is in
	// both lists.
	Reads, Writes []Tensor
	Indices       []Index  // that it reads
	Scalars       []Scalar // that it reads
	Starts        []Start  // the indices that are positions at which sequences begin

	// Exact are the operands that stay float32 on a backend that keeps temporaries in a smaller type: statistics, losses,
	// sums and single numbers.
	Exact []Tensor

	// Kind is the kind of work that the operation's time is counted as.
	Kind Kind

	// FLOPs is the number of floating-point operations in matmuls; a multiplication and an addition count as two. As usual,
	// attention counts the whole square of scores, although the upper half need not be computed: 4·T·d for each row
	// forward, and twice as much backward; over a cache, all positions that it has room for. Hard attention counts as if it multiplied with all values.
	FLOPs int64

	// Gated says that the operation has a Factor, and leaves everything as it is if that is 0: then a backend may also
	// hold the operation back, as long as an earlier step may have to run again.
	Gated bool

	// Appends says that the operation writes its state only at positions that the run gives, and reads it only up to those
	// positions. Running it twice in a row therefore leaves the same state as running it once.
	Appends bool
}

// A Start is an index with the position at which each sequence begins.
type Start struct {
	At   Index
	Most int // the largest position at which a sequence may begin, so that it fits
}

// Describe returns the facts of op.
func Describe(op Op) Facts {
	var f Facts
	op.describe(&f)
	return f
}

// Kind is a kind of work.
type Kind string

const (
	KindMatmul      Kind = "matmul"
	KindAttention   Kind = "attention"
	KindNorm        Kind = "norm"
	KindElementwise Kind = "elementwise"
	KindLoss        Kind = "loss"
	KindUpdate      Kind = "optimizer" // and what goes with it: clipping, averages, the regularizer
)

// Kinds are all kinds of work.
var Kinds = []Kind{KindMatmul, KindAttention, KindNorm, KindElementwise, KindLoss, KindUpdate}

// read, write and update note tensors that exist.
func (f *Facts) read(ts ...Tensor)   { f.Reads = appendExisting(f.Reads, ts) }
func (f *Facts) write(ts ...Tensor)  { f.Writes = appendExisting(f.Writes, ts) }
func (f *Facts) update(ts ...Tensor) { f.read(ts...); f.write(ts...) }

// index notes indices that exist.
func (f *Facts) index(xs ...Index) {
	for _, x := range xs {
		if x.Exists() {
			f.Indices = append(f.Indices, x)
		}
	}
}

// start notes the positions at which sequences of length rows begin, of context positions that there are.
func (f *Facts) start(at Index, length, context int) {
	if f.index(at); at.Exists() {
		f.Starts = append(f.Starts, Start{at, context - length})
	}
}

// output notes a result, which is also read if the operation adds to it.
func (f *Facts) output(accumulate bool, t Tensor) {
	if accumulate {
		f.read(t)
	}
	f.write(t)
}

// exact notes operands, noted elsewhere as read or written, that stay float32.
func (f *Facts) exact(ts ...Tensor) { f.Exact = appendExisting(f.Exact, ts) }

func appendExisting(list, ts []Tensor) []Tensor {
	for _, t := range ts {
		if t.Exists() {
			list = append(list, t)
		}
	}
	return list
}

// Operations has one of every operation, without operands.
func Operations() []Op {
	return []Op{
		&Matmul{},
		&Activate{}, &ActivateBackward{}, &SwiGLU{}, &SwiGLUBackward{}, &SoftCap{}, &SoftCapBackward{}, &Decay{}, &DecayBackward{},
		&Weigh{}, &Dots{}, &Softmax{}, &SoftmaxBackward{},
		&LayerNorm{}, &LayerNormBackward{},
		&Attention{}, &AttentionBackward{}, &HardAttention{}, &HardAttentionBackward{}, &CachedAttention{}, &Rotary{},
		&Embedding{}, &EmbeddingBackward{},
		&CrossEntropy{}, &Exit{}, &ExitLoss{},
		&Fill{}, &Add{}, &ColumnSums{}, &Sum{}, &Cosine{}, &CosineBackward{},
		&ClipFactor{}, &AdamW{}, &Adafactor{}, &EMA{},
		&Nesterov{}, &Normalize{}, &Quadratic{}, &NeuronScale{}, &Muon{},
	}
}
