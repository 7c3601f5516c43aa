package cpu

import (
	"fmt"
	"math"
	"slices"

	"coil/backend/cpu/gemm"
	"coil/graph"
)

// headTiling is how the logits of a head are cut: passes over some of the rows, and within a pass tiles of some of the classes, each
// with a matrix [rows, stride] of its own.
type headTiling struct {
	rows    int // of a pass; the last may have fewer
	columns int // of a tile; the last may have fewer
	tiles   int
	stride  int // of a row of a tile; not a multiple of a memory page
}

const (
	headFloats  = 1 << 25 // the usual [CPU.headFloats]
	headRows    = 256     // of a pass at least, where there are as many: enough to use a weight well: each pass reads all of them, and adds to all their gradients
	headWeights = 3 << 16 // about how many weights there are to a tile: they and a block of logits stay in a core's cache
	headColumns = 512     // classes of a tile at most
)

func (c *CPU) tileHead(h *head) headTiling {
	nr := c.gemm.PanelWidth()
	columns := min(headColumns, max(4*nr, headWeights/h.x.Cols)) / nr * nr
	t := headTiling{columns: columns, tiles: (h.classes() + columns - 1) / columns, stride: round(columns) + 16}
	n := h.x.Rows
	passes := (n + headRows - 1) / headRows
	if most := c.headFloats / (t.tiles * t.stride); most > headRows {
		passes = (n + most - 1) / most
	}
	t.rows = (n + passes - 1) / passes
	return t
}

// logitFloats is the room that the logits of a pass take. Without gradients, no pass keeps them.
func (h *head) logitFloats() int {
	if !h.trains() {
		return 0
	}
	return h.tiles * h.rows * h.stride
}

// headMemory is the scratch of a head.
type headMemory struct {
	weights              []float32 // a packed tile
	block                []float32 // a tile of the gradient of the logits; without gradients, some rows of a tile of logits
	packedX, packedBlock []float32 // for the gradient of the weights
	exp                  []float32 // a row of a tile
	top, factor          []float32 // [tiles, rows]: the largest logit t; the sum of exp(z − t), then the factor of exp(z − t) in the gradient
	z, rowWeight         []float32 // [rows]: the target's logit, the weight of the row's loss
	lead                 []float32 // [rows]: 1 if the target is the first largest of its tile, else 0
}

// headScratch cuts scratch, unless it is nil, and returns how much it takes.
func (c *CPU) headScratch(h *head, scratch []float32) (m headMemory, n int) {
	g, d := c.gemm, h.x.Cols
	take := func(to *[]float32, size int) {
		if scratch != nil {
			*to = cut(&scratch, size)
		}
		n += round(size)
	}
	take(&m.weights, max(g.PackedLen(d, h.columns), g.PackedLen(h.columns, d)))
	take(&m.exp, h.columns)
	take(&m.top, h.tiles*h.rows)
	take(&m.factor, h.tiles*h.rows)
	take(&m.z, h.rows)
	take(&m.rowWeight, h.rows)
	take(&m.lead, h.rows)
	if !h.trains() {
		take(&m.block, min(h.rows, g.Rows())*h.stride)
		return m, n
	}
	take(&m.block, h.rows*h.stride)
	switch {
	case h.dw == nil:
	case h.product.TransB:
		take(&m.packedX, g.PackedLen(h.rows, d))
		take(&m.packedBlock, g.PackedTLen(h.rows, h.columns))
	default:
		take(&m.packedX, g.PackedTLen(h.rows, d))
		take(&m.packedBlock, g.PackedLen(h.rows, h.columns))
	}
	return m, n
}

