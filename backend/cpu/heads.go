package cpu

import (
	"slices"

	"coil/backend/cpu/gemm"
	"coil/graph"
)

// fusedClasses is the least number of classes with which a head, its loss and their gradients run as one kernel.
const fusedClasses = 1024

// A head is a linear layer with its cross-entropy and their gradients, as package autodiff records them: chunk of rows by chunk
// of rows. Its operations run as one.
type head struct {
	body        []graph.Op
	first, last int // of body

	product *graph.Matmul       // the logits of the first chunk
	loss    *graph.CrossEntropy // of the first chunk
	softCap float32             // of the logits; 0: none
	dw      *graph.Matmul       // of the first chunk; nil: not wanted

	// Of all chunks.
	x, losses, correct, rowWeights graph.Tensor
	dx                             graph.Tensor // missing: not wanted
	targets                        graph.Index

	private []int // storages, from 0, that only these operations use; the first holds the logits
	headTiling
}

// ops are the operations of the head, except its loss in the first chunk.
func (h *head) ops() []graph.Op {
	var ops []graph.Op
	for _, op := range h.body[h.first : h.last+1] {
		if op != graph.Op(h.loss) {
			ops = append(ops, op)
		}
	}
	return ops
}

func (h *head) classes() int { return h.product.C.Cols }

// trains reports whether the head makes gradients.
func (h *head) trains() bool { return h.dw != nil || h.dx.Exists() }

// heads are those of a recording, in order.
type heads []*head

// of returns the head that operation i of the body belongs to, or nil.
func (hs heads) of(i int) *head {
	for _, h := range hs {
		if h.first <= i && i <= h.last {
			return h
		}
	}
	return nil
}

// span is a [graph.Fusion].
func (hs heads) span(i int) (first, last int) {
	if h := hs.of(i); h != nil {
		return h.first, h.last
	}
	return i, i
}

// size returns how much room a storage takes: of the private ones of a head only the first takes any, for what workers share.
func (hs heads) size(g *gemm.Kernel, r *graph.Recorder) func(i int) int {
	private := map[int]int{}
	for _, h := range hs {
		for i, s := range h.private {
			if private[s] = 0; i == 0 {
				_, private[s] = h.sharedOf(g, room{})
			}
		}
	}
	storages := r.Storages()
	return func(i int) int {
		if n, ok := private[i]; ok {
			return n
		}
		return storages[i].Len
	}
}

// findHeads finds the heads of a recording's body.
func (c *CPU) findHeads(r *graph.Recorder) heads {
	if !slices.ContainsFunc(r.Body(), func(op graph.Op) bool { m, ok := op.(*graph.Matmul); return ok && m.C.Cols >= fusedClasses }) {
		return nil
	}
	uses := count(r.Storages(), r.Body(), r.Update())
	for _, t := range r.Results() {
		uses[t.Storage-1]++
	}
	var found heads
	for i := 0; i < len(r.Body()); i++ {
		h := matchHead(r, i, uses)
		if h == nil {
			continue
		}
		if n := len(found); n == 0 || !found[n-1].extend(h) {
			found = append(found, h)
		}
		i = h.last
	}
	for _, h := range found {
		h.headTiling = c.tileHead(h)
	}
	return found
}

// count counts the operations that use each temporary.
func count(storages []graph.Storage, parts ...[]graph.Op) map[int]int {
	uses := map[int]int{}
	for _, ops := range parts {
		for _, op := range ops {
			seen := map[int]bool{}
			f := graph.Describe(op)
			for _, t := range append(f.Reads, f.Writes...) {
				if s := t.Storage - 1; storages[s].Space == graph.Temporary && !seen[s] {
					seen[s] = true
					uses[s]++
				}
			}
		}
	}
	return uses
}

// next takes the first of ops if it is a T that fits.
func next[T graph.Op](ops *[]graph.Op, fits func(T) bool) (op T, ok bool) {
	if len(*ops) > 0 {
		op, ok = (*ops)[0].(T)
	}
	if ok = ok && fits(op); ok {
		*ops = (*ops)[1:]
	}
	return op, ok
}

