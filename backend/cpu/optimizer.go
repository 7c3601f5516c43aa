package cpu

import (
	"math"

	"coil/backend"
	"coil/backend/cpu/vector"
)

func (l *lowering) clipFactor(o *backend.ClipFactor) kernel {
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

func (l *lowering) adamw(o *backend.AdamW) kernel {
	x, g, m, v, factor := l.matrix(o.X), l.matrix(o.Grad), l.matrix(o.M), l.matrix(o.V), l.matrix(o.Factor)
	scalars, kernels := l.p.scalars, l.p.c.vec
	return spread(o.X.Size(), func(w *worker, lo, hi int) {
		f := factorOf(&factor, w)
		if f == 0 {
			return
		}
		kernels.AdamW(x.at(w)[lo:hi], m.at(w)[lo:hi], v.at(w)[lo:hi], g.at(w)[lo:hi], vector.AdamW{
			Rate: scalars[o.Rate], Decay: o.Decay, Beta1: o.Beta1, Beta2: o.Beta2,
			C1: 1 / scalars[o.Correct1], C2: 1 / scalars[o.Correct2], Eps: o.Eps, Factor: f})
	})
}

func (l *lowering) average(o *backend.Average) kernel {
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

func (l *lowering) adafactor(o *backend.Adafactor) kernel {
	x, g, rowV, colV, factor := l.matrix(o.X), l.matrix(o.Grad), l.matrix(o.RowV), l.matrix(o.ColV), l.matrix(o.Factor)
	scalars := l.p.scalars
	n, m := x.rows, x.cols
	rows, cols := make([]float64, n), make([]float64, m)
	return once(func(w *worker) {
		f := float64(factorOf(&factor, w))
		if f == 0 {
			return
		}
		xs, gs, cv := x.at(w), g.at(w), colV.at(w)[:m]
		clear(rows)
		clear(cols)
		var xx float64
		for i := range n {
			xr := x.row(xs, i)
			for j, d := range g.row(gs, i) {
				s := f*float64(d)*f*float64(d) + float64(o.Eps)
				rows[i] += s
				cols[j] += s
				xx += float64(xr[j]) * float64(xr[j])
			}
		}
		beta := float64(scalars[o.Beta])
		for j := range cv {
			cv[j] = float32(beta*float64(cv[j]) + (1-beta)*cols[j]/float64(n))
		}
		mean := 1.0
		if rowV.exists() {
			mean = 0
			rv := rowV.at(w)[:n]
			for i := range rv {
				rv[i] = float32(beta*float64(rv[i]) + (1-beta)*rows[i]/float64(m))
				mean += float64(rv[i])
			}
			mean /= float64(n)
		}
		update := func(i, j int, d float32) float64 {
			v := float64(cv[j])
			if rowV.exists() {
				v *= float64(rowV.at(w)[i]) / mean
			}
			return f * float64(d) / math.Sqrt(v)
		}
		var uu float64
		for i := range n {
			for j, d := range g.row(gs, i) {
				u := update(i, j, d)
				uu += u * u
			}
		}
		size := float64(n * m)
		rate, alpha := float64(scalars[o.Rate]), 1.0
		if o.ScaleByParameter {
			alpha = max(float64(o.Floor), math.Sqrt(xx/size))
		}
		alpha /= max(1, math.Sqrt(uu/size)/float64(o.Clip))
		for i := range n {
			xr := x.row(xs, i)
			for j, d := range g.row(gs, i) {
				xr[j] -= float32(rate * (alpha*update(i, j, d) + float64(o.Decay)*float64(xr[j])))
			}
		}
	})
}
