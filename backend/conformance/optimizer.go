package conformance

import (
	"fmt"
	"math"

	"coil/graph"
)

var float32inf = float32(math.Inf(1))

func (r *reference) clipFactor(o *graph.ClipFactor) {
	norm := r.read(o.Squares).x[0].sqrt()
	factor := exact(1)
	switch {
	case math.IsNaN(norm.v) || math.IsInf(norm.v, 0):
		factor = exact(0)
	case o.Max > 0:
		factor = factor.atMost(exact(o.Max).over(norm))
	}
	r.put(o.Norm, norm, false)
	r.put(o.Factor, factor, false)
}

// factor is 1 where there is no tensor for it.
func (r *reference) factor(t graph.Tensor) num {
	if !t.Exists() {
		return exact(1)
	}
	return r.read(t).x[0]
}

func (r *reference) adamw(o *graph.AdamW) {
	factor := r.factor(o.Factor)
	if factor.v == 0 {
		return
	}
	rate, correct1, correct2 := r.scalar(o.Rate), r.scalar(o.BiasCorrection1), r.scalar(o.BiasCorrection2)
	x, grad, m, v := r.read(o.X), r.read(o.Grad), r.read(o.M), r.read(o.V)
	beta1, beta2, one := exact(o.Beta1), exact(o.Beta2), exact(1)
	for i := range x.x {
		g := factor.times(grad.x[i])
		m.x[i] = beta1.times(m.x[i]).plus(one.minus(beta1).times(g))
		v.x[i] = beta2.times(v.x[i]).plus(one.minus(beta2).times(g).times(g))
		step := m.x[i].over(correct1).over(v.x[i].over(correct2).sqrt().plus(exact(o.Eps)))
		x.x[i] = x.x[i].minus(rate.times(exact(o.Decay).times(x.x[i]).plus(step)))
	}
	r.write(o.X, x)
	r.write(o.M, m)
	r.write(o.V, v)
}

func (r *reference) adafactor(o *graph.Adafactor) {
	factor := r.factor(o.Factor)
	if factor.v == 0 {
		return
	}
	x, g, rowV, colV := r.read(o.X), r.read(o.Grad), r.read(o.RowV), r.read(o.ColV)
	rows, cols := make([]total, x.rows), make([]total, x.cols)
	for i := range x.rows {
		for j := range x.cols {
			d := factor.times(g.at(i, j))
			g.set(i, j, d)
			s := d.times(d).plus(exact(o.Eps))
			rows[i].add(s)
			cols[j].add(s)
		}
	}
	beta := r.scalar(o.Beta)
	average := func(v, mean num) num { return beta.times(v).plus(exact(1).minus(beta).times(mean)) }
	var meanRow total
	for i := range rowV.x {
		rowV.x[i] = average(rowV.x[i], rows[i].mean())
		meanRow.add(rowV.x[i])
	}
	for j := range colV.x {
		colV.x[j] = average(colV.x[j], cols[j].mean())
	}
	var updates total
	u := newMatrix(x.rows, x.cols)
	for i := range x.rows {
		for j := range x.cols {
			v := colV.x[j]
			if rowV.exists() {
				v = rowV.x[i].times(v).over(meanRow.mean())
			}
			u.set(i, j, g.at(i, j).over(v.sqrt()))
			updates.addProduct(u.at(i, j), u.at(i, j))
		}
	}
	clip := updates.mean().sqrt().over(exact(o.Clip)).atLeast(exact(1))
	rate := r.scalar(o.Rate)
	keep := exact(1).minus(rate.times(exact(o.Decay))) // rounded once for all elements
	for i := range x.x {
		x.x[i] = keep.times(x.x[i]).minus(rate.times(u.x[i].over(clip)))
	}
	r.write(o.X, x)
	r.write(o.RowV, rowV)
	r.write(o.ColV, colV)
}

func (r *reference) average(o *graph.EMA) {
	if r.factor(o.Factor).v == 0 {
		return
	}
	x, decay := r.read(o.X), r.scalar(o.Decay)
	r.update(o.Mean, func(mean matrix) {
		for i := range mean.x {
			mean.x[i] = decay.times(mean.x[i]).plus(exact(1).minus(decay).times(x.x[i]))
		}
	})
}

func clipCases(s *suite) {
	inf := float32inf
	for _, squares := range []float32{0, 0.25, 4, 4.0001, 100, 1e-30, 1e30, -1, inf, nan()} {
		for _, largest := range []float32{0, -1, 0.5, 2} {
			s.inBoth(fmt.Sprintf("squares=%g max=%g", squares, largest), func(c *trial) {
				c.check(&graph.ClipFactor{Squares: c.in("squares", 1, 1, always(squares)), Norm: c.out("norm", 1, 1), Factor: c.out("factor", 1, 1), Max: largest})
			})
		}
	}
}

// steps runs an update several times, each compared with the reference from where the last one ended. The scalars of
// step t come from f.
func (c *trial) steps(n int, f func(t int) []float32, ops ...graph.Op) {
	c.Helper()
	defer func() {
		for _, b := range c.buffers {
			b.Free()
		}
	}()
	if c.omitted {
		return
	}
	for _, op := range ops {
		c.Record(op)
	}
	p, err := c.b.Compile(c.Recorder)
	if err != nil {
		c.Fatalf("%s: %v", c.label, err)
	}
	defer p.Close()
	label := c.label
	for t := 1; t <= n; t++ {
		c.label = fmt.Sprintf("%s, step %d", label, t)
		c.scalars = f(t)
		c.runStep(p)
	}
}

