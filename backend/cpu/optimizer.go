package cpu

import (
	"math"

	"coil/backend/cpu/gemm"
	"coil/backend/cpu/vector"
	"coil/graph"
)

func (l *lowering) clipFactor(o *graph.ClipFactor) kernel {
	squares, norm, factor := l.matrix(o.Squares), l.matrix(o.Norm), l.matrix(o.Factor)
	return once(func(w *worker) {
		n := math.Sqrt(float64(squares.at(w)[0]))
		f := 1.0
		switch {
		case math.IsNaN(n) || math.IsInf(n, 0):
			f = 0
		case o.Max > 0 && n > float64(o.Max):
			f = float64(o.Max) / n
		}
		norm.at(w)[0], factor.at(w)[0] = float32(n), float32(f)
	})
}

// factorOf returns the gradient's factor, 1 if there is none.
func factorOf(m *matrix, w *worker) float32 {
	if !m.exists() {
		return 1
	}
	return m.at(w)[0]
}

func (l *lowering) adamw(o *graph.AdamW) kernel {
	x, g, m, v, factor := l.matrix(o.X), l.matrix(o.Grad), l.matrix(o.M), l.matrix(o.V), l.matrix(o.Factor)
	scalars, kernels := l.p.scalars, l.p.c.vec
	return spread(o.X.Size(), func(w *worker, lo, hi int) {
		f := factorOf(&factor, w)
		if f == 0 {
			return
		}
		kernels.AdamW(x.at(w)[lo:hi], m.at(w)[lo:hi], v.at(w)[lo:hi], g.at(w)[lo:hi], vector.AdamW{
			Rate: scalars[o.Rate], Decay: o.Decay, Beta1: o.Beta1, Beta2: o.Beta2,
			C1: 1 / scalars[o.BiasCorrection1], C2: 1 / scalars[o.BiasCorrection2], Eps: o.Eps, Factor: f})
	})
}

func (l *lowering) average(o *graph.EMA) kernel {
	x, mean, factor := l.matrix(o.X), l.matrix(o.Mean), l.matrix(o.Factor)
	scalars, v := l.p.scalars, l.p.c.vec
	return spread(o.X.Size(), func(w *worker, lo, hi int) {
		if factorOf(&factor, w) == 0 {
			return
		}
		d, y := scalars[o.Decay], mean.at(w)[lo:hi]
		v.Add(y, y, x.at(w)[lo:hi], d, 1-d)
	})
}

func (l *lowering) adafactor(o *graph.Adafactor) kernel {
	x, g, rowV, colV, factor := l.matrix(o.X), l.matrix(o.Grad), l.matrix(o.RowV), l.matrix(o.ColV), l.matrix(o.Factor)
	scalars, v := l.p.scalars, l.p.c.vec
	n, m := x.rows, x.cols
	return once(func(w *worker) {
		f := factorOf(&factor, w)
		if f == 0 {
			return
		}
		xs, gs, cv := x.at(w), g.at(w), colV.at(w)[:m]
		scratch := w.scratch
		rows, cols, u := cut(&scratch, n), cut(&scratch, m), cut(&scratch, m)
		clear(cols)
		for i := range n {
			gr := g.row(gs, i)
			rows[i] = f*f*v.Dot(gr, gr)/float32(m) + o.Eps
			v.Multiply(u, gr, gr, f*f)
			v.Add(cols, cols, u, 1, 1)
		}
		// From here on cols is 1/√ColV, and rows f/√(RowV/mean): the update is their product with the gradient.
		beta := scalars[o.Beta]
		for j, s := range cols {
			cv[j] = beta*cv[j] + (1-beta)*(s/float32(n)+o.Eps)
			cols[j] = float32(1 / math.Sqrt(float64(cv[j])))
		}
		if rowV.exists() {
			rv := rowV.at(w)[:n]
			v.Add(rv, rv, rows, beta, 1-beta)
			mean := float64(v.Sum(rv)) / float64(n)
			for i, r := range rv {
				rows[i] = float32(float64(f) / math.Sqrt(float64(r)/mean))
			}
		} else {
			rows[0] = f
		}
		var uu float64
		for i := range n {
			v.Multiply(u, g.row(gs, i), cols, rows[i])
			uu += float64(v.Dot(u, u))
		}
		rate := float64(scalars[o.Rate])
		step := rate * (1 / max(1, math.Sqrt(uu/float64(n*m))/float64(o.Clip)))
		for i := range n {
			xr := x.row(xs, i)
			v.Multiply(u, g.row(gs, i), cols, rows[i])
			v.Add(xr, xr, u, float32(1-rate*float64(o.Decay)), float32(-step))
		}
	}).needs(round(n)+2*round(m), gemm.Need{})
}
