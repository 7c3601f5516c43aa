package cpu

import (
	"coil/backend/cpu/gemm"
	"coil/graph"
)

func (l *lowering) matmul(o *graph.Matmul) kernel {
	a, b, c := l.matrix(o.A), l.matrix(o.B), l.matrix(o.C)
	m, n, k := o.Shape()
	g := l.p.c.gemm
	epilogue, apart := l.epilogue(o), l.productApart(o)
	scratch := l.matmulScratch(o)
	if l.inUpdate && epilogue == nil && !o.Sums.Exists() {
		return l.spreadMatmul(o)
	}
	if o.TransA {
		return l.weightGradient(o, epilogue, scratch)
	}
	// rows multiplies some rows and runs the epilogue on them while they are in the cache.
	plus := l.plus(o)
	rows := func(w *worker, b gemm.Packed, scratch []float32, lo, end int) {
		if plus != nil {
			plus(w, b, lo, end)
			return
		}
		as, cs, step := a.at(w), c.at(w), g.Rows()
		for i := lo; i < end; i += step {
			hi := min(end, i+step)
			p, ld := cs[i*c.stride:], c.stride
			if apart {
				p, ld = scratch, n
			}
			g.Mul(&w.gemm, hi-i, as[i*a.stride:], a.stride, b, p, ld, o.Accumulate)
			if epilogue != nil {
				epilogue(w, i, hi, p, ld)
			}
		}
	}
	if key, ok := l.weightOf(o); ok {
		pw := l.packs[key]
		if pw == nil {
			pw = &packedWeight{view: o.B, trans: o.TransB, k: k, n: n}
			l.packs[key] = pw
			l.p.packed = append(l.p.packed, pw)
		}
		return l.rowParts(m, g.Rows(), func(w *worker, lo, hi int) { rows(w, pw.data, w.scratch, lo, hi) }).needs(scratch, g.NeedMul())
	}
	return once(func(w *worker) { // B changes within the step: it is packed when it is used
		scratch := w.scratch
		memory := cut(&scratch, g.PackedLen(k, n))
		rows(w, g.Pack(memory, o.TransB, k, n, b.at(w), b.stride), scratch, 0, m)
	}).needs(scratch, g.NeedMul())
}

// partColumns and partRows are about how many columns or rows of C a part of a weight's gradient has at least.
const (
	partColumns = 32
	partRows    = 24
)

// whole rounds n up to a multiple of unit.
func whole(n, unit int) int { return (n + unit - 1) / unit * unit }

// weightGradient is C (+)= Aᵀ·B. Several workers to a lane share the rows or columns of C, whichever there are more of, and with
// the columns the sums of B's columns.
func (l *lowering) weightGradient(o *graph.Matmul, epilogue func(w *worker, lo, hi int, product []float32, ld int), scratch int) kernel {
	a, b, c, sums := l.matrix(o.A), l.matrix(o.B), l.matrix(o.C), l.matrix(o.Sums)
	m, n, k := o.Shape()
	g, v, apart, over := l.p.c.gemm, l.p.c.vec, l.productApart(o), l.writesFirst(o)
	unit, extent := whole(partColumns, g.PanelWidth()), n
	if m > n {
		unit, extent = whole(partRows, g.TileRows()), m
	}
	units := extent / unit
	if parts := min(2*l.team, units); l.team > 1 && parts > 1 && epilogue == nil && !apart {
		at := func(part int) int { // whole units, and the last takes what is left
			if part == parts {
				return extent
			}
			return units * part / parts * unit
		}
		return kernel{parts: parts, run: func(w *worker, part int) {
			lo, hi, add, up := at(part), at(part+1), o.Accumulate && !(over && w.first), gemm.Sums{Add: v.ColumnSums}
			switch {
			case sums.exists() && m <= n:
				up.To = sums.row(sums.at(w), 0)[lo:hi]
			case sums.exists() && part == 0:
				up.To = sums.row(sums.at(w), 0)
			}
			if m > n {
				g.MulTN(&w.gemm, hi-lo, n, k, a.at(w)[lo:], a.stride, b.at(w), b.stride, c.at(w)[lo*c.stride:], c.stride, add, up)
			} else {
				g.MulTN(&w.gemm, m, hi-lo, k, a.at(w), a.stride, b.at(w)[lo:], b.stride, c.at(w)[lo:], c.stride, add, up)
			}
		}}.needs(scratch, g.NeedTN(m, n, k))
	}
	return once(func(w *worker) {
		p, ld := c.at(w), c.stride
		if apart {
			p, ld = w.scratch, n
		}
		up := gemm.Sums{Add: v.ColumnSums}
		if sums.exists() {
			up.To = sums.row(sums.at(w), 0)
		}
		g.MulTN(&w.gemm, m, n, k, a.at(w), a.stride, b.at(w), b.stride, p, ld, o.Accumulate && !(over && w.first), up)
		if epilogue != nil {
			epilogue(w, 0, m, p, ld)
		}
	}).needs(scratch, g.NeedTN(m, n, k))
}

