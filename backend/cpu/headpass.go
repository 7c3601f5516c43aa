package cpu

import (
	"math"
	"slices"

	"coil/backend/cpu/gemm"
	"coil/graph"
)

// headPass is a pass of a head in the hands of one worker.
type headPass struct {
	*loweredHead
	headShared
	headScratch
	lane *headLane
	gemm *gemm.Scratch

	targets             []int32   // of its rows
	x, dx               []float32 // the state and its gradient, from the first row on
	w, dw               []float32
	nll, right, weights []float32 // of each row: the loss, whether the target is the first largest, the weight of the loss
	scale               float32   // of the gradient
	accumulate          bool      // add to dw
}

// begin returns the pass that begins with row first.
func (h *loweredHead) begin(w *worker, first int) headPass {
	from := func(m *matrix) []float32 {
		if !m.exists() {
			return nil
		}
		return m.at(w)[first*m.stride:]
	}
	begun := !w.first // others have written the gradient of the weights
	if h.turns != nil {
		begun = w.group > 0
	}
	p := headPass{loweredHead: h, lane: &h.lanes[w.lane.number], gemm: &w.gemm, targets: h.classOf.at(w)[first:min(h.x.Rows, first+h.rows)],
		x: from(&h.state), dx: from(&h.dstate), w: h.weight.at(w), dw: h.dweight.at(w),
		nll: from(&h.loss), right: from(&h.correct), weights: from(&h.rowWeight),
		scale: h.head.loss.Weight * h.scalars[h.head.loss.Scale], accumulate: first > 0 || !h.over || begun}
	p.headShared, _ = h.sharedOf(h.g, room{memory: h.memory.at(w)})
	p.headScratch, _ = h.scratchOf(h.g, h.alone, room{memory: w.scratch})
	return p
}

// tile returns the classes of a tile.
func (h *head) tile(t int) (first, classes int) {
	first = t * h.columns
	return first, min(h.columns, h.classes()-first)
}

// at is where the weight of element k of the state and class j is, in rows ld floats apart.
func (h *head) at(k, j, ld int) int {
	if h.product.TransB {
		return j*ld + k
	}
	return k*ld + j
}

// row returns row i of a tile of logits, and all behind it.
func (p *headPass) row(tile, i int) []float32 { return p.logits[(tile*p.rows+i)*p.stride:] }

// target returns the target of row i, if it is one of the classes from first on, and whether the row has any.
func (p *headPass) target(i, first, classes int) (t int, here, any bool) {
	t = int(p.targets[i])
	return t - first, t >= first && t < first+classes, t != graph.Ignore
}

// forward makes the logits of rows [from, to) of a tile, and what the softmax needs.
func (p *headPass) forward(tile, from, to int) {
	first, classes := p.tile(tile)
	packed := p.g.Pack(p.tileWeights, p.product.TransB, p.head.x.Cols, classes, p.w[p.at(0, first, p.weight.stride):], p.weight.stride)
	top, sum := p.top[tile*p.rows:], p.factor[tile*p.rows:]
	for lo := from; lo < to; lo += p.g.Rows() {
		hi := min(to, lo+p.g.Rows())
		z := p.block
		if p.trains() {
			z = p.row(tile, lo)
		}
		p.g.Mul(p.gemm, hi-lo, p.x[lo*p.state.stride:], p.state.stride, packed, z, p.stride, false)
		for i := lo; i < hi; i++ {
			t, here, any := p.target(i, first, classes)
			if !any {
				continue
			}
			row := z[(i-lo)*p.stride:][:classes]
			exp := row
			if p.softCap > 0 {
				p.v.SoftCap(row, row, p.softCap)
				exp = p.exp[:classes] // the gradient of the cap needs the logits
			}
			top[i] = p.v.Max(row)
			if here {
				p.z[i], p.lead[i] = row[t], 0
				if row[t] == top[i] && !slices.Contains(row[:t], row[t]) {
					p.lead[i] = 1
				}
			}
			sum[i] = p.v.Exp(exp, row, 1, top[i])
		}
	}
}

// weightOf is the weight of the loss of row i.
func (p *headPass) weightOf(i int) float32 {
	if p.weights == nil {
		return 1
	}
	return p.weights[i]
}

// finish writes the loss of row i and whether its target is the first largest, and makes the factors of its gradient.
func (p *headPass) finish(i int) {
	nll, right := float32(0), float32(0)
	if t, _, any := p.target(i, 0, p.classes()); any {
		top, at := math.Inf(-1), t/p.columns
		leads := p.lead[i] == 1
		for tile := range p.tiles {
			x := p.top[tile*p.rows+i]
			top = max(top, float64(x))
			leads = leads && (x < p.z[i] || x == p.z[i] && tile >= at)
		}
		var sum float64
		for tile := range p.tiles {
			j := tile*p.rows + i
			sum += float64(p.factor[j]) * math.Exp(float64(p.top[j])-top)
		}
		scale := float64(p.scale*p.weightOf(i)) / sum
		for tile := range p.tiles {
			j := tile*p.rows + i
			p.factor[j] = float32(scale * math.Exp(float64(p.top[j])-top))
		}
		if leads && !math.IsNaN(sum) {
			right = 1
		}
		nll = float32(math.Log(sum) + top - float64(p.z[i]))
	}
	if p.nll != nil {
		p.nll[i] = nll
	}
	if p.right != nil {
		p.right[i] = right
	}
}

