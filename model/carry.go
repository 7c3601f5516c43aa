package model

import (
	"math"

	"coil/autodiff"
	"coil/graph"
)

// carried is what goes from loop to loop of the looped block.
type carried struct {
	input graph.Tensor                             // the state before the first loop
	start graph.Tensor                             // what is carried into the first loop
	loop  func(t int, x graph.Tensor) graph.Tensor // loop t, counted from 0
	state func(x graph.Tensor) graph.Tensor        // the state in what is carried
}

// carry says what the loops of the looped block b carry, given the state e that comes into it.
func (p *Pass) carry(e graph.Tensor, b, loops int) carried {
	switch {
	case p.m.Config.Streams > 0:
		return p.streams(e, b)
	case p.m.Config.Carry == RestartCarry:
		return p.restart(e, b, loops)
	}
	return p.injected(e, b)
}

// injected carries the state, into which each loop may inject the block's input.
func (p *Pass) injected(e graph.Tensor, b int) carried {
	input := e
	if i := p.m.Config.Injection; i == LinearInjection || i == DecayInjection {
		input = p.t.Linear(e, autodiff.Linear{Weight: p.parameter("injection.input.weight")})
	}
	loop := func(t int, s graph.Tensor) graph.Tensor {
		switch {
		case p.m.Config.Injection == DecayInjection && t == 0:
			s = p.decayed(nil, input)
		case p.m.Config.Injection == DecayInjection:
			s = p.decayed(&s, input)
		case t == 0:
			s = input
		case p.m.Config.Injection == AddInjection:
			s = p.t.Add(s, input)
		case p.m.Config.Injection == LinearInjection:
			s = p.t.Linear(s, autodiff.Linear{Weight: p.parameter("injection.state.weight"), Residual: input})
		}
		return p.endOfLoop(p.layers(p.numbered(t, s), b))
	}
	return carried{input, input, loop, func(s graph.Tensor) graph.Tensor { return s }}
}

// decayed is the state at the start of a loop with injection that decays; the state before the first loop is 0.
func (p *Pass) decayed(s *graph.Tensor, input graph.Tensor) graph.Tensor {
	if s == nil {
		zero := p.t.Temporary(input.Rows, input.Cols)
		p.t.Record(&graph.Fill{Y: zero})
		s = &zero
	}
	return p.t.Decay(*s, input, p.parameter("injection.decay"), p.parameter("injection.step"))
}

// restart carries the states that a loop went through, side by side: at its start, after each of its layers, and the last of these
// after the norm at the loop's end. The last loop leaves only the last of them.
func (p *Pass) restart(e graph.Tensor, b, loops int) carried {
	a, d := p.m.Architecture, e.Cols
	loop := func(t int, x graph.Tensor) graph.Tensor {
		var heard *states
		if p.m.hears() && t > 0 {
			heard = p.listen(x)
		}
		s := p.numbered(t, e)
		went := []graph.Tensor{s}
		for i := range a.Sizes[b] {
			if s = p.layer(s, a.First(b)+i, heard); i == a.Sizes[b]-1 {
				s = p.endOfLoop(s)
			}
			went = append(went, s)
		}
		if t == loops-1 || !p.m.hears() {
			return s
		}
		return p.t.Join(went...)
	}
	return carried{e, e, loop, func(x graph.Tensor) graph.Tensor { return x.Columns(x.Cols-d, x.Cols) }}
}

// states are those that the loop before went through, divided by their root mean square.
type states struct {
	n      int          // for each position
	joined graph.Tensor // [positions, n·d]
}

// listen prepares the states of the loop before for messages.
func (p *Pass) listen(joined graph.Tensor) *states {
	d := p.m.Config.Width
	n := joined.Cols / d
	return &states{n, p.unitNorm(joined.Reshape(joined.Rows*n, d), true).Reshape(joined.Rows, n*d)}
}

// The messages that a layer receives in all loops but the first, by the rows of its queries.
const (
	queryMessage = iota
	keyMessage
	valueMessage
	feedforwardMessage
	messages
)

// messageNames are their names in parameters.
var messageNames = [messages]string{"query", "key", "value", "feedforward"}

