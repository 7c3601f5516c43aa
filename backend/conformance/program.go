package conformance

import (
	"fmt"
	"slices"

	"coil/backend"
	"coil/graph"
)

// runAndTake runs a step and drops its results.
func runAndTake(p backend.Program, rec *graph.Recorder, step backend.Args) error {
	if err := p.Run(step); err != nil {
		return err
	}
	return p.Results(make([]float32, rec.ResultLen()))
}

func bufferCases(s *suite) {
	if _, err := s.b.NewBuffer(0); err == nil {
		s.Error("a buffer of nothing: no error")
	}
	b, err := s.b.NewBuffer(10)
	if err != nil {
		s.Fatal(err)
	}
	defer b.Free()
	if b.Len() != 10 {
		s.Errorf("length %d, want 10", b.Len())
	}
	got, want := make([]float32, 10), make([]float32, 10)
	expect := func(what string) {
		if err := b.Read(0, got); err != nil {
			s.Error(err)
		}
		if !slices.Equal(got, want) {
			s.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	expect("a new buffer")
	copy(want[3:], []float32{1, 2, 3})
	if err := b.Write(3, []float32{1, 2, 3}); err != nil {
		s.Error(err)
	}
	expect("after a write at 3")
	part := make([]float32, 2)
	if err := b.Read(4, part); err != nil || !slices.Equal(part, []float32{2, 3}) {
		s.Errorf("read at 4: %v, %v", part, err)
	}
	for _, offset := range []int{-1, 9, 11} {
		if b.Write(offset, part) == nil || b.Read(offset, part) == nil {
			s.Errorf("access of 2 values at %d of 10: no error", offset)
		}
	}
	expect("after bad writes")

	for batch := 1; batch < 70; batch++ {
		for _, length := range []int{1, 7, 64, 513, 100_000} {
			if g := s.b.GroupSize(batch, length); g < 1 || batch%g != 0 {
				s.Errorf("groups of %d sequences for a batch of %d", g, batch)
			}
		}
	}
	if info := s.b.Info(); info.Name == "" || info.Device == "" || info.Kernels == "" || info.Workers < 1 || info.Memory < 1 || info.Depth < 1 {
		s.Errorf("info says too little: %+v", info)
	}
}

const (
	headLength     = 4
	headVocabulary = 9
	headWidth      = 12
)

// head records a linear classifier of embedded tokens, with everything that differs between groups: inputs, outputs,
// accumulators, and an update that reads them.
func (c *trial) head() {
	n := headLength * c.Sequences()
	ids, targets := c.index(make([]int32, n*c.Groups())), c.index(make([]int32, n*c.Groups()))
	table, w := c.weight("table", headVocabulary, headWidth), c.state("w", headWidth, headVocabulary)
	x, logits := c.Temporary(n, headWidth), c.Temporary(n, headVocabulary)
	loss, correct, shown := c.output("loss", headLength, 1), c.output("correct", headLength, 1), c.output("logits", headLength, headVocabulary)
	dw, sums := c.Accumulator(headWidth, headVocabulary), c.Accumulator(2, 1)
	c.names[dw.Storage], c.names[sums.Storage] = "dw", "sums"
	for _, op := range []graph.Op{
		&graph.Embedding{Table: table, Index: ids, Y: x},
		&graph.Matmul{A: x, B: w, C: logits},
		&graph.Add{A: logits, Y: shown, Alpha: 2},
		&graph.CrossEntropy{Logits: logits, Targets: targets, Loss: loss, Correct: correct, DLogits: logits, Scale: c.Scalar(), Weight: 1},
		&graph.Matmul{A: x, B: logits, C: dw, TransA: true, Accumulate: true},
		&graph.Sum{X: loss, Y: sums.RowRange(0, 1), Alpha: 1, Accumulate: true},
		&graph.Sum{X: correct, Y: sums.RowRange(1, 2), Alpha: 1, Accumulate: true},
	} {
		c.Record(op)
	}
	c.Result(sums)
	c.BeginUpdate()
	squares, norm, factor := c.Temporary(1, 1), c.Temporary(1, 1), c.Temporary(1, 1)
	c.names[norm.Storage], c.names[squares.Storage] = "norm", "squares"
	c.Record(&graph.Sum{X: dw, Y: squares, Alpha: 1, Squares: true})
	c.Record(&graph.ClipFactor{Squares: squares, Norm: norm, Factor: factor, Max: 0.1})
	c.Record(&graph.AdamW{X: w, Grad: dw, M: c.state("M", headWidth, headVocabulary, always(0)), V: c.state("V", headWidth, headVocabulary, always(0)),
		Factor: factor, Rate: c.Scalar(), Beta1: 0.9, Beta2: 0.9, Eps: 1e-6})
	c.Result(norm)
	c.Result(w)
	c.Result(dw.RowRange(1, 3))
	c.Result(squares)
}

// draw gives the head new tokens, targets and scalars.
func (c *trial) draw() {
	for _, in := range c.inputs {
		for i := range in {
			in[i] = int32(c.rng.IntN(headVocabulary))
		}
	}
	c.inputs[1][c.rng.IntN(len(c.inputs[1]))] = graph.Ignore
	c.scalars = []float32{1 / float32(len(c.inputs[1])), c.positive()}
}

func (s *suite) newHead(sequences, groups int) (*trial, backend.Program) {
	c := s.inBody("%d groups of %d sequences", groups, sequences).kept()
	c.Recorder = graph.NewRecorder(sequences, groups)
	c.head()
	p, err := s.b.Compile(c.Recorder)
	if err != nil {
		s.Fatal(err)
	}
	return c, p
}

func groupCases(s *suite) {
	for _, shape := range [][2]int{{1, 1}, {3, 1}, {2, 2}, {1, 8}, {2, 11}, {1, 35}} {
		c, p := s.newHead(shape[0], shape[1])
		label := c.label
		for t := range 3 {
			c.label = fmt.Sprintf("%s, step %d", label, t)
			c.draw()
			c.runStep(p)
		}
		if plan, err := s.b.Plan(c.Recorder); err != nil || plan != p.Memory() {
			s.Errorf("%s: planned %+v (%v), compiled %+v", label, plan, err, p.Memory())
		}
		if p.Results(make([]float32, c.ResultLen())) == nil {
			s.Errorf("%s: results without a step: no error", label)
		}
		p.Close()
	}

	// Steps in flight give their results in order.
	c := s.inUpdate("in flight").kept()
	mean := c.state("mean", 1, 3, list(1, 2, 3))
	c.Record(&graph.EMA{X: c.weight("X", 1, 3, always(0)), Mean: mean, Decay: c.Scalar()})
	c.Result(mean)
	p, err := s.b.Compile(c.Recorder)
	if err != nil {
		s.Fatal(err)
	}
	defer p.Close()
	want := []float32{1, 2, 3}
	for round := range 2 {
		depth := s.b.Info().Depth
		decay := func(i int) float32 { return 0.5 * float32(1+(round+i)%3) }
		for i := range depth {
			if err := p.Run(backend.Args{Scalars: []float32{decay(i)}}); err != nil {
				s.Fatal(err)
			}
		}
		for i := range depth {
			got := make([]float32, 3)
			if err := p.Results(got); err != nil {
				s.Fatal(err)
			}
			for j := range want {
				want[j] *= decay(i)
			}
			if !slices.Equal(got, want) {
				s.Errorf("step %d in flight: %v, want %v", i, got, want)
			}
		}
	}
}

func badStepCases(s *suite) {
	c, p := s.newHead(2, 11)
	defer p.Close()
	c.draw()
	c.runStep(p)
	good := backend.Args{Scalars: c.scalars, Inputs: c.inputs}
	state := func() []float32 {
		var all []float32
		for _, b := range c.buffers {
			values := make([]float32, b.Len())
			if err := b.Read(0, values); err != nil {
				s.Fatal(err)
			}
			all = append(all, values...)
		}
		return all
	}
	before := state()
	bad := func(label string, step backend.Args) {
		s.Helper()
		if err := runAndTake(p, c.Recorder, step); err == nil {
			s.Errorf("%s: no error", label)
		}
		if !slices.Equal(before, state()) {
			s.Errorf("%s: the update ran", label)
			before = state()
		}
	}
	with := func(input, value int32, at ...int) backend.Args {
		step := backend.Args{Scalars: good.Scalars, Inputs: slices.Clone(good.Inputs)}
		step.Inputs[input] = slices.Clone(step.Inputs[input])
		for _, i := range at {
			step.Inputs[input][i] = value
		}
		return step
	}
	last := len(good.Inputs[0]) - 1
	bad("no scalars", backend.Args{Inputs: good.Inputs})
	bad("a scalar too many", backend.Args{Scalars: append(slices.Clone(good.Scalars), 1), Inputs: good.Inputs})
	bad("no inputs", backend.Args{Scalars: good.Scalars})
	bad("an input too many", backend.Args{Scalars: good.Scalars, Inputs: append(slices.Clone(good.Inputs), nil)})
	bad("a short input", backend.Args{Scalars: good.Scalars, Inputs: [][]int32{good.Inputs[0][1:], good.Inputs[1]}})
	bad("a token below 0", with(0, -1, 0))
	bad("a token above the vocabulary", with(0, headVocabulary, last))
	bad("bad tokens in many groups", with(0, headVocabulary, 0, 9, 17, 30, 50, 70, last))
	bad("a target below Ignore", with(1, -2, 5))
	bad("a target above the classes", with(1, headVocabulary, last))

	c.label = "after bad steps"
	c.draw()
	c.runStep(p)
}