// updateColumns is about how many columns of C a part of a product in the update makes.
const updateColumns = 64

// spreadMatmul is a product in the update: there its parts, which depend on its shape alone, are spread over the workers.
func (l *lowering) spreadMatmul(o *graph.Matmul) kernel {
	a, b, c := l.matrix(o.A), l.matrix(o.B), l.matrix(o.C)
	m, n, k := o.Shape()
	g := l.p.c.gemm
	width := whole(updateColumns, g.PanelWidth())
	part := kernel{parts: (n + width - 1) / width}
	if o.TransA {
		part.run = func(w *worker, part int) {
			lo := part * width
			g.MulTN(&w.gemm, m, min(width, n-lo), k, a.at(w), a.stride, b.at(w)[lo:], b.stride, c.at(w)[lo:], c.stride, o.Accumulate, gemm.Sums{})
		}
		return part.needs(0, g.NeedTN(m, min(width, n), k))
	}
	part.run = func(w *worker, part int) {
		lo := part * width
		from := lo // of B
		if o.TransB {
			from *= b.stride
		}
		packed := g.Pack(w.scratch[:g.PackedLen(k, min(width, n-lo))], o.TransB, k, min(width, n-lo), b.at(w)[from:], b.stride)
		g.Mul(&w.gemm, m, a.at(w), a.stride, packed, c.at(w)[lo:], c.stride, o.Accumulate)
	}
	return part.needs(g.PackedLen(k, min(width, n)), g.NeedMul())
}

// packKey names a packed weight.
type packKey struct {
	view  graph.Tensor
	trans bool
}

// weightOf returns the packed weight that o multiplies with, if its B is a weight or constant. The update has none, because it
// may change the weights.
func (l *lowering) weightOf(o *graph.Matmul) (packKey, bool) {
	s := l.p.rec.Storages()[o.B.Storage-1].Space
	return packKey{o.B, o.TransB}, !l.inUpdate && !o.TransA && (s == graph.Parameter || s == graph.Constant)
}

// productApart reports whether the product needs room of its own: over C it would destroy the residual.
func (l *lowering) productApart(o *graph.Matmul) bool {
	return o.Residual.Exists() && o.Residual == o.C && !l.addsInTile(o)
}

// addsInTile reports whether the matmul's kernel itself adds the bias and the residual to tiles before it stores them.
func (l *lowering) addsInTile(o *graph.Matmul) bool {
	_, _, k := o.Shape()
	adds := o.Bias.Exists() || o.Residual.Exists() && o.Activation == graph.Identity
	return adds && !o.TransA && !o.Accumulate && l.p.c.gemm.OneBlock(k) && !(o.Activation == graph.Identity && o.Pre.Exists()) &&
		!(o.Activation != graph.Identity && o.Residual.Exists())
}

// plus returns the function that multiplies rows [lo,end) of A with B, adds bias and residual, and activates; nil if the kernel does not add.
func (l *lowering) plus(o *graph.Matmul) func(w *worker, b gemm.Packed, lo, end int) {
	if !l.addsInTile(o) {
		return nil
	}
	a, c, bias, pre, residual := l.matrix(o.A), l.matrix(o.C), l.matrix(o.Bias), l.matrix(o.Pre), l.matrix(o.Residual)
	g, f := l.p.c.gemm, l.function(o.Activation)
	to := c
	if pre.exists() {
		to = pre
	}
	return func(w *worker, b gemm.Packed, lo, end int) {
		as, cs, ts, rs, step := a.at(w), c.at(w), to.at(w), residual.at(w), g.Rows()
		plus := gemm.Plus{LD: residual.stride}
		if bias.exists() {
			plus.Bias = bias.at(w)[:c.cols]
		}
		for i := lo; i < end; i += step {
			hi := min(end, i+step)
			if residual.exists() {
				plus.D = rs[i*residual.stride:]
			}
			g.MulPlus(&w.gemm, hi-i, as[i*a.stride:], a.stride, b, ts[i*to.stride:], to.stride, plus)
			switch {
			case f == nil:
			case c.stride == c.cols && to.stride == c.cols: // the rows are one vector
				f(cs[i*c.cols:hi*c.cols], ts[i*c.cols:hi*c.cols])
			default:
				for r := i; r < hi; r++ {
					f(c.row(cs, r), to.row(ts, r))
				}
			}
		}
	}
}

