// Package model is the transformer: configuration, parameters, and the recording of its forward pass.
package model

import (
	"fmt"
	"math"

	"coil/autodiff"
	"coil/graph"
	"coil/loop"
)

// Pass records one pass of a model on a tape: embedding, loops, ending, head.
type Pass struct {
	// Architecture has the loop counts of the pass, which may differ from the model's own.
	Architecture loop.Architecture
	// Length is how many positions of each sequence it runs on.
	Length int

	t       *autodiff.Tape
	m       *Model
	weights graph.Tensor
	cache   *continued           // nil: the sequences begin at their first position
	ones    map[int]graph.Tensor // by width
}

// Pass starts a pass over whole sequences at the model's own loop counts. weights is the arena of parameters; for gradients, it
// must be watched.
func (m *Model) Pass(t *autodiff.Tape, weights graph.Tensor) *Pass {
	return &Pass{Architecture: m.Architecture, Length: m.Length, t: t, m: m, weights: weights, ones: map[int]graph.Tensor{}}
}

// logitFloats is about how many logits the head holds at a time.
const logitFloats = 1 << 18

// parameter returns the tensor of a parameter, or the zero Tensor if the model does not have it.
func (p *Pass) parameter(name string) graph.Tensor {
	x, ok := p.m.byName[name]
	if !ok {
		return graph.Tensor{}
	}
	return x.view(p.weights)
}

// FinalState records the pass from tokens to the state that the head reads.
func (p *Pass) FinalState(tokens graph.Index) graph.Tensor {
	var last graph.Tensor
	p.Loops(p.Embed(tokens), func(l Loop) { last = l.After })
	return p.Ending(last)
}

// LoopStates records the pass from tokens to the states that the head reads after each loop of the looped block. In
// training with truncated gradients, it leaves out loops without gradients.
func (p *Pass) LoopStates(tokens graph.Index) []graph.Tensor {
	var states []graph.Tensor
	p.Loops(p.Embed(tokens), func(l Loop) { states = append(states, l.After) })
	if k := p.m.Loops.Truncate; k > 0 && p.t.Training() && k < len(states) {
		states = states[len(states)-k:]
	}
	for i, s := range states {
		states[i] = p.Ending(s)
	}
	return states
}

// Embed records the embedding of the tokens, with positions added where they are.
func (p *Pass) Embed(tokens graph.Index) graph.Tensor {
	var positions graph.Tensor
	count := p.Length
	if p.cache != nil {
		count = p.cache.context
	}
	switch p.m.Config.Positions {
	case LearnedPositions:
		if count > p.m.Length {
			p.t.Fail(fmt.Errorf("model: a pass over %d positions, but only %d were learned", count, p.m.Length))
			return p.t.Temporary(tokens.Len, p.m.Config.Width)
		}
		positions = p.parameter("positions.weight").RowRange(0, count)
	case SinusoidalPositions:
		positions = p.t.Constant(count, p.m.Config.Width, sinusoids(count, p.m.Config.Width))
	}
	if p.cache != nil && positions.Exists() {
		y := p.t.Temporary(tokens.Len, p.m.Config.Width)
		p.t.Record(&graph.Embedding{Table: p.parameter("embedding.weight"), Index: tokens, Positions: positions, At: p.cache.at, Y: y})
		return y
	}
	return p.t.Embedding(p.parameter("embedding.weight"), tokens, positions)
}

// Loop is one loop of the looped block.
type Loop struct {
	Number        int          // from 1
	Before, After graph.Tensor // the residual stream
}

// Loops records the blocks from the embedding x to the end of the looped block, and calls each after every loop of that.
func (p *Pass) Loops(x graph.Tensor, each func(Loop)) {
	a := p.Architecture
	looped := p.m.Architecture.Looped() // a's own may be another: one loop of 1x(2,3,2) leaves 1x(2,1,2)
	for b, loops := range a.Loops[:looped] {
		x = p.block(x, b, loops)
	}
	p.loopedBlock(x, looped, a.Loops[looped], each)
}

// Ending records what comes between the looped block and the head: the blocks after it and the last norm.
func (p *Pass) Ending(state graph.Tensor) graph.Tensor {
	a, looped := p.Architecture, p.m.Architecture.Looped()
	for b, loops := range a.Loops[looped+1:] {
		state = p.block(state, looped+1+b, loops)
	}
	if p.m.Config.finalNorm() {
		state = p.norm(state, "norm")
	}
	return state
}

