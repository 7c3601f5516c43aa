// Package reference is the model once more, in float64 and plain loops: the definition of what package model computes,
// and the measure of how exactly it does. It shares no code with it.
//
// Each part's forward pass returns, with its result, the function that goes back: the gradient written by hand.
package reference

import (
	"coil/loop"
	"coil/model"
)

// Model is a configuration with its weights.
type Model struct {
	Config  model.Config
	Loops   model.Loops
	Sizes   []int // layers of each block
	Counts  []int // how often each block is run
	Own     []int // how often the model's own architecture runs it
	Looped  int   // the block with injection, loop embedding, and a state after each loop
	Weights Parameters

	// Frozen are the weights for the loops before the window, which truncation treats as constant; nil means Weights. Differences
	// of losses with the same Frozen have the truncated gradient.
	Frozen Parameters
}

// New is m with the loop counts of a and the weights of its arena.
func New(m *model.Model, a loop.Architecture, arena []float32) *Model {
	r := &Model{Config: m.Config, Loops: m.Loops, Sizes: a.Sizes, Counts: a.Loops, Own: m.Architecture.Loops, Looped: m.Architecture.Looped(), Weights: Parameters{}}
	for _, p := range m.Parameters {
		w := Zeros(p.Rows, p.Cols)
		for i := range w {
			for j := range w[i] {
				w[i][j] = float64(arena[p.Offset+i*p.Cols+j])
			}
		}
		r.Weights[p.Name] = w
	}
	return r
}

// pass is one sequence's way through the model.
type pass struct {
	*Model
	weights, gradient Parameters
}

// enter is the embedding, the blocks before the looped one, and what the looped one is given.
func (p *pass) enter(tokens []int) (Matrix, func(dinput Matrix)) {
	x, backEmbed := p.embed(tokens)
	var backs []Back
	for b, loops := range p.Counts[:p.Looped] {
		var back Back
		x, back = p.block(x, b, loops)
		backs = append(backs, back)
	}
	if p.Config.Injection == "linear" || p.Config.Injection == "decay" {
		var back Back
		x, back = p.linear(x, "injection.input")
		backs = append(backs, back)
	}
	return x, func(d Matrix) {
		for i := len(backs) - 1; i >= 0; i-- {
			d = backs[i](d)
		}
		backEmbed(d)
	}
}

// inject returns the state at the start of loop t: the input itself in the first loop (with decay, its share), and later the state s
// of the last loop combined with the input as configured. The gradient of an unused operand is nil.
func (p *pass) inject(t int, s, input Matrix) (Matrix, func(d Matrix) (ds, dinput Matrix)) {
	switch {
	case p.Config.Injection == "decay":
		return p.fade(t, s, input)
	case t == 0:
		return input, func(d Matrix) (Matrix, Matrix) { return nil, d }
	case p.Config.Injection == "add":
		return sum(s, input), func(d Matrix) (Matrix, Matrix) { return d, d }
	case p.Config.Injection == "linear":
		y, back := p.linear(s, "injection.state")
		return sum(y, input), func(d Matrix) (Matrix, Matrix) { return back(d), d }
	}
	return s, func(d Matrix) (Matrix, Matrix) { return d, nil }
}

// number adds the loop's learned vector; loops past the last that has one share it.
func (p *pass) number(t int, s Matrix) Matrix {
	table, ok := p.weights["loop_embedding.weight"]
	if !ok {
		return s
	}
	row := min(t, len(table)-1)
	y := Zeros(len(s), len(s[0]))
	for i := range y {
		for j := range y[i] {
			y[i][j] = s[i][j] + table[row][j]
		}
	}
	return y
}

func (p *pass) backNumber(t int, d Matrix) {
	if table, ok := p.gradient["loop_embedding.weight"]; ok {
		row := min(t, len(table)-1)
		for i := range d {
			accumulate(table[row:row+1], d[i:i+1])
		}
	}
}

// loop runs the loops from … to−1 of the looped block, and returns the state after each. Its gradient maps those of the
// states, which may be nil except the last, to that of the input. before is what the loop before them left, and constant.
func (p *pass) loop(from, to int, before []Matrix, input Matrix) ([]Matrix, func(dstates []Matrix) Matrix) {
	switch {
	case p.Config.Carry == "restart":
		states, _, back := p.restarts(from, to, before, input)
		return states, back
	case p.Config.Streams > 0:
		return p.streams(to, input)
	}
	var s Matrix
	if before != nil {
		s = before[0]
	}
	var states []Matrix
	var backs []func(d Matrix) (ds, dinput Matrix)
	for t := from; t < to; t++ {
		begin, backInject := p.inject(t, s, input)
		y, backBlock := p.block(p.number(t, begin), p.Looped, 1)
		backNorm := func(d Matrix) Matrix { return d }
		if p.Config.LoopNorm {
			y, backNorm = p.norm(y, "loop_norm")
		}
		s = y
		states = append(states, s)
		backs = append(backs, func(d Matrix) (Matrix, Matrix) {
			d = backBlock(backNorm(d))
			p.backNumber(t, d)
			return backInject(d)
		})
	}
	return states, func(dstates []Matrix) Matrix {
		var ds, dinput, di Matrix
		for i := len(backs) - 1; i >= 0; i-- {
			ds, di = backs[i](sum(dstates[i], ds))
			dinput = sum(dinput, di)
		}
		return dinput
	}
}

// leave is the blocks after the looped one, the last norm and the head: the logits.
func (p *pass) leave(s Matrix) (Matrix, Back) {
	var backs []Back
	push := func(y Matrix, back Back) Matrix {
		backs = append(backs, back)
		return y
	}
	for b := p.Looped + 1; b < len(p.Counts); b++ {
		s = push(p.block(s, b, p.Counts[b]))
	}
	if p.Config.NormPlace != "post" {
		s = push(p.norm(s, "norm"))
	}
	s = push(p.head(s))
	if c := p.Config.LogitSoftcap; c > 0 {
		s = push(softcap(s, c))
	}
	return s, func(d Matrix) Matrix {
		for i := len(backs) - 1; i >= 0; i-- {
			d = backs[i](d)
		}
		return d
	}
}

func (p *pass) head(s Matrix) (Matrix, Back) {
	if !p.Config.Tied {
		return p.linear(s, "head")
	}
	table := p.weights["embedding.weight"]
	return mul(s, transpose(table)), func(d Matrix) Matrix {
		accumulate(p.gradient["embedding.weight"], mul(transpose(d), s))
		return mul(d, table)
	}
}

// States returns the states of the looped block for one sequence: before its first loop, and after each loop.
func (m *Model) States(tokens []int) []Matrix {
	p := &pass{Model: m, weights: m.Weights}
	input, _ := p.enter(tokens)
	states, _ := p.loop(0, m.Counts[m.Looped], nil, input)
	return append([]Matrix{input}, states...)
}

// Logits returns the logits of one sequence after each loop of the looped block.
func (m *Model) Logits(tokens []int) []Matrix {
	p := &pass{Model: m, weights: m.Weights}
	var logits []Matrix
	for _, s := range m.States(tokens)[1:] {
		l, _ := p.leave(s)
		logits = append(logits, l)
	}
	return logits
}