// matmulScratch is the floats of a worker's scratch that matmul takes.
func (l *lowering) matmulScratch(o *graph.Matmul) int {
	m, n, k := o.Shape()
	g, scratch := l.p.c.gemm, 0
	if _, ok := l.weightOf(o); !ok && !o.TransA {
		scratch = round(g.PackedLen(k, n))
	}
	if l.productApart(o) {
		if !o.TransA {
			m = min(m, g.Rows())
		}
		scratch += m * n
	}
	return scratch
}

// epilogue returns the function to apply to rows [lo,hi) of the product, or nil.
func (l *lowering) epilogue(o *graph.Matmul) func(w *worker, lo, hi int, product []float32, ld int) {
	if !o.Bias.Exists() && !o.Residual.Exists() && o.Activation == graph.Identity {
		return nil
	}
	c, bias, pre, residual := l.matrix(o.C), l.matrix(o.Bias), l.matrix(o.Pre), l.matrix(o.Residual)
	v := l.p.c.vec
	f := l.function(o.Activation)
	return func(w *worker, lo, hi int, product []float32, ld int) {
		cs, bs, ps, rs := c.at(w), bias.at(w), pre.at(w), residual.at(w)
		for i := lo; i < hi; i++ {
			y := product[(i-lo)*ld:][:c.cols] // a row of C, unless the product is apart
			x := y
			if pre.exists() {
				x = pre.row(ps, i)
			}
			if bias.exists() {
				v.Add(x, y, bs[:len(y)], 1, 1)
			} else if pre.exists() {
				copy(x, y)
			}
			if f != nil {
				f(y, x)
			}
			if residual.exists() {
				v.Add(c.row(cs, i), y, residual.row(rs, i), 1, 1)
			}
		}
	}
}

// function returns y = f(x), or nil for the identity.
func (l *lowering) function(a graph.Activation) func(y, x []float32) {
	switch a {
	case graph.GELU:
		return l.p.c.vec.GELU
	case graph.ReLU:
		return l.p.c.vec.ReLU
	}
	return nil
}

func (l *lowering) activate(o *graph.Activate) kernel {
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

func (l *lowering) activateBackward(o *graph.ActivateBackward) kernel {
	x, dy, dx, y := l.matrix(o.X), l.matrix(o.DY), l.matrix(o.DX), l.matrix(o.Y)
	v := l.p.c.vec
	return l.rowParts(x.rows, x.rows, func(w *worker, lo, hi int) {
		xs, dys, dxs, ys := x.at(w), dy.at(w), dx.at(w), y.at(w)
		for i := lo; i < hi; i++ {
			xr, dyr, dxr := x.row(xs, i), dy.row(dys, i), dx.row(dxs, i)
			yr := w.scratch[:min(len(w.scratch), x.cols)]
			if y.exists() {
				yr = y.row(ys, i)
			}
			switch o.Activation {
			case graph.GELU:
				v.GELUBackward(dxr, yr, dyr, xr)
			case graph.ReLU:
				v.ReLUBackward(dxr, yr, dyr, xr)
			default:
				copy(yr, xr)
				copy(dxr, dyr)
			}
		}
	}).needs(o.X.Cols, gemm.Need{})
}

func (l *lowering) swiglu(o *graph.SwiGLU) kernel {
	x, y := l.matrix(o.X), l.matrix(o.Y)
	v := l.p.c.vec
	return l.rowParts(y.rows, y.rows, func(w *worker, lo, hi int) {
		xs, ys := x.at(w), y.at(w)
		for i := lo; i < hi; i++ {
			r := x.row(xs, i)
			v.SwiGLU(y.row(ys, i), r[:y.cols], r[y.cols:])
		}
	})
}

func (l *lowering) swigluBackward(o *graph.SwiGLUBackward) kernel {
	x, dy, dx, y := l.matrix(o.X), l.matrix(o.DY), l.matrix(o.DX), l.matrix(o.Y)
	v, f := l.p.c.vec, o.DY.Cols
	return l.rowParts(dy.rows, dy.rows, func(w *worker, lo, hi int) {
		xs, dys, dxs, ys := x.at(w), dy.at(w), dx.at(w), y.at(w)
		for i := lo; i < hi; i++ {
			yr := w.scratch[:min(len(w.scratch), f)]
			if y.exists() {
				yr = y.row(ys, i)
			}
			r, dr := x.row(xs, i), dx.row(dxs, i)
			v.SwiGLUBackward(dr[:f], dr[f:], yr, dy.row(dys, i), r[:f], r[f:])
		}
	}).needs(f, gemm.Need{})
}