// gradient makes the gradient of row i of a tile of logits. It may write over that row.
func (p *headPass) gradient(d []float32, tile, i int) {
	first, classes := p.tile(tile)
	d = d[:classes]
	t, here, any := p.target(i, first, classes)
	if !any {
		clear(d)
		return
	}
	z, j := p.row(tile, i)[:classes], tile*p.rows+i
	to := d
	if p.softCap > 0 {
		to = p.exp[:classes]
		p.v.Exp(to, z, 1, p.top[j])
		p.v.Scale(to, to, p.factor[j])
	} else {
		p.v.Scale(to, z, p.factor[j])
	}
	if here {
		to[t] -= p.scale * p.weightOf(i)
	}
	if p.softCap > 0 {
		p.v.SoftCapBackward(d, to, z, p.softCap)
	}
}

// pack packs the state for the gradient of the weights.
func (p *headPass) pack() {
	switch {
	case p.dw == nil:
	case p.product.TransB:
		p.lane.right = p.g.Pack(p.packedX, false, len(p.targets), p.head.x.Cols, p.x, p.state.stride)
	default:
		p.lane.left = p.g.PackT(p.packedX, len(p.targets), p.head.x.Cols, p.x, p.state.stride)
	}
}

// packWeights packs what of a tile's weights columns [from, to) of the gradient of the state take.
func (p *headPass) packWeights(tile, from, to int) gemm.Packed {
	first, classes := p.tile(tile)
	return p.g.Pack(p.tileWeights, !p.product.TransB, classes, to-from, p.w[p.at(from, first, p.weight.stride):], p.weight.stride)
}

// stateGradient adds a tile's part to rows [lo, hi) of the gradient of the state. d is the gradient of the tile's logits from row lo on; the
// columns are those for which its weights are packed, the first of them from.
func (p *headPass) stateGradient(d []float32, tile, lo, hi, from int, packed gemm.Packed) {
	p.g.Mul(p.gemm, hi-lo, d, p.stride, packed, p.dx[lo*p.dstate.stride+from:], p.dstate.stride, tile > 0)
}

// weightGradient adds to the gradient of the weights of classes [from, to) of a tile. d is the gradient of the tile's logits.
func (p *headPass) weightGradient(d []float32, tile, from, to int) {
	first, _ := p.tile(tile)
	left, right := p.lane.left, p.lane.right
	if p.product.TransB {
		left = p.g.PackT(p.packedBlock, len(p.targets), to-from, d[from:], p.stride)
	} else {
		right = p.g.Pack(p.packedBlock, false, len(p.targets), to-from, d[from:], p.stride)
	}
	p.g.MulPackedTN(p.gemm, left, right, p.dw[p.at(0, first+from, p.dweight.stride):], p.dweight.stride, p.accumulate)
}

// backward makes the gradients. That of a tile of logits is made in a block, which is still in the cache when it is used. If it isn't
// yet the group's turn to add to the gradient of the tile's weights, it is made in place of the logits, and used when it is.
func (p *headPass) backward(w *worker) {
	p.pack()
	rows, next := len(p.targets), p.tiles // next is the tile whose weights come next
	if p.dw != nil {
		next = 0
	}
	for tile := range p.tiles {
		d := p.block
		later := next < tile || next == tile && !p.turn(w, tile)
		if later {
			d = p.row(tile, 0)
		}
		var packed gemm.Packed
		if p.dx != nil {
			packed = p.packWeights(tile, 0, p.head.x.Cols)
		}
		for lo := 0; lo < rows; lo += p.g.Rows() {
			hi := min(rows, lo+p.g.Rows())
			for i := lo; i < hi; i++ {
				p.gradient(d[i*p.stride:], tile, i)
			}
			if p.dx != nil {
				p.stateGradient(d[lo*p.stride:], tile, lo, hi, 0, packed)
			}
		}
		if next == tile && !later {
			p.addTile(w, d, tile)
			next++
		}
		for ; next <= tile && p.turn(w, next); next++ {
			p.addTile(w, p.row(next, 0), next)
		}
	}
	for i := 0; next < p.tiles; i++ {
		if !p.turn(w, next) {
			p.pause(i)
			continue
		}
		p.addTile(w, p.row(next, 0), next)
		next, i = next+1, 0
	}
}

// addTile adds to the gradient of a tile's weights.
func (p *headPass) addTile(w *worker, d []float32, tile int) {
	_, classes := p.tile(tile)
	p.weightGradient(d, tile, 0, classes)
	p.passOn(w, tile)
}
