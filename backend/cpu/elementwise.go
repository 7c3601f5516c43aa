package cpu

import (
	"math"

	"coil/graph"
)

func (l *lowering) fill(o *graph.Fill) kernel {
	y := l.matrix(o.Y)
	flatten(&y)
	return once(func(w *worker) {
		ys := y.at(w)
		for i := range y.rows {
			r := y.row(ys, i)
			for j := range r {
				r[j] = o.Value
			}
		}
	})
}

func (l *lowering) add(o *graph.Add) kernel {
	a, b, y := l.matrix(o.A), l.matrix(o.B), l.matrix(o.Y)
	v := l.p.c.vec
	broadcast := b.exists() && b.rows == 1 && a.rows > 1
	if !b.exists() {
		flatten(&a, &y)
	} else if !broadcast {
		flatten(&a, &b, &y)
	}
	return once(func(w *worker) {
		as, bs, ys := a.at(w), b.at(w), y.at(w)
		for i := range y.rows {
			switch {
			case !b.exists():
				v.Scale(y.row(ys, i), a.row(as, i), o.Alpha)
			case broadcast:
				v.Add(y.row(ys, i), a.row(as, i), b.row(bs, 0), o.Alpha, o.Beta)
			default:
				v.Add(y.row(ys, i), a.row(as, i), b.row(bs, i), o.Alpha, o.Beta)
			}
		}
	})
}

func (l *lowering) columnSums(o *graph.ColumnSums) kernel {
	x, y := l.matrix(o.X), l.matrix(o.Y)
	v := l.p.c.vec
	return once(func(w *worker) {
		xs, ys := x.at(w), y.row(y.at(w), 0)
		if !o.Accumulate {
			clear(ys)
		}
		v.ColumnSums(ys, xs, x.stride, x.rows)
	})
}

// sums are up to three sums over the same elements.
type sums [3]float64

// reduction adds up f over the chunks of two matrices of one shape, in float64 from chunk to chunk. In the update
// each chunk may be another worker's; their sums are added in order, so the bits are the same.
func (l *lowering) reduction(a, b matrix, f func(a, b []float32) sums, put func(w *worker, total sums)) kernel {
	flatten(&a, &b)
	perRow := (a.cols + chunk - 1) / chunk
	n := a.rows * perRow
	partial := func(w *worker, part int) sums {
		i, lo := part/perRow, part%perRow*chunk
		hi := min(a.cols, lo+chunk)
		return f(a.row(a.at(w), i)[lo:hi], b.row(b.at(w), i)[lo:hi])
	}
	if !l.inUpdate {
		return once(func(w *worker) {
			var total sums
			for part := range n {
				total.add(partial(w, part))
			}
			put(w, total)
		})
	}
	partials := make([]sums, n)
	return kernel{parts: n, run: func(w *worker, part int) { partials[part] = partial(w, part) }, end: func(w *worker) {
		var total sums
		for _, s := range partials {
			total.add(s)
		}
		put(w, total)
	}}
}

func (s *sums) add(o sums) {
	for i := range s {
		s[i] += o[i]
	}
}

func (l *lowering) sum(o *graph.Sum) kernel {
	x, y := l.matrix(o.X), l.matrix(o.Y)
	v := l.p.c.vec
	f := func(a, _ []float32) sums { return sums{float64(v.Sum(a))} }
	if o.Squares {
		f = func(a, _ []float32) sums { return sums{float64(v.Dot(a, a))} }
	}
	return l.reduction(x, x, f, func(w *worker, total sums) {
		s := float64(o.Alpha) * total[0]
		ys := y.at(w)
		if o.Accumulate {
			s += float64(ys[0])
		}
		ys[0] = float32(s)
	})
}

func (l *lowering) cosine(o *graph.Cosine) kernel {
	a, b, y, norms := l.matrix(o.A), l.matrix(o.B), l.matrix(o.Y), l.matrix(o.Norms)
	v := l.p.c.vec
	f := func(a, b []float32) sums {
		return sums{float64(v.Dot(a, b)), float64(v.Dot(a, a)), float64(v.Dot(b, b))}
	}
	return l.reduction(a, b, f, func(w *worker, s sums) {
		c := 0.0
		if s[1] > 0 && s[2] > 0 {
			c = float64(o.Alpha) * s[0] / math.Sqrt(s[1]*s[2])
		}
		ys := y.at(w)
		if o.Accumulate {
			c += float64(ys[0])
		}
		ys[0] = float32(c)
		if norms.exists() {
			n := norms.at(w)
			n[0], n[1], n[2] = float32(s[0]), float32(s[1]), float32(s[2])
		}
	})
}

func (l *lowering) cosineBackward(o *graph.CosineBackward) kernel {
	a, b, norms, da, db := l.matrix(o.A), l.matrix(o.B), l.matrix(o.Norms), l.matrix(o.DA), l.matrix(o.DB)
	v := l.p.c.vec
	return once(func(w *worker) {
		n := norms.at(w)
		dot, aa, bb := float64(n[0]), float64(n[1]), float64(n[2])
		if aa == 0 || bb == 0 {
			return
		}
		inv := 1 / math.Sqrt(aa*bb)
		alpha, cos := float64(o.Alpha), dot*inv
		cross, ca, cb := float32(alpha*inv), float32(-alpha*cos/aa), float32(-alpha*cos/bb)
		as, bs, das, dbs := a.at(w), b.at(w), da.at(w), db.at(w)
		for i := range a.rows {
			ar, br, dar, dbr := a.row(as, i), b.row(bs, i), da.row(das, i), db.row(dbs, i)
			v.Add(dar, dar, br, 1, cross)
			v.Add(dar, dar, ar, 1, ca)
			v.Add(dbr, dbr, ar, 1, cross)
			v.Add(dbr, dbr, br, 1, cb)
		}
	})
}
