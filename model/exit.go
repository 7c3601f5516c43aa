package model

import (
	"coil/autodiff"
	"coil/graph"
)

// Exits records the gate of a learned exit (Ouro, arXiv 2510.25741) on the states of the looped block after each of its
// loops, and the distribution p over the loops after which a position with a target leaves: see [graph.Exit]. The gate is as
// follows; n is the model's kind of norm without gain or bias, or the identity for states that have just been normed (post)
// and in models without norms.
//
//	λ_t = 1/(1 + exp(−(w·n(s_t) + b)))
func (p *Pass) Exits(states []graph.Tensor, targets graph.Index) *Exits {
	c, gates := p.m.Config, states
	if c.finalNorm() {
		gates = make([]graph.Tensor, len(states))
		for i, s := range states {
			gates[i] = p.unitNorm(s, c.Norm == RMSNorm)
		}
	}
	return NewExits(p.t, gates, p.parameter("exit.weight"), p.parameter("exit.bias"), targets)
}

// ExitLoss is what [Pass.ExitLoss] leaves for each position, 0 where it has no target.
type ExitLoss struct {
	Exits         *Exits       // the distribution, and the losses after each loop
	Loss, Entropy graph.Tensor // [n,1]: the expected loss, and the entropy of the distribution
	Correct       graph.Tensor // [n,1]: after the last loop
	State         graph.Tensor // that the head reads after the last loop
}

// ExitLoss records the pass from tokens to the loss of a learned exit (Stage I of arXiv 2510.25741), and adds scale times
// the gradient of its sum over all positions with a target: with L_t the cross-entropy after loop t and H the entropy,
//
//	Σ_t p_t·L_t − β·H(p)
func (p *Pass) ExitLoss(tokens, targets graph.Index, scale graph.Scalar) ExitLoss {
	var states []graph.Tensor
	p.Loops(p.Embed(tokens), func(l Loop) { states = append(states, l.After) })
	n := targets.Len
	x := ExitLoss{Exits: p.Exits(states, targets), Loss: p.t.Temporary(n, 1), Entropy: p.t.Temporary(n, 1), Correct: p.t.Temporary(n, 1)}
	for i, s := range states {
		h := autodiff.CrossEntropy{Scale: scale}
		if x.State = p.Ending(s); i == len(states)-1 {
			h.Correct = x.Correct
		}
		x.Exits.CrossEntropy(i+1, p.onHead(x.State, h))
	}
	x.Exits.Loss(x.Loss, x.Entropy, float32(p.m.Loops.ExitBeta), scale)
	return x
}

// Exits is a learned exit on a tape: what [graph.Exit] and [graph.ExitLoss] say, for a gate that is a linear layer.
type Exits struct {
	P      graph.Tensor // [T·n,1]: the distribution
	Losses graph.Tensor // [T·n,1], once CrossEntropy was recorded for each loop

	t       *autodiff.Tape
	xs      []graph.Tensor
	w, bias graph.Tensor
	z       graph.Tensor
	targets graph.Index
}

// NewExits records the gate's logits x·w + bias of the states after each loop, all [n,d], and the distribution that they
// make.
func NewExits(t *autodiff.Tape, xs []graph.Tensor, w, bias graph.Tensor, targets graph.Index) *Exits {
	n := len(xs) * targets.Len
	e := &Exits{t: t, xs: xs, w: w, bias: bias, targets: targets, z: t.Temporary(n, 1), P: t.Temporary(n, 1), Losses: t.Temporary(n, 1)}
	for i, x := range xs {
		t.Record(&graph.Matmul{A: x, B: w, C: e.of(e.z, i), Bias: bias})
	}
	t.Record(&graph.Exit{Z: e.z, P: e.P, Targets: targets})
	return e
}

// of is the part of x that belongs to loop i, counted from 0.
func (e *Exits) of(x graph.Tensor, i int) graph.Tensor {
	return x.RowRange(i*e.targets.Len, (i+1)*e.targets.Len)
}

// After is the part of P, or of Losses, that belongs to loop i, counted from 1.
func (e *Exits) After(x graph.Tensor, i int) graph.Tensor { return e.of(x, i-1) }

// CrossEntropy is [autodiff.Tape.CrossEntropy] of the head on the state after loop i, counted from 1, into Losses. P weights the
// gradient of each position, as in the gradient of the expected loss. CrossEntropy sets Targets, Loss, Weight and RowWeights
// of h.
func (e *Exits) CrossEntropy(i int, h autodiff.CrossEntropy) {
	h.Targets, h.Loss, h.Weight, h.RowWeights = e.targets, e.After(e.Losses, i), 1, e.After(e.P, i)
	e.t.CrossEntropy(h)
}

// Loss records the expected loss and the entropy of each position, when CrossEntropy was recorded for each loop, and adds
// scale times the gradient of Loss − beta·Entropy to the gate and, through it, to the states.
func (e *Exits) Loss(loss, entropy graph.Tensor, beta float32, scale graph.Scalar) {
	t := e.t
	dz := t.Temporary(e.z.Rows, 1)
	t.Record(&graph.ExitLoss{Z: e.z, P: e.P, Losses: e.Losses, Targets: e.targets, Loss: loss, Entropy: entropy, DZ: dz, Beta: beta, Weight: 1, Scale: scale})
	for i, x := range e.xs[:len(e.xs)-1] { // after the last loop the gate has no say
		if t.Tracks(x, e.w, e.bias) {
			t.Node(func() { t.LinearBackward(x, e.w, e.bias, e.of(dz, i), false) }, x)
		}
	}
}
