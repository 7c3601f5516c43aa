package cpu

import (
	"math"

	"coil/graph"
)

// rowwise is a kernel over rows of cols elements, some rows to a part.
func rowwise(rows, cols int, f func(w *worker, lo, hi int)) kernel {
	step := max(1, chunk/cols)
	return kernel{parts: (rows + step - 1) / step, run: func(w *worker, part int) { f(w, part*step, min(rows, (part+1)*step)) }}
}

func (l *lowering) nesterov(o *graph.Nesterov) kernel {
	g, m, u, factor := l.matrix(o.Grad), l.matrix(o.M), l.matrix(o.U), l.matrix(o.By)
	v, b := l.p.c.vec, float64(o.Beta)
	return rowwise(u.rows, u.cols, func(w *worker, lo, hi int) {
		ms, gs, us, f := m.at(w), g.at(w), u.at(w), float64(factorOf(&factor, w))
		for i := lo; i < hi; i++ {
			v.Add(u.row(us, i), m.row(ms, i), g.row(gs, i), float32(b*b), float32((1-b*b)*f))
		}
	})
}

func (l *lowering) normalize(o *graph.Normalize) kernel {
	x, squares, y := l.matrix(o.X), l.matrix(o.Squares), l.matrix(o.Y)
	v := l.p.c.vec
	return rowwise(y.rows, y.cols, func(w *worker, lo, hi int) {
		xs, ys := x.at(w), y.at(w)
		by := float32(1 / (float64(o.Slack)*math.Sqrt(float64(squares.at(w)[0])) + float64(o.Eps)))
		for i := lo; i < hi; i++ {
			v.Scale(y.row(ys, i), x.row(xs, i), by)
		}
	})
}

func (l *lowering) quadratic(o *graph.Quadratic) kernel {
	a, square, y := l.matrix(o.A), l.matrix(o.Square), l.matrix(o.Y)
	v := l.p.c.vec
	return rowwise(y.rows, y.cols, func(w *worker, lo, hi int) {
		as, ss, ys := a.at(w), square.at(w), y.at(w)
		for i := lo; i < hi; i++ {
			row := y.row(ys, i)
			v.Add(row, a.row(as, i), square.row(ss, i), o.C1, o.C2)
			row[i] += o.C0
		}
	})
}

// columnsAtOnce is how many columns a part of neuronScale takes.
const columnsAtOnce = 256

func (l *lowering) neuronScale(o *graph.NeuronScale) kernel {
	x, moments, stats := l.matrix(o.X), l.matrix(o.V), l.matrix(o.Stats)
	v, n, m := l.p.c.vec, o.X.Rows, o.X.Cols
	return kernel{parts: (m + columnsAtOnce - 1) / columnsAtOnce, scratch: columnsAtOnce, run: func(w *worker, part int) {
		lo, hi := part*columnsAtOnce, min(m, (part+1)*columnsAtOnce)
		xs, old, ys := x.at(w), moments.at(w), stats.at(w)
		q, d, r := stats.row(ys, 0)[lo:hi], stats.row(ys, 1)[lo:hi], stats.row(ys, 2)[lo:hi]
		clear(q)
		squares := w.scratch[:hi-lo]
		for i := range n {
			row := x.row(xs, i)[lo:hi]
			v.Multiply(squares, row, row, 1)
			v.Add(q, q, squares, 1, 1)
		}
		for j := range q {
			sum := float64(q[j])
			mean := sum / float64(n)
			by := 1 / (math.Sqrt(float64(o.Beta)*float64(old[lo+j])+(1-float64(o.Beta))*mean) + float64(o.Eps))
			q[j], d[j], r[j] = float32(mean), float32(by), float32(sum*by*by)
		}
	}}
}

func (l *lowering) muon(o *graph.Muon) kernel {
	x, m, by, g := l.matrix(o.X), l.matrix(o.M), l.matrix(o.O), l.matrix(o.Grad)
	factor, columns, squares := l.matrix(o.Factor), l.matrix(o.Columns), l.matrix(o.Squares)
	scalars, v := l.p.scalars, l.p.c.vec
	k := rowwise(x.rows, x.cols, func(w *worker, lo, hi int) {
		f := factorOf(&factor, w)
		if f == 0 {
			return
		}
		xs, ms, os, gs, rate := x.at(w), m.at(w), by.at(w), g.at(w), float64(scalars[o.Rate])
		scale := rate * float64(o.Scale)
		if columns.exists() {
			scale /= max(1e-30, math.Sqrt(float64(squares.at(w)[0])))
		}
		keep := float32(1 - rate*float64(o.Decay))
		for i := lo; i < hi; i++ {
			row, along := x.row(xs, i), by.row(os, i)
			if o.Cautious {
				for j, a := range along {
					if !(a < 0 && row[j] > 0 || a > 0 && row[j] < 0) {
						row[j] *= keep
					}
				}
			}
			if columns.exists() {
				v.Multiply(w.scratch[:x.cols], along, columns.row(columns.at(w), 0), 1)
				along = w.scratch[:x.cols]
			}
			kept := keep
			if o.Cautious {
				kept = 1
			}
			v.Add(row, row, along, kept, float32(-scale))
			v.Add(m.row(ms, i), m.row(ms, i), g.row(gs, i), o.Beta, (1-o.Beta)*f)
		}
	})
	k.scratch = o.X.Cols
	return k
}