// head lowers a head. A pass first makes the logits z of its rows, tile by tile, and keeps of each row of a tile the largest, t, the
// exponentials exp(z − t), and their sum. Again tile by tile, the gradient of the logits is those exponentials times a factor
// for each row of a tile, minus one at the target, and is multiplied with at once. So the logits are computed once, and pass
// through memory twice.
func (l *lowering) head(h *head) kernel {
	x, weights, dx, targets := l.matrix(h.x), l.matrix(h.product.B), l.matrix(h.dx), l.index(h.targets)
	logits, losses, correct, rowWeights := l.matrix(h.product.C), l.matrix(h.losses), l.matrix(h.correct), l.matrix(h.rowWeights)
	var dw matrix
	over := false
	if h.dw != nil {
		dw, over = l.matrix(h.dw.C), l.writesFirst(h.dw)
	}
	c, scalars := l.p.c, l.p.scalars
	_, size := c.headScratch(h, nil)
	return once(func(w *worker) {
		all := targets.at(w)
		for i, t := range all {
			if t != graph.Ignore && (t < 0 || int(t) >= h.classes()) {
				w.err = fmt.Errorf("cross-entropy: target %d at position %d of group %d is not one of %d classes", t, i, w.group, h.classes())
				return
			}
		}
		p := headPass{head: h, c: c, gemm: &w.gemm, w: weights.at(w), ldw: weights.stride, ldx: x.stride, scale: h.loss.Weight * scalars[h.loss.Scale],
			dw: dw.at(w), ldDw: dw.stride, ldDx: dx.stride}
		p.headMemory, _ = c.headScratch(h, w.scratch)
		if h.trains() {
			p.logits = logits.at(w)
		}
		for lo := 0; lo < x.rows; lo += h.rows {
			hi := min(x.rows, lo+h.rows)
			p.targets, p.x = all[lo:hi], x.at(w)[lo*x.stride:]
			p.forward()
			for i := range p.targets {
				if rowWeights.exists() {
					p.rowWeight[i] = rowWeights.at(w)[lo+i]
				} else {
					p.rowWeight[i] = 1
				}
				nll, right := p.row(i)
				if losses.exists() {
					losses.at(w)[lo+i] = nll
				}
				if correct.exists() {
					correct.at(w)[lo+i] = right
				}
			}
			if h.trains() {
				p.accumulate = lo > 0 || !(over && w.first)
				if dx.exists() {
					p.dx = dx.at(w)[lo*dx.stride:]
				}
				p.backward()
			}
		}
	}).needs(size, c.gemm.NeedMul())
}

// headPass is a pass of a head.
type headPass struct {
	*head
	headMemory
	c    *CPU
	gemm *gemm.Scratch

	targets    []int32 // of its rows
	x, w       []float32
	dx, dw     []float32 // nil: not wanted
	logits     []float32 // [tiles, rows, stride]; nil without gradients
	ldx, ldw   int
	ldDx, ldDw int
	scale      float32 // of the gradient
	accumulate bool    // add to dw
}

// tile returns the classes of tile t and how its weights begin in w or dw, with rows ld floats apart.
func (p *headPass) tile(t, ld int) (first, classes, at int) {
	first = t * p.columns
	if at = first; p.product.TransB {
		at *= ld
	}
	return first, min(p.columns, p.classes()-first), at
}

// target returns the target of row i, if it is one of the classes from first on, and whether the row has any.
func (p *headPass) target(i, first, classes int) (t int, here, any bool) {
	t = int(p.targets[i])
	return t - first, t >= first && t < first+classes, t != graph.Ignore
}

// forward makes the logits, and what the softmax needs.
func (p *headPass) forward() {
	g, v, rows := p.c.gemm, p.c.vec, len(p.targets)
	for tile := range p.tiles {
		first, classes, at := p.tile(tile, p.ldw)
		packed := g.Pack(p.weights, p.product.TransB, p.head.x.Cols, classes, p.w[at:], p.ldw)
		top, sum := p.top[tile*p.head.rows:], p.factor[tile*p.head.rows:]
		for lo := 0; lo < rows; lo += g.Rows() {
			hi := min(rows, lo+g.Rows())
			z := p.block
			if p.logits != nil {
				z = p.logits[(tile*p.head.rows+lo)*p.stride:]
			}
			g.Mul(p.gemm, hi-lo, p.x[lo*p.ldx:], p.ldx, packed, z, p.stride, false)
			for i := lo; i < hi; i++ {
				t, here, any := p.target(i, first, classes)
				if !any {
					continue
				}
				row := z[(i-lo)*p.stride:][:classes]
				exp := row
				if p.softCap > 0 {
					v.SoftCap(row, row, p.softCap)
					exp = p.exp[:classes] // the gradient of the cap needs the logits
				}
				top[i] = v.Max(row)
				if here {
					p.z[i], p.lead[i] = row[t], 0
					if row[t] == top[i] && !slices.Contains(row[:t], row[t]) {
						p.lead[i] = 1
					}
				}
				sum[i] = v.Exp(exp, row, 1, top[i])
			}
		}
	}
}

