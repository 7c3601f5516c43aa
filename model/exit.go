package model

import (
	"coil/backend"
	"coil/loop"
)

// Exits records the gate of a learned exit (Ouro, arXiv 2510.25741) on the states of the looped block after each of its
// loops, and the distribution p over the loops after which a position with a target leaves: see [backend.Exit]. With n the
// model's kind of norm, without gain or bias, and none for states that have just been normed (post), the gate is
//
//	λ_t = 1/(1 + exp(−(w·n(s_t) + b)))
func (m *Model) Exits(t *backend.Tape, weights backend.Tensor, states []backend.Tensor, targets backend.Index) *backend.Exits {
	p := m.begin(t, weights)
	gates := states
	if m.Config.NormPlace != "post" {
		ones := make([]float32, m.Config.Width)
		for i := range ones {
			ones[i] = 1
		}
		gain := t.Constant(1, m.Config.Width, ones)
		gates = make([]backend.Tensor, len(states))
		for i, s := range states {
			gates[i] = t.Norm(s, gain, backend.Tensor{}, eps, m.Config.Norm == "rmsnorm")
		}
	}
	return t.Exits(gates, p.parameter("exit.weight"), p.parameter("exit.bias"), targets)
}

// ExitLoss is what the pass of [Model.ExitLoss] leaves for each position, 0 where it has no target.
type ExitLoss struct {
	Exits         *backend.Exits // the distribution, and the losses after each loop
	Loss, Entropy backend.Tensor // [n,1]: the expected loss, and the entropy of the distribution
	Correct       backend.Tensor // [n,1]: after the last loop
	State         backend.Tensor // that the head reads after the last loop
}

// ExitLoss records the pass from tokens to the loss of a learned exit (Stage I of arXiv 2510.25741), and adds scale times
// the gradient of its sum over all positions with a target: with L_t the cross-entropy after loop t and H the entropy,
//
//	Σ_t p_t·L_t − β·H(p)
//
// The loop counts are those of a, as for [Model.States].
func (m *Model) ExitLoss(t *backend.Tape, weights backend.Tensor, tokens, targets backend.Index, a loop.Architecture, scale backend.Scalar) ExitLoss {
	var states []backend.Tensor
	m.EachLoop(t, weights, tokens, a, func(_ int, _, s backend.Tensor) { states = append(states, s) })
	n := targets.Len
	x := ExitLoss{Exits: m.Exits(t, weights, states, targets), Loss: t.Temporary(n, 1), Entropy: t.Temporary(n, 1), Correct: t.Temporary(n, 1)}
	head, transpose := m.begin(t, weights).head()
	for i, s := range states {
		var correct backend.Tensor
		if x.State = m.Ending(t, weights, s, a); i == len(states)-1 {
			correct = x.Correct
		}
		x.Exits.CrossEntropy(i+1, x.State, head, transpose, correct, scale, logitFloats)
	}
	x.Exits.Loss(x.Loss, x.Entropy, float32(m.Loops.ExitBeta), scale)
	return x
}
