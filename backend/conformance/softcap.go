package conformance

import (
	"fmt"

	"coil/graph"
)

func (r *reference) softCap(o *graph.SoftCap) {
	c := exact(o.Cap)
	r.write(o.Y, elementwise(r.read(o.X), func(x num) num { // tanh(u) = 1 − 2·σ(−2u)
		return c.minus(exact(2).times(c).times(exact(-2).times(x).over(c).sigmoid()))
	}))
}

func (r *reference) softCapBackward(o *graph.SoftCapBackward) {
	y, dx := r.read(o.Y), r.read(o.DY)
	for i := range y.x {
		t := y.x[i].over(exact(o.Cap))
		dx.x[i] = dx.x[i].times(exact(1).minus(t.times(t)))
	}
	r.write(o.DX, dx)
}

func softCapCases(s *suite) {
	for i, shape := range [][2]int{{1, 1}, {3, 5}, {4, 16}, {5, 33}, {2, 300}, {17, 64}} {
		n, d := shape[0], shape[1]
		for _, limit := range []float32{0.5, 3, 30} {
			s.inBoth(fmt.Sprintf("[%d,%d] cap=%g", n, d, limit), func(c *trial) {
				c.pad = i % 3
				y := c.out("Y", n, d)
				c.check(&graph.SoftCap{X: c.in("X", n, d, c.scaled(2)), Y: y, Cap: limit},
					&graph.SoftCapBackward{Y: y, DY: c.in("DY", n, d), DX: c.out("DX", n, d), Cap: limit})
			})
		}
	}
	c := s.inBody("in place")
	x, dy := c.inOut("X", 7, 12), c.inOut("DY", 7, 12)
	c.check(&graph.SoftCap{X: x, Y: x, Cap: 2}, &graph.SoftCapBackward{Y: x, DY: dy, DX: dy, Cap: 2})

	// Far beyond the cap: exponentials that over- and underflow.
	c = s.inBody("far")
	c.check(&graph.SoftCap{X: c.in("X", 3, 20, list(-1e30, -5000, -300, -88, -40, 0, 40, 88, 300, 5000, 1e30)), Y: c.out("Y", 3, 20), Cap: 1.5})
}
