package conformance

import (
	"fmt"

	"coil/autodiff"
	"coil/graph"
)

// watched is a parameter with its gradient.
type watched struct{ x, grad graph.Tensor }

// watch makes a parameter, and in training an accumulator that the tape adds its gradient to.
func (c *trial) watch(tape *autodiff.Tape, train bool, name string, rows, cols int, value source) watched {
	w := watched{x: c.state(name, rows, cols, value)}
	if train {
		w.grad = c.sum("gradient of "+name, rows, cols)
		tape.Watch(w.x, w.grad)
	}
	return w
}

const (
	toyLength     = 5
	toyVocabulary = 11
	toyWidth      = 8
	toyHeads      = 2
	toyHidden     = 12
)

// transformer records a small looped transformer and its loss: two turns of one block of attention and one of SwiGLU,
// with every kind of operation that a tape has. It returns the parameters.
func (c *trial) transformer(tape *autodiff.Tape) []watched {
	n := toyLength * c.Sequences()
	ids, targets := make([]int32, n*c.Groups()), make([]int32, n*c.Groups())
	for i := range ids {
		ids[i], targets[i] = int32(c.rng.IntN(toyVocabulary)), int32(c.rng.IntN(toyVocabulary+1)-1)
	}
	var params []watched
	param := func(name string, rows, cols int, value source) graph.Tensor {
		w := c.watch(tape, tape.Training(), name, rows, cols, value)
		params = append(params, w)
		return w.x
	}
	near1 := func() float32 { return 1 + 0.1*c.normal() }
	table := param("table", toyVocabulary, toyWidth, c.normal)
	positions := param("positions", toyLength, toyWidth, c.scaled(0.3))
	gain1, shift1 := param("gain 1", 1, toyWidth, near1), param("shift 1", 1, toyWidth, c.scaled(0.1))
	gain2, gain3 := param("gain 2", 1, toyWidth, near1), param("gain 3", 1, toyWidth, near1)
	project, back := param("qkv", toyWidth, 3*toyWidth, c.scaled(0.4)), param("out", toyWidth, toyWidth, c.scaled(0.4))
	gate, down := param("gate", toyWidth, 2*toyHidden, c.scaled(0.4)), param("down", toyHidden, toyWidth, c.scaled(0.3))
	wide, wideBias := param("wide", toyWidth, toyHidden, c.scaled(0.4)), param("wide bias", 1, toyHidden, c.scaled(0.1))
	narrow, narrowBias := param("narrow", toyWidth, toyHidden, c.scaled(0.3)), param("narrow bias", 1, toyWidth, c.scaled(0.1))
	inject := param("inject", 1, toyWidth, c.scaled(0.2))

	none := graph.Tensor{}
	input := tape.Embedding(table, c.index(ids), positions)
	block := func(x graph.Tensor) graph.Tensor {
		qkv := tape.Linear(tape.Norm(x, gain1, shift1, 1e-5, false), autodiff.Linear{Weight: project})
		tape.Rotary(qkv.Columns(0, 2*toyWidth), toyWidth/toyHeads, toyLength, 100)
		x = tape.Linear(tape.Attention(qkv, autodiff.Attention{Heads: toyHeads, Length: toyLength}), autodiff.Linear{Weight: back, Residual: x})
		h := tape.SwiGLU(tape.Linear(tape.Norm(x, gain2, none, 1e-5, true), autodiff.Linear{Weight: gate}))
		return tape.Add(tape.Linear(h, autodiff.Linear{Weight: down, Residual: x}), input)
	}
	x := tape.Segment(input, block)
	x = tape.Segment(tape.Add(x, inject), block)
	h := tape.Linear(tape.Norm(x, gain3, none, 1e-5, true), autodiff.Linear{Weight: wide, Bias: wideBias, Activation: graph.GELU})
	x = tape.Linear(h, autodiff.Linear{Weight: narrow, Bias: narrowBias, Transpose: true, Activation: graph.ReLU, Residual: x})

	loss, correct := c.output("loss", toyLength, 1), c.output("correct", toyLength, 1)
	tape.CrossEntropy(autodiff.CrossEntropy{X: x, W: table, Transpose: true, Targets: c.index(targets), Loss: loss, Correct: correct,
		Scale: c.number(1.0 / 16), Weight: 0.5, Chunk: 4 * toyVocabulary})
	tape.Record(&graph.Sum{X: loss, Y: c.sum("loss sum", 1, 1), Alpha: 0.5 / 16, Accumulate: true})
	tape.Backward()
	return params
}

func trainingCases(s *suite) {
	for _, recompute := range []bool{false, true} {
		for _, groups := range []int{1, 3} {
			if s.o.Every > 1 && recompute != (groups == 3) {
				continue // two of the four have all four values
			}
			if s.o.Every >= 100 && !recompute {
				continue
			}
			c := s.inBody("transformer in %d groups, recompute=%v", groups, recompute).kept()
			c.Recorder = graph.NewRecorder(2, groups)
			tape := autodiff.NewTape(c.Recorder, true)
			tape.Recompute = recompute
			params := c.transformer(tape)
			c.BeginUpdate()
			squares, norm, factor := c.Temporary(1, 1), c.Temporary(1, 1), c.Temporary(1, 1)
			c.names[norm.Storage] = "gradient norm"
			for i, w := range params {
				c.Record(&graph.Sum{X: w.grad, Y: squares, Alpha: 1, Squares: true, Accumulate: i > 0})
			}
			c.Record(&graph.ClipFactor{Squares: squares, Norm: norm, Factor: factor, Max: 0.5})
			rate := c.number(0.01)
			for _, w := range params {
				rows, cols := w.x.Rows, w.x.Cols
				c.Record(&graph.AdamW{X: w.x, Grad: w.grad, Factor: factor, M: c.state("M", rows, cols, always(0)), V: c.state("V", rows, cols, always(0)),
					Rate: rate, Beta1: 0.9, Beta2: 0.99, Eps: 1e-2})
			}
			c.Result(norm)
			p, err := c.b.Compile(c.Recorder)
			if err != nil {
				s.Fatal(err)
			}
			label := c.label
			for t := range 2 {
				c.label = fmt.Sprintf("%s, step %d", label, t)
				c.runDeepStep(p)
			}
			p.Close()
		}
	}
	c := s.inBody("transformer without gradients").kept()
	c.transformer(autodiff.NewTape(c.Recorder, false))
	p, err := c.b.Compile(c.Recorder)
	if err != nil {
		s.Fatal(err)
	}
	c.runDeepStep(p)
	p.Close()
}
