package reference

import "math"

// fade is s·α + δ·input for each column, with δ = ln(1 + exp(step)) and α = exp(−δ·exp(decay)); s is 0 in the first loop.
func (p *pass) fade(t int, s, input Matrix) (Matrix, func(d Matrix) (ds, dinput Matrix)) {
	decay, step := p.weights["injection.decay"][0], p.weights["injection.step"][0]
	if t == 0 {
		s = Zeros(len(input), len(decay))
	}
	delta, alpha := make([]float64, len(step)), make([]float64, len(step))
	for j := range delta {
		delta[j] = math.Log1p(math.Exp(step[j]))
		alpha[j] = math.Exp(-delta[j] * math.Exp(decay[j]))
	}
	y := Zeros(len(input), len(decay))
	for i := range y {
		for j := range y[i] {
			y[i][j] = s[i][j]*alpha[j] + delta[j]*input[i][j]
		}
	}
	return y, func(d Matrix) (Matrix, Matrix) {
		ds, dinput := Zeros(len(d), len(decay)), Zeros(len(d), len(decay))
		for i := range d {
			for j, g := range d[i] {
				ds[i][j], dinput[i][j] = g*alpha[j], g*delta[j]
				dalpha, ddelta := g*s[i][j], g*input[i][j]
				ddelta -= dalpha * alpha[j] * math.Exp(decay[j])
				p.gradient["injection.decay"][0][j] -= dalpha * alpha[j] * delta[j] * math.Exp(decay[j])
				p.gradient["injection.step"][0][j] += ddelta / (1 + math.Exp(-step[j]))
			}
		}
		if t == 0 {
			return nil, dinput
		}
		return ds, dinput
	}
}

// softcap is c·tanh(z/c).
func softcap(z Matrix, c float64) (Matrix, Back) {
	y := Zeros(len(z), len(z[0]))
	for i := range y {
		for j := range y[i] {
			y[i][j] = c * math.Tanh(z[i][j]/c)
		}
	}
	return y, func(dy Matrix) Matrix {
		dz := Zeros(len(z), len(z[0]))
		for i := range dz {
			for j := range dz[i] {
				cosh := math.Cosh(z[i][j] / c)
				dz[i][j] = dy[i][j] / (cosh * cosh)
			}
		}
		return dz
	}
}
