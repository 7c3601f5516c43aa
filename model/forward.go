// Package model is the transformer: configuration, parameters, and the recording of its forward pass.
package model

import (
	"fmt"
	"math"

	"coil/autodiff"
	"coil/graph"
	"coil/loop"
)

// forward records one pass of the model.
type forward struct {
	*autodiff.Tape
	m       *Model
	weights graph.Tensor
}

// logitFloats is about how many logits the head holds at a time.
const logitFloats = 1 << 18

func (m *Model) begin(t *autodiff.Tape, weights graph.Tensor) *forward {
	return &forward{Tape: t, m: m, weights: weights}
}

// parameter is the tensor of a parameter, or none if the model has not got it.
func (f *forward) parameter(name string) graph.Tensor {
	p, ok := f.m.byName[name]
	if !ok {
		return graph.Tensor{}
	}
	return p.view(f.weights)
}

// States records the pass from tokens to the states that the head reads: the last one, or with every one after each
// loop of the looped block. The loop counts are those of a, which may differ from the model's own. weights is the arena
// of parameters; for gradients it must be watched.
func (m *Model) States(t *autodiff.Tape, weights graph.Tensor, tokens graph.Index, a loop.Architecture, every bool) []graph.Tensor {
	var states []graph.Tensor
	m.EachLoop(t, weights, tokens, a, func(_ int, _, s graph.Tensor) { states = append(states, s) })
	if !every {
		states = states[len(states)-1:]
	} else if k := m.Loops.Truncate; k > 0 && t.Training() && k < len(states) {
		states = states[len(states)-k:] // the others have no gradient to pass on
	}
	for i, s := range states {
		states[i] = m.Ending(t, weights, s, a)
	}
	return states
}

// EachLoop records the pass from tokens to the end of the looped block, and calls f after each of its loops, numbered
// from 1, with the residual stream before and after it.
func (m *Model) EachLoop(t *autodiff.Tape, weights graph.Tensor, tokens graph.Index, a loop.Architecture, f func(i int, before, after graph.Tensor)) {
	p := m.begin(t, weights)
	x := p.embed(tokens)
	looped := m.Architecture.Looped() // a's own may be another: one loop of 1x(2,3,2) leaves 1x(2,1,2)
	for b, loops := range a.Loops[:looped] {
		x = p.block(x, b*a.K, loops)
	}
	p.loop(x, looped*a.K, a.Loops[looped], f)
}

// Ending records what comes between the looped block and the head: the blocks after it and the last norm.
func (m *Model) Ending(t *autodiff.Tape, weights, state graph.Tensor, a loop.Architecture) graph.Tensor {
	p := m.begin(t, weights)
	looped := m.Architecture.Looped()
	for b, loops := range a.Loops[looped+1:] {
		state = p.block(state, (looped+1+b)*a.K, loops)
	}
	if m.Config.NormPlace != "post" {
		state = p.norm(state, "norm")
	}
	return state
}

// embed is the embedding of the tokens, with positions added where they are.
func (f *forward) embed(tokens graph.Index) graph.Tensor {
	var positions graph.Tensor
	switch f.m.Config.Positions {
	case "learned":
		positions = f.parameter("positions.weight")
	case "sinusoidal":
		positions = f.Constant(f.m.Length, f.m.Config.Width, sinusoids(f.m.Length, f.m.Config.Width))
	}
	return f.Embedding(f.parameter("embedding.weight"), tokens, positions)
}

// sinusoids are sin(t·10000^(−2j/d)) at column 2j and the cosine at 2j+1 (Vaswani et al.), times 0.1 to be no larger
// than the embedding that they are added to.
func sinusoids(length, width int) []float32 {
	x := make([]float32, length*width)
	for t := range length {
		for j := range width {
			a := float64(t) * math.Pow(10000, -float64(j&^1)/float64(width))
			if j%2 == 0 {
				x[t*width+j] = float32(0.1 * math.Sin(a))
			} else {
				x[t*width+j] = float32(0.1 * math.Cos(a))
			}
		}
	}
	return x
}

// block is K layers from the first on, loops times.
func (f *forward) block(x graph.Tensor, first, loops int) graph.Tensor {
	for range loops {
		x = f.Segment(x, func(x graph.Tensor) graph.Tensor { return f.layers(x, first) })
	}
	return x
}

func (f *forward) layers(x graph.Tensor, first int) graph.Tensor {
	for i := range f.m.Architecture.K {
		x = f.layer(x, first+i)
	}
	return x
}

