package reference

import "math"

const eps = 1e-5

// norm is (x − μ)/√(σ² + eps) ∘ gain + bias for each row, or for rmsnorm x/√(mean x² + eps) ∘ gain, or for
// none x itself.
func (p *pass) norm(x Matrix, name string) (Matrix, Back) {
	if p.Config.Norm == "none" {
		return x, func(dy Matrix) Matrix { return dy }
	}
	gain := p.weights[name+".gain"][0]
	bias, biased := p.weights[name+".bias"]
	rms := p.Config.Norm == "rmsnorm"
	n := float64(len(gain))
	y, normal := Zeros(len(x), len(gain)), Zeros(len(x), len(gain))
	inverse := make([]float64, len(x))
	for i := range x {
		var mean, variance float64
		if !rms {
			for _, v := range x[i] {
				mean += v / n
			}
		}
		for _, v := range x[i] {
			variance += (v - mean) * (v - mean) / n
		}
		inverse[i] = 1 / math.Sqrt(variance+eps)
		for j, v := range x[i] {
			normal[i][j] = (v - mean) * inverse[i]
			y[i][j] = normal[i][j] * gain[j]
			if biased {
				y[i][j] += bias[0][j]
			}
		}
	}
	return y, func(dy Matrix) Matrix {
		dx := Zeros(len(x), len(gain))
		for i := range dy {
			var mean, along float64 // of the gradient of normal, and of it along normal
			for j, d := range dy[i] {
				p.gradient[name+".gain"][0][j] += d * normal[i][j]
				if biased {
					p.gradient[name+".bias"][0][j] += d
				}
				if !rms {
					mean += d * gain[j] / n
				}
				along += d * gain[j] * normal[i][j] / n
			}
			for j, d := range dy[i] {
				dx[i][j] = inverse[i] * (d*gain[j] - mean - normal[i][j]*along)
			}
		}
		return dx
	}
}
