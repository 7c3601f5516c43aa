package cpu

import (
	"fmt"

	"coil/graph"
)

// lowering turns operations into kernels.
type lowering struct {
	p        *program
	packs    map[packKey]*packedWeight
	tables   map[turnKey]*turnTable
	inUpdate bool
	team     int // workers to a lane

	touched []span // what operations so far have written of a replica
	written []span // what a first operation writes over, so that it need not be zero before
}

func (l *lowering) lower(op graph.Op) (kernel, error) {
	switch o := op.(type) {
	case *graph.Matmul:
		return l.matmul(o), nil
	case *graph.Activate:
		return l.activate(o), nil
	case *graph.ActivateBackward:
		return l.activateBackward(o), nil
	case *graph.SwiGLU:
		return l.swiglu(o), nil
	case *graph.SwiGLUBackward:
		return l.swigluBackward(o), nil
	case *graph.SoftCap:
		return l.softCap(o), nil
	case *graph.SoftCapBackward:
		return l.softCapBackward(o), nil
	case *graph.Decay:
		return l.decay(o), nil
	case *graph.DecayBackward:
		return l.decayBackward(o), nil
	case *graph.Weigh:
		return l.weigh(o), nil
	case *graph.Dots:
		return l.dots(o), nil
	case *graph.Softmax:
		return l.softmax(o), nil
	case *graph.SoftmaxBackward:
		return l.softmaxBackward(o), nil
	case *graph.LayerNorm:
		return l.norm(o), nil
	case *graph.LayerNormBackward:
		return l.normBackward(o), nil
	case *graph.Attention:
		return l.attention(o), nil
	case *graph.AttentionBackward:
		return l.attentionBackward(o), nil
	case *graph.HardAttention:
		return l.hardAttention(o), nil
	case *graph.HardAttentionBackward:
		return l.hardAttentionBackward(o), nil
	case *graph.CachedAttention:
		return l.cachedAttention(o), nil
	case *graph.Rotary:
		return l.rotary(o), nil
	case *graph.Embedding:
		return l.embedding(o), nil
	case *graph.EmbeddingBackward:
		if l.p.scatter != nil && l.p.scatter.op == o {
			return l.embeddingScatter(o), nil
		}
		return l.embeddingBackward(o), nil
	case *graph.CrossEntropy:
		return l.crossEntropy(o), nil
	case *graph.Exit:
		return l.exit(o), nil
	case *graph.ExitLoss:
		return l.exitLoss(o), nil
	case *graph.Fill:
		return l.fill(o), nil
	case *graph.Add:
		return l.add(o), nil
	case *graph.ColumnSums:
		return l.columnSums(o), nil
	case *graph.Sum:
		return l.sum(o), nil
	case *graph.Cosine:
		return l.cosine(o), nil
	case *graph.CosineBackward:
		return l.cosineBackward(o), nil
	case *graph.ClipFactor:
		return l.clipFactor(o), nil
	case *graph.AdamW:
		return l.adamw(o), nil
	case *graph.Adafactor:
		return l.adafactor(o), nil
	case *graph.EMA:
		return l.average(o), nil
	case *graph.Nesterov:
		return l.nesterov(o), nil
	case *graph.Normalize:
		return l.normalize(o), nil
	case *graph.Quadratic:
		return l.quadratic(o), nil
	case *graph.NeuronScale:
		return l.neuronScale(o), nil
	case *graph.Muon:
		return l.muon(o), nil
	}
	return kernel{}, fmt.Errorf("cpu: no operation %s", op.Name())
}

// matrix finds the elements of a tensor when a kernel runs.
type matrix struct {
	space  space
	base   []float32  // fixed
	batch  *[]float32 // windowed: of all groups
	offset int
	behind int // floats before it in the accumulators that are common
	window int // floats of one group
	rows   int
	cols   int
	stride int
}

type space uint8

const (
	absent        space = iota
	fixed               // base, wherever it runs
	inReplica           // the accumulators of the replica being run
	inArena             // the temporaries of the worker
	inUpdateArena       // the temporaries of the update
	windowed            // the group's part of batch
)