// factors are the kinds of gradient factor: missing, none, clipping, diverged.
var factors = []struct {
	name  string
	value float32
}{{"missing", 1}, {"1", 1}, {"0.3", 0.3}, {"0", 0}}

func (c *trial) factor(i int) graph.Tensor {
	if i == 0 {
		return graph.Tensor{}
	}
	return c.in("factor", 1, 1, always(factors[i].value))
}

func adamwCases(s *suite) {
	for _, shape := range [][2]int{{1, 1}, {3, 5}, {1, 17}, {4, 33}, {7, 64}, {1, 40_000}} {
		for i, factor := range factors {
			c := s.inUpdate("[%d,%d] factor=%s", shape[0], shape[1], factor.name)
			n, d := shape[0], shape[1]
			op := &graph.AdamW{X: c.state("X", n, d), Grad: c.in("gradient", n, d), M: c.state("M", n, d, always(0)), V: c.state("V", n, d, always(0)),
				Factor: c.factor(i), Rate: c.Scalar(), BiasCorrection1: c.Scalar(), BiasCorrection2: c.Scalar(), Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1}
			c.steps(3, func(t int) []float32 {
				return []float32{1e-2 / float32(t), 1 - float32(math.Pow(0.9, float64(t))), 1 - float32(math.Pow(0.95, float64(t)))}
			}, op)
		}
	}
	c := s.inUpdate("NaN gradient with factor 0")
	op := &graph.AdamW{X: c.state("X", 1, 20), Grad: c.in("gradient", 1, 20, nan), M: c.state("M", 1, 20), V: c.state("V", 1, 20, c.positive),
		Factor: c.factor(3), Beta1: 0.9, Beta2: 0.99, Eps: 1e-8}
	c.steps(1, func(int) []float32 { return nil }, op)

	c = s.inUpdate("no decay, no scalars, large moments")
	op = &graph.AdamW{X: c.state("X", 1, 20), Grad: c.in("gradient", 1, 20), M: c.state("M", 1, 20), V: c.state("V", 1, 20, c.positive), Beta1: 0.5, Beta2: 0.5, Eps: 1e-3}
	c.steps(2, func(int) []float32 { return nil }, op)
}

func adafactorCases(s *suite) {
	for i, shape := range [][2]int{{1, 1}, {1, 20}, {2, 3}, {20, 1}, {33, 17}, {5, 132}, {150, 600}, {1, 1030}} {
		for variant, factor := range factors {
			n, d := shape[0], shape[1]
			c := s.inUpdate("[%d,%d] factor=%s", n, d, factor.name)
			op := &graph.Adafactor{ColV: c.state("ColV", 1, d, always(0)), Factor: c.factor(variant), Rate: c.Scalar(), Beta: c.Scalar(),
				Eps: []float32{1e-30, 0.1}[variant%2], Clip: []float32{1, 0.5, 100}[variant%3], Decay: []float32{0, 0.01}[i%2]}
			if n > 1 {
				op.RowV = c.state("RowV", 1, n, always(0))
			}
			c.pad = pads[(i+variant)%len(pads)]
			op.X, op.Grad = c.state("X", n, d), c.in("gradient", n, d)
			c.steps(3, func(t int) []float32 {
				return []float32{0.01, 1 - float32(math.Pow(float64(t), -0.8))}
			}, op)
		}
	}
	// A vector and a matrix that take more than one round of the threads that sum them.
	for _, shape := range [][3]int{{1, 1100, 1}, {2, 32_899, 1}, {2, 32_899, 100}} {
		c := s.inUpdate("[%d,%d] clip=%d", shape[0], shape[1], shape[2])
		op := &graph.Adafactor{X: c.state("X", shape[0], shape[1]), Grad: c.in("gradient", shape[0], shape[1]), ColV: c.state("ColV", 1, shape[1], c.positive),
			Beta: c.Scalar(), Eps: 1e-30, Clip: float32(shape[2]) / 2, Decay: 0.1}
		if shape[0] > 1 {
			op.RowV = c.state("RowV", 1, shape[0], c.positive)
		}
		c.steps(1, func(int) []float32 { return []float32{0.9} }, op)
	}
	for _, clip := range []float32{0.5, 100} {
		c := s.inUpdate("wide matrix, clip %g", clip)
		c.steps(1, func(int) []float32 { return []float32{0.01, 0.5} }, &graph.Adafactor{X: c.state("X", 2, 33_001), Grad: c.in("gradient", 2, 33_001),
			RowV: c.state("RowV", 1, 2, c.positive), ColV: c.state("ColV", 1, 33_001, c.positive), Rate: c.Scalar(), Beta: c.Scalar(),
			Eps: 0.1, Clip: clip})
	}
}

func averageCases(s *suite) {
	for _, shape := range [][2]int{{1, 1}, {3, 17}, {1, 40_000}} {
		for i, factor := range factors {
			c := s.inUpdate("[%d,%d] factor=%s", shape[0], shape[1], factor.name)
			op := &graph.EMA{X: c.weight("X", shape[0], shape[1]), Mean: c.state("mean", shape[0], shape[1]), Factor: c.factor(i), Decay: c.Scalar()}
			c.steps(2, func(t int) []float32 { return []float32{1 - 0.5/float32(t)} }, op)
		}
	}
}