// sinusoids are sin(t·10000^(−2j/d)) at column 2j and the cosine at 2j+1 (Vaswani et al.), times 0.1 to be no larger
// than the embedding that they are added to.
func sinusoids(length, width int) []float32 {
	x := make([]float32, length*width)
	for j := range width {
		frequency := math.Pow(10000, -float64(j&^1)/float64(width))
		for t := range length {
			a := float64(t) * frequency
			if j%2 == 0 {
				x[t*width+j] = float32(0.1 * math.Sin(a))
			} else {
				x[t*width+j] = float32(0.1 * math.Cos(a))
			}
		}
	}
	return x
}

// block is the layers of block b, loops times.
func (p *Pass) block(x graph.Tensor, b, loops int) graph.Tensor {
	for range loops {
		x = p.t.Segment(x, func(x graph.Tensor) graph.Tensor { return p.layers(x, b) })
	}
	return x
}

func (p *Pass) layers(x graph.Tensor, b int) graph.Tensor {
	a := p.m.Architecture
	for i := range a.Sizes[b] {
		x = p.layer(x, a.First(b)+i, nil)
	}
	return x
}

// loopedBlock records the looped block b on the state e that comes into it.
func (p *Pass) loopedBlock(e graph.Tensor, b, loops int, each func(Loop)) {
	c := p.carry(e, b, loops)
	carried, after := c.start, c.input
	for t := range loops {
		before := after
		run := func() {
			carried = p.t.Segment(carried, func(x graph.Tensor) graph.Tensor { return c.loop(t, x) })
			after = c.state(carried)
		}
		if k := p.m.Loops.Truncate; k > 0 && t < loops-k {
			p.t.Loop(t+1, func() { p.t.Detached(run) })
		} else {
			p.t.Loop(t+1, run)
		}
		each(Loop{t + 1, before, after})
	}
}

// numbered adds the learned vector of loop t, if there is one. Loops beyond those trained share the last.
func (p *Pass) numbered(t int, s graph.Tensor) graph.Tensor {
	if !p.m.Config.LoopEmbedding {
		return s
	}
	return p.t.Add(s, ofLoop(p.parameter("loop_embedding.weight"), t, 1))
}

// ofLoop is what loop t has of a parameter with some rows for each loop. Loops beyond those trained share the last.
func ofLoop(x graph.Tensor, t, rows int) graph.Tensor {
	t = min(t, x.Rows/rows-1)
	return x.RowRange(t*rows, (t+1)*rows)
}

// endOfLoop is the norm at the end of a loop, if there is one.
func (p *Pass) endOfLoop(s graph.Tensor) graph.Tensor {
	if !p.m.Config.LoopNorm {
		return s
	}
	return p.norm(s, "loop_norm")
}

// layer is attention and feed-forward, each around a residual connection, with n(x) = x if there are no norms, and f divided by the
// block's number of loops if residual_scale is loops:
//
//	pre: x + f(n(x))   post: n(x + f(x))   sandwich: n₂(x + f(n₁(x)))
//
// With the states of the loop before, messages from them enter what the sublayers read: see [Pass.received].
func (p *Pass) layer(x graph.Tensor, i int, heard *states) graph.Tensor {
	name := fmt.Sprintf("layers.%d.", i)
	loops := 1
	if p.m.Config.ResidualScale == LoopsResidualScale {
		loops = p.m.Architecture.Loops[p.m.Architecture.Block(i)]
	}
	x = p.residual(x, p.received(x, name, heard, queryMessage, keyMessage, valueMessage), name+"attention", loops, p.attention)
	return p.residual(x, p.received(x, name, heard, feedforwardMessage), name+"feedforward", loops, p.feedforward)
}

// residual wraps one half of a layer; f(hs, name, x) is f(hs) + x. It reads the tensors of in, which are x or, with messages, x and
// what was received.
func (p *Pass) residual(x graph.Tensor, in []graph.Tensor, name string, loops int, f func(hs []graph.Tensor, name string, x graph.Tensor) graph.Tensor) graph.Tensor {
	if p.m.Config.NormPlace != PostNorm {
		normed := make([]graph.Tensor, len(in))
		for i, h := range in {
			normed[i] = p.norm(h, name+".norm")
		}
		in = normed
	}
	var y graph.Tensor
	if loops > 1 {
		y = p.t.AddScaled(x, f(in, name, graph.Tensor{}), 1/float32(loops))
	} else {
		y = f(in, name, x)
	}
	switch p.m.Config.NormPlace {
	case PostNorm:
		return p.norm(y, name+".norm")
	case SandwichNorm:
		return p.norm(y, name+".norm_out")
	}
	return y
}

