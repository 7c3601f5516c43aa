package cpu

import (
	"math"

	"coil/backend/cpu/gemm"
	"coil/graph"
)

// blockFloats is about how many scores of one head are held at a time, few enough for a core's cache; blockKeys is the keys of a block in
// the backward pass, a multiple of its queries.
const (
	blockFloats = 1 << 16
	blockKeys   = 256
)

// tiling is how one head's scores are cut. They are held transposed, a column for each query, so that what softmax does for a query
// is done for a register of them at once. Strips of queries see the keys up to their own end; blocks of strips are held at a time.
type tiling struct {
	length, width int // positions, and the width of a head
	keys          int // of a block; in the forward pass all that a position may see
	strip         int // queries of a strip
	tile          int // rows of a tile of the matmul on the diagonal; they divide a unit, or the last is smaller
	unit          int // queries whose tiles on the diagonal are one product: a strip, or a block if tiles divide strips
	block         int // queries of a block, whole strips
	stride        int // of a row of scores; not a multiple of a memory page
}

// stripQueries is how many queries a strip has at most, no fewer than a register has lanes: what a strip computes above the diagonal is lost.
const stripQueries = 16

// fewPositions is the length up to which a product for each strip costs more than tiles so low that they divide a strip.
const fewPositions = 255

// copiedKeys is from how many keys on they are copied to lie close together: in the rows of Q, K and V they compete for few sets of the
// caches.
const copiedKeys = 128

func (c *CPU) tiling(width, length, keys int) tiling {
	strip, rows := min(c.gemm.PanelWidth(), stripQueries), c.gemm.TileRows()
	block := min(whole(length, strip), max(1, blockFloats/keys/strip)*strip)
	tiles := (strip + rows - 1) / rows
	t := tiling{length: length, width: width, keys: keys, strip: strip, block: block, stride: round(block) | 16, tile: (strip + tiles - 1) / tiles, unit: strip}
	for length <= fewPositions && strip%t.tile > 0 {
		t.tile--
	}
	if strip%t.tile == 0 {
		t.unit = block
	}
	return t
}

// forwardScratch is what attendHead needs: keys, values in panels, a strip of queries, a block of scores, and two values of each query.
func (c *CPU) forwardScratch(t tiling) (int, gemm.Need) {
	g := c.gemm
	panels := round(t.keys*t.width) + round(g.PanelLen(t.keys, t.width)) + round(g.PanelLen(t.width, t.strip))
	return panels + round(t.keys*t.stride) + round(t.strip) + round(t.block), g.NeedMul()
}

// backwardScratch is what attendHeadBackward needs: all keys twice, a block of queries and of gradients twice, two blocks of scores, and two
// values of each query.
func (c *CPU) backwardScratch(t tiling) (int, gemm.Need) {
	g := c.gemm
	panels := 2*round(t.length*t.width) + round(g.PanelLen(t.length, t.width)) + 2*round(t.block/t.strip*g.PanelLen(t.width, t.strip)) + 2*round(g.PanelLen(t.block, t.width))
	return panels + 2*round(t.keys*t.stride) + 2*round(t.block), g.NeedMul()
}

// round makes room end on a cache line.
func round(n int) int { return whole(n, 16) }

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
	}).needs(c.forwardScratch(t))
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
	scratch := w.scratch
	count := h.before + t.length
	keys, ldK := closeRows(&scratch, h.k, h.ldK, count, t.width)
	values := c.panels(&scratch, h.v, h.ldV, count, t.width)
	queries := cut(&scratch, g.PanelLen(t.width, t.strip))
	all := cut(&scratch, t.keys*t.stride)
	shifts, allSums := cut(&scratch, t.strip), cut(&scratch, t.block)
	for r0 := 0; r0 < t.length; r0 += t.block {
		r1 := min(t.length, r0+t.block)
		for q0 := r0; q0 < r1; q0 += t.strip {
			q1 := min(r1, q0+t.strip)
			n, at, seen := q1-q0, q0-r0, h.before+q1
			p, shifts, sums := all[at:], shifts[:n], allSums[at:][:n]
			g.PanelsT(queries, h.q[q0*h.ld:], h.ld, t.width, n)
			g.MulPanel(&w.gemm, keys, ldK, 0, seen, t.width, queries, g.PanelWidth(), n, p, t.stride, false)
			aboveDiagonal(p, t.stride, seen-n, n)
			v.MaxColumns(shifts, p, t.stride, seen)
			v.Scale(shifts, shifts, -h.scale)
			v.ExpColumns(sums, p, shifts, t.stride, seen, h.scale)
			t.aboveDiagonalOfTiles(p, seen-n, n)
			v.LogSums(shifts, sums, shifts)
			if h.logSum != nil {
				for i, s := range shifts {
					h.logSum[(q0+i)*h.heads] = s
				}
			}
		}
		c.mulDiagonal(w, t, all, h.before+r0, r1-r0, values, h.out[r0*h.ldOut:], h.ldOut, false)
		v.ScaleRows(h.out[r0*h.ldOut:], allSums[:r1-r0], h.ldOut, t.width)
	}
}