// row returns the loss of row i and whether its target is the first largest, and makes the factors of its gradient.
func (p *headPass) row(i int) (nll, right float32) {
	t, _, any := p.target(i, 0, p.classes())
	if !any {
		return 0, 0
	}
	top, at := math.Inf(-1), t/p.columns
	leads := p.lead[i] == 1
	for tile := range p.tiles {
		x := p.top[tile*p.head.rows+i]
		top = max(top, float64(x))
		leads = leads && (x < p.z[i] || x == p.z[i] && tile >= at)
	}
	var sum float64
	for tile := range p.tiles {
		j := tile*p.head.rows + i
		sum += float64(p.factor[j]) * math.Exp(float64(p.top[j])-top)
	}
	scale := float64(p.scale*p.rowWeight[i]) / sum
	for tile := range p.tiles {
		j := tile*p.head.rows + i
		p.factor[j] = float32(scale * math.Exp(float64(p.top[j])-top))
	}
	if leads && !math.IsNaN(sum) {
		right = 1
	}
	return float32(math.Log(sum) + top - float64(p.z[i])), right
}

// backward makes the gradients.
func (p *headPass) backward() {
	g, v, rows, width := p.c.gemm, p.c.vec, len(p.targets), p.head.x.Cols
	var left gemm.PackedT // of the product that is the gradient of the weights
	var right gemm.Packed
	switch {
	case p.dw == nil:
	case p.product.TransB:
		right = g.Pack(p.packedX, false, rows, width, p.x, p.ldx)
	default:
		left = g.PackT(p.packedX, rows, width, p.x, p.ldx)
	}
	for tile := range p.tiles {
		first, classes, at := p.tile(tile, p.ldw)
		var packed gemm.Packed
		if p.dx != nil {
			packed = g.Pack(p.weights, !p.product.TransB, classes, width, p.w[at:], p.ldw)
		}
		for lo := 0; lo < rows; lo += g.Rows() {
			hi := min(rows, lo+g.Rows())
			for i := lo; i < hi; i++ {
				t, here, any := p.target(i, first, classes)
				d, j := p.block[i*p.stride:][:classes], tile*p.head.rows+i
				if !any {
					clear(d)
					continue
				}
				z := p.logits[j*p.stride:][:classes]
				if p.softCap > 0 {
					v.Exp(d, z, 1, p.top[j])
					v.Scale(d, d, p.factor[j])
				} else {
					v.Scale(d, z, p.factor[j])
				}
				if here {
					d[t] -= p.scale * p.rowWeight[i]
				}
				if p.softCap > 0 {
					v.SoftCapBackward(d, d, z, p.softCap)
				}
			}
			if p.dx != nil {
				g.Mul(p.gemm, hi-lo, p.block[lo*p.stride:], p.stride, packed, p.dx[lo*p.ldDx:], p.ldDx, tile > 0)
			}
		}
		_, _, at = p.tile(tile, p.ldDw)
		switch {
		case p.dw == nil:
			continue
		case p.product.TransB:
			left = g.PackT(p.packedBlock, rows, classes, p.block, p.stride)
		default:
			right = g.Pack(p.packedBlock, false, rows, classes, p.block, p.stride)
		}
		g.MulPackedTN(p.gemm, left, right, p.dw[at:], p.ldDw, p.accumulate)
	}
}
