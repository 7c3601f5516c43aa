package cpu

import (
	"math"

	"coil/graph"
)

func (l *lowering) norm(o *graph.LayerNorm) kernel {
	x, gain, bias, y, stats := l.matrix(o.X), l.matrix(o.Gain), l.matrix(o.Bias), l.matrix(o.Y), l.matrix(o.Stats)
	v := l.p.c.vec
	return once(func(w *worker) {
		xs, gs, bs, ys, ss := x.at(w), gain.at(w)[:x.cols], bias.at(w), y.at(w), stats.at(w)
		for i := range x.rows {
			r := x.row(xs, i)
			var mean, variance float32
			if o.RMS {
				variance = v.Dot(r, r) / float32(len(r))
			} else {
				mean, variance = v.Moments(r)
			}
			rstd := float32(1 / math.Sqrt(float64(variance+o.Eps)))
			v.Norm(y.row(ys, i), r, gs, bs, mean, rstd)
			if ss != nil {
				ss[2*i], ss[2*i+1] = mean, rstd
			}
		}
	})
}

func (l *lowering) normBackward(o *graph.LayerNormBackward) kernel {
	x, gain, stats, dy := l.matrix(o.X), l.matrix(o.Gain), l.matrix(o.Stats), l.matrix(o.DY)
	dx, dgain, dbias := l.matrix(o.DX), l.matrix(o.DGain), l.matrix(o.DBias)
	y, bias := l.matrix(o.Y), l.matrix(o.Bias)
	v := l.p.c.vec
	return once(func(w *worker) {
		xs, gs, ss, dys, dxs := x.at(w), gain.at(w)[:x.cols], stats.at(w), dy.at(w), dx.at(w)
		dgs, dbs, ys, bs := dgain.at(w), dbias.at(w), y.at(w), bias.at(w)
		for i := range x.rows {
			v.NormBackward(dx.row(dxs, i), dgs, dbs, dy.row(dys, i), x.row(xs, i), gs, ss[2*i], ss[2*i+1], o.RMS, o.Accumulate)
			if ys != nil {
				v.Norm(y.row(ys, i), x.row(xs, i), gs, bs, ss[2*i], ss[2*i+1])
			}
		}
	})
}