var minusInfinity = float32(math.Inf(-1))

// aboveDiagonal sets what is above the diagonal of n columns of p to -∞: queries from number first on do not see later keys.
func aboveDiagonal(p []float32, stride, first, n int) {
	four := [4]float32{minusInfinity, minusInfinity, minusInfinity, minusInfinity} // a register
	for i := 1; i < n; i++ {
		r := p[(first+i)*stride:][:i]
		for ; len(r) >= 4; r = r[4:] {
			*(*[4]float32)(r) = four
		}
		for j := range r {
			r[j] = minusInfinity
		}
	}
}

// aboveDiagonalOfTiles sets what is above the diagonal in a tile of the product to 0; products leave out the rest.
func (t *tiling) aboveDiagonalOfTiles(p []float32, first, n int) {
	for i := 0; i < n; i += t.tile {
		for r := i + 1; r < min(i+t.tile, n); r++ {
			above := p[(first+r)*t.stride+i:][:r-i]
			for j := range above {
				above[j] = 0
			}
		}
	}
}

// closeRows returns count rows of x of a width, copied if they are many, and how far they lie apart.
func closeRows(scratch *[]float32, x []float32, ld, count, width int) ([]float32, int) {
	if count < copiedKeys {
		return x, ld
	}
	rows := cut(scratch, count*width)
	for i := range count {
		copy(rows[i*width:][:width], x[i*ld:])
	}
	return rows, width
}

// panels are columns of a matrix as a product takes them: packed, or where they are.
type panels struct {
	data   []float32
	ld     int // from row to row
	column int // from column to column of the matrix, for the first of a panel
}

// panels returns rows of x as panels. They stay where they are if they are few and registers hold them.
func (c *CPU) panels(scratch *[]float32, x []float32, ld, rows, width int) panels {
	if rows < copiedKeys && c.gemm.InPlace(width) {
		return panels{x, ld, 1}
	}
	p := cut(scratch, c.gemm.PanelLen(rows, width))
	c.gemm.Panels(p, x, ld, rows, width)
	return panels{p, c.gemm.PanelWidth(), rows}
}

// at is the panel that begins at a column, from a row on.
func (p panels) at(column, row int) []float32 { return p.data[column*p.column+row*p.ld:] }

// from is the panels' rows from number row on.
func (p panels) from(row int) panels { return panels{p.data[row*p.ld:], p.ld, p.column} }

// mulDiagonal is dst[0:m] (+)= X[0:k+m, 0:m]ᵀ·B, X a block whose last rows, from k on, are upper triangular.
func (c *CPU) mulDiagonal(w *worker, t tiling, x []float32, k, m int, b panels, dst []float32, ld int, adds bool) {
	nr := c.gemm.PanelWidth()
	for i := 0; i < m; i += t.unit {
		for j := 0; j < t.width; j += nr {
			c.gemm.MulRising(&w.gemm, x[i:], t.stride, min(t.unit, m-i), k+i, t.tile, b.at(j, 0), b.ld, min(nr, t.width-j), dst[i*ld+j:], ld, adds)
		}
	}
}

func (l *lowering) attentionBackward(o *graph.AttentionBackward) kernel {
	qkv, out, logSum, dout, dqkv := l.matrix(o.QKV), l.matrix(o.Out), l.matrix(o.LogSum), l.matrix(o.DOut), l.matrix(o.DQKV)
	c, lay := l.p.c, o.Layout()
	t := c.tiling(lay.Width, o.Length, min(o.Length, blockKeys))
	return headParts(qkv.rows, o.Length, lay, func(w *worker, seq, h int) {
		x, dx, kv := qkv.at(w)[seq*qkv.stride:], dqkv.at(w)[seq*dqkv.stride:], lay.KVColumn(h)
		c.attendHeadBackward(w, t, &backwardHead{
			forwardHead: forwardHead{q: x[h*t.width:], k: x[lay.Keys()+kv:], v: x[lay.Values()+kv:], ld: qkv.stride, scale: o.Factor(),
				out: out.at(w)[seq*out.stride+h*t.width:], ldOut: out.stride, logSum: logSum.at(w)[seq*o.Heads+h:], heads: o.Heads},
			dq: dx[h*t.width:], dk: dx[lay.Keys()+kv:], dv: dx[lay.Values()+kv:], ldGrad: dqkv.stride, adds: h%lay.Shared() != 0,
			dout: dout.at(w)[seq*dout.stride+h*t.width:], ldDout: dout.stride,
		})
	}).needs(c.backwardScratch(t))
}

type backwardHead struct {
	forwardHead
	dq, dk, dv []float32
	ldGrad     int
	adds       bool // to dk and dv, to which another head has written
	dout       []float32
	ldDout     int
}