func (p *Pass) norm(x graph.Tensor, name string) graph.Tensor {
	if p.m.Config.Norm == NoNorm {
		return x
	}
	return p.t.Norm(x, p.parameter(name+".gain"), p.parameter(name+".bias"), eps, p.m.Config.Norm == RMSNorm)
}

func (p *Pass) linear(x graph.Tensor, name string, a graph.Activation, residual graph.Tensor) graph.Tensor {
	return p.t.Linear(x, autodiff.Linear{Weight: p.parameter(name + ".weight"), Bias: p.parameter(name + ".bias"), Activation: a, Residual: residual})
}

// attention reads one tensor, or three: for queries, keys and values.
func (p *Pass) attention(hs []graph.Tensor, name string, x graph.Tensor) graph.Tensor {
	c := p.m.Config
	qkv := p.projections(hs, name+".qkv")
	if p.cache != nil {
		return p.linear(p.attend(p.headNorm(qkv, name)), name+".out", graph.Identity, x)
	}
	heads := c.Layout()
	qkv = p.headNorm(qkv, name)
	if c.Positions == RotaryPositions {
		p.t.Rotary(qkv.Columns(0, heads.Values()), heads.Width, p.Length, c.RotaryBase)
	}
	y := p.t.Attention(qkv, autodiff.Attention{Heads: heads.Heads, KVHeads: heads.KVHeads, Length: p.Length, Scale: float32(c.AttentionScale), Hard: c.Attention == HardAttention})
	return p.linear(y, name+".out", graph.Identity, x)
}

// headNorm records the norms of each head's query and key, if there are any.
func (p *Pass) headNorm(qkv graph.Tensor, name string) graph.Tensor {
	if !p.m.Config.QKNorm {
		return qkv
	}
	return p.t.HeadNorm(qkv, p.parameter(name+".q_norm.gain"), p.parameter(name+".k_norm.gain"), p.m.Config.Layout(), eps)
}

// projections are queries, keys and values.
func (p *Pass) projections(hs []graph.Tensor, name string) graph.Tensor {
	if len(hs) == 1 {
		return p.linear(hs[0], name, graph.Identity, graph.Tensor{})
	}
	heads := p.m.Config.Layout()
	return p.t.LinearParts([]autodiff.Part{{X: hs[0], To: heads.Keys()}, {X: hs[1], From: heads.Keys(), To: heads.Values()}, {X: hs[2], From: heads.Values(), To: heads.Columns()}},
		p.parameter(name+".weight"), p.parameter(name+".bias"))
}

func (p *Pass) feedforward(hs []graph.Tensor, name string, x graph.Tensor) graph.Tensor {
	h := hs[0]
	var hidden graph.Tensor
	switch p.m.Config.Activation {
	case SwiGLU:
		hidden = p.t.SwiGLU(p.linear(h, name+".in", graph.Identity, graph.Tensor{}))
	case ReLU:
		hidden = p.linear(h, name+".in", graph.ReLU, graph.Tensor{})
	default:
		hidden = p.linear(h, name+".in", graph.GELU, graph.Tensor{})
	}
	return p.linear(hidden, name+".out", graph.Identity, x)
}

// headWeight returns the matrix of the head, and whether to transpose it.
func (p *Pass) headWeight() (w graph.Tensor, transpose bool) {
	if p.m.Config.Tied {
		return p.parameter("embedding.weight"), true
	}
	return p.parameter("head.weight"), false
}

// Logits records the head on a state, into logits[n,classes].
func (p *Pass) Logits(state, logits graph.Tensor) {
	p.t.Logits(p.onHead(state, autodiff.CrossEntropy{}), state, logits)
}

// Loss records the cross-entropy of the head on a state. X, W, Transpose, Chunk and Cap of h are set here.
func (p *Pass) Loss(state graph.Tensor, h autodiff.CrossEntropy) {
	p.t.CrossEntropy(p.onHead(state, h))
}

// onHead is h with the head on a state.
func (p *Pass) onHead(state graph.Tensor, h autodiff.CrossEntropy) autodiff.CrossEntropy {
	h.X, h.Chunk, h.Cap = state, logitFloats, float32(p.m.Config.LogitSoftcap)
	h.W, h.Transpose = p.headWeight()
	return h
}