func (l *lowering) matrix(t graph.Tensor) matrix {
	m := matrix{rows: t.Rows, cols: t.Cols, stride: t.Stride, offset: t.Offset}
	if !t.Exists() {
		return m
	}
	s, p := l.p.rec.Storages()[t.Storage-1], l.p
	at := p.offsets[t.Storage-1] + p.withGaps(t.Storage-1, t.Offset)
	if p.rows[t.Storage-1] > 0 {
		m.stride += rowGap
	}
	switch s.Space {
	case graph.Parameter, graph.Constant:
		m.space, m.base = fixed, p.floats[t.Storage-1][t.Offset:]
	case graph.Output, graph.State:
		m.space, m.batch, m.window = windowed, &p.floats[t.Storage-1], s.Len
	case graph.Accumulator:
		m.space, m.offset, m.behind = inReplica, at, p.common.before(at)
		if !l.inUpdate && p.common.holds(at) {
			m.space, m.batch = windowed, &p.common.data // the same for all groups
		}
	case graph.Temporary:
		if m.space, m.offset = inArena, at; s.Update {
			m.space = inUpdateArena
		}
	}
	return m
}

func (m *matrix) exists() bool { return m.space != absent }

// at returns the elements from the first on.
func (m *matrix) at(w *worker) []float32 {
	switch m.space {
	case fixed:
		return m.base
	case inReplica:
		if w.whole {
			return w.replica[m.offset:]
		}
		return w.replica[m.offset-m.behind:]
	case inArena:
		return w.arena[m.offset:]
	case inUpdateArena:
		return w.step[m.offset:]
	case windowed:
		return (*m.batch)[w.group*m.window+m.offset:]
	}
	return nil
}

// row returns row i of the elements x = m.at(w).
func (m *matrix) row(x []float32, i int) []float32 { return x[i*m.stride : i*m.stride+m.cols] }

// flatten makes one long row of matrices of one shape without gaps, so that kernels have long vectors to work on.
func flatten(ms ...*matrix) {
	for _, m := range ms {
		if m.exists() && m.stride != m.cols && m.rows > 1 {
			return
		}
	}
	for _, m := range ms {
		m.cols *= m.rows
		m.rows, m.stride = 1, m.cols
	}
}

// index finds the values of an input when a kernel runs.
type index struct {
	batch          *[]int32 // of all groups
	offset, window int
	n              int
}

func (l *lowering) index(x graph.Index) index {
	if !x.Exists() {
		return index{}
	}
	return index{&l.p.ints[x.Storage-1], x.Offset, l.p.rec.Storages()[x.Storage-1].Len, x.Len}
}

func (x *index) at(w *worker) []int32 { return (*x.batch)[w.group*x.window+x.offset:][:x.n] }

// start is the position at which a sequence begins, by an index that has one for each; 0 without an index.
func (x *index) start(w *worker, sequence int) int {
	if x.batch == nil {
		return 0
	}
	return int(x.at(w)[sequence])
}

// rowParts is a kernel over n rows, in parts of whole rows. One worker to a lane takes the given number of rows at a time; several take at most
// as many, and have at least two parts each.
func (l *lowering) rowParts(n, rows int, f func(w *worker, lo, hi int)) kernel {
	parts := (n + rows - 1) / rows
	if l.team > 1 {
		parts = min(n, max(2, (parts+l.team-1)/l.team)*l.team)
	}
	return kernel{parts: parts, run: func(w *worker, part int) { f(w, n*part/parts, n*(part+1)/parts) }}
}

// once is a kernel of one part.
func once(f func(w *worker)) kernel { return kernel{parts: 1, run: func(w *worker, _ int) { f(w) }} }

// spread is a kernel over the chunks of a long vector of n elements.
func spread(n int, f func(w *worker, lo, hi int)) kernel {
	return kernel{parts: (n + chunk - 1) / chunk, run: func(w *worker, part int) { f(w, part*chunk, min(n, (part+1)*chunk)) }}
}
