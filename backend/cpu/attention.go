package cpu

import (
	"coil/backend/cpu/gemm"
	"coil/backend/cpu/vector"
	"coil/graph"
)

// blockFloats is about how many scores of one head are held at a time, few enough for a core's cache.
const blockFloats = 1 << 16

// tiling is how one head's scores are cut: blocks of rows, each of which sees the columns up to its own end.
type tiling struct {
	length, width int // positions, and the width of a head
	keys          int // that a position may see; length, unless some come from a cache
	rows          int // of a block, a multiple of the matmul's tile
	stride        int // of a row of scores; not a multiple of a memory page
}

func (c *CPU) tiling(width, length, keys int) tiling {
	mr := c.gemm.TileRows()
	stride := round(keys) + 16
	rows := max(1, min((length+mr-1)/mr, blockFloats/stride/mr)) * mr
	return tiling{length, width, keys, rows, stride}
}

// attentionScratch is what both passes need: panels of keys and values both ways, of the block's rows of two matrices,
// two blocks of scores, and three values of each of their rows.
func (c *CPU) attentionScratch(t tiling) (int, gemm.Need) {
	panels := 2*round(c.gemm.PanelLen(t.width, t.keys)) + round(c.gemm.PanelLen(t.keys, t.width)) + round(c.gemm.PanelLen(t.rows, t.width))
	return panels + 2*t.rows*t.stride + round(t.rows) + round(2*t.rows), c.gemm.NeedMul()
}

// round makes room end on a cache line.
func round(n int) int { return (n + 15) / 16 * 16 }

// cut takes n floats from the front of scratch.
func cut(scratch *[]float32, n int) []float32 {
	s := (*scratch)[:n]
	*scratch = (*scratch)[round(n):]
	return s
}

// headParts is a kernel over the heads of sequences that begin length rows apart. Heads that share keys and values are one part, in
// their order, because their gradients are added up.
func headParts(rows, length int, lay graph.HeadLayout, f func(w *worker, seq, head int)) kernel {
	return kernel{parts: rows / length * lay.KVHeads, run: func(w *worker, part int) {
		for h := range lay.Shared() {
			f(w, part/lay.KVHeads*length, part%lay.KVHeads*lay.Shared()+h)
		}
	}}
}

func (l *lowering) attention(o *graph.Attention) kernel {
	qkv, out, logSum := l.matrix(o.QKV), l.matrix(o.Out), l.matrix(o.LogSum)
	c, lay := l.p.c, o.Layout()
	t := c.tiling(lay.Width, o.Length, o.Length)
	return headParts(qkv.rows, o.Length, lay, func(w *worker, seq, h int) {
		x, ls, kv := qkv.at(w)[seq*qkv.stride:], logSum.at(w), lay.KVColumn(h)
		head := forwardHead{q: x[h*t.width:], k: x[lay.Keys()+kv:], v: x[lay.Values()+kv:], ld: qkv.stride, ldK: qkv.stride, ldV: qkv.stride,
			scale: o.Factor(), out: out.at(w)[seq*out.stride+h*t.width:], ldOut: out.stride}
		if ls != nil {
			head.logSum, head.heads = ls[seq*o.Heads+h:], o.Heads
		}
		c.attendHead(w, t, &head)
	}).needs(c.attentionScratch(t))
}

// forwardHead is one head of one sequence.
type forwardHead struct {
	q, k, v      []float32
	ld, ldK, ldV int
	before       int // keys and values before those of the first query
	scale        float32
	out          []float32
	ldOut        int
	logSum       []float32 // every heads-th; may be nil
	chosen       []float32 // of hard attention instead
	heads        int
}

