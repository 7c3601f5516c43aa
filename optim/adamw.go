package optim

import (
	"math"

	"coil/graph"
)

// adamw is AdamW (Loshchilov and Hutter, arXiv 1711.05101): see [graph.AdamW].
type adamw struct{ Settings }

func newAdamW(s Settings) Optimizer { return adamw{s} }

func (adamw) States(p Parameter) []State {
	return []State{{"first_moment", p.Rows, p.Cols}, {"second_moment", p.Rows, p.Cols}}
}

// AppendScalars appends the bias corrections of the moments, which start as 0.
func (o adamw) AppendScalars(dst []float32, step int) []float32 {
	t := float64(step)
	return append(dst, float32(1-math.Pow(o.Beta1, t)), float32(1-math.Pow(o.Beta2, t)))
}

// Record takes neighbours in memory that all decay, or all do not, as one.
func (o adamw) Record(r *graph.Recorder, u Update) {
	var run []graph.Tensor // X, Grad, and both moments
	decay := false
	record := func() {
		if run == nil {
			return
		}
		op := &graph.AdamW{X: run[0], Grad: run[1], M: run[2], V: run[3], Factor: u.Factor,
			Rate: u.Rate, BiasCorrection1: u.Scalars[0], BiasCorrection2: u.Scalars[1],
			Beta1: float32(o.Beta1), Beta2: float32(o.Beta2), Eps: float32(o.Eps)}
		if decay {
			op.Decay = float32(o.WeightDecay)
		}
		r.Record(op)
	}
	for _, w := range u.Weights {
		ts := []graph.Tensor{w.X.Flat(), w.Grad.Flat(), w.States[0].Flat(), w.States[1].Flat()}
		if longer, ok := joined(run, ts); ok && w.Decay == decay {
			run = longer
			continue
		}
		record()
		run, decay = ts, w.Decay
	}
	record()
}

// joined are the rows of a, each with the row of b that follows it in memory; false if one does not.
func joined(a, b []graph.Tensor) ([]graph.Tensor, bool) {
	if a == nil {
		return nil, false
	}
	out := make([]graph.Tensor, len(a))
	for i, x := range a {
		if x.Storage != b[i].Storage || x.Offset+x.Cols != b[i].Offset {
			return nil, false
		}
		x.Cols += b[i].Cols
		x.Stride = x.Cols
		out[i] = x
	}
	return out, true
}