// attendHeadBackward follows the formulas of graph.AttentionBackward, with P and DS transposed, by blocks of keys and of queries.
func (c *CPU) attendHeadBackward(w *worker, t tiling, h *backwardHead) {
	g, v := c.gemm, c.vec
	scratch := w.scratch
	keys, ldK := closeRows(&scratch, h.k, h.ld, t.length, t.width)
	values, ldV := closeRows(&scratch, h.v, h.ld, t.length, t.width)
	keyPanels := c.panels(&scratch, h.k, h.ld, t.length, t.width)
	strip := g.PanelLen(t.width, t.strip)
	queriesT, doutsT := cut(&scratch, t.block/t.strip*strip), cut(&scratch, t.block/t.strip*strip)
	p, ds := cut(&scratch, t.keys*t.stride), cut(&scratch, t.keys*t.stride)
	allShifts, allDeltas := cut(&scratch, t.block), cut(&scratch, t.block)
	for r0 := 0; r0 < t.length; r0 += t.block {
		r1 := min(t.length, r0+t.block)
		shifts, deltas := allShifts[:r1-r0], allDeltas[:r1-r0]
		for i := range shifts {
			shifts[i] = -h.logSum[(r0+i)*h.heads]
		}
		v.DotRows(deltas, h.dout[r0*h.ldDout:], h.out[r0*h.ldOut:], h.ldDout, h.ldOut, t.width)
		for at := 0; at < r1-r0; at += t.strip {
			n := min(r1-r0-at, t.strip)
			g.PanelsT(queriesT[at/t.strip*strip:], h.q[(r0+at)*h.ld:], h.ld, t.width, n)
			g.PanelsT(doutsT[at/t.strip*strip:], h.dout[(r0+at)*h.ldDout:], h.ldDout, t.width, n)
		}
		block := scratch
		queries, douts := c.panels(&block, h.q[r0*h.ld:], h.ld, r1-r0, t.width), c.panels(&block, h.dout[r0*h.ldDout:], h.ldDout, r1-r0, t.width)
		for k0 := 0; k0 < r1; k0 += t.keys {
			k1 := min(r1, k0+t.keys)
			for at := 0; at < r1-r0; at += t.strip {
				n := min(r1-r0-at, t.strip)
				seen := min(k1, r0+at+n) - k0
				g.MulPanel(&w.gemm, keys[k0*ldK:], ldK, 0, seen, t.width, queriesT[at/t.strip*strip:], g.PanelWidth(), n, p[at:], t.stride, false)
				g.MulPanel(&w.gemm, values[k0*ldV:], ldV, 0, seen, t.width, doutsT[at/t.strip*strip:], g.PanelWidth(), n, ds[at:], t.stride, false)
				v.SoftmaxBackwardColumns(p[at:], ds[at:], shifts[at:][:n], deltas[at:][:n], t.stride, seen, h.scale)
				if k1 == r1 {
					t.aboveDiagonalOfTiles(p[at:], seen-n, n)
					t.aboveDiagonalOfTiles(ds[at:], seen-n, n)
				}
			}
			dq, seenByAll := h.dq[r0*h.ldGrad:], min(k1, r0)-k0
			if k1 == r1 {
				c.mulDiagonal(w, t, ds, seenByAll, r1-r0, keyPanels.from(k0), dq, h.ldGrad, k0 > 0)
			} else {
				for j := 0; j < t.width; j += g.PanelWidth() {
					g.MulPanelT(&w.gemm, ds, t.stride, r1-r0, k1-k0, keyPanels.at(j, k0), keyPanels.ld, min(g.PanelWidth(), t.width-j), dq[j:], h.ldGrad, k0 > 0)
				}
			}
			c.mulTriangle(w, t, ds, queries, seenByAll, k1-k0, r1-r0, h.dk[k0*h.ldGrad:], h.ldGrad, h.adds)
			c.mulTriangle(w, t, p, douts, seenByAll, k1-k0, r1-r0, h.dv[k0*h.ldGrad:], h.ldGrad, h.adds)
		}
	}
}

// mulTriangle is dst[0:rows] += X[0:rows, 0:k]·B[0:k], the rows of X from number full on upper triangular. It writes those of dst over, unless it
// adds to them too.
func (c *CPU) mulTriangle(w *worker, t tiling, x []float32, b panels, full, rows, k int, dst []float32, ld int, adds bool) {
	g := c.gemm
	nr := g.PanelWidth()
	for j := 0; j < t.width; j += nr {
		n := min(nr, t.width-j)
		if full > 0 {
			g.MulPanel(&w.gemm, x, t.stride, 0, full, k, b.at(j, 0), b.ld, n, dst[j:], ld, true)
		}
		for i := full; i < rows; i += t.unit { // of keys, which queries before them do not see
			g.MulFalling(&w.gemm, x[i*t.stride+i-full:], t.stride, min(t.unit, rows-i), rows-i, t.tile, b.at(j, i-full), b.ld, n, dst[i*ld+j:], ld, adds)
		}
	}
}
