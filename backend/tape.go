package backend

import "fmt"

// A Tape records a forward pass and remembers how to go back: each of its methods records one operation and keeps the
// recording of that operation's gradient for [Tape.Backward].
//
// What is cheap to compute again (norms, activations) is not kept for the backward pass but recorded a second time
// where it is needed. [Tape.Segment] does the same for a whole part of the model if Recompute is set.
type Tape struct {
	*Recorder
	// Recompute makes Segment keep only the input of each segment and run it again before its backward pass.
	Recompute bool

	nodes   []node
	grads   map[int]*gradient              // by storage
	values  map[int]func(last bool) Tensor // how to compute a dropped value again; see value
	pending map[int]int                    // by storage: nodes that may still add to its gradient
	forward bool                           // no gradients are wanted: only record
}

// node is the backward pass of an operation, and the tensors whose gradients it may add to.
type node struct {
	back func()
	to   []Tensor
	loop int // that the operation belongs to
}

// gradient is the gradient of a storage: a tensor over the whole of it.
type gradient struct {
	t       Tensor
	written bool
}

// NewTape begins a tape on r. With train false nothing is remembered and Backward does nothing.
func NewTape(r *Recorder, train bool) *Tape {
	return &Tape{Recorder: r, forward: !train, grads: map[int]*gradient{}, values: map[int]func(bool) Tensor{}, pending: map[int]int{}}
}

// Training reports whether the tape remembers gradients at this point.
func (t *Tape) Training() bool { return !t.forward }

// Watch gives x a gradient that is added to g. x and g are of one shape, and views of x have views of g as theirs.
func (t *Tape) Watch(x, g Tensor) {
	if x.Rows != g.Rows || x.Cols != g.Cols || x.Offset != 0 || g.Offset != 0 || !x.Dense() || !g.Dense() {
		t.fail(fmt.Errorf("watch: %s and its gradient %s must be whole storages of one shape", x.shape(), g.shape()))
		return
	}
	t.grads[x.Storage] = &gradient{g, true}
}

// Detached runs f without gradients: what it records is constant to the tape.
func (t *Tape) Detached(f func()) {
	was := t.forward
	t.forward = true
	f()
	t.forward = was
}

// Loop records f as loop i of the looped block, counted from 1: what f records, and its backward pass, has that [Place].
func (t *Tape) Loop(i int, f func()) {
	was := t.where
	t.where.Loop = i
	f()
	t.where = was
}

// Segment records f(x). With Recompute, f's temporaries are not kept: f is recorded again before its backward pass.
func (t *Tape) Segment(x Tensor, f func(Tensor) Tensor) Tensor {
	if t.forward || !t.Recompute {
		return f(x)
	}
	var y Tensor
	begin := len(*t.part())
	t.Detached(func() { y = f(x) })
	var used []Tensor // x, and what else f reads
	for _, op := range (*t.part())[begin:] {
		reads, _, _ := Operands(op)
		used = append(used, reads...)
	}
	t.track(y)
	t.node(func() {
		dy, ok := t.gradient(y)
		if !ok {
			return
		}
		begin := len(t.nodes)
		z := f(x)
		t.grads[z.Storage] = &gradient{dy, true}
		t.unwind(begin)
	}, used...)
	return y
}

// Backward records the gradients of everything recorded so far, in reverse.
func (t *Tape) Backward() { t.unwind(0) }

func (t *Tape) unwind(begin int) {
	was := t.where
	for len(t.nodes) > begin {
		n := t.nodes[len(t.nodes)-1]
		t.nodes = t.nodes[:len(t.nodes)-1]
		t.where = Place{Loop: n.loop, Backward: true}
		n.back()
		for _, x := range n.to {
			t.pending[x.Storage]--
		}
	}
	t.where = was
}

// node remembers a backward pass, which may add to the gradients of the tensors to.
func (t *Tape) node(back func(), to ...Tensor) {
	t.nodes = append(t.nodes, node{back, to, t.where.Loop})
	for _, x := range to {
		t.pending[x.Storage]++
	}
}

// track gives the storage of y a gradient, to be allocated when first written.
func (t *Tape) track(y Tensor) { t.grads[y.Storage] = &gradient{} }

// tracked reports whether any of xs has a gradient, and with it whether an operation needs a node.
func (t *Tape) tracked(xs ...Tensor) bool {
	if t.forward {
		return false
	}
	for _, x := range xs {
		if t.grads[x.Storage] != nil {
			return true
		}
	}
	return false
}