// attendHead is Out = softmax(scale·Q·Kᵀ)·V.
func (c *CPU) attendHead(w *worker, t tiling, h *forwardHead) {
	g, v := c.gemm, c.vec
	mr, nr := g.TileRows(), g.PanelWidth()
	scratch := w.scratch
	count := h.before + t.length
	keys := cut(&scratch, g.PanelLen(t.width, count))
	values := cut(&scratch, g.PanelLen(count, t.width))
	scores := cut(&scratch, t.rows*t.stride)
	shifts, sums := cut(&scratch, t.rows), cut(&scratch, t.rows)
	g.PanelsT(keys, h.k, h.ldK, t.width, count)
	g.Panels(values, h.v, h.ldV, count, t.width)
	for r0 := 0; r0 < t.length; r0 += t.rows {
		r1 := min(t.length, r0+t.rows)
		c.scores(w, t, h.q, h.ld, h.before, keys, r0, r1, scores)
		for i := 0; i < r1-r0; i += mr {
			e := min(r1-r0, i+mr)
			seen := vector.Triangle{N: h.before + r0 + i + 1, Grow: 1}
			shifts, sums := shifts[:e-i], sums[:e-i]
			v.MaxRows(shifts, scores[i*t.stride:], t.stride, seen)
			for r := range shifts {
				shifts[r] *= -h.scale
			}
			v.ExpRows(sums, scores[i*t.stride:], shifts, t.stride, h.scale, seen)
			for r, s := range sums {
				clear(scores[(i+r)*t.stride:][seen.N+r : h.before+r0+e])
				if h.logSum != nil {
					h.logSum[(r0+i+r)*h.heads] = vector.Log(s) - shifts[r]
				}
				sums[r] = 1 / s
			}
			for j := 0; j < t.width; j += nr {
				g.MulPanel(&w.gemm, scores, t.stride, i, e, h.before+r0+e, values[j*count:], nr, min(nr, t.width-j), h.out[r0*h.ldOut+j:], h.ldOut, false)
			}
			v.ScaleRows(h.out[(r0+i)*h.ldOut:], sums, h.ldOut, t.width)
		}
	}
}

// scores is S[r0:r1, 0:before+r1] = Q[r0:r1]·Kᵀ, without the tiles above the diagonal, from panels of Kᵀ.
func (c *CPU) scores(w *worker, t tiling, q []float32, ld, before int, keys []float32, r0, r1 int, s []float32) {
	g := c.gemm
	mr, nr := g.TileRows(), g.PanelWidth()
	for j := 0; j < before+r1; j += nr {
		i := max(0, j-before-r0) / mr * mr
		g.MulPanel(&w.gemm, q[r0*ld:], ld, i, r1-r0, t.width, keys[j*t.width:], nr, min(nr, before+r1-j), s[j:], t.stride, false)
	}
}

func (l *lowering) attentionBackward(o *graph.AttentionBackward) kernel {
	qkv, out, logSum, dout, dqkv := l.matrix(o.QKV), l.matrix(o.Out), l.matrix(o.LogSum), l.matrix(o.DOut), l.matrix(o.DQKV)
	c, lay := l.p.c, o.Layout()
	t := c.tiling(lay.Width, o.Length, o.Length)
	return headParts(qkv.rows, o.Length, lay, func(w *worker, seq, h int) {
		x, dx, kv := qkv.at(w)[seq*qkv.stride:], dqkv.at(w)[seq*dqkv.stride:], lay.KVColumn(h)
		c.attendHeadBackward(w, t, &backwardHead{
			forwardHead: forwardHead{q: x[h*t.width:], k: x[lay.Keys()+kv:], v: x[lay.Values()+kv:], ld: qkv.stride, scale: o.Factor(),
				out: out.at(w)[seq*out.stride+h*t.width:], ldOut: out.stride, logSum: logSum.at(w)[seq*o.Heads+h:], heads: o.Heads},
			dq: dx[h*t.width:], dk: dx[lay.Keys()+kv:], dv: dx[lay.Values()+kv:], ldGrad: dqkv.stride, adds: h%lay.Shared() != 0,
			dout: dout.at(w)[seq*dout.stride+h*t.width:], ldDout: dout.stride,
		})
	}).needs(c.attentionScratch(t))
}

