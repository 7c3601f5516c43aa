package conformance

import (
	"fmt"

	"coil/graph"
)

func (r *reference) fill(o *graph.Fill) {
	r.update(o.Y, func(y matrix) {
		for i := range y.x {
			y.x[i] = exact(o.Value)
		}
	})
}

func (r *reference) add(o *graph.Add) {
	a, b := r.read(o.A), r.read(o.B)
	alpha, beta := exact(o.Alpha), exact(o.Beta)
	for i := range a.rows {
		for j := range a.cols {
			y := alpha.times(a.at(i, j))
			if b.exists() {
				y = y.plus(beta.times(b.at(i%b.rows, j)))
			}
			a.set(i, j, y)
		}
	}
	r.write(o.Y, a)
}

func (r *reference) columnSums(o *graph.ColumnSums) {
	x, y := r.read(o.X), r.read(o.Y)
	if !o.Accumulate {
		y = newMatrix(1, x.cols)
	}
	addRows(y, x, func(int) int { return 0 })
	r.write(o.Y, y)
}

func (r *reference) sum(o *graph.Sum) {
	var t total
	for _, x := range r.read(o.X).x {
		if o.Squares {
			t.addProduct(x, x)
		} else {
			t.add(x)
		}
	}
	r.put(o.Y, exact(o.Alpha).times(t.num()), o.Accumulate)
}

// put writes or adds one number.
func (r *reference) put(t graph.Tensor, x num, accumulate bool) {
	r.update(t, func(y matrix) {
		if accumulate {
			x = x.plus(y.x[0])
		}
		y.x[0] = x
	})
}

func (r *reference) cosine(o *graph.Cosine) {
	a, b := r.read(o.A), r.read(o.B)
	norms := newMatrix(1, 3)
	norms.x[0], norms.x[1], norms.x[2] = dot(a.x, b.x), dot(a.x, a.x), dot(b.x, b.x)
	cos := exact(0)
	if norms.x[1].v != 0 && norms.x[2].v != 0 {
		cos = norms.x[0].over(norms.x[1].sqrt().times(norms.x[2].sqrt()))
	}
	r.put(o.Y, exact(o.Alpha).times(cos), o.Accumulate)
	r.write(o.Norms, norms)
}

func (r *reference) cosineBackward(o *graph.CosineBackward) {
	a, b, norms := r.read(o.A), r.read(o.B), r.read(o.Norms)
	ab, aa, bb := norms.x[0], norms.x[1], norms.x[2]
	if aa.v == 0 || bb.v == 0 {
		return
	}
	alpha, both := exact(o.Alpha), aa.sqrt().times(bb.sqrt())
	cos := ab.over(both)
	gradient := func(t graph.Tensor, x, other matrix, squares num) {
		r.update(t, func(d matrix) {
			for i := range d.x {
				d.x[i] = d.x[i].plus(alpha.times(other.x[i]).over(both)).minus(alpha.times(cos).times(x.x[i]).over(squares))
			}
		})
	}
	gradient(o.DA, a, b, aa)
	gradient(o.DB, b, a, bb)
}

func elementwiseCases(s *suite) {
	for i, shape := range elementwiseShapes {
		n, d := shape[0], shape[1]
		for _, pad := range []int{0, pads[i%len(pads)]} {
			s.inBoth(fmt.Sprintf("fill [%d,%d] pad=%d", n, d, pad), func(c *trial) {
				c.pad = pad
				c.check(&graph.Fill{Y: c.out("Y", n, d), Value: 1.25})
			})
			s.inBoth(fmt.Sprintf("add [%d,%d] pad=%d", n, d, pad), func(c *trial) {
				c.pad = pad
				a, b, row := c.in("A", n, d), c.in("B", n, d), c.weight("row", 1, d)
				inA, inB := c.inOut("Y and A", n, d), c.inOut("Y and B", n, d)
				c.check(&graph.Add{A: a, Y: c.out("a multiple of A", n, d), Alpha: 0.3},
					&graph.Add{A: a, B: b, Y: c.out("Y", n, d), Alpha: 0.3, Beta: -2},
					&graph.Add{A: a, B: row, Y: c.out("Y with a row", n, d), Alpha: 1, Beta: 0.7},
					&graph.Add{A: inA, B: b, Y: inA, Alpha: 1, Beta: 1},
					&graph.Add{A: a, B: inB, Y: inB, Alpha: 0.5, Beta: 0.1},
					&graph.Add{A: inA, B: row, Y: inA, Alpha: 1, Beta: 1},
					&graph.Add{A: inB, Y: inB, Alpha: -1.5})
			})
		}
	}
	c := s.inBody("strided with dense")
	dense := c.in("A", 5, 9)
	c.pad = 2
	c.check(&graph.Add{A: dense, B: c.in("B", 5, 9), Y: c.out("Y", 5, 9), Alpha: 1, Beta: 1}, &graph.Add{A: dense, Y: c.out("Y", 5, 9), Alpha: 2})

	c = s.inBody("fill with NaN and add to accumulators")
	sum := c.sum("sum", 3, 7)
	c.check(&graph.Fill{Y: c.out("Y", 2, 3), Value: nan()}, &graph.Add{A: sum, B: c.in("B", 3, 7), Y: sum, Alpha: 1, Beta: 1})
}

