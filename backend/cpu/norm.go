package cpu

import (
	"math"

	"coil/graph"
)

func (l *lowering) norm(o *graph.LayerNorm) kernel {
	x, gain, bias, y, stats := l.matrix(o.X), l.matrix(o.Gain), l.matrix(o.Bias), l.matrix(o.Y), l.matrix(o.Stats)
	v, parts := l.p.c.vec, max(o.Parts, 1)
	d := x.cols / parts
	return once(func(w *worker) {
		xs, gs, bs, ys, ss := x.at(w), gain.at(w)[:d], bias.at(w), y.at(w), stats.at(w)
		for i := range x.rows * parts {
			r := part(x, xs, i, parts)
			var mean, variance float32
			if o.RMS {
				variance = v.Dot(r, r) / float32(len(r))
			} else {
				mean, variance = v.Moments(r)
			}
			rstd := float32(1 / math.Sqrt(float64(variance+o.Eps)))
			v.Norm(part(y, ys, i, parts), r, gs, bs, mean, rstd)
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
	v, parts := l.p.c.vec, max(o.Parts, 1)
	d := x.cols / parts
	return once(func(w *worker) {
		xs, gs, ss, dys, dxs := x.at(w), gain.at(w)[:d], stats.at(w), dy.at(w), dx.at(w)
		dgs, dbs, ys, bs := dgain.at(w), dbias.at(w), y.at(w), bias.at(w)
		for i := range x.rows * parts {
			r := part(x, xs, i, parts)
			v.NormBackward(part(dx, dxs, i, parts), dgs, dbs, part(dy, dys, i, parts), r, gs, ss[2*i], ss[2*i+1], o.RMS, o.Accumulate)
			if ys != nil {
				v.Norm(part(y, ys, i, parts), r, gs, bs, ss[2*i], ss[2*i+1])
			}
		}
	})
}

// part returns part i of every row. The parts of a row have equal widths.
func part(m matrix, data []float32, i, parts int) []float32 {
	d := m.cols / parts
	return m.row(data, i/parts)[i%parts*d:][:d]
}
