package regularize

import "math"

// Similarity is R_G(k) of one group of weights, a vector for each layer: the mean cosine between the layers i and i+k. It
// is 1 if the weights are those of a looped model, NaN if there is no such pair or a weight is zero everywhere.
func Similarity(k int, layers [][]float32) float64 {
	if k < 1 || k >= len(layers) {
		return math.NaN()
	}
	var sum float64
	for i := range len(layers) - k {
		sum += cosine(layers[i], layers[i+k])
	}
	return sum / float64(len(layers)-k)
}

// cosine is ⟨a,b⟩ / (‖a‖·‖b‖).
func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}
