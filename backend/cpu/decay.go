package cpu

import (
	"math"

	"coil/backend/cpu/gemm"
	"coil/graph"
)

// decayOf writes α and δ of each column, as graph.Decay has them.
func decayOf(alpha, delta, rate, step []float32) {
	for j := range alpha {
		d := softplus(float64(step[j]))
		alpha[j], delta[j] = float32(math.Exp(-d*math.Exp(float64(rate[j])))), float32(d)
	}
}

func (l *lowering) decay(o *graph.Decay) kernel {
	x, u, rate, step, y := l.matrix(o.X), l.matrix(o.U), l.matrix(o.Rate), l.matrix(o.Step), l.matrix(o.Y)
	v, d := l.p.c.vec, o.X.Cols
	return once(func(w *worker) {
		scratch := w.scratch
		alpha, delta, part := cut(&scratch, d), cut(&scratch, d), cut(&scratch, d)
		decayOf(alpha, delta, rate.row(rate.at(w), 0), step.row(step.at(w), 0))
		xs, us, ys := x.at(w), u.at(w), y.at(w)
		for i := range y.rows {
			row := y.row(ys, i)
			v.Multiply(part, u.row(us, i), delta, 1)
			v.Multiply(row, x.row(xs, i), alpha, 1)
			v.Add(row, row, part, 1, 1)
		}
	}).needs(3*round(d), gemm.Need{})
}

func (l *lowering) decayBackward(o *graph.DecayBackward) kernel {
	x, u, rate, step, dy := l.matrix(o.X), l.matrix(o.U), l.matrix(o.Rate), l.matrix(o.Step), l.matrix(o.DY)
	dx, du, drate, dstep := l.matrix(o.DX), l.matrix(o.DU), l.matrix(o.DRate), l.matrix(o.DStep)
	v, d := l.p.c.vec, o.X.Cols
	return once(func(w *worker) {
		scratch := w.scratch
		alpha, delta, part, p, q := cut(&scratch, d), cut(&scratch, d), cut(&scratch, d), cut(&scratch, d), cut(&scratch, d)
		rates, steps := rate.row(rate.at(w), 0), step.row(step.at(w), 0)
		decayOf(alpha, delta, rates, steps)
		clear(p)
		clear(q)
		xs, us, dys, dxs, dus := x.at(w), u.at(w), dy.at(w), dx.at(w), du.at(w)
		for i := range dy.rows {
			g := dy.row(dys, i)
			v.Multiply(part, g, x.row(xs, i), 1)
			v.Add(p, p, part, 1, 1)
			v.Multiply(part, g, u.row(us, i), 1)
			v.Add(q, q, part, 1, 1)
			v.Multiply(du.row(dus, i), g, delta, 1)
			v.Multiply(dx.row(dxs, i), g, alpha, 1)
		}
		dr, ds := drate.row(drate.at(w), 0), dstep.row(dstep.at(w), 0)
		for j := range dr {
			fall := float64(alpha[j]) * math.Exp(float64(rates[j])) * float64(p[j])
			dr[j] -= float32(fall * float64(delta[j]))
			ds[j] += float32((float64(q[j]) - fall) / (1 + math.Exp(-float64(steps[j]))))
		}
	}).needs(5*round(d), gemm.Need{})
}
