package conformance

import (
	"fmt"

	"coil/graph"
)

func (r *reference) norm(o *graph.LayerNorm) {
	parts := max(o.Parts, 1)
	x, gain, bias := r.read(o.X).cut(parts), r.read(o.Gain), r.read(o.Bias)
	y, stats := newMatrix(x.rows, x.cols), newMatrix(x.rows, 2)
	for i := range x.rows {
		var sum, squares total
		for _, v := range x.row(i) {
			sum.add(v)
		}
		mean := sum.mean()
		if o.RMS {
			mean = exact(0)
		}
		for _, v := range x.row(i) {
			d := v.minus(mean)
			squares.addProduct(d, d)
		}
		rho := exact(1).over(squares.mean().plus(exact(o.Eps)).sqrt())
		stats.set(i, 0, mean)
		stats.set(i, 1, rho)
		for j, v := range x.row(i) {
			h := v.minus(mean).times(rho).times(gain.at(0, j))
			if bias.exists() {
				h = h.plus(bias.at(0, j))
			}
			y.set(i, j, h)
		}
	}
	r.write(o.Y, y.joined(parts))
	r.write(o.Stats, stats.joined(parts))
}

func (r *reference) normBackward(o *graph.LayerNormBackward) {
	parts := max(o.Parts, 1)
	x, gain, stats, dy, bias := r.read(o.X).cut(parts), r.read(o.Gain), r.read(o.Stats).cut(parts), r.read(o.DY).cut(parts), r.read(o.Bias)
	dx, forGain, y := r.read(o.DX).cut(parts), newMatrix(x.rows, x.cols), newMatrix(x.rows, x.cols)
	for i := range x.rows {
		mean, rho := stats.at(i, 0), stats.at(i, 1)
		h, g := make([]num, x.cols), make([]num, x.cols)
		var sumG, sumGH total
		for j := range x.cols {
			h[j] = x.at(i, j).minus(mean).times(rho)
			g[j] = dy.at(i, j).times(gain.at(0, j))
			sumG.add(g[j])
			sumGH.addProduct(g[j], h[j])
			forGain.set(i, j, dy.at(i, j).times(h[j]))
			again := h[j].times(gain.at(0, j))
			if bias.exists() {
				again = again.plus(bias.at(0, j))
			}
			y.set(i, j, again)
		}
		meanG := sumG.mean()
		if o.RMS {
			meanG = exact(0)
		}
		for j := range x.cols {
			d := rho.times(g[j].minus(meanG).minus(h[j].times(sumGH.mean())))
			if o.Accumulate {
				d = d.plus(dx.at(i, j))
			}
			dx.set(i, j, d)
		}
	}
	r.write(o.DX, dx.joined(parts))
	r.write(o.Y, y.joined(parts))
	first := func(int) int { return 0 }
	r.update(o.DGain, func(d matrix) { addRows(d, forGain, first) })
	r.update(o.DBias, func(d matrix) { addRows(d, dy, first) })
}

