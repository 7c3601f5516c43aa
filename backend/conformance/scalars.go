package conformance

import (
	"slices"

	"coil/backend"
	"coil/graph"
)

// scalarCases has operations with every kind of scalar, none of them the program's first, in steps with different scalars. First
// the steps run one after the other, each compared with the reference; then they run with as many in flight as the backend
// permits, and must give the same results.
func scalarCases(s *suite) {
	const n, classes, loops = 6, 8, 3
	c := s.inBody("many scalars").kept()
	unused, beta, decay := c.Scalar(), c.Scalar(), c.Scalar()
	rate, correct2, correct1 := c.Scalar(), c.Scalar(), c.Scalar()
	exitScale, lossScale := c.Scalar(), c.Scalar()
	count := int(lossScale - unused + 1)
	targets := c.index(make([]int32, n*trialGroups))

	w, m, v := c.state("w", 1, classes), c.state("M", 1, classes, always(0)), c.state("V", 1, classes, always(0))
	mean := c.state("mean", 1, classes)
	vector, colV := c.state("vector", 1, classes), c.state("ColV", 1, classes, c.positive)
	matrix, rowV, colV2 := c.state("matrix", 2, classes/2), c.state("RowV", 1, 2, c.positive), c.state("ColV", 1, classes/2, c.positive)
	logits, loss, grad := c.Temporary(n, classes), c.Temporary(n, 1), c.sum("gradient", 1, classes)
	zeros := c.Temporary(n, classes)
	z, p, losses := c.in("Z", n*loops, 1), c.Temporary(n*loops, 1), c.in("losses", n*loops, 1, c.positive)
	dz, exitLoss, entropy := c.Temporary(n*loops, 1), c.Temporary(n, 1), c.Temporary(n, 1)
	exitGrad := c.sum("gradient of exits", 1, 1)
	for _, op := range []graph.Op{
		&graph.Fill{Y: zeros},
		&graph.Add{A: zeros, B: w, Y: logits, Alpha: 1, Beta: 1},
		&graph.CrossEntropy{Logits: logits, Targets: targets, Loss: loss, DLogits: logits, Scale: lossScale, Weight: 1},
		&graph.ColumnSums{X: logits, Y: grad, Accumulate: true},
		&graph.Exit{Z: z, Targets: targets, P: p},
		&graph.ExitLoss{Z: z, P: p, Losses: losses, Targets: targets, Loss: exitLoss, Entropy: entropy, DZ: dz, Beta: 0.1, Scale: exitScale, Weight: 1},
		&graph.Sum{X: dz, Y: exitGrad, Alpha: 1, Squares: true, Accumulate: true},
	} {
		c.Record(op)
	}
	c.BeginUpdate()
	half := grad.Columns(0, classes/2)
	gradient := c.Temporary(2, classes/2)
	c.Record(&graph.Fill{Y: gradient, Value: 1})
	c.Record(&graph.Add{A: gradient, B: half, Y: gradient, Alpha: 1, Beta: 1})
	c.Record(&graph.Adafactor{X: vector, Grad: grad, ColV: colV, Rate: rate, Beta: beta, Eps: 1e-30, Clip: 1})
	c.Record(&graph.Adafactor{X: matrix, Grad: gradient, RowV: rowV, ColV: colV2, Rate: rate, Beta: beta, Eps: 1e-30, Clip: 1})
	c.Record(&graph.AdamW{X: w, Grad: grad, M: m, V: v, Rate: rate, BiasCorrection1: correct1, BiasCorrection2: correct2, Beta1: 0.9, Beta2: 0.95, Eps: 1e-3})
	c.Record(&graph.EMA{X: w, Mean: mean, Decay: decay})
	for _, t := range []graph.Tensor{w, mean, vector, matrix} {
		c.Result(t)
	}
	program, err := s.b.Compile(c.Recorder)
	if err != nil {
		s.Fatal(err)
	}
	defer program.Close()

	begin := make([][]float32, len(c.buffers))
	for i, b := range c.buffers {
		begin[i] = make([]float32, b.Len())
		if err := b.Read(0, begin[i]); err != nil {
			s.Fatal(err)
		}
	}
	steps := make([]backend.Args, 7)
	want := make([][]float32, len(steps))
	for t := range steps {
		scalars := make([]float32, count)
		for i := range scalars {
			scalars[i] = 0.1 + 0.8*s.rng.Float32()
		}
		scalars[0] = nan() // nothing reads it
		c.scalars, c.inputs = scalars, slices.Clone(c.inputs)
		c.inputs[0] = c.ids(n, classes)
		steps[t] = backend.Args{Scalars: scalars, Inputs: c.inputs}
		want[t] = c.runStep(program)
	}
	for i, b := range c.buffers {
		if err := b.Write(0, begin[i]); err != nil {
			s.Fatal(err)
		}
	}
	taken := 0
	take := func() {
		got := make([]float32, c.ResultLen())
		if err := program.Results(got); err != nil {
			s.Fatal(err)
		}
		if !slices.Equal(got, want[taken]) {
			s.Errorf("step %d, with others in flight: results %v, want %v", taken, got, want[taken])
		}
		taken++
	}
	for t, step := range steps {
		if t-taken == s.b.Info().Depth {
			take()
		}
		if err := program.Run(step); err != nil {
			s.Fatal(err)
		}
	}
	for taken < len(steps) {
		take()
	}
}