func sumCases(s *suite) {
	for i, shape := range append(elementwiseShapes, [][2]int{{200, 130}, {300, 36}, {600, 5}}...) {
		n, d := shape[0], shape[1]
		s.inBoth(fmt.Sprintf("[%d,%d]", n, d), func(c *trial) {
			c.pad = pads[i%len(pads)]
			x := c.in("X", n, d)
			ops := []graph.Op{
				&graph.ColumnSums{X: x, Y: c.out("column sums", 1, d)},
				&graph.ColumnSums{X: x, Y: c.inOut("more column sums", 1, d), Accumulate: true},
			}
			for _, squares := range []bool{false, true} {
				ops = append(ops, &graph.Sum{X: x, Y: c.out("sum", 1, 1), Alpha: 0.1, Squares: squares},
					&graph.Sum{X: x, Y: c.inOut("more sum", 1, 1), Alpha: 3, Squares: squares, Accumulate: true})
			}
			if !c.step {
				ops = append(ops, &graph.ColumnSums{X: x, Y: c.sum("accumulated column sums", 1, d), Accumulate: true},
					&graph.Sum{X: x, Y: c.sum("accumulated sum", 1, 1), Alpha: 1, Accumulate: true})
			}
			c.check(ops...)
		})
	}
	// In the update a long sum may be many workers'.
	c := s.inUpdate("of a long parameter")
	x := c.weight("X", 1, 100_000)
	c.check(&graph.Sum{X: x, Y: c.out("sum", 1, 1), Alpha: 1}, &graph.Sum{X: x, Y: c.out("squares", 1, 1), Alpha: 1, Squares: true},
		&graph.Sum{X: c.matrix(x, 10, 10_000).Columns(1, 9_999), Y: c.out("strided", 1, 1), Alpha: 1, Squares: true})
	// What is summed in parts needs memory for them, and the second sum less than the first.
	c = s.inUpdate("column sums of a tall matrix, then a long sum")
	c.check(&graph.ColumnSums{X: c.in("X", 600, 130), Y: c.out("column sums", 1, 130)}, &graph.Sum{X: c.weight("Y", 1, 100_000), Y: c.out("sum", 1, 1), Alpha: 1})
	for _, bad := range []float32{nan(), float32inf} {
		c := s.inUpdate("of %g", bad)
		c.check(&graph.Sum{X: c.in("X", 1, 40, list(1, bad, 3)), Y: c.out("squares", 1, 1), Alpha: 1, Squares: true})
	}
}

func cosineCases(s *suite) {
	for i, shape := range append(elementwiseShapes, [][2]int{{40, 130}, {300, 132}}...) {
		n, d := shape[0], shape[1]
		s.inBoth(fmt.Sprintf("[%d,%d]", n, d), func(c *trial) {
			c.pad = pads[i%len(pads)]
			a, b, da, db := c.in("A", n, d), c.in("B", n, d), c.inOut("DA", n, d), c.inOut("DB", n, d)
			c.pad = 0
			norms := c.out("norms", 1, 3)
			c.check(&graph.Cosine{A: a, B: b, Y: c.out("Y", 1, 1), Norms: norms, Alpha: 0.7},
				&graph.Cosine{A: a, B: b, Y: c.inOut("Y", 1, 1), Alpha: -2, Accumulate: true},
				&graph.CosineBackward{A: a, B: b, Norms: norms, DA: da, DB: db, Alpha: 0.7})
		})
	}
	for _, zero := range []string{"A", "B"} {
		c := s.inBody("%s is zero", zero)
		value := map[string]source{"A": c.normal, "B": c.normal}
		value[zero] = always(0)
		a, b, norms := c.in("A", 3, 7, value["A"]), c.in("B", 3, 7, value["B"]), c.out("norms", 1, 3)
		c.check(&graph.Cosine{A: a, B: b, Y: c.out("Y", 1, 1), Norms: norms, Alpha: 1},
			&graph.CosineBackward{A: a, B: b, Norms: norms, DA: c.inOut("DA", 3, 7), DB: c.inOut("DB", 3, 7), Alpha: 1})
	}
	// Squared norms whose product overflows or underflows float32. The gradients start at 0; otherwise, they would be lost in
	// rounding.
	for _, scale := range [][2]float32{{1e15, 1e15}, {1e-15, 1e-15}, {1e15, 1e-15}, {1e16, 1e12}, {1e-16, 1e-13}} {
		for _, shape := range [][2]int{{3, 7}, {300, 132}} {
			n, d := shape[0], shape[1]
			c := s.inBody("[%d,%d] of size %g and %g", n, d, scale[0], scale[1])
			a, b, norms := c.in("A", n, d, c.scaled(scale[0])), c.in("B", n, d, c.scaled(scale[1])), c.out("norms", 1, 3)
			c.check(&graph.Cosine{A: a, B: b, Y: c.out("Y", 1, 1), Norms: norms, Alpha: 1},
				&graph.CosineBackward{A: a, B: b, Norms: norms, DA: c.inOut("DA", n, d, always(0)), DB: c.inOut("DB", n, d, always(0)), Alpha: 1})
		}
	}
	c := s.inBody("into accumulators")
	c.check(&graph.Cosine{A: c.in("A", 3, 7), B: c.in("B", 3, 7), Y: c.sum("Y", 1, 1), Alpha: 1, Accumulate: true})
}