// loop is the looped block; it calls each after each loop, as EachLoop does.
func (f *forward) loop(e graph.Tensor, first, loops int, each func(i int, before, after graph.Tensor)) {
	input := e // what injection adds to the state
	if f.m.Config.Injection == "linear" {
		input = f.Linear(e, f.parameter("injection.input.weight"), graph.Tensor{}, false, graph.Identity, graph.Tensor{})
	}
	step := func(t int, s graph.Tensor) graph.Tensor {
		switch {
		case t == 0:
			s = input
		case f.m.Config.Injection == "add":
			s = f.Add(s, input)
		case f.m.Config.Injection == "linear":
			s = f.Linear(s, f.parameter("injection.state.weight"), graph.Tensor{}, false, graph.Identity, input)
		}
		if f.m.Config.LoopEmbedding {
			table := f.parameter("loop_embedding.weight")
			row := min(t, table.Rows-1) // loops beyond those trained share the last
			s = f.Add(s, table.RowRange(row, row+1))
		}
		return f.layers(s, first)
	}
	s := input
	for t := range loops {
		before := s
		run := func() { s = f.Segment(s, func(s graph.Tensor) graph.Tensor { return step(t, s) }) }
		if k := f.m.Loops.Truncate; k > 0 && t < loops-k {
			f.Loop(t+1, func() { f.Detached(run) })
		} else {
			f.Loop(t+1, run)
		}
		each(t+1, before, s)
	}
}

// layer is attention and feed-forward, each around a residual connection:
//
//	pre: x + f(n(x))   post: n(x + f(x))   sandwich: n₂(x + f(n₁(x)))
func (f *forward) layer(x graph.Tensor, i int) graph.Tensor {
	name := fmt.Sprintf("layers.%d.", i)
	x = f.residual(x, name+"attention", f.attention)
	return f.residual(x, name+"feedforward", f.feedforward)
}

// residual wraps one half of a layer; sublayer(h, name, x) is f(h) + x.
func (f *forward) residual(x graph.Tensor, name string, sublayer func(h graph.Tensor, name string, x graph.Tensor) graph.Tensor) graph.Tensor {
	switch f.m.Config.NormPlace {
	case "post":
		return f.norm(sublayer(x, name, x), name+".norm")
	case "sandwich":
		return f.norm(sublayer(f.norm(x, name+".norm"), name, x), name+".norm_out")
	}
	return sublayer(f.norm(x, name+".norm"), name, x)
}

func (f *forward) norm(x graph.Tensor, name string) graph.Tensor {
	return f.Norm(x, f.parameter(name+".gain"), f.parameter(name+".bias"), eps, f.m.Config.Norm == "rmsnorm")
}

func (f *forward) linear(x graph.Tensor, name string, a graph.Activation, residual graph.Tensor) graph.Tensor {
	return f.Linear(x, f.parameter(name+".weight"), f.parameter(name+".bias"), false, a, residual)
}

func (f *forward) attention(h graph.Tensor, name string, x graph.Tensor) graph.Tensor {
	c := f.m.Config
	qkv := f.linear(h, name+".qkv", graph.Identity, graph.Tensor{})
	if c.Positions == "rotary" {
		f.Rotary(qkv.Columns(0, 2*c.Width), c.Width/c.Heads, f.m.Length, c.RotaryBase)
	}
	return f.linear(f.Attention(qkv, c.Heads, f.m.Length), name+".out", graph.Identity, x)
}

func (f *forward) feedforward(h graph.Tensor, name string, x graph.Tensor) graph.Tensor {
	var hidden graph.Tensor
	switch f.m.Config.Activation {
	case "swiglu":
		hidden = f.SwiGLU(f.linear(h, name+".in", graph.Identity, graph.Tensor{}))
	case "relu":
		hidden = f.linear(h, name+".in", graph.ReLU, graph.Tensor{})
	default:
		hidden = f.linear(h, name+".in", graph.GELU, graph.Tensor{})
	}
	return f.linear(hidden, name+".out", graph.Identity, x)
}

// head returns the matrix of the head and whether it is to be transposed.
func (f *forward) head() (w graph.Tensor, transpose bool) {
	if f.m.Config.Tied {
		return f.parameter("embedding.weight"), true
	}
	return f.parameter("head.weight"), false
}

// Loss records the cross-entropy of the head on a state: see [autodiff.Tape.CrossEntropy].
func (m *Model) Loss(t *autodiff.Tape, weights, state graph.Tensor, targets graph.Index, loss, correct graph.Tensor, scale graph.Scalar, weight float32) {
	w, transpose := m.begin(t, weights).head()
	t.CrossEntropy(autodiff.CrossEntropy{X: state, W: w, Transpose: transpose, Targets: targets, Loss: loss, Correct: correct,
		Scale: scale, Weight: weight, Chunk: logitFloats})
}

// Logits records the head on a state.
func (m *Model) Logits(t *autodiff.Tape, weights, state, logits graph.Tensor) {
	w, transpose := m.begin(t, weights).head()
	t.Record(&graph.Matmul{A: state, B: w, C: logits, TransB: transpose})
}
