package conformance

import (
	"coil/graph"
)

func (r *reference) nesterov(o *graph.Nesterov) {
	factor, beta := r.factor(o.By), exact(o.Beta)
	rest := exact(1).minus(beta)
	grad, m := r.read(o.Grad), r.read(o.M)
	u := newMatrix(m.rows, m.cols)
	for i := range u.x {
		g := rest.times(factor.times(grad.x[i]))
		u.x[i] = beta.times(beta.times(m.x[i]).plus(g)).plus(g)
	}
	r.write(o.U, u)
}

func (r *reference) normalize(o *graph.Normalize) {
	by := exact(o.Slack).times(r.read(o.Squares).x[0].sqrt()).plus(exact(o.Eps))
	r.write(o.Y, elementwise(r.read(o.X), func(x num) num { return x.over(by) }))
}

func (r *reference) quadratic(o *graph.Quadratic) {
	a, square := r.read(o.A), r.read(o.Square)
	for i := range a.rows {
		for j := range a.cols {
			y := exact(o.C1).times(a.at(i, j)).plus(exact(o.C2).times(square.at(i, j)))
			if i == j {
				y = y.plus(exact(o.C0))
			}
			a.set(i, j, y)
		}
	}
	r.write(o.Y, a)
}

func (r *reference) neuronScale(o *graph.NeuronScale) {
	x, v := r.read(o.X), r.read(o.V)
	stats := newMatrix(3, x.cols)
	for j := range x.cols {
		var squares total
		for i := range x.rows {
			squares.addProduct(x.at(i, j), x.at(i, j))
		}
		moment := exact(o.Beta).times(v.x[j]).plus(exact(1).minus(exact(o.Beta)).times(squares.mean()))
		by := exact(1).over(moment.sqrt().plus(exact(o.Eps)))
		stats.set(0, j, squares.mean())
		stats.set(1, j, by)
		stats.set(2, j, squares.num().times(by).times(by))
	}
	r.write(o.Stats, stats)
}

func (r *reference) muon(o *graph.Muon) {
	factor := r.factor(o.Factor)
	if factor.v == 0 {
		return
	}
	x, m, by, grad, columns := r.read(o.X), r.read(o.M), r.read(o.O), r.read(o.Grad), r.read(o.Columns)
	rate, beta := r.scalar(o.Rate), exact(o.Beta)
	along := rate.times(exact(o.Scale))
	if columns.exists() {
		along = along.over(r.read(o.Squares).x[0].sqrt().atLeast(exact(1e-30)))
	}
	for i := range x.rows {
		for j := range x.cols {
			d, w := by.at(i, j), x.at(i, j)
			decay := rate.times(exact(o.Decay)).times(w)
			if o.Cautious && (d.v < 0 && w.v > 0 || d.v > 0 && w.v < 0) {
				decay = exact(0)
			}
			if columns.exists() {
				d = d.times(columns.x[j])
			}
			x.set(i, j, w.minus(decay).minus(along.times(d)))
			m.set(i, j, beta.times(m.at(i, j)).plus(exact(1).minus(beta).times(factor.times(grad.at(i, j)))))
		}
	}
	r.write(o.X, x)
	r.write(o.M, m)
}

// muonShapes are small and large, and of rows that are no whole vectors.
var muonShapes = [][2]int{{1, 1}, {3, 5}, {20, 1}, {33, 17}, {5, 132}, {70, 300}}

func muonCases(s *suite) {
	for i, shape := range muonShapes {
		n, d := shape[0], shape[1]
		for k, factor := range factors {
			c := s.inUpdate("momentum [%d,%d] factor=%s", n, d, factor.name)
			c.pad = pads[(i+k)%len(pads)]
			c.check(&graph.Nesterov{Grad: c.in("gradient", n, d), M: c.state("M", n, d), By: c.factor(k), U: c.out("U", n, d), Beta: 0.95})

			c = s.inUpdate("update [%d,%d] factor=%s", n, d, factor.name)
			c.pad = pads[(i+k)%len(pads)]
			op := &graph.Muon{X: c.state("X", n, d), M: c.state("M", n, d), O: c.in("O", n, d), Grad: c.in("gradient", n, d), Factor: c.factor(k), Rate: c.Scalar(),
				Beta: 0.95, Scale: 1.5, Decay: []float32{0, 0.1}[i%2], Cautious: k%2 == 1}
			if i%3 > 0 {
				op.Columns, op.Squares = c.in("columns", 1, d, c.positive), c.in("squares", 1, 1, c.positive)
			}
			c.steps(2, func(t int) []float32 { return []float32{0.1 / float32(t)} }, op)
		}
		c := s.inUpdate("neurons [%d,%d]", n, d)
		c.pad = pads[i%len(pads)]
		c.check(&graph.NeuronScale{X: c.in("X", n, d), V: c.state("V", 1, d, c.positive), Stats: c.out("stats", 3, d), Beta: 0.9, Eps: []float32{1e-8, 0.1}[i%2]})

		c = s.inUpdate("normalize [%d,%d]", n, d)
		c.pad = pads[i%len(pads)]
		c.check(&graph.Normalize{X: c.in("X", n, d), Squares: c.in("squares", 1, 1, c.positive), Y: c.out("Y", n, d), Slack: 1.01, Eps: []float32{1e-7, 0.5}[i%2]})

		c = s.inUpdate("quadratic [%d,%d]", d, d)
		c.pad = pads[i%len(pads)]
		c.check(&graph.Quadratic{A: c.in("A", d, d), Square: c.in("square", d, d), Y: c.out("Y", d, d), C0: 4, C1: -3, C2: 0.5})
	}
	c := s.inUpdate("in place")
	x := c.inOut("X", 5, 7)
	c.check(&graph.Normalize{X: x, Squares: c.in("squares", 1, 1, c.positive), Y: x, Slack: 1, Eps: 1e-7})
	c = s.inUpdate("square in place")
	square := c.inOut("square", 6, 6)
	c.check(&graph.Quadratic{A: c.in("A", 6, 6), Square: square, Y: square, C0: 4, C1: -3, C2: 0.5})
	c = s.inUpdate("zero")
	c.check(&graph.Muon{X: c.state("X", 2, 3), M: c.state("M", 2, 3), O: c.in("O", 2, 3, always(0)), Grad: c.in("gradient", 2, 3), Columns: c.in("columns", 1, 3, c.positive),
		Squares: c.in("squares", 1, 1, always(0)), Scale: 1, Beta: 0.5})
	c = s.inUpdate("NaN with factor 0")
	c.steps(1, func(int) []float32 { return nil }, &graph.Muon{X: c.state("X", 2, 3), M: c.state("M", 2, 3), O: c.in("O", 2, 3, nan), Grad: c.in("gradient", 2, 3, nan), Factor: c.factor(3), Scale: 1, Beta: 0.5})
	c = s.inUpdate("zero norm")
	c.check(&graph.Normalize{X: c.in("X", 2, 3, always(0)), Squares: c.in("squares", 1, 1, always(0)), Y: c.out("Y", 2, 3), Slack: 1.01, Eps: 1e-7})
	c = s.inUpdate("signs")
	c.check(&graph.Muon{X: c.state("X", 1, 9, list(-2, 0, 2)), M: c.state("M", 1, 9), O: c.in("O", 1, 9, list(-1e-30, -1e-30, -1e-30, 0, 0, 0, 1e-30, 1e-30, 1e-30)), Grad: c.in("gradient", 1, 9), Scale: 1, Decay: 0.5, Beta: 0.5, Cautious: true})
}