func normCases(s *suite) {
	for _, rms := range []bool{false, true} {
		name := (&graph.LayerNorm{RMS: rms}).Name()
		for i, shape := range [][2]int{{1, 1}, {2, 2}, {3, 3}, {4, 16}, {5, 17}, {2, 31}, {3, 64}, {7, 100}, {2, 257}, {1, 1030},
			{2, 4099}, {1, 4200}, {1, 5000}, {20, 5}, {20, 129}, {20, 132}, {2060, 3}, {3, 513}, {3, 1028}} {
			n, d := shape[0], shape[1]
			for _, bias := range []bool{false, true} {
				if rms && bias {
					continue
				}
				s.inBoth(fmt.Sprintf("%s [%d,%d] bias=%v", name, n, d, bias), func(c *trial) {
					c.pad = i % 3
					op := graph.LayerNorm{X: c.in("X", n, d), Gain: c.weight("gain", 1, d), Y: c.out("Y", n, d), Eps: 1e-5, RMS: rms}
					if bias {
						op.Bias = c.weight("bias", 1, d)
					}
					c.pad = 0
					stats := op
					stats.Y, stats.Stats = c.out("Y", n, d), c.out("stats", n, 2)
					c.check(&op, &stats)
				})
			}
			for _, accumulate := range []bool{false, true} {
				s.inBoth(fmt.Sprintf("%s backward [%d,%d] accumulate=%v", name, n, d, accumulate), func(c *trial) {
					c.pad = i % 3
					op := &graph.LayerNormBackward{X: c.in("X", n, d), Gain: c.weight("gain", 1, d), DY: c.in("DY", n, d), RMS: rms, Accumulate: accumulate}
					if op.DX = c.out("DX", n, d); accumulate {
						op.DX = c.inOut("DX", n, d)
					}
					if i%2 == 0 {
						op.DGain = c.inOut("DGain", 1, d)
					}
					if i%3 != 1 && !rms {
						op.DBias = c.inOut("DBias", 1, d)
					}
					if i%4 != 0 || accumulate {
						op.Y = c.out("Y", n, d)
						if i%3 != 2 && !rms {
							op.Bias = c.weight("bias", 1, d)
						}
					}
					c.pad = 0
					op.Stats = c.stats(op.X, rms)
					c.check(op)
				})
			}
		}
		for i, shape := range [][3]int{{1, 2, 1}, {3, 4, 5}, {4, 2, 16}, {5, 3, 64}, {2, 2, 130}, {3, 2, 520}, {700, 3, 4}} { // rows, parts, columns of a part
			n, parts, d := shape[0], shape[1], shape[2]
			s.inBoth(fmt.Sprintf("%s of %d parts of [%d,%d]", name, parts, n, d), func(c *trial) {
				c.pad = i % 3
				op := &graph.LayerNorm{X: c.in("X", n, parts*d), Gain: c.weight("gain", 1, d), Y: c.out("Y", n, parts*d), Eps: 1e-5, RMS: rms, Parts: parts}
				back := &graph.LayerNormBackward{X: op.X, Gain: op.Gain, DY: c.in("DY", n, parts*d), RMS: rms, Parts: parts, Accumulate: i%2 == 0}
				if back.DX = c.out("DX", n, parts*d); back.Accumulate {
					back.DX = c.inOut("DX", n, parts*d)
				}
				if i%3 != 0 {
					back.Y = c.out("Y again", n, parts*d)
				}
				c.pad = 0
				op.Stats = c.out("stats", n, 2*parts)
				back.Stats, back.DGain = op.Stats, c.inOut("DGain", 1, d)
				if !rms {
					op.Bias, back.Bias, back.DBias = c.weight("bias", 1, d), graph.Tensor{}, c.inOut("DBias", 1, d)
					if back.Y.Exists() {
						back.Bias = op.Bias
					}
				}
				c.check(op, back)
			})
		}
		c := s.inBody("%s: gradients of parameters", name)
		op := &graph.LayerNormBackward{X: c.in("X", 9, 40), Gain: c.weight("gain", 1, 40), DY: c.in("DY", 9, 40), DX: c.out("DX", 9, 40), RMS: rms,
			DGain: c.sum("DGain", 1, 40)}
		if !rms {
			op.DBias = c.sum("DBias", 1, 40)
		}
		op.Stats = c.stats(op.X, rms)
		c.check(op)

		c = s.inBody("%s in place", name)
		x := c.inOut("X", 3, 50)
		c.check(&graph.LayerNorm{X: x, Gain: c.weight("gain", 1, 50), Y: x, Eps: 1e-6, RMS: rms})

		c = s.inBody("%s far from zero", name)
		far := func() float32 { return 100 + c.normal() }
		c.check(&graph.LayerNorm{X: c.in("X", 3, 50, far), Gain: c.weight("gain", 1, 50), Y: c.out("Y", 3, 50), Eps: 1e-6, RMS: rms})

		c = s.inBody("%s of zeros", name)
		c.check(&graph.LayerNorm{X: c.in("X", 3, 50, always(0)), Gain: c.weight("gain", 1, 50), Y: c.out("Y", 3, 50), Eps: 1e-6, RMS: rms})
	}
}

// stats records the statistics that a norm's gradient needs.
func (c *trial) stats(x graph.Tensor, rms bool) graph.Tensor {
	stats := c.Temporary(x.Rows, 2)
	c.Record(&graph.LayerNorm{X: x, Gain: c.weight("gain", 1, x.Cols), Y: c.Temporary(x.Rows, x.Cols), Stats: stats, Eps: 1e-5, RMS: rms})
	return stats
}
