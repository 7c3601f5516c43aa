package reference

import "math"

// gate is the probability λ of leaving at each position, if it has come so far.
func (p *pass) gate(s Matrix) (leave []float64, back func(dz []float64) Matrix) {
	x, backNorm := s, func(d Matrix) Matrix { return d }
	if p.Config.NormPlace != "post" {
		x, backNorm = p.plainNorm(s)
	}
	w, b := p.weights["exit.weight"], p.weights["exit.bias"][0][0]
	for i := range x {
		z := b
		for j, v := range x[i] {
			z += v * w[j][0]
		}
		leave = append(leave, 1/(1+math.Exp(-z)))
	}
	return leave, func(dz []float64) Matrix {
		dx := Zeros(len(x), len(x[0]))
		for i, d := range dz {
			p.gradient["exit.bias"][0][0] += d
			for j, v := range x[i] {
				p.gradient["exit.weight"][j][0] += d * v
				dx[i][j] = d * w[j][0]
			}
		}
		return backNorm(dx)
	}
}

// plainNorm is norm with gains of 1 and no biases.
func (p *pass) plainNorm(x Matrix) (Matrix, Back) {
	ones := Parameters{"gain": Zeros(1, len(x[0]))}
	for j := range ones["gain"][0] {
		ones["gain"][0][j] = 1
	}
	q := &pass{Model: p.Model, weights: Parameters{".gain": ones["gain"]}, gradient: Parameters{".gain": Zeros(1, len(x[0]))}}
	return q.norm(x, "")
}

// exits is the distribution over the loops of each position: of leaving after loop t, having come so far.
func exits(leave [][]float64) [][]float64 {
	var all [][]float64
	left := make([]float64, len(leave[0]))
	for i := range left {
		left[i] = 1
	}
	for t := range leave {
		now := make([]float64, len(left))
		for i := range left {
			now[i] = left[i]
			if t < len(leave)-1 {
				now[i] *= leave[t][i]
			}
			left[i] -= now[i]
		}
		all = append(all, now)
	}
	return all
}

// Exits is the distribution over the loops after which each position of a sequence leaves.
func (m *Model) Exits(tokens []int) [][]float64 {
	p := &pass{Model: m, weights: m.Weights}
	var leave [][]float64
	for _, s := range m.States(tokens)[1:] {
		l, _ := p.gate(s)
		leave = append(leave, l)
	}
	return exits(leave)
}

// exitLoss is scale·Σ (Σ_t p_t·L_t + β·Σ_t p_t·ln p_t) over the positions with a target, and the gradients of the states.
//
// With respect to λ_t, p_t has the slope Π_{j<t} (1 − λ_j) and each later p_j the slope −p_j/(1 − λ_t).
func (p *pass) exitLoss(states []Matrix, targets []int, scale float64) (float64, []Matrix) {
	var leave [][]float64
	var backs []func(dz []float64) Matrix
	for _, s := range states {
		l, back := p.gate(s)
		leave, backs = append(leave, l), append(backs, back)
	}
	all := exits(leave)
	var loss float64
	value := make([][]float64, len(states)) // slopes of the loss with respect to each p
	dstates := make([]Matrix, len(states))
	for t, s := range states {
		logits, back := p.leave(s)
		dlogits := Zeros(len(logits), len(logits[0]))
		value[t] = make([]float64, len(targets))
		for i, target := range targets {
			if target == Ignore {
				continue
			}
			l, d := crossEntropy(logits[i:i+1], targets[i:i+1], 1)
			q := all[t][i]
			loss += scale * q * (l + p.Loops.ExitBeta*math.Log(q))
			value[t][i] = l + p.Loops.ExitBeta*(math.Log(q)+1)
			for j := range d[0] {
				dlogits[i][j] = scale * q * d[0][j]
			}
		}
		if p.gradient != nil {
			dstates[t] = back(dlogits)
		}
	}
	if p.gradient == nil {
		return loss, nil
	}
	for t := range len(states) - 1 {
		dz := make([]float64, len(targets))
		for i, target := range targets {
			if target == Ignore {
				continue
			}
			l := leave[t][i]
			slope := all[t][i] / l * value[t][i]
			for j := t + 1; j < len(states); j++ {
				slope -= all[j][i] / (1 - l) * value[j][i]
			}
			dz[i] = scale * slope * l * (1 - l)
		}
		dstates[t] = sum(dstates[t], backs[t](dz))
	}
	return loss, dstates
}