// plain reports whether o is nothing but the product, written or added.
func plain(o *graph.Matmul) bool {
	return !o.Bias.Exists() && !o.Residual.Exists() && !o.Pre.Exists() && !o.Sums.Exists() && o.Activation == graph.Identity
}

// matchHead returns one chunk of a head whose operations begin with operation at of the body, or nil.
func matchHead(r *graph.Recorder, at int, uses map[int]int) *head {
	space := func(t graph.Tensor) graph.Space { return r.Storages()[t.Storage-1].Space }
	rest := r.Body()[at:]
	product, ok := next(&rest, func(o *graph.Matmul) bool {
		s := space(o.B)
		return plain(o) && !o.TransA && !o.Accumulate && o.C.Cols >= fusedClasses && space(o.C) == graph.Temporary && (s == graph.Parameter || s == graph.Constant)
	})
	if !ok {
		return nil
	}
	logits := product.C
	h := &head{body: r.Body(), first: at, product: product, x: product.A, private: []int{logits.Storage - 1}}
	softCap, capped := next(&rest, func(o *graph.SoftCap) bool { return o.X == logits && o.Y == logits })
	if capped {
		h.softCap = softCap.Cap
	}
	loss, ok := next(&rest, func(o *graph.CrossEntropy) bool { return o.Logits == logits })
	if !ok {
		return nil
	}
	h.loss, h.targets, h.losses, h.correct, h.rowWeights = loss, loss.Targets, loss.Loss, loss.Correct, loss.RowWeights
	if d := loss.DLogits; d.Exists() {
		if capped != (d != logits) {
			return nil
		}
		if capped {
			_, ok = next(&rest, func(o *graph.SoftCapBackward) bool {
				return o.Y == logits && o.DY == d && o.DX == d && o.Cap == h.softCap
			})
			if !ok || space(d) != graph.Temporary {
				return nil
			}
			h.private = append(h.private, d.Storage-1)
		}
		left, right := product.A, d
		if product.TransB {
			left, right = right, left
		}
		h.dw, ok = next(&rest, func(o *graph.Matmul) bool {
			return plain(o) && o.A == left && o.B == right && o.TransA && o.Accumulate && space(o.C) == graph.Accumulator
		})
		if !ok {
			h.dw = nil
		}
		dx, ok := next(&rest, func(o *graph.Matmul) bool {
			return plain(o) && o.A == d && o.B == product.B && !o.TransA && o.TransB != product.TransB && !o.Accumulate
		})
		if ok {
			h.dx = dx.C
		}
		if !h.trains() {
			return nil
		}
	}
	h.last = len(r.Body()) - len(rest) - 1
	inside := count(r.Storages(), r.Body()[h.first:h.last+1])
	for _, s := range h.private {
		if inside[s] != uses[s] {
			return nil
		}
	}
	return h
}

// extend adds the chunk o if its operations and its rows follow those of h.
func (h *head) extend(o *head) bool {
	a, b := h.loss, o.loss
	if o.first != h.last+1 || o.product.B != h.product.B || o.product.TransB != h.product.TransB || o.softCap != h.softCap ||
		a.Weight != b.Weight || a.Scale != b.Scale || (h.dw == nil) != (o.dw == nil) || h.dw != nil && h.dw.C != o.dw.C ||
		o.targets.Storage != h.targets.Storage || o.targets.Offset != h.targets.Offset+h.targets.Len {
		return false
	}
	mine := []*graph.Tensor{&h.x, &h.losses, &h.correct, &h.rowWeights, &h.dx}
	others := []graph.Tensor{o.x, o.losses, o.correct, o.rowWeights, o.dx}
	for i, t := range mine {
		if t.Exists() != others[i].Exists() || t.Exists() && !follows(*t, others[i]) {
			return false
		}
	}
	for i, t := range mine {
		t.Rows += others[i].Rows
	}
	h.last = o.last
	h.targets.Len += o.targets.Len
	h.private = append(h.private, o.private...)
	return true
}

// follows reports whether the rows of b are the next ones of the matrix that a views.
func follows(a, b graph.Tensor) bool {
	return b.Storage == a.Storage && b.Cols == a.Cols && b.Stride == a.Stride && b.Offset == a.Offset+a.Rows*a.Stride
}
