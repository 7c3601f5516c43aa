package conformance

import (
	"fmt"

	"coil/graph"
)

// part is part j of row i of parts of width d, or the row if it has one part only.
func (m matrix) part(i, j, d int) []num {
	if m.cols == d {
		j = 0
	}
	return m.row(i)[j*d : (j+1)*d]
}

func (r *reference) weigh(o *graph.Weigh) {
	x, w, residual := r.read(o.X), r.read(o.W), r.read(o.Residual)
	y := newMatrix(o.Y.Rows, o.Y.Cols)
	d := o.Width()
	sums := make([]total, len(y.x))
	for i := range y.rows {
		for j := range w.cols {
			to := i * y.cols
			if y.cols != d {
				to += j * d
			}
			for c, v := range x.part(i, j, d) {
				sums[to+c].addProduct(exact(o.Alpha).times(w.at(i, j)), v)
			}
		}
	}
	for k := range sums {
		if residual.exists() {
			sums[k].add(residual.x[k])
		}
		s := sums[k].num()
		y.x[k] = rounded(s.v, s.e)
	}
	r.write(o.Y, y)
}

func (r *reference) dots(o *graph.Dots) {
	a, b, d := r.read(o.A), r.read(o.B), o.Width()
	r.update(o.Y, func(y matrix) {
		for i := range y.rows {
			for j := range y.cols {
				v := exact(o.Alpha).times(dot(a.part(i, j, d), b.part(i, j, d)))
				if o.Accumulate {
					v = v.plus(y.at(i, j))
				}
				y.set(i, j, v)
			}
		}
	})
}

func (r *reference) softmax(o *graph.Softmax) {
	x := r.read(o.X)
	for i := range x.rows {
		row := x.row(i)
		for j := range row {
			row[j] = exact(o.Scale).times(row[j])
		}
		most := largest(row)
		var sum total
		for j := range row {
			row[j] = row[j].minus(most).exp()
			sum.add(row[j])
		}
		for j := range row {
			row[j] = row[j].over(sum.num())
		}
	}
	r.write(o.Y, x)
}

func (r *reference) softmaxBackward(o *graph.SoftmaxBackward) {
	y, dy := r.read(o.Y), r.read(o.DY)
	for i := range y.rows {
		p, g := y.row(i), dy.row(i)
		along := dot(p, g)
		for j := range g {
			g[j] = exact(o.Scale).times(p[j]).times(g[j].minus(along))
		}
	}
	r.write(o.DX, dy)
}

func weighCases(s *suite) {
	for i, shape := range [][3]int{{1, 1, 1}, {3, 2, 5}, {4, 4, 16}, {2, 3, 33}, {2, 2, 300}, {5, 7, 1}, {3, 40, 1}, {70, 2, 8}, {2, 1, 9}} { // rows, parts, columns of a part
		n, parts, d := shape[0], shape[1], shape[2]
		for _, form := range []struct {
			name string
			x, y int // parts
		}{{"parts of parts", parts, parts}, {"parts of one", 1, parts}, {"sums", parts, 1}} {
			s.inBoth(fmt.Sprintf("%s [%d,%d·%d]", form.name, n, parts, d), func(c *trial) {
				c.pad = i % 3
				x, w := c.in("X", n, form.x*d), c.in("W", n, parts)
				added := c.inOut("Y", n, form.y*d)
				c.check(&graph.Weigh{X: x, W: w, Y: c.out("Y", n, form.y*d), Alpha: -0.75},
					&graph.Weigh{X: x, W: w, Residual: c.in("residual", n, form.y*d), Y: c.out("Y", n, form.y*d), Alpha: 1},
					&graph.Weigh{X: x, W: w, Residual: added, Y: added, Alpha: 1.5})
			})
			s.inBoth(fmt.Sprintf("dots of %s [%d,%d·%d]", form.name, n, parts, d), func(c *trial) {
				c.pad = i % 3
				a, b := c.in("A", n, form.x*d), c.in("B", n, form.y*d)
				c.check(&graph.Dots{A: a, B: b, Y: c.out("Y", n, parts), Alpha: -0.75},
					&graph.Dots{A: a, B: b, Y: c.inOut("Y", n, parts), Alpha: 1.5, Accumulate: true})
			})
		}
	}
}

func softmaxCases(s *suite) {
	for i, shape := range [][2]int{{1, 1}, {3, 2}, {4, 5}, {300, 3}, {9, 16}, {2, 70}} {
		n, d := shape[0], shape[1]
		s.inBoth(fmt.Sprintf("[%d,%d]", n, d), func(c *trial) {
			c.pad = i % 3
			y := c.out("Y", n, d)
			c.check(&graph.Softmax{X: c.in("X", n, d, c.scaled(2)), Y: y, Scale: 1.25},
				&graph.SoftmaxBackward{Y: y, DY: c.in("DY", n, d), DX: c.out("DX", n, d), Scale: 1.25})
		})
	}
	c := s.inBody("in place")
	x, dy := c.inOut("X", 7, 12), c.inOut("DY", 7, 12)
	c.check(&graph.Softmax{X: x, Y: x, Scale: -0.5}, &graph.SoftmaxBackward{Y: x, DY: dy, DX: dy, Scale: -0.5})

	// Far apart, and far from 0: exponentials that would over- and underflow.
	c = s.inBody("far")
	c.check(&graph.Softmax{X: c.in("X", 4, 5, list(-1e4, 0, 88, 500, 1e4, -30, 7)), Y: c.out("Y", 4, 5), Scale: 1},
		&graph.Softmax{X: c.in("X", 4, 5, list(-1000, -1002, -999.5)), Y: c.out("Y", 4, 5), Scale: 1})
}
