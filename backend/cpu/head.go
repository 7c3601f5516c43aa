package cpu

import (
	"fmt"
	"slices"
	"sync/atomic"

	"coil/backend/cpu/gemm"
	"coil/backend/cpu/vector"
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

// headShared is what all workers that run a pass of a head share. It lies where the recording has the logits.
type headShared struct {
	logits      []float32 // [tiles, rows, stride]; none without gradients
	top, factor []float32 // [tiles, rows]: the largest logit t; the sum of exp(z − t), then the factor of exp(z − t) in the gradient
	z           []float32 // [rows]: the target's logit
	lead        []float32 // [rows]: 1 if the target is the first largest of its tile, else 0
	packedX     []float32 // for the gradient of the weights
}

// headScratch is what a worker has of its own.
type headScratch struct {
	tileWeights []float32 // a packed tile
	exp         []float32 // a row of a tile
	block       []float32 // of a worker alone: a tile of the gradient of the logits; without gradients: some rows of a tile of logits
	packedBlock []float32 // for the gradient of the weights
}

// room cuts memory, or only counts.
type room struct {
	memory []float32 // nil: only count
	floats int
}

func (r *room) take(to *[]float32, size int) {
	if r.memory != nil {
		*to = cut(&r.memory, size)
	}
	r.floats += round(size)
}

// shared cuts what the workers of a pass share.
func (h *head) sharedOf(g *gemm.Kernel, r room) (headShared, int) {
	var m headShared
	if h.trains() {
		r.take(&m.logits, h.tiles*h.rows*h.stride)
	}
	r.take(&m.top, h.tiles*h.rows)
	r.take(&m.factor, h.tiles*h.rows)
	r.take(&m.z, h.rows)
	r.take(&m.lead, h.rows)
	switch {
	case h.dw == nil:
	case h.product.TransB:
		r.take(&m.packedX, g.PackedLen(h.rows, h.x.Cols))
	default:
		r.take(&m.packedX, g.PackedTLen(h.rows, h.x.Cols))
	}
	return m, r.floats
}

// scratch cuts what a worker has of its own.
func (h *head) scratchOf(g *gemm.Kernel, alone bool, r room) (headScratch, int) {
	var m headScratch
	r.take(&m.tileWeights, max(g.PackedLen(h.x.Cols, h.columns), g.PackedLen(h.columns, h.x.Cols)))
	r.take(&m.exp, h.columns)
	switch {
	case !h.trains():
		r.take(&m.block, min(h.rows, g.Rows())*h.stride)
	case alone:
		r.take(&m.block, h.rows*h.stride)
	}
	switch {
	case h.dw == nil:
	case h.product.TransB:
		r.take(&m.packedBlock, g.PackedTLen(h.rows, h.columns))
	default:
		r.take(&m.packedBlock, g.PackedLen(h.rows, h.columns))
	}
	return m, r.floats
}

// loweredHead is a head and where its matrices are.
type loweredHead struct {
	*head
	g       *gemm.Kernel
	v       *vector.Kernels
	scalars []float32
	alone   bool // one worker runs it for a group
	over    bool // it is the first to write the gradient of the weights
	pause   func(fruitless int)

	// If there is one gradient of the weights for all groups, turns are the groups that add to its parts next.
	turns []atomic.Int32

	state, dstate, weight, dweight, memory, loss, correct, rowWeight matrix

	classOf index
	lanes   [maxReplicas]headLane
}

// headLane is what the workers of a lane share while they run a pass.
type headLane struct {
	// The state as an operand of the gradient of the weights: left, or right if those are transposed.
	left  gemm.PackedT
	right gemm.Packed

	weights, state atomic.Int32 // parts of the gradients that were begun
}

// head lowers a head. A pass first makes the logits z of its rows, tile by tile, and keeps of each row of a tile the largest, t, the
// exponentials exp(z − t), and their sum. The gradient of the logits is those exponentials times a factor for each row of a tile,
// minus one at the target. So the logits are computed once.
//
// A worker alone multiplies with a tile of the gradient as soon as it is made, so that the logits pass through memory twice. A team
// shares the tiles of logits, then the rows of the gradient, then the parts of both products with it. All sums are the same.
func (l *lowering) head(h *head) kernel {
	lh := &loweredHead{head: h, g: l.p.c.gemm, v: l.p.c.vec, scalars: l.p.scalars, alone: l.team == 1, pause: l.p.pause,
		state: l.matrix(h.x), dstate: l.matrix(h.dx), weight: l.matrix(h.product.B), memory: l.matrix(h.product.C),
		loss: l.matrix(h.losses), correct: l.matrix(h.correct), rowWeight: l.matrix(h.rowWeights), classOf: l.index(h.targets)}
	if h.dw != nil {
		lh.dweight, lh.over = l.matrix(h.dw.C), l.writesFirst(h.dw)
	}
	if slices.Contains(l.p.common.ordered, h) {
		lh.over, lh.turns = true, make([]atomic.Int32, h.tiles*lh.cuts(2*l.team))
		l.p.turns = append(l.p.turns, lh.turns)
	}
	_, scratch := h.scratchOf(lh.g, lh.alone, room{})
	k := once(lh.run)
	if !lh.alone {
		k = once(lh.check)
		for first := 0; first < h.x.Rows; first += h.rows {
			k.then = append(k.then, lh.pass(l.team, first)...)
		}
	}
	return k.needs(scratch, lh.g.NeedMul())
}

// check gives w an error if a target is no class. The group runs on, so that others get their turns.
func (h *loweredHead) check(w *worker) {
	for i, t := range h.classOf.at(w) {
		if t != graph.Ignore && (t < 0 || int(t) >= h.classes()) {
			w.err = fmt.Errorf("cross-entropy: target %d at position %d of group %d is not one of %d classes", t, i, w.group, h.classes())
			return
		}
	}
}

// cuts is how many parts the classes of a tile are cut into for the gradient of the weights, if there should be some parts in all.
func (h *loweredHead) cuts(parts int) int {
	if h.alone {
		return 1
	}
	return max(1, min((parts+h.tiles-1)/h.tiles, h.columns/(2*h.g.PanelWidth())))
}

// turn reports whether it is the turn of the worker's group to add to a part of the gradient of the weights.
func (h *loweredHead) turn(w *worker, part int) bool {
	return h.turns == nil || int(h.turns[part].Load()) == w.group
}

// passOn gives the turn to the next group.
func (h *loweredHead) passOn(w *worker, part int) {
	if h.turns != nil {
		h.turns[part].Store(int32(w.group) + 1)
	}
}

// run is the head of a group by one worker.
func (h *loweredHead) run(w *worker) {
	h.check(w)
	for first := 0; first < h.x.Rows; first += h.rows {
		p := h.begin(w, first)
		for tile := range h.tiles {
			p.forward(tile, 0, len(p.targets))
		}
		for i := range p.targets {
			p.finish(i)
		}
		if h.trains() {
			p.backward(w)
		}
	}
}

// pass is the pass that begins with row first, by a team: about two parts of each kernel for each worker.
func (h *loweredHead) pass(team, first int) []kernel {
	rows, want := min(h.rows, h.x.Rows-first), 2*team
	blocks := max(1, min((want+h.tiles-1)/h.tiles, rows/h.g.Rows())) // of rows
	logits := kernel{parts: h.tiles * blocks, end: func(w *worker) {
		l := &h.lanes[w.lane.number]
		l.weights.Store(0)
		l.state.Store(0)
	}, run: func(w *worker, part int) {
		p, block := h.begin(w, first), part%blocks
		p.forward(part/blocks, rows*block/blocks, rows*(block+1)/blocks)
	}}
	shares := min(want, rows)
	finish := kernel{parts: shares, run: func(w *worker, part int) {
		p := h.begin(w, first)
		for i := rows * part / shares; i < rows*(part+1)/shares; i++ {
			p.finish(i)
			for tile := 0; tile < h.tiles && h.trains(); tile++ {
				p.gradient(p.row(tile, i), tile, i)
			}
		}
	}}
	perLogit := 2*float64(h.x.Cols) + floatWork // of each product
	logits.work, finish.work = perLogit, 2*floatWork
	ks := []kernel{logits, finish}
	if h.dw != nil {
		ks[1].parts++
		ks[1].run = func(w *worker, part int) {
			if part == shares {
				p := h.begin(w, first)
				p.pack()
				return
			}
			finish.run(w, part)
		}
	}
	if h.trains() {
		ks = append(ks, h.products(want, first, rows, perLogit))
	}
	all := 0.0
	for _, k := range ks {
		all += k.work
	}
	for i := range ks {
		ks[i].work *= float64(rows) / float64(h.x.Rows) / all
	}
	return ks
}

// choose returns the part to run next: one of the gradient of the weights if it is its turn, else one of that of the state. There must
// be one left.
func (h *loweredHead) choose(w *worker, ofWeights, ofState int) (weights bool, part int) {
	l := &h.lanes[w.lane.number]
	for i := 0; ; i++ {
		if n := l.weights.Load(); int(n) < ofWeights && h.turn(w, int(n)) {
			if l.weights.CompareAndSwap(n, n+1) {
				return true, int(n)
			}
		} else if n := l.state.Load(); int(n) < ofState {
			if l.state.CompareAndSwap(n, n+1) {
				return false, int(n)
			}
		} else {
			h.pause(i)
		}
	}
}

// products are those with the gradient of the logits. Parts are tiles, or some of a tile's classes, of the gradient of the weights,
// and some rows and columns of that of the state.
func (h *loweredHead) products(want, first, rows int, work float64) kernel {
	nr := h.g.PanelWidth()
	panels := func(n, part, parts int) int { return min(n, (n+nr-1)/nr*part/parts*nr) } // where of n columns a part of whole panels begins
	var k kernel
	cuts, columns, blocks := h.cuts(want), 1, 1
	ofWeights, ofState := 0, 0
	if h.dw != nil {
		ofWeights = h.tiles * cuts
		k.work += work
	}
	if h.dx.Exists() {
		columns = max(1, min(want, h.x.Cols/(2*nr)))
		blocks = max(1, min((want+columns-1)/columns, rows/h.g.Rows()))
		ofState = columns * blocks
		k.work += work
	}
	k.parts = ofWeights + ofState
	k.run = func(w *worker, _ int) {
		p := h.begin(w, first)
		weights, part := h.choose(w, ofWeights, ofState)
		if weights {
			tile, cut := part/cuts, part%cuts
			_, classes := h.tile(tile)
			if from, to := panels(classes, cut, cuts), panels(classes, cut+1, cuts); from < to {
				p.weightGradient(p.row(tile, 0), tile, from, to)
			}
			h.passOn(w, part)
			return
		}
		column, block := part%columns, part/columns
		lo, hi := rows*block/blocks, rows*(block+1)/blocks
		from, to := panels(h.x.Cols, column, columns), panels(h.x.Cols, column+1, columns)
		for tile := range h.tiles {
			p.stateGradient(p.row(tile, lo), tile, lo, hi, from, p.packWeights(tile, from, to))
		}
	}
	return k
}
