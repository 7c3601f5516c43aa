package cpu

import (
	"coil/backend/cpu/gemm"
	"coil/graph"
)

// segment is part j of a row of parts of width d, or the row itself if it has one part only.
func segment(row []float32, j, d int) []float32 {
	if len(row) == d {
		return row
	}
	return row[j*d : (j+1)*d]
}

func (l *lowering) weigh(o *graph.Weigh) kernel {
	x, weights, residual, y := l.matrix(o.X), l.matrix(o.W), l.matrix(o.Residual), l.matrix(o.Y)
	v, d, parts := l.p.c.vec, o.Width(), o.W.Cols
	if d == 1 && x.cols == y.cols { // elementwise
		if residual.exists() {
			flatten(&x, &weights, &residual, &y)
		} else {
			flatten(&x, &weights, &y)
		}
		return once(func(w *worker) {
			xs, ws, rs, ys := x.at(w), weights.at(w), residual.at(w), y.at(w)
			var product [chunk]float32
			for i := range y.rows {
				xr, wr, yr := x.row(xs, i), weights.row(ws, i), y.row(ys, i)
				if !residual.exists() {
					v.Multiply(yr, xr, wr, o.Alpha)
					continue
				}
				rr := residual.row(rs, i)
				for lo := 0; lo < len(yr); lo += chunk {
					hi := min(len(yr), lo+chunk)
					p := product[:hi-lo]
					v.Multiply(p, xr[lo:hi], wr[lo:hi], o.Alpha)
					v.Add(yr[lo:hi], rr[lo:hi], p, 1, 1)
				}
			}
		})
	}
	return once(func(w *worker) {
		xs, ws, rs, ys := x.at(w), weights.at(w), residual.at(w), y.at(w)
		for i := range y.rows {
			xr, yr := x.row(xs, i), y.row(ys, i)
			for j, weight := range weights.row(ws, i) {
				from, to := segment(xr, j, d), segment(yr, j, d)
				switch {
				case j > 0 && y.cols == d && parts > 1: // a sum of parts
					v.Add(to, to, from, 1, o.Alpha*weight)
				case residual.exists():
					v.Add(to, segment(residual.row(rs, i), j, d), from, 1, o.Alpha*weight)
				default:
					v.Scale(to, from, o.Alpha*weight)
				}
			}
		}
	})
}

func (l *lowering) dots(o *graph.Dots) kernel {
	a, b, y := l.matrix(o.A), l.matrix(o.B), l.matrix(o.Y)
	v, d := l.p.c.vec, o.Width()
	return once(func(w *worker) {
		as, bs, ys := a.at(w), b.at(w), y.at(w)
		var product [chunk]float32
		for i := range y.rows {
			ar, br, yr := a.row(as, i), b.row(bs, i), y.row(ys, i)
			if d == 1 && a.cols == b.cols { // elementwise
				for lo := 0; lo < len(yr); lo += chunk {
					hi := min(len(yr), lo+chunk)
					to := yr[lo:hi]
					if o.Accumulate {
						to = product[:hi-lo]
					}
					v.Multiply(to, ar[lo:hi], br[lo:hi], o.Alpha)
					if o.Accumulate {
						v.Add(yr[lo:hi], yr[lo:hi], to, 1, 1)
					}
				}
				continue
			}
			for j := range yr {
				dot := o.Alpha * v.Dot(segment(ar, j, d), segment(br, j, d))
				if o.Accumulate {
					dot += yr[j]
				}
				yr[j] = dot
			}
		}
	})
}

func (l *lowering) softmax(o *graph.Softmax) kernel {
	x, y := l.matrix(o.X), l.matrix(o.Y)
	v := l.p.c.vec
	return once(func(w *worker) {
		scaled := w.scratch[:x.cols]
		xs, ys := x.at(w), y.at(w)
		for i := range y.rows {
			row := y.row(ys, i)
			v.Scale(scaled, x.row(xs, i), o.Scale)
			total := v.Exp(row, scaled, 1, v.Max(scaled))
			v.Scale(row, row, 1/total)
		}
	}).needs(round(x.cols), gemm.Need{})
}

func (l *lowering) softmaxBackward(o *graph.SoftmaxBackward) kernel {
	y, dy, dx := l.matrix(o.Y), l.matrix(o.DY), l.matrix(o.DX)
	v := l.p.c.vec
	return once(func(w *worker) {
		ys, dys, dxs := y.at(w), dy.at(w), dx.at(w)
		for i := range dx.rows {
			p, g := y.row(ys, i), dy.row(dys, i)
			delta := v.Dot(p, g)
			for j, out := 0, dx.row(dxs, i); j < len(out); j++ {
				out[j] = o.Scale * p[j] * (g[j] - delta)
			}
		}
	})
}