type backwardHead struct {
	forwardHead
	dq, dk, dv []float32
	ldGrad     int
	adds       bool // to dk and dv, to which another head has written
	dout       []float32
	ldDout     int
}

// attendHeadBackward follows the formulas of graph.AttentionBackward, a block of rows of P and DS at a time.
func (c *CPU) attendHeadBackward(w *worker, t tiling, h *backwardHead) {
	g, v := c.gemm, c.vec
	mr, nr := g.TileRows(), g.PanelWidth()
	scratch := w.scratch
	keysT := cut(&scratch, g.PanelLen(t.width, t.length))
	valuesT := cut(&scratch, g.PanelLen(t.width, t.length))
	keys := cut(&scratch, g.PanelLen(t.length, t.width))
	block := cut(&scratch, g.PanelLen(t.rows, t.width))
	p, ds := cut(&scratch, t.rows*t.stride), cut(&scratch, t.rows*t.stride)
	deltas, values := cut(&scratch, t.rows), cut(&scratch, 2*t.rows)
	g.PanelsT(keysT, h.k, h.ld, t.width, t.length)
	g.PanelsT(valuesT, h.v, h.ld, t.width, t.length)
	g.Panels(keys, h.k, h.ld, t.length, t.width)
	for i := 0; i < t.length && !h.adds; i++ {
		clear(h.dk[i*h.ldGrad:][:t.width])
		clear(h.dv[i*h.ldGrad:][:t.width])
	}
	for r0 := 0; r0 < t.length; r0 += t.rows {
		r1 := min(t.length, r0+t.rows)
		c.scores(w, t, h.q, h.ld, 0, keysT, r0, r1, p)
		c.scores(w, t, h.dout, h.ldDout, 0, valuesT, r0, r1, ds)
		deltas, values := deltas[:r1-r0], values[:2*(r1-r0)]
		v.DotRows(deltas, h.dout[r0*h.ldDout:], h.out[r0*h.ldOut:], h.ldDout, h.ldOut, t.width)
		for r, delta := range deltas {
			values[2*r], values[2*r+1] = -h.logSum[(r0+r)*h.heads], delta
		}
		v.SoftmaxBackwardRows(p, ds, t.stride, values, h.scale, vector.Triangle{N: r0 + 1, Grow: 1})
		for r := r0; r < r1; r++ {
			n, end := r+1, min(t.length, (r/mr+1)*mr)
			clear(p[(r-r0)*t.stride:][n:end])
			clear(ds[(r-r0)*t.stride:][n:end])
		}
		for i := 0; i < r1-r0; i += mr {
			e := min(r1-r0, i+mr)
			for j := 0; j < t.width; j += nr {
				g.MulPanel(&w.gemm, ds, t.stride, i, e, r0+e, keys[j*t.length:], nr, min(nr, t.width-j), h.dq[r0*h.ldGrad+j:], h.ldGrad, false)
			}
		}
		g.Panels(block, h.q[r0*h.ld:], h.ld, r1-r0, t.width)
		c.transposed(w, t, ds, block, r0, r1, h.dk, h.ldGrad)
		g.Panels(block, h.dout[r0*h.ldDout:], h.ldDout, r1-r0, t.width)
		c.transposed(w, t, p, block, r0, r1, h.dv, h.ldGrad)
	}
}

// transposed is dst[0:r1] += X[r0:r1, 0:r1]ᵀ·B[r0:r1], X lower triangular, from panels of B.
func (c *CPU) transposed(w *worker, t tiling, x, panels []float32, r0, r1 int, dst []float32, ld int) {
	g := c.gemm
	mr, nr := g.TileRows(), g.PanelWidth()
	k := r1 - r0
	for i := 0; i < r1; i += mr {
		first := max(0, i-r0) // rows above do not see these columns
		for j := 0; j < t.width; j += nr {
			g.MulPanelT(&w.gemm, x[first*t.stride+i:], t.stride, min(mr, r1-i), k-first, panels[j*k+first*nr:], nr, min(nr, t.width-j), dst[i*ld+j:], ld, true)
		}
	}
}
