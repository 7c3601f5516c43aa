package cpu

import (
	"math"

	"coil/backend/cpu/gemm"
	"coil/graph"
)

// normRows is how many rows are normed at a time: few enough that they stay in the nearest cache from one pass to the next.
const normRows = 32

// runs calls f for each run of rows·parts rows that lie evenly: its first row, and how many there are.
func runs(rows, parts int, f func(first, count int)) {
	if parts > 1 { // those of one row of the matrix
		for i := range rows {
			f(i*parts, parts)
		}
		return
	}
	for i := 0; i < rows; i += normRows {
		f(i, min(normRows, rows-i))
	}
}

func (l *lowering) norm(o *graph.LayerNorm) kernel {
	x, gain, bias, y, stats := l.matrix(o.X), l.matrix(o.Gain), l.matrix(o.Bias), l.matrix(o.Y), l.matrix(o.Stats)
	v, parts := l.p.c.vec, max(o.Parts, 1)
	d, most := x.cols/parts, max(parts, normRows)
	return once(func(w *worker) {
		xs, gs, bs, ys, ss := x.at(w), gain.at(w)[:d], bias.at(w), y.at(w), stats.at(w)
		scratch := w.scratch
		allMeans, allVariances, own := cut(&scratch, most), cut(&scratch, most), cut(&scratch, 2*most)
		runs(x.rows, parts, func(i, n int) {
			means, variances, values := allMeans[:n], allVariances[:n], own[:2*n]
			if ss != nil {
				values = ss[2*i:][:2*n]
			}
			from, stride := part(x, xs, i, parts), apart(x, parts)
			if o.RMS {
				v.DotRows(variances, from, from, stride, stride, d)
				for r := range variances {
					means[r], variances[r] = 0, variances[r]/float32(d)
				}
			} else {
				v.MomentsRows(means, variances, from, stride, d)
			}
			for r, variance := range variances {
				values[2*r], values[2*r+1] = means[r], float32(1/math.Sqrt(float64(variance+o.Eps)))
			}
			v.NormRows(part(y, ys, i, parts), from, gs, bs, values, apart(y, parts), stride, d)
		})
	}).needs(2*round(most)+round(2*most), gemm.Need{})
}

func (l *lowering) normBackward(o *graph.LayerNormBackward) kernel {
	x, gain, stats, dy := l.matrix(o.X), l.matrix(o.Gain), l.matrix(o.Stats), l.matrix(o.DY)
	dx, dgain, dbias := l.matrix(o.DX), l.matrix(o.DGain), l.matrix(o.DBias)
	y, bias := l.matrix(o.Y), l.matrix(o.Bias)
	v, parts := l.p.c.vec, max(o.Parts, 1)
	d, most := x.cols/parts, max(parts, normRows)
	return once(func(w *worker) {
		xs, gs, ss, dys, dxs := x.at(w), gain.at(w)[:d], stats.at(w), dy.at(w), dx.at(w)
		dgs, dbs, ys, bs := dgain.at(w), dbias.at(w), y.at(w), bias.at(w)
		runs(x.rows, parts, func(i, n int) {
			from, stride, values := part(x, xs, i, parts), apart(x, parts), ss[2*i:][:2*n]
			v.NormBackwardRows(part(dx, dxs, i, parts), dgs, dbs, part(dy, dys, i, parts), from, gs, values, w.scratch,
				apart(dx, parts), apart(dy, parts), stride, d, o.RMS, o.Accumulate)
			if ys != nil {
				v.NormRows(part(y, ys, i, parts), from, gs, bs, values, apart(y, parts), stride, d)
			}
		})
	}).needs(6*most, gemm.Need{})
}

// part returns the elements from part i of all rows on. The parts of a row have equal widths.
func part(m matrix, data []float32, i, parts int) []float32 {
	return data[i/parts*m.stride+i%parts*(m.cols/parts):]
}

// apart is how far the rows of a run lie apart.
func apart(m matrix, parts int) int {
	if parts > 1 {
		return m.cols / parts
	}
	return m.stride
}
