package cpu

import (
	"coil/backend/cpu/gemm"
	"coil/graph"
)

func (l *lowering) hardAttention(o *graph.HardAttention) kernel {
	qkv, out, chosen := l.matrix(o.QKV), l.matrix(o.Out), l.matrix(o.Chosen)
	c, lay := l.p.c, o.Layout()
	t := c.rowTiling(lay.Width, o.Length, o.Length)
	return once(func(w *worker) {
		xs, ys, cs := qkv.at(w), out.at(w), chosen.at(w)
		for seq := 0; seq < qkv.rows; seq += t.length {
			for h := range o.Heads {
				x, kv := xs[seq*qkv.stride:], lay.KVColumn(h)
				head := forwardHead{q: x[h*t.width:], k: x[lay.Keys()+kv:], v: x[lay.Values()+kv:], ld: qkv.stride, ldK: qkv.stride, ldV: qkv.stride,
					out: ys[seq*out.stride+h*t.width:], ldOut: out.stride}
				if cs != nil {
					head.chosen, head.heads = cs[seq*o.Heads+h:], o.Heads
				}
				c.chooseHead(w, t, &head)
			}
		}
	}).needs(c.choiceScratch(t))
}

// rowTiling is how hard attention cuts a head's scores: blocks of rows, a query each, which see the columns up to their own end.
type rowTiling struct {
	length, width int
	keys          int
	rows          int // of a block, a multiple of the matmul's tile
	stride        int // of a row of scores; not a multiple of a memory page
}

func (c *CPU) rowTiling(width, length, keys int) rowTiling {
	mr := c.gemm.TileRows()
	stride := round(keys) + 16
	rows := max(1, min((length+mr-1)/mr, blockFloats/stride/mr)) * mr
	return rowTiling{length, width, keys, rows, stride}
}

// choiceScratch is panels of keys and a block of scores.
func (c *CPU) choiceScratch(t rowTiling) (int, gemm.Need) {
	return round(c.gemm.PanelLen(t.width, t.keys)) + t.rows*t.stride, c.gemm.NeedMul()
}

// chooseHead copies for each query the value whose key has the largest product with it.
func (c *CPU) chooseHead(w *worker, t rowTiling, h *forwardHead) {
	scratch := w.scratch
	count := h.before + t.length
	keys := cut(&scratch, c.gemm.PanelLen(t.width, count))
	scores := cut(&scratch, t.rows*t.stride)
	c.gemm.PanelsT(keys, h.k, h.ldK, t.width, count)
	for r0 := 0; r0 < t.length; r0 += t.rows {
		r1 := min(t.length, r0+t.rows)
		c.scores(w, t, h.q, h.ld, h.before, keys, r0, r1, scores)
		for r := r0; r < r1; r++ {
			j := newestLargest(scores[(r-r0)*t.stride:][:h.before+r+1])
			copy(h.out[r*h.ldOut:][:t.width], h.v[j*h.ldV:])
			if h.chosen != nil {
				h.chosen[r*h.heads] = float32(j)
			}
		}
	}
}

// scores is S[r0:r1, 0:before+r1] = Q[r0:r1]·Kᵀ, without the tiles above the diagonal, from panels of Kᵀ.
func (c *CPU) scores(w *worker, t rowTiling, q []float32, ld, before int, keys []float32, r0, r1 int, s []float32) {
	g := c.gemm
	mr, nr := g.TileRows(), g.PanelWidth()
	for j := 0; j < before+r1; j += nr {
		i := max(0, j-before-r0) / mr * mr
		g.MulPanel(&w.gemm, q[r0*ld:], ld, i, r1-r0, t.width, keys[j*t.width:], nr, min(nr, before+r1-j), s[j:], t.stride, false)
	}
}

// newestLargest is where the last of the largest scores stands; 0 if all are NaN.
func newestLargest(scores []float32) int {
	best := 0
	for j, s := range scores {
		if s >= scores[best] || scores[best] != scores[best] && s == s {
			best = j
		}
	}
	return best
}

func (l *lowering) hardAttentionBackward(o *graph.HardAttentionBackward) kernel {
	chosen, dout, dqkv := l.matrix(o.Chosen), l.matrix(o.DOut), l.matrix(o.DQKV)
	v, lay := l.p.c.vec, o.Layout()
	return once(func(w *worker) {
		cs, dys, dxs := chosen.at(w), dout.at(w), dqkv.at(w)
		for i := range dqkv.rows {
			clear(dqkv.row(dxs, i))
		}
		for i := range dout.rows {
			dy, first := dout.row(dys, i), i/o.Length*o.Length
			for h := range o.Heads {
				j := first + int(cs[i*o.Heads+h])
				dv := dqkv.row(dxs, j)[lay.Values()+lay.KVColumn(h):][:lay.Width]
				v.Add(dv, dv, dy[h*lay.Width:][:lay.Width], 1, 1)
			}
		}
	})
}