// gradient returns the gradient of x for reading; false if nothing has been added to it.
func (t *Tape) gradient(x Tensor) (Tensor, bool) {
	g := t.grads[x.Storage]
	if g == nil || !g.written {
		return Tensor{}, false
	}
	return g.view(x), true
}

// view is the part of g that belongs to the view x.
func (g *gradient) view(x Tensor) Tensor {
	v := x
	v.Storage, v.Offset = g.t.Storage, g.t.Offset+x.Offset
	return v
}

// into returns where to write the gradient of x and whether to add to what is there; false if x has none.
func (t *Tape) into(x Tensor) (dx Tensor, accumulate, ok bool) {
	g := t.grads[x.Storage]
	if g == nil || !x.Exists() {
		return Tensor{}, false, false
	}
	if !g.t.Exists() {
		n := t.storages[x.Storage-1].Len
		if x.Dense() && x.Size() == n {
			g.t = t.Temporary(x.Rows, x.Cols)
		} else { // the first write covers a part only
			g.t = t.Temporary(1, n)
			t.Record(&Fill{Y: g.t})
			g.written = true
		}
	}
	accumulate, g.written = g.written, true
	return g.view(x), accumulate, true
}

// addInto adds dy to the gradient of x. If x has none yet and dy will not be used again, x takes dy's memory.
func (t *Tape) addInto(x, dy Tensor, last bool) {
	g := t.grads[x.Storage]
	if g == nil || !x.Exists() {
		return
	}
	whole := x.Offset == 0 && x.Dense() && x.Size() == t.storages[x.Storage-1].Len
	if last && whole && !g.t.Exists() && dy.Dense() {
		g.t, g.written = dy, true
		return
	}
	if dx, accumulate, _ := t.into(x); accumulate {
		t.Record(&Add{A: dx, B: dy, Y: dx, Alpha: 1, Beta: 1})
	} else {
		t.Record(&Add{A: dy, Y: dx, Alpha: 1})
	}
}

// value returns a tensor with the value of x in the backward pass: x itself, or x computed again. With last the node
// that asks has added to the gradient of x all that it will: if no other will either, the value and the backward pass
// of x may be one operation.
func (t *Tape) value(x Tensor, last bool) Tensor {
	f := t.values[x.Storage]
	if f == nil {
		return x
	}
	again := f(last && t.pending[x.Storage] == 1)
	t.values[x.Storage] = func(bool) Tensor { return again }
	v := x
	v.Storage, v.Offset = again.Storage, again.Offset+x.Offset
	return v
}

// Linear records f(x·w + bias) + residual; with transpose x·wᵀ. bias and residual may be the zero Tensor.
func (t *Tape) Linear(x, w, bias Tensor, transpose bool, f Activation, residual Tensor) Tensor {
	out := w.Cols
	if transpose {
		out = w.Rows
	}
	y := t.Temporary(x.Rows, out)
	op := &Matmul{A: x, B: w, C: y, TransB: transpose, Bias: bias, Activation: f, Residual: residual}
	if !t.tracked(x, w, bias, residual) {
		t.Record(op)
		return y
	}
	if f != Identity && residual.Exists() {
		// The activation's value is wanted again in the backward pass; with the residual added it would be lost.
		h := t.Linear(x, w, bias, transpose, f, Tensor{})
		return t.Add(h, residual)
	}
	z := y // the product, before the activation
	if f != Identity {
		z = t.Temporary(x.Rows, out)
		op.Pre = z
	}
	t.Record(op)
	t.track(z)
	t.node(func() {
		dz, ok := t.gradient(z)
		if !ok {
			return
		}
		t.linearBackward(x, w, bias, dz, transpose)
		t.addInto(residual, dz, true)
	}, x, residual)
	if f != Identity {
		t.pointwise(z, y,
			func(y Tensor) { t.Record(&Activate{Activation: f, X: z, Y: y}) },
			func(dy, dx, y Tensor) { t.Record(&ActivateBackward{Activation: f, X: z, DY: dy, DX: dx, Y: y}) })
	}
	return y
}

