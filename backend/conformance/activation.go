package conformance

import (
	"fmt"
	"math"

	"coil/graph"
)

// function returns f(x) and f'(x).
func function(f graph.Activation, x num) (y, d num) {
	switch f {
	case graph.GELU:
		a, one := number(0.044715), exact(1)
		c := number(2 * math.Sqrt(2/math.Pi))
		ax2 := a.times(x).times(x)
		s := c.times(x).times(one.plus(ax2)).sigmoid()
		slope := c.times(one.plus(exact(3).times(ax2)))
		return x.times(s), s.plus(x.times(s).times(one.minus(s)).times(slope))
	case graph.ReLU:
		if !(x.v > 0) {
			y, d = num{x.v - x.v, 0}, num{x.v - x.v, 0} // 0, or NaN
		} else {
			y, d = x, exact(1)
		}
		if x.e > 0 && math.Abs(x.v) <= x.e { // it may be on either side
			y.e, d.e = x.e, 1
		}
		return y, d
	}
	return x, exact(1)
}

func (r *reference) activate(o *graph.Activate) {
	r.write(o.Y, elementwise(r.read(o.X), func(x num) num { y, _ := function(o.Activation, x); return y }))
}

func (r *reference) activateBackward(o *graph.ActivateBackward) {
	x, dx := r.read(o.X), r.read(o.DY)
	y := newMatrix(x.rows, x.cols)
	for i := range x.x {
		var d num
		y.x[i], d = function(o.Activation, x.x[i])
		dx.x[i] = dx.x[i].times(d)
	}
	r.write(o.DX, dx)
	r.write(o.Y, y)
}

func (r *reference) swiglu(o *graph.SwiGLU) {
	x := r.read(o.X)
	y := newMatrix(x.rows, x.cols/2)
	for i := range y.rows {
		for j := range y.cols {
			g, u := x.at(i, j), x.at(i, y.cols+j)
			y.set(i, j, g.times(g.sigmoid()).times(u))
		}
	}
	r.write(o.Y, y)
}

func (r *reference) swigluBackward(o *graph.SwiGLUBackward) {
	x, dy := r.read(o.X), r.read(o.DY)
	y, dx := newMatrix(dy.rows, dy.cols), newMatrix(x.rows, x.cols)
	for i := range dy.rows {
		for j := range dy.cols {
			g, u, d := x.at(i, j), x.at(i, dy.cols+j), dy.at(i, j)
			s := g.sigmoid()
			silu := g.times(s)
			y.set(i, j, silu.times(u))
			dx.set(i, j, d.times(u).times(s.plus(silu.times(exact(1).minus(s)))))
			dx.set(i, dy.cols+j, d.times(silu))
		}
	}
	r.write(o.DX, dx)
	r.write(o.Y, y)
}

// elementwiseShapes reach the ends of vectors of every length.
var elementwiseShapes = [][2]int{{1, 1}, {3, 2}, {2, 7}, {1, 16}, {5, 17}, {2, 31}, {4, 33}, {3, 64}, {2, 100}, {1, 1000}}

// pads are the columns beside strided operands: with some of them, rows start at whole vectors, with others they do not.
var pads = []int{0, 1, 2, 4}

// extremes are arguments at which exp under- and overflows.
func extremes() source {
	return list(0, -0.5, 3, -5, 5, -10, 10, -20, 20, -40, 40, -88, 88, -100, 100, -1000, 1000, 1e-30, -1e-30, 1e-10)
}

func activationCases(s *suite) {
	for _, f := range []graph.Activation{graph.Identity, graph.GELU, graph.ReLU} {
		for i, shape := range elementwiseShapes {
			n, d := shape[0], shape[1]
			s.inBoth(fmt.Sprintf("%s [%d,%d]", f, n, d), func(c *trial) {
				c.pad = pads[i%len(pads)]
				c.check(&graph.Activate{Activation: f, X: c.in("X", n, d, c.scaled(3)), Y: c.out("Y", n, d)})
			})
			s.inBoth(fmt.Sprintf("%s backward [%d,%d]", f, n, d), func(c *trial) {
				c.pad = pads[i%len(pads)]
				x, dy := c.in("X", n, d, c.scaled(3)), c.in("DY", n, d)
				c.check(&graph.ActivateBackward{Activation: f, X: x, DY: dy, DX: c.out("DX", n, d)},
					&graph.ActivateBackward{Activation: f, X: x, DY: dy, DX: c.out("DX", n, d), Y: c.out("Y", n, d)})
			})
		}
		c := s.inBody("%s in place", f)
		x, dy := c.inOut("X", 5, 37), c.inOut("DY", 5, 37)
		c.check(&graph.ActivateBackward{Activation: f, X: x, DY: dy, DX: dy}, &graph.Activate{Activation: f, X: x, Y: x})

		c = s.inBody("%s of extremes", f)
		x = c.in("X", 1, 40, extremes())
		c.check(&graph.Activate{Activation: f, X: x, Y: c.out("Y", 1, 40)},
			&graph.ActivateBackward{Activation: f, X: x, DY: c.in("DY", 1, 40), DX: c.out("DX", 1, 40), Y: c.out("Y", 1, 40)})

		c = s.inBody("%s of NaN", f)
		c.check(&graph.Activate{Activation: f, X: c.in("X", 1, 19, list(1, nan(), -1)), Y: c.out("Y", 1, 19)})
	}
}

func swigluCases(s *suite) {
	for i, shape := range elementwiseShapes {
		n, d := shape[0], shape[1]
		s.inBoth(fmt.Sprintf("[%d,%d]", n, d), func(c *trial) {
			c.pad = pads[i%len(pads)]
			c.check(&graph.SwiGLU{X: c.in("X", n, 2*d, c.scaled(2)), Y: c.out("Y", n, d)})
		})
		s.inBoth(fmt.Sprintf("backward [%d,%d]", n, d), func(c *trial) {
			c.pad = pads[i%len(pads)]
			x, dy := c.in("X", n, 2*d, c.scaled(2)), c.in("DY", n, d)
			c.check(&graph.SwiGLUBackward{X: x, DY: dy, DX: c.out("DX", n, 2*d)},
				&graph.SwiGLUBackward{X: x, DY: dy, DX: c.out("DX", n, 2*d), Y: c.out("Y", n, d)})
		})
	}
	c := s.inBody("of extremes")
	x := c.in("X", 2, 40, extremes())
	c.check(&graph.SwiGLU{X: x, Y: c.out("Y", 2, 20)},
		&graph.SwiGLUBackward{X: x, DY: c.in("DY", 2, 20), DX: c.out("DX", 2, 40), Y: c.out("Y", 2, 20)})
}
