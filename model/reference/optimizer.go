package reference

import (
	"math"
	"strings"
)

// Clip scales a gradient so that its norm over all weights is at most the largest, and returns the norm that it had.
func Clip(gradient Parameters, largest float64) float64 {
	var squares float64
	for _, g := range gradient {
		for _, row := range g {
			for _, v := range row {
				squares += v * v
			}
		}
	}
	norm := math.Sqrt(squares)
	if norm > largest {
		for _, g := range gradient {
			for _, row := range g {
				for j := range row {
					row[j] *= largest / norm
				}
			}
		}
	}
	return norm
}

// decays reports whether weight decay applies: to matrices, and not to gains and biases, nor to injection that decays the state.
func decays(weights Parameters, name string) bool {
	_, fades := weights["injection.decay"]
	return strings.HasSuffix(name, ".weight") && !(fades && strings.HasPrefix(name, "injection."))
}

// AdamW is decoupled weight decay with moments of the gradient (Loshchilov and Hutter, arXiv 1711.05101).
type AdamW struct {
	Rate, Beta1, Beta2, Eps, Decay float64

	step float64
	m, v Parameters
}

// Step changes the weights.
func (o *AdamW) Step(weights, gradient Parameters) {
	if o.step == 0 {
		o.m, o.v = weights.Zeros(), weights.Zeros()
	}
	o.step++
	for name, x := range weights {
		decay := 0.0
		if decays(weights, name) {
			decay = o.Decay
		}
		for i := range x {
			for j, g := range gradient[name][i] {
				m, v := &o.m[name][i][j], &o.v[name][i][j]
				*m = o.Beta1*(*m) + (1-o.Beta1)*g
				*v = o.Beta2*(*v) + (1-o.Beta2)*g*g
				mean := *m / (1 - math.Pow(o.Beta1, o.step))
				square := *v / (1 - math.Pow(o.Beta2, o.step))
				x[i][j] -= o.Rate * (decay*x[i][j] + mean/(math.Sqrt(square)+o.Eps))
			}
		}
	}
}

// Adafactor keeps means of the squared gradient per row and column only, and one for each element of a vector (Shazeer
// and Stern, arXiv 1804.04235, algorithms 4 and 5 without momentum).
type Adafactor struct {
	Rate, Eps, Clip, Decay float64

	rows, cols map[string][]float64
}

// Step changes the weights; beta is the part of the old means that is kept.
func (o *Adafactor) Step(weights, gradient Parameters, beta float64) {
	if o.rows == nil {
		o.rows, o.cols = map[string][]float64{}, map[string][]float64{}
		for name, x := range weights {
			o.rows[name], o.cols[name] = make([]float64, len(x)), make([]float64, len(x[0]))
		}
	}
	for name, x := range weights {
		g, rows, cols := gradient[name], o.rows[name], o.cols[name]
		n, m := float64(len(x)), float64(len(x[0]))
		for i := range rows {
			rows[i] *= beta
		}
		for j := range cols {
			cols[j] *= beta
		}
		for i := range x {
			for j := range x[i] {
				s := g[i][j]*g[i][j] + o.Eps
				rows[i] += (1 - beta) * s / m
				cols[j] += (1 - beta) * s / n
			}
		}
		var mean float64
		for _, r := range rows {
			mean += r / n
		}
		update := Zeros(len(x), len(x[0]))
		var size float64
		for i := range x {
			for j := range x[i] {
				v := cols[j]
				if len(x) > 1 {
					v *= rows[i] / mean
				}
				update[i][j] = g[i][j] / math.Sqrt(v)
				size += update[i][j] * update[i][j] / (n * m)
			}
		}
		decay := 0.0
		if decays(weights, name) {
			decay = o.Decay
		}
		for i := range x {
			for j := range x[i] {
				x[i][j] -= o.Rate * (update[i][j]/max(1, math.Sqrt(size)/o.Clip) + decay*x[i][j])
			}
		}
	}
}