// linearBackward records what the gradient dz of x·w + bias adds to those of x, w and bias.
func (t *Tape) linearBackward(x, w, bias, dz Tensor, transpose bool) {
	if dx, accumulate, ok := t.into(x); ok {
		t.Record(&Matmul{A: dz, B: w, C: dx, TransB: !transpose, Accumulate: accumulate})
	}
	// After dx: the value of x may take its backward pass along.
	dw, _, learns := t.into(w)
	db, _, biased := t.into(bias)
	if biased && (transpose || !learns) {
		t.Record(&ColumnSums{X: dz, Y: db, Accumulate: true})
		db = Tensor{}
	}
	if learns {
		if xv := t.value(x, true); transpose {
			t.Record(&Matmul{A: dz, B: xv, C: dw, TransA: true, Accumulate: true})
		} else {
			t.Record(&Matmul{A: xv, B: dz, C: dw, TransA: true, Accumulate: true, Sums: db})
		}
	}
}

// pointwise is backward for an activation, whose gradient can take the place of dy.
func (t *Tape) pointwise(x, y Tensor, forward func(y Tensor), backward func(dy, dx, y Tensor)) {
	t.track(y)
	t.backward(x, y, forward, func(dy, again Tensor) {
		dx := dy
		if x.Cols != y.Cols {
			dx = t.Temporary(x.Rows, x.Cols)
		}
		backward(dy, dx, again)
		t.addInto(x, dx, true)
	})
}

// backward remembers that y = f(x) for an f that forward records again, into the tensor given, and backward records the
// gradient of, together with the value if a tensor for it is given. If the last to add to dy asks for the value of y,
// both come from one operation.
func (t *Tape) backward(x, y Tensor, forward func(again Tensor), backward func(dy, again Tensor)) {
	var ran bool
	back := func(again Tensor) bool {
		dy, ok := t.gradient(y)
		if !ok || ran {
			return false
		}
		backward(dy, again)
		ran = true
		return true
	}
	t.values[y.Storage] = func(last bool) Tensor {
		again := t.Temporary(y.Rows, y.Cols)
		if !last || !back(again) {
			forward(again)
		}
		return again
	}
	t.node(func() { back(Tensor{}) }, x)
}

// SwiGLU records silu(g) ∘ u for x = [g, u].
func (t *Tape) SwiGLU(x Tensor) Tensor {
	y := t.Temporary(x.Rows, x.Cols/2)
	t.Record(&SwiGLU{X: x, Y: y})
	if t.tracked(x) {
		t.pointwise(x, y,
			func(y Tensor) { t.Record(&SwiGLU{X: x, Y: y}) },
			func(dy, dx, y Tensor) { t.Record(&SwiGLUBackward{X: x, DY: dy, DX: dx, Y: y}) })
	}
	return y
}

// Norm records layernorm, or rmsnorm.
func (t *Tape) Norm(x, gain, bias Tensor, eps float32, rms bool) Tensor {
	y := t.Temporary(x.Rows, x.Cols)
	op := &LayerNorm{X: x, Gain: gain, Bias: bias, Y: y, Eps: eps, RMS: rms}
	if !t.tracked(x, gain, bias) {
		t.Record(op)
		return y
	}
	op.Stats = t.Temporary(x.Rows, 2)
	t.Record(op)
	t.track(y)
	t.backward(x, y,
		func(again Tensor) {
			t.Record(&LayerNorm{X: t.value(x, false), Gain: gain, Bias: bias, Y: again, Eps: eps, RMS: rms})
		},
		func(dy, again Tensor) {
			b := &LayerNormBackward{X: t.value(x, false), Gain: gain, Stats: op.Stats, DY: dy, RMS: rms, Y: again}
			if again.Exists() {
				b.Bias = bias
			}
			b.DGain, _, _ = t.into(gain)
			b.DBias, _, _ = t.into(bias)
			var ok bool
			if b.DX, b.Accumulate, ok = t.into(x); !ok {
				b.DX = t.Temporary(x.Rows, x.Cols)
			}
			t.Record(b)
		})
	return y
}

// Attention records causal attention over qkv.
func (t *Tape) Attention(qkv Tensor, heads, length int) Tensor {
	y := t.Temporary(qkv.Rows, qkv.Cols/3)
	op := &Attention{QKV: qkv, Out: y, Heads: heads, Length: length}
	if !t.tracked(qkv) {
		t.Record(op)
		return y
	}
	op.LogSum = t.Temporary(qkv.Rows, heads)
	t.Record(op)
	t.track(y)
	t.node(func() {
		dy, ok := t.gradient(y)
		if !ok {
			return
		}
		b := &AttentionBackward{QKV: qkv, Out: y, LogSum: op.LogSum, DOut: dy, Heads: heads, Length: length}
		dx, accumulate, _ := t.into(qkv)
		b.DQKV = dx
		if accumulate {
			b.DQKV = t.Temporary(qkv.Rows, qkv.Cols)
		}
		t.Record(b)
		if accumulate {
			t.Record(&Add{A: dx, B: b.DQKV, Y: dx, Alpha: 1, Beta: 1})
		}
	}, qkv)
	return y
}

