package reference

import "math"

// Ignore is the target of a position without loss.
const Ignore = -1

// Loss is the training loss of a batch: the mean over all targets of the cross-entropy after the last loop, or of its
// mean over every loop (with truncation, every loop of the window). With a learned exit, it is the mean over positions of the
// expectation over the loops after which a position leaves, less β times the entropy.
func (m *Model) Loss(tokens, targets [][]int) float64 { return m.lossAndGradient(tokens, targets, nil) }

// Gradient is the loss with its gradient.
func (m *Model) Gradient(tokens, targets [][]int) (float64, Parameters) {
	gradient := m.Weights.Zeros()
	return m.lossAndGradient(tokens, targets, gradient), gradient
}

func (m *Model) lossAndGradient(tokens, targets [][]int, gradient Parameters) float64 {
	count := 0
	for _, row := range targets {
		for _, t := range row {
			if t != Ignore {
				count++
			}
		}
	}
	var loss float64
	for i := range tokens {
		p := &pass{Model: m, weights: m.Weights, gradient: gradient}
		loss += p.loss(tokens[i], targets[i], 1/float64(count))
	}
	return loss
}

// lossAndGradient is scale times one sequence's, summed over its targets; the gradient is added to the pass's, if it has one.
func (p *pass) loss(tokens, targets []int, scale float64) float64 {
	loops := p.Counts[p.Looped]
	input, backEnter := p.enter(tokens)
	var s []Matrix
	window := 0 // its first loop
	if k := p.Loops.Truncate; k > 0 && k < loops {
		window = loops - k
		s = p.constant(tokens, window)
	}
	states, backLoop := p.loop(window, loops, s, input)
	if p.Loops.LearnedExit() {
		loss, dstates := p.exitLoss(states, targets, scale)
		if p.gradient != nil {
			backEnter(backLoop(dstates))
		}
		return loss
	}
	dstates := make([]Matrix, len(states))
	first := len(states) - 1 // with a loss
	if p.Loops.EveryLoop {
		first = 0
	}
	var loss float64
	for i := first; i < len(states); i++ {
		weight := scale / float64(len(states)-first)
		logits, back := p.leave(states[i])
		l, dlogits := crossEntropy(logits, targets, weight)
		loss += l
		if p.gradient != nil {
			dstates[i] = back(dlogits)
		}
	}
	if p.gradient != nil {
		backEnter(backLoop(dstates))
	}
	return loss
}

// constant is what a number of loops leave with the frozen weights: the state, or the states that the last went through.
func (p *pass) constant(tokens []int, loops int) []Matrix {
	f := &pass{Model: p.Model, weights: p.Frozen}
	if f.weights == nil {
		f.weights = p.weights
	}
	input, _ := f.enter(tokens)
	if p.Config.Carry == "restart" {
		_, went, _ := f.restarts(0, loops, nil, input)
		return went
	}
	states, _ := f.loop(0, loops, nil, input)
	return states[loops-1:]
}

// crossEntropy is weight·Σ −log softmax(logits)[target], over the positions with a target, and its gradient.
func crossEntropy(logits Matrix, targets []int, weight float64) (float64, Matrix) {
	d := Zeros(len(logits), len(logits[0]))
	var loss float64
	for i, t := range targets {
		if t == Ignore {
			continue
		}
		p := softmax(logits[i])
		loss -= weight * math.Log(p[t])
		for j := range p {
			d[i][j] = weight * p[j]
		}
		d[i][t] -= weight
	}
	return loss, d
}
