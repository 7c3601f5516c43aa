package reference

import (
	"fmt"
	"math"
)

// part is a kind of weight that the regularizer compares: some columns of a matrix of each layer.
type part struct {
	name     string
	from, to int
}

func (m *Model) parts() []part {
	d, h := m.Config.Width, m.Config.Hidden
	keys, values, end := m.columns()
	parts := []part{{"attention.qkv", 0, keys}, {"attention.qkv", keys, values}, {"attention.qkv", values, end}, {"attention.out", 0, d},
		{"feedforward.in", 0, h}}
	if m.Config.Activation == "swiglu" {
		parts = append(parts, part{"feedforward.in", h, 2 * h})
	}
	return append(parts, part{"feedforward.out", 0, d})
}

// Regularizer is λ·(1 − the mean cosine between each layer's weights and those of the layer a block later); the means of all
// kinds of weights count the same. It adds its gradient to a given one.
func (m *Model) Regularizer(lambda float64, block int, gradient Parameters) float64 {
	pairs := -block
	for _, size := range m.Sizes {
		pairs += size
	}
	parts := m.parts()
	each := lambda / float64(pairs*len(parts))
	loss := lambda
	for _, p := range parts {
		for i := range pairs {
			a, b := p.of(i), p.of(i+block)
			loss -= each * cosine(m.Weights[a], m.Weights[b], p.from, p.to, -each, gradient[a], gradient[b])
		}
	}
	return loss
}

func (p part) of(layer int) string { return fmt.Sprintf("layers.%d.%s.weight", layer, p.name) }

// cosine is the cosine between columns [from, to) of a and b, as vectors; it adds scale times its gradient to da and db.
func cosine(a, b Matrix, from, to int, scale float64, da, db Matrix) float64 {
	var ab, aa, bb float64
	for i := range a {
		for j := from; j < to; j++ {
			ab += a[i][j] * b[i][j]
			aa += a[i][j] * a[i][j]
			bb += b[i][j] * b[i][j]
		}
	}
	norms := math.Sqrt(aa) * math.Sqrt(bb)
	for i := range a {
		for j := from; j < to; j++ {
			da[i][j] += scale * (b[i][j] - a[i][j]*ab/aa) / norms
			db[i][j] += scale * (a[i][j] - b[i][j]*ab/bb) / norms
		}
	}
	return ab / norms
}
