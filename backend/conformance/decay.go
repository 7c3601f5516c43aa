package conformance

import (
	"fmt"

	"coil/graph"
)

// softplus is log(1 + exp(x)).
func softplus(x num) num {
	size := x
	if x.v > 0 {
		size = exact(0).minus(x)
	}
	return x.atLeast(exact(0)).plus(exact(1).plus(size.exp()).log())
}

// fades are α and δ of a column.
func fades(rate, step num) (alpha, delta num) {
	delta = softplus(step)
	return exact(0).minus(delta.times(rate.exp())).exp(), delta
}

func (r *reference) decay(o *graph.Decay) {
	x, u, rate, step := r.read(o.X), r.read(o.U), r.read(o.Rate), r.read(o.Step)
	y := newMatrix(x.rows, x.cols)
	for j := range x.cols {
		alpha, delta := fades(rate.at(0, j), step.at(0, j))
		for i := range x.rows {
			y.set(i, j, x.at(i, j).times(alpha).plus(u.at(i, j).times(delta)))
		}
	}
	r.write(o.Y, y)
}

func (r *reference) decayBackward(o *graph.DecayBackward) {
	x, u, rate, step, dy := r.read(o.X), r.read(o.U), r.read(o.Rate), r.read(o.Step), r.read(o.DY)
	dx, du := newMatrix(x.rows, x.cols), newMatrix(x.rows, x.cols)
	var drates, dsteps []num
	for j := range x.cols {
		alpha, delta := fades(rate.at(0, j), step.at(0, j))
		var p, q total
		for i := range x.rows {
			p.addProduct(dy.at(i, j), x.at(i, j))
			q.addProduct(dy.at(i, j), u.at(i, j))
			dx.set(i, j, dy.at(i, j).times(alpha))
			du.set(i, j, dy.at(i, j).times(delta))
		}
		fall := alpha.times(rate.at(0, j).exp()).times(p.num())
		drates = append(drates, exact(0).minus(fall.times(delta)))
		dsteps = append(dsteps, q.num().minus(fall).times(step.at(0, j).sigmoid()))
	}
	r.write(o.DX, dx)
	r.write(o.DU, du)
	first := func(int) int { return 0 }
	r.update(o.DRate, func(d matrix) { addRows(d, matrix{1, x.cols, drates}, first) })
	r.update(o.DStep, func(d matrix) { addRows(d, matrix{1, x.cols, dsteps}, first) })
}

func decayCases(s *suite) {
	for i, shape := range [][2]int{{1, 1}, {3, 5}, {4, 16}, {9, 33}, {2, 300}, {70, 8}, {600, 3}} {
		n, d := shape[0], shape[1]
		s.inBoth(fmt.Sprintf("[%d,%d]", n, d), func(c *trial) {
			c.pad = i % 3
			x, u, dy := c.in("X", n, d), c.in("U", n, d), c.in("DY", n, d)
			y, dx := c.out("Y", n, d), c.out("DX", n, d)
			if c.pad > 0 {
				c.pad++ // for a stride that none of the others has
			}
			du := c.out("DU", n, d)
			c.pad = 0
			rate, step := c.weight("rate", 1, d), c.weight("step", 1, d, c.scaled(2))
			c.check(&graph.Decay{X: x, U: u, Rate: rate, Step: step, Y: y},
				&graph.DecayBackward{X: x, U: u, Rate: rate, Step: step, DY: dy, DX: dx, DU: du, DRate: c.inOut("DRate", 1, d), DStep: c.inOut("DStep", 1, d)})
		})
	}
	for _, over := range []string{"X", "U"} {
		c := s.inBody("over %s, and gradients of parameters", over)
		x, u := c.inOut("X", 9, 12), c.inOut("U", 9, 12)
		rate, step, dy := c.weight("rate", 1, 12), c.weight("step", 1, 12), c.inOut("DY", 9, 12)
		op := &graph.Decay{X: x, U: u, Rate: rate, Step: step, Y: x}
		if over == "U" {
			op.Y = u
		}
		c.check(&graph.DecayBackward{X: x, U: u, Rate: rate, Step: step, DY: dy, DX: dy, DU: c.out("DU", 9, 12), DRate: c.sum("DRate", 1, 12), DStep: c.sum("DStep", 1, 12)}, op)
	}
	// States that fade at once and that do not, and inputs that hardly enter: exponentials that over- and underflow.
	c := s.inBody("far")
	c.check(&graph.Decay{X: c.in("X", 2, 12), U: c.in("U", 2, 12), Rate: c.weight("rate", 1, 12, list(-30, -5, 0, 5, 10)),
		Step: c.weight("step", 1, 12, list(-100, -30, 30, 100)), Y: c.out("Y", 2, 12)})
}