// Rotary turns x in place. Whoever made x must not need its value before the turn.
func (t *Tape) Rotary(x Tensor, width, length int, base float64) {
	op := Rotary{X: x, Width: width, Length: length, Base: base}
	t.Record(&op)
	if t.tracked(x) {
		t.node(func() {
			if dx, ok := t.gradient(x); ok {
				back := op
				back.X, back.Inverse = dx, true
				t.Record(&back)
			}
		}, x)
	}
}

// Embedding records table[index], plus positions if they exist.
func (t *Tape) Embedding(table Tensor, index Index, positions Tensor) Tensor {
	y := t.Temporary(index.Len, table.Cols)
	t.Record(&Embedding{Table: table, Index: index, Positions: positions, Y: y})
	if t.tracked(table, positions) {
		t.track(y)
		t.node(func() {
			if dy, ok := t.gradient(y); ok {
				b := &EmbeddingBackward{Index: index, DY: dy}
				b.DTable, _, _ = t.into(table)
				b.DPositions, _, _ = t.into(positions)
				t.Record(b)
			}
		})
	}
	return y
}

// Add records a + b; b may be a row that is added to every row of a.
func (t *Tape) Add(a, b Tensor) Tensor {
	y := t.Temporary(a.Rows, a.Cols)
	t.Record(&Add{A: a, B: b, Y: y, Alpha: 1, Beta: 1})
	if t.tracked(a, b) {
		t.track(y)
		t.node(func() {
			dy, ok := t.gradient(y)
			if !ok {
				return
			}
			if b.Rows != a.Rows {
				if db, accumulate, ok := t.into(b); ok {
					t.Record(&ColumnSums{X: dy, Y: db, Accumulate: accumulate})
				}
			} else {
				t.addInto(b, dy, false)
			}
			t.addInto(a, dy, true)
		}, a, b)
	}
	return y
}

// CrossEntropy records the loss of the linear head x·w (x·wᵀ with transpose) against targets, and adds Weight·Scale
// times its gradient. loss and correct receive each row's; both may be missing. Not more than about chunk logits are
// held at a time: with training, the gradient of each chunk of rows is taken at once.
func (t *Tape) CrossEntropy(x, w Tensor, transpose bool, targets Index, loss, correct Tensor, scale Scalar, weight float32, chunk int) {
	t.crossEntropy(x, w, transpose, targets, loss, correct, scale, weight, Tensor{}, chunk)
}

// crossEntropy is CrossEntropy with weights of the rows' gradients, which may be missing.
func (t *Tape) crossEntropy(x, w Tensor, transpose bool, targets Index, loss, correct Tensor, scale Scalar, weight float32, rowWeights Tensor, chunk int) {
	classes := w.Cols
	if transpose {
		classes = w.Rows
	}
	train := t.tracked(x, w)
	rows := max(1, min(x.Rows, chunk/classes))
	var dx Tensor
	if train && t.grads[x.Storage] != nil {
		dx = t.Temporary(x.Rows, x.Cols)
	}
	for lo := 0; lo < x.Rows; lo += rows {
		hi := min(x.Rows, lo+rows)
		xs := x.RowRange(lo, hi)
		logits := t.Temporary(hi-lo, classes)
		t.Record(&Matmul{A: xs, B: w, C: logits, TransB: transpose})
		op := &CrossEntropy{Logits: logits, Targets: targets.Range(lo, hi), Scale: scale, Weight: weight}
		if loss.Exists() {
			op.Loss = loss.RowRange(lo, hi)
		}
		if correct.Exists() {
			op.Correct = correct.RowRange(lo, hi)
		}
		if rowWeights.Exists() {
			op.RowWeights = rowWeights.RowRange(lo, hi)
		}
		if train {
			op.DLogits = logits
		}
		t.Record(op)
		if !train {
			continue
		}
		if dw, _, ok := t.into(w); ok {
			a, b := xs, logits
			if transpose {
				a, b = logits, xs
			}
			t.Record(&Matmul{A: a, B: b, C: dw, TransA: true, Accumulate: true})
		}
		if dx.Exists() {
			t.Record(&Matmul{A: logits, B: w, C: dx.RowRange(lo, hi), TransB: !transpose})
		}
	}
	if dx.Exists() {
		t.node(func() { t.addInto(x, dx, true) }, x)
	}
}
