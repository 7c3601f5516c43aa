package optim

import (
	"math"

	"coil/graph"
)

// muon is Muon (Jordan, kellerjordan.github.io/posts/muon) for the matrices inside blocks, and AdamW for all other parameters. Its
// update is the momentum, made orthogonal: U·Vᵀ instead of U·Σ·Vᵀ. Matrices that a parameter holds side by side, such as those of
// queries, keys and values, are made orthogonal each by itself.
type muon struct {
	adamw
	neurons bool // NorMuon (Li et al., arXiv 2510.05491): neurons are evened out by their second moments
}

func newMuon(s Settings) Optimizer { return muon{adamw: adamw{s}} }

func newNorMuon(s Settings) Optimizer { return muon{adamw: adamw{s}, neurons: true} }

// Rule is how the rate of a matrix depends on its shape.
type Rule string

// The values of Rule, for a matrix from n inputs to m outputs.
const (
	Match  Rule = "match"  // 0.2·√max(n, m): updates are as large as those of AdamW, and take its rates (Liu et al., arXiv 2502.16982)
	Keller Rule = "keller" // √max(1, m/n), which wants rates of about 0.02
)

// Values lists them.
func (Rule) Values() []string { return []string{string(Match), string(Keller)} }

// scale is the factor of the orthogonal update of a matrix from n inputs to m outputs.
func (r Rule) scale(n, m int) float64 {
	if r == Keller {
		return math.Sqrt(max(1, float64(m)/float64(n)))
	}
	return 0.2 * math.Sqrt(float64(max(n, m)))
}

func (o muon) States(p Parameter) []State {
	switch {
	case p.Parts == nil:
		return o.adamw.States(p)
	case o.neurons:
		return []State{{"momentum", p.Rows, p.Cols}, {"neuron_moment", 1, p.Cols}}
	}
	return []State{{"momentum", p.Rows, p.Cols}}
}

// AppendScalars appends those of AdamW, and the decay of the moments of neurons.
func (o muon) AppendScalars(dst []float32, step int) []float32 {
	dst = o.adamw.AppendScalars(dst, step)
	if o.neurons {
		dst = append(dst, float32(o.NeuronDecay))
	}
	return dst
}

func (o muon) Record(r *graph.Recorder, u Update) {
	rest := u
	rest.Weights, rest.Scalars = nil, u.Scalars[:2]
	for _, w := range u.Weights {
		if w.Parts == nil {
			rest.Weights = append(rest.Weights, w)
			continue
		}
		from := 0
		for _, width := range w.Parts {
			part := Weight{Parameter: w.Parameter, X: w.X.Columns(from, from+width), Grad: w.Grad.Columns(from, from+width)}
			for _, s := range w.States {
				if s.Cols != w.Cols { // one row, as it is kept
					s.Rows, s.Cols, s.Stride = w.Rows, w.Cols, w.Cols
				}
				part.States = append(part.States, s.Columns(from, from+width))
			}
			o.matrix(r, u, part)
			from += width
		}
	}
	o.adamw.Record(r, rest)
}

// matrix records the update of a matrix.
func (o muon) matrix(r *graph.Recorder, u Update, w Weight) {
	n, m := w.X.Rows, w.X.Cols
	x := r.Temporary(n, m)
	r.Record(&graph.Nesterov{Grad: w.Grad, M: w.States[0], By: u.Factor, U: x, Beta: float32(o.Momentum)})
	x = orthogonal(r, x)
	op := &graph.Muon{X: w.X, M: w.States[0], O: x, Grad: w.Grad, Factor: u.Factor, Rate: u.Rate,
		Beta: float32(o.Momentum), Scale: float32(o.MuonRate * o.Rule.scale(n, m)), Cautious: o.Cautious}
	if w.Decay {
		op.Decay = float32(o.MuonRate * o.WeightDecay)
	}
	if o.neurons {
		// An orthogonal matrix has min(n, m) as its sum of squares, and is to have it again.
		op.Scale *= float32(math.Sqrt(float64(min(n, m))))
		stats, squares := r.Temporary(3, m), r.Temporary(1, 1)
		r.Record(&graph.NeuronScale{X: x, V: w.States[1], Stats: stats, Beta: float32(o.NeuronDecay), Eps: neuronEps})
		r.Record(&graph.Sum{X: stats.RowRange(2, 3), Y: squares, Alpha: 1})
		op.Columns, op.Squares = stats.RowRange(1, 2), squares
		r.Record(op)
		r.Record(&graph.EMA{X: stats.RowRange(0, 1), Mean: w.States[1], Factor: u.Factor, Decay: u.Scalars[2]})
		return
	}
	r.Record(op)
}

const neuronEps = 1e-8

// polar are the coefficients of Polar Express (Amsel et al., arXiv 2505.16932, algorithm 1): five polynomials
// a·σ + b·σ³ + c·σ⁵, the best ones after each other for singular values from 0.001 to 1. Each is of σ/1.01, in case that
// rounding made σ larger than the bound that the polynomial counts on.
var polar = [5][3]float64{
	{8.28721201814563, -23.595886519098837, 17.300387312530933},
	{4.107059111542203, -2.9478499167379106, 0.5448431082926601},
	{3.9486908534822946, -2.908902115962949, 0.5518191394370137},
	{3.3184196573706015, -2.488488024314874, 0.51004894012372},
	{2.300652019954817, -1.6689039845747493, 0.4188073119525673},
}

const (
	polarSlack = 1.01
	polarEps   = 1e-7 // keeps a matrix of zeros as it is
)

// orthogonal records what makes all singular values of x about 1, in float32. x becomes scratch.
func orthogonal(r *graph.Recorder, x graph.Tensor) graph.Tensor {
	squares := r.Temporary(1, 1)
	r.Record(&graph.Sum{X: x, Y: squares, Alpha: 1, Squares: true})
	r.Record(&graph.Normalize{X: x, Squares: squares, Y: x, Slack: polarSlack, Eps: polarEps})
	tall := x.Rows > x.Cols
	k := min(x.Rows, x.Cols)
	next, gram, p := r.Temporary(x.Rows, x.Cols), r.Temporary(k, k), r.Temporary(k, k)
	for _, c := range polar {
		r.Record(&graph.Matmul{A: x, B: x, C: gram, TransA: tall, TransB: !tall})
		r.Record(&graph.Matmul{A: gram, B: gram, C: p})
		r.Record(&graph.Quadratic{A: gram, Square: p, Y: p, C0: float32(c[0] / polarSlack),
			C1: float32(c[1] / math.Pow(polarSlack, 3)), C2: float32(c[2] / math.Pow(polarSlack, 5))})
		if tall {
			r.Record(&graph.Matmul{A: x, B: p, C: next})
		} else {
			r.Record(&graph.Matmul{A: p, B: x, C: next})
		}
		x, next = next, x
	}
	return x
}