// received is what a sublayer reads: x, or if there are states of the loop before, for each of the messages which, x mixed with a
// message from those. With û = u/√(mean(u²) + ε), the states s_j, the learned query q, the matrices D[2d,r] and [F, M][r,2d]:
//
//	m = Σ_j p_j·ŝ_j,   p = softmax of ⟨q, ŝ_j⟩/√d over j
//	z = [x̂, m̂]·D,   h = (1 − tanh(z·F)) ∘ x + tanh(z·M) ∘ m
func (p *Pass) received(x graph.Tensor, layer string, heard *states, which ...int) []graph.Tensor {
	if heard == nil {
		return []graph.Tensor{x}
	}
	n, d := x.Rows, x.Cols
	name := layer + "message."
	each := heard.joined.Reshape(n*heard.n, d)
	normed := p.unitNorm(x, true)
	var hs []graph.Tensor
	for _, k := range which {
		query := p.parameter(name+"queries").RowRange(k, k+1)
		scores := p.t.Linear(each, autodiff.Linear{Weight: query, Transpose: true})
		weights := p.t.Softmax(scores.Reshape(n, heard.n), float32(1/math.Sqrt(float64(d))))
		m := p.t.Weigh(heard.joined, weights, d, 1, graph.Tensor{})

		down, up := p.parameter(name+messageNames[k]+".down.weight"), p.parameter(name+messageNames[k]+".up.weight")
		z := p.t.Linear(normed, autodiff.Linear{Weight: down.RowRange(0, d)})
		z = p.t.Linear(p.unitNorm(m, true), autodiff.Linear{Weight: down.RowRange(d, 2*d), Residual: z})
		gates := p.t.SoftCap(p.t.Linear(z, autodiff.Linear{Weight: up}), 1)
		h := p.t.Weigh(x, gates.Columns(0, d), d, -1, x)
		hs = append(hs, p.t.Weigh(m, gates.Columns(d, 2*d), d, 1, h))
	}
	return hs
}

// unitNorm is the norm of each row without gain or bias.
func (p *Pass) unitNorm(x graph.Tensor, rms bool) graph.Tensor {
	ones, ok := p.ones[x.Cols]
	if !ok {
		ones = p.row(x.Cols, 1)
		p.ones[x.Cols] = ones
	}
	return p.t.Norm(x, ones, graph.Tensor{}, eps, rms)
}

// row is a constant row of n times a number.
func (p *Pass) row(n int, v float32) graph.Tensor {
	x := make([]float32, n)
	for i := range x {
		x[i] = v
	}
	return p.t.Constant(1, n, x)
}

// streams carries n streams Y_1 … Y_n, which begin as copies of the input (Hyperloop, arXiv 2604.21254). With z the streams side by
// side divided by their root mean square, and W, b, the numbers α and the vector v of loop t,
//
//	g = σ(α₁·z·W₁ + b₁),   r = σ(α₂·z·W₂ + b₂),   w = 2σ(α₃·z·W₃ + b₃)
//	x = Σ_s g_s·Y_s,   Y_s ← r_s·Y_s + w_s·(block(x) + v)
//
// The state is the mean of the streams.
func (p *Pass) streams(e graph.Tensor, b int) carried {
	n, d := p.m.Config.Streams, e.Cols
	copies := make([]graph.Tensor, n)
	for i := range copies {
		copies[i] = e
	}
	loop := func(t int, ys graph.Tensor) graph.Tensor {
		z := p.unitNorm(ys, true)
		x := p.t.Weigh(ys, p.streamWeights(z, "read", t, 1), d, 1, graph.Tensor{})
		s := p.endOfLoop(p.layers(p.numbered(t, x), b))
		s = p.t.Add(s, ofLoop(p.parameter("hyper_connections.embedding.weight"), t, 1))
		kept := p.t.Weigh(ys, p.streamWeights(z, "keep", t, 1), n*d, 1, graph.Tensor{})
		return p.t.Weigh(s, p.streamWeights(z, "write", t, 2), n*d, 1, kept)
	}
	mean := func(ys graph.Tensor) graph.Tensor {
		share := p.t.Temporary(ys.Rows, n)
		p.t.Record(&graph.Fill{Y: share, Value: 1 / float32(n)})
		return p.t.Weigh(ys, share, d, 1, graph.Tensor{})
	}
	return carried{e, p.t.Join(copies...), loop, mean}
}

// streamWeights are the weights of the streams for one purpose in loop t: size·σ(α·z·W + b), with σ(u) = (1 + tanh(u/2))/2.
func (p *Pass) streamWeights(z graph.Tensor, purpose string, t int, size float32) graph.Tensor {
	name, n := "hyper_connections."+purpose, p.m.Config.Streams
	u := p.t.Linear(z, autodiff.Linear{Weight: ofLoop(p.parameter(name+".weight"), t, z.Cols)})
	u = p.t.Linear(u.Reshape(u.Rows*n, 1), autodiff.Linear{Weight: ofLoop(p.parameter(name+".scale"), t, 1)}).Reshape(u.Rows, n)
	u = p.t.SoftCap(p.t.Add(u, ofLoop(p.parameter(name+".bias"), t, 1)), 2)
	return p.t.Affine(u, size/4, p.row(n, size/2))
}
