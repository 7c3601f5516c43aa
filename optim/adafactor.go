package optim

import (
	"math"

	"coil/graph"
)

// adafactor is Adafactor without momentum and without scaling by the size of the parameter (Shazeer and Stern, arXiv
// 1804.04235): see [graph.Adafactor].
type adafactor struct{ Settings }

func newAdafactor(s Settings) Optimizer { return adafactor{s} }

// Constants that the paper proposes.
const (
	adafactorEps   = 1e-30
	adafactorClip  = 1
	adafactorPower = -0.8
)

// States of a vector are its column moments only.
func (adafactor) States(p Parameter) []State {
	columns := State{"column_moment", 1, p.Cols}
	if p.Rows == 1 {
		return []State{columns}
	}
	return []State{{"row_moment", 1, p.Rows}, columns}
}

// AppendScalars appends the decay of the moments, 1 − t^(−0.8).
func (adafactor) AppendScalars(dst []float32, step int) []float32 {
	return append(dst, float32(1-math.Pow(float64(step), adafactorPower)))
}

func (o adafactor) Record(r *graph.Recorder, u Update) {
	for _, w := range u.Weights {
		op := &graph.Adafactor{X: w.X, Grad: w.Grad, ColV: w.States[len(w.States)-1], Factor: u.Factor,
			Rate: u.Rate, Beta: u.Scalars[0], Eps: adafactorEps, Clip: adafactorClip}
		if w.Rows > 1 {
			op.RowV = w.States[0]
		}
		if w.Decay {
			op.Decay = float32(o.WeightDecay)
		}
		r.Record(op)
	}
}
