package cpu

import (
	"coil/backend"
	"coil/backend/cpu/gemm"
)

func (l *lowering) matmul(o *backend.Matmul) kernel {
	a, b, c := l.matrix(o.A), l.matrix(o.B), l.matrix(o.C)
	m, n, k := o.Shape()
	g := l.p.c.gemm
	if o.TransA {
		epilogue := l.epilogueRows(o)
		return once(func(w *worker) {
			g.MulTN(&w.gemm, m, n, k, a.at(w), a.stride, b.at(w), b.stride, c.at(w), c.stride, o.Accumulate)
			if epilogue != nil {
				epilogue(w, 0, m)
			}
		})
	}
	epilogue := l.epilogueRows(o)
	if key, ok := weightOf(l.p.rec, o); ok && !l.inStep {
		pw := l.packs[key]
		if pw == nil {
			pw = &packedWeight{view: o.B, trans: o.TransB, k: k, n: n, memory: aligned(g.PackedLen(k, n))}
			l.packs[key] = pw
			l.p.packed = append(l.p.packed, pw)
		}
		return once(func(w *worker) { mulRows(g, w, &a, pw.data, &c, m, o.Accumulate, epilogue) })
	}
	return once(func(w *worker) { // B changes within the step: it is packed when it is used
		p := g.Pack(w.scratch, o.TransB, k, n, b.at(w), b.stride)
		mulRows(g, w, &a, p, &c, m, o.Accumulate, epilogue)
	})
}

// mulRows multiplies some rows at a time and runs the epilogue on them while they are in the cache.
func mulRows(g *gemm.Kernel, w *worker, a *matrix, b gemm.Packed, c *matrix, m int, accumulate bool, epilogue func(w *worker, lo, hi int)) {
	as, cs, step := a.at(w), c.at(w), g.Rows()
	for i := 0; i < m; i += step {
		hi := min(m, i+step)
		g.Mul(&w.gemm, hi-i, as[i*a.stride:], a.stride, b, cs[i*c.stride:], c.stride, accumulate)
		if epilogue != nil {
			epilogue(w, i, hi)
		}
	}
}

// epilogueRows returns what is to be done to rows [lo,hi) of the product, or nil.
func (l *lowering) epilogueRows(o *backend.Matmul) func(w *worker, lo, hi int) {
	if !o.Bias.Exists() && !o.Residual.Exists() && o.Activation == backend.Identity {
		return nil
	}
	c, bias, pre, residual := l.matrix(o.C), l.matrix(o.Bias), l.matrix(o.Pre), l.matrix(o.Residual)
	v := l.p.c.vec
	f := l.function(o.Activation)
	return func(w *worker, lo, hi int) {
		cs, bs, ps, rs := c.at(w), bias.at(w), pre.at(w), residual.at(w)
		for i := lo; i < hi; i++ {
			y := c.row(cs, i)
			x := y
			if pre.exists() {
				x = pre.row(ps, i)
				if bias.exists() {
					v.Add(x, y, bs[:len(y)], 1, 1)
				} else {
					copy(x, y)
				}
			} else if bias.exists() {
				v.Add(y, y, bs[:len(y)], 1, 1)
			}
			if f != nil {
				f(y, x)
			}
			if residual.exists() {
				v.Add(y, y, residual.row(rs, i), 1, 1)
			}
		}
	}
}

// function returns y = f(x), or nil for the identity.
func (l *lowering) function(a backend.Activation) func(y, x []float32) {
	switch a {
	case backend.GELU:
		return l.p.c.vec.GELU
	case backend.ReLU:
		return func(y, x []float32) {
			for i, v := range x[:len(y)] {
				y[i] = max(v, 0)
			}
		}
	}
	return nil
}

func (l *lowering) activate(o *backend.Activate) kernel {
	x, y := l.matrix(o.X), l.matrix(o.Y)
	flatten(&x, &y)
	f := l.function(o.Activation)
	if f == nil {
		f = func(y, x []float32) { copy(y, x) }
	}
	return once(func(w *worker) {
		xs, ys := x.at(w), y.at(w)
		for i := range y.rows {
			f(y.row(ys, i), x.row(xs, i))
		}
	})
}

func (l *lowering) activateBackward(o *backend.ActivateBackward) kernel {
	x, dy, dx, y := l.matrix(o.X), l.matrix(o.DY), l.matrix(o.DX), l.matrix(o.Y)
	v := l.p.c.vec
	return once(func(w *worker) {
		xs, dys, dxs, ys := x.at(w), dy.at(w), dx.at(w), y.at(w)
		for i := range x.rows {
			xr, dyr, dxr := x.row(xs, i), dy.row(dys, i), dx.row(dxs, i)
			yr := w.scratch[:min(len(w.scratch), x.cols)]
			if y.exists() {
				yr = y.row(ys, i)
			}
			switch o.Activation {
			case backend.GELU:
				v.GELUBackward(dxr, yr, dyr, xr)
			case backend.ReLU:
				for j, a := range xr {
					d := dyr[j]
					if a <= 0 {
						d = 0
					}
					yr[j], dxr[j] = max(a, 0), d
				}
			default:
				copy(yr, xr)
				copy(dxr, dyr)
			}
		}
	})
}

func (l *lowering) swiglu(o *backend.SwiGLU) kernel {
	x, y := l.matrix(o.X), l.matrix(o.Y)
	v := l.p.c.vec
	return once(func(w *worker) {
		xs, ys := x.at(w), y.at(w)
		for i := range y.rows {
			r := x.row(xs, i)
			v.SwiGLU(y.row(ys, i), r[:y.cols], r[y.cols:])
		}
	})
}

func (l *lowering) swigluBackward(o *backend.SwiGLUBackward) kernel {
	x, dy, dx, y := l.matrix(o.X), l.matrix(o.DY), l.matrix(o.DX), l.matrix(o.Y)
	v, f := l.p.c.vec, o.DY.Cols
	return once(func(w *worker) {
		xs, dys, dxs, ys := x.at(w), dy.at(w), dx.at(w), y.at(w)
		for i := range dy.rows {
			yr := w.scratch[:min(len(w.scratch), f)]
			if y.exists() {
				yr = y.row(ys, i)
			}
			r, dr := x.row(xs, i), dx.row(dxs, i)
			v.SwiGLUBackward(dr[:f], dr[f:], yr, dy.row(dys, i), r[:f], r[f:])
		}
	})
}
