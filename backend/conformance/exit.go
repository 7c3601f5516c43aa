package conformance

import (
	"math"

	"coil/graph"
)

func (a num) negated() num { return num{-a.v, a.e} }

// softplus is ln(1 + exp(a)).
func (a num) softplus() num {
	return a.atLeast(exact(0)).plus(number(1).plus(num{-math.Abs(a.v), a.e}.exp()).log())
}

func (r *reference) exit(o *graph.Exit) {
	z, p := r.read(o.Z), newMatrix(o.Z.Rows, 1)
	n, loops := o.Targets.Len, o.Loops()
	for i, target := range r.index(o.Targets) {
		if target == graph.Ignore {
			continue
		}
		left := exact(1)
		for t := range loops - 1 {
			x := z.at(t*n+i, 0)
			p.set(t*n+i, 0, left.times(x.sigmoid()))
			left = left.times(x.negated().sigmoid())
		}
		p.set((loops-1)*n+i, 0, left)
	}
	r.write(o.P, p)
}

func (r *reference) exitLoss(o *graph.ExitLoss) {
	z, p, losses, dz := r.read(o.Z), r.read(o.P), r.read(o.Losses), newMatrix(o.Z.Rows, 1)
	n, loops := o.Targets.Len, o.Loops()
	loss, entropy := newMatrix(n, 1), newMatrix(n, 1)
	scale, beta := exact(o.Weight).times(r.scalar(o.Scale)), exact(o.Beta)
	for i, target := range r.index(o.Targets) {
		if target == graph.Ignore {
			continue
		}
		e, h := losses.at((loops-1)*n+i, 0), exact(0)
		for t := loops - 2; t >= 0; t-- {
			x, here := z.at(t*n+i, 0), losses.at(t*n+i, 0)
			leave, stay := x.sigmoid(), x.negated().sigmoid()
			gain := here.plus(beta.times(x)).minus(e.minus(beta.times(h)))
			dz.set(t*n+i, 0, scale.times(p.at(t*n+i, 0)).times(stay).times(gain))
			e = leave.times(here).plus(stay.times(e))
			h = leave.times(x.negated().softplus()).plus(stay.times(x.softplus().plus(h)))
		}
		loss.set(i, 0, e)
		entropy.set(i, 0, h)
	}
	r.write(o.Loss, loss)
	r.write(o.Entropy, entropy)
	r.write(o.DZ, dz)
}

func exitCases(s *suite) {
	for i, shape := range [][2]int{{1, 1}, {1, 2}, {2, 1}, {3, 4}, {7, 3}, {16, 2}, {33, 6}, {255, 2}, {256, 3}, {257, 4}, {600, 3}, {5, 40}} {
		n, loops := shape[0], shape[1]
		targets := make([]int32, n*trialGroups)
		for j := range targets {
			if targets[j] = int32(s.rng.IntN(9)); j%4 == 3 {
				targets[j] = graph.Ignore
			}
		}
		for variant := range 6 {
			scaled, spread, alone := variant&1 != 0, []float32{1, 8, 200}[variant/2], i%2 == variant%2
			c := s.inBody("%d positions, %d loops, scale=%v, logits of %g, alone=%v", n, loops, scaled, spread, alone)
			z, losses := c.in("Z", n*loops, 1, c.scaled(spread)), c.in("losses", n*loops, 1, c.positive)
			op := &graph.ExitLoss{Z: z, Losses: losses, Targets: c.index(targets), Loss: c.out("loss", n, 1), Entropy: c.out("entropy", n, 1),
				DZ: c.out("DZ", n*loops, 1), Beta: 0.3, Weight: 0.5}
			if scaled {
				op.Scale = c.number(1.0 / 3)
			}
			if alone { // any P will do
				op.P = c.in("P", n*loops, 1, c.positive)
				c.check(op)
				continue
			}
			op.P = c.out("P", n*loops, 1)
			c.check(&graph.Exit{Z: z, Targets: op.Targets, P: op.P}, op)
		}
	}

	// Each group writes its part of an output.
	c := s.inBody("outputs")
	op := &graph.Exit{Z: c.in("Z", 6, 1), Targets: c.index([]int32{0, -1, 1, 4, 0, -1}), P: c.output("P", 6, 1)}
	c.check(op)

	special := func(label string, targets []int32, z, losses []float32) {
		n := len(targets)
		c := s.inBody("%s", label)
		op := &graph.ExitLoss{Z: c.in("Z", len(z), 1, list(z...)), Losses: c.in("losses", len(z), 1, list(losses...)), P: c.out("P", len(z), 1),
			Targets: c.index(append(append([]int32{}, targets...), targets...)), Loss: c.out("loss", n, 1), Entropy: c.out("entropy", n, 1),
			DZ: c.out("DZ", len(z), 1), Beta: 0.05, Weight: 1}
		c.check(&graph.Exit{Z: op.Z, Targets: op.Targets, P: op.P}, op)
	}
	ignore := int32(graph.Ignore)
	special("all ignored", []int32{ignore, ignore}, []float32{1, nan(), 2, 3}, []float32{nan(), 1, 2, 3})
	special("NaN", []int32{0, 1, 2, ignore}, []float32{nan(), 1, 2, nan(), 1, 1, nan(), 1}, []float32{1, nan(), 1, 1, 1, 1, 1, nan()})
	special("certain", []int32{0, 0, 0}, []float32{90, -90, 0, -90, 90, 0, 5, 5, 5}, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9})
	special("beyond exp", []int32{0, 0}, []float32{1e4, -1e4, -3e38, 3e38, 0, 0}, []float32{1, 2, 3, 4, 5, 6})
}
