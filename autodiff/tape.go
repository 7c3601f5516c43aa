// Package autodiff records the gradients of a recording: a [Tape] differentiates while it records.
package autodiff

import (
	"fmt"

	"coil/graph"
)

// A Tape records a forward pass and remembers how to go back: each of its methods records one operation and keeps the
// recording of that operation's gradient for [Tape.Backward].
//
// What is cheap to compute again (norms, activations) is not kept for the backward pass but recorded a second time
// where it is needed. [Tape.Segment] does the same for a whole part of the model if Recompute is set.
type Tape struct {
	*graph.Recorder
	// Recompute makes Segment keep only the input of each segment and run it again before its backward pass.
	Recompute bool

	nodes   []node
	grads   map[int]*gradient                    // by storage
	values  map[int]func(last bool) graph.Tensor // how to compute a dropped value again; see value
	pending map[int]int                          // by storage: nodes that may still add to its gradient
	forward bool                                 // no gradients are wanted: only record
}

// node is the backward pass of an operation, and the tensors whose gradients it may add to.
type node struct {
	back func()
	to   []graph.Tensor
	loop int // that the operation belongs to
}

// gradient is the gradient of a storage: a tensor over the whole of it.
type gradient struct {
	t       graph.Tensor
	written bool
}

// NewTape starts a tape on r. With train false, it remembers nothing, and Backward does nothing.
func NewTape(r *graph.Recorder, train bool) *Tape {
	return &Tape{Recorder: r, forward: !train, grads: map[int]*gradient{}, values: map[int]func(bool) graph.Tensor{}, pending: map[int]int{}}
}

// Training reports whether the tape remembers gradients at this point.
func (t *Tape) Training() bool { return !t.forward }

// Watch gives x a gradient that is added to g. x and g are of one shape, and views of x have views of g as theirs.
func (t *Tape) Watch(x, g graph.Tensor) {
	if x.Rows != g.Rows || x.Cols != g.Cols || x.Offset != 0 || g.Offset != 0 || !x.Dense() || !g.Dense() {
		t.Fail(fmt.Errorf("watch: %s and its gradient %s must be whole storages of one shape", x.Shape(), g.Shape()))
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

// Loop records f as loop i of the looped block, counted from 1: what f records, and its backward pass, has that [graph.Scope].
func (t *Tape) Loop(i int, f func()) {
	was := t.Scope()
	t.SetScope(graph.Scope{Loop: i, Backward: was.Backward})
	f()
	t.SetScope(was)
}

// Segment records f(x). With Recompute, f's temporaries are not kept: f is recorded again before its backward pass.
func (t *Tape) Segment(x graph.Tensor, f func(graph.Tensor) graph.Tensor) graph.Tensor {
	if t.forward || !t.Recompute {
		return f(x)
	}
	var y graph.Tensor
	begin := len(t.Current())
	t.Detached(func() { y = f(x) })
	var used []graph.Tensor // x, and the other operands of f
	for _, op := range t.Current()[begin:] {
		used = append(used, graph.Describe(op).Reads...)
	}
	t.track(y)
	t.Node(func() {
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
	was := t.Scope()
	for len(t.nodes) > begin {
		n := t.nodes[len(t.nodes)-1]
		t.nodes = t.nodes[:len(t.nodes)-1]
		t.SetScope(graph.Scope{Loop: n.loop, Backward: true})
		n.back()
		for _, x := range n.to {
			t.pending[x.Storage]--
		}
	}
	t.SetScope(was)
}

// Node remembers a backward pass, which may add to the gradients of the tensors to. [Tape.Backward] calls it in its turn.
func (t *Tape) Node(back func(), to ...graph.Tensor) {
	t.nodes = append(t.nodes, node{back, to, t.Scope().Loop})
	for _, x := range to {
		t.pending[x.Storage]++
	}
}

// result gives y a gradient and remembers the backward pass of the operation that made it. The pass takes the gradient of y and adds to
// those of the tensors to; it is left out if nothing has been added to the gradient of y.
func (t *Tape) result(y graph.Tensor, back func(dy graph.Tensor), to ...graph.Tensor) {
	t.track(y)
	t.Node(func() {
		if dy, ok := t.gradient(y); ok {
			back(dy)
		}
	}, to...)
}

// track gives the storage of y a gradient, to be allocated when first written.
func (t *Tape) track(y graph.Tensor) { t.grads[y.Storage] = &gradient{} }

// Tracks reports whether any of xs has a gradient, and with it whether an operation needs a [Tape.Node].
func (t *Tape) Tracks(xs ...graph.Tensor) bool {
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
func (t *Tape) gradient(x graph.Tensor) (graph.Tensor, bool) {
	g := t.grads[x.Storage]
	if g == nil || !g.written {
		return graph.Tensor{}, false
	}
	return g.view(x), true
}

// view is the part of g that belongs to the view x.
func (g *gradient) view(x graph.Tensor) graph.Tensor {
	v := x
	v.Storage, v.Offset = g.t.Storage, g.t.Offset+x.Offset
	return v
}

// into returns where to write the gradient of x, and whether to add to the value there; ok is false if x has no gradient.
func (t *Tape) into(x graph.Tensor) (dx graph.Tensor, accumulate, ok bool) {
	g := t.grads[x.Storage]
	if g == nil || !x.Exists() {
		return graph.Tensor{}, false, false
	}
	if !g.t.Exists() {
		n := t.Storages()[x.Storage-1].Len
		if x.Dense() && x.Size() == n {
			g.t = t.Temporary(x.Rows, x.Cols)
		} else { // the first write covers a part only
			g.t = t.Temporary(1, n)
			t.Record(&graph.Fill{Y: g.t})
			g.written = true
		}
	}
	accumulate, g.written = g.written, true
	return g.view(x), accumulate, true
}

// addInto adds dy to the gradient of x. If x has none yet and dy will not be used again, x takes dy's memory.
func (t *Tape) addInto(x, dy graph.Tensor, last bool) {
	g := t.grads[x.Storage]
	if g == nil || !x.Exists() {
		return
	}
	whole := x.Offset == 0 && x.Dense() && x.Size() == t.Storages()[x.Storage-1].Len
	if last && whole && !g.t.Exists() && dy.Dense() {
		g.t, g.written = dy, true
		return
	}
	if dx, accumulate, _ := t.into(x); accumulate {
		t.Record(&graph.Add{A: dx, B: dy, Y: dx, Alpha: 1, Beta: 1})
	} else {
		t.Record(&graph.Add{A: dy, Y: dx, Alpha: 1})
	}
}

// value returns a tensor with the value of x in the backward pass: x itself, or x computed again. With last, the calling node
// has finished adding to the gradient of x: if all others have too, one operation may compute both the value and the
// backward pass of x.
func (t *Tape) value(x graph.Tensor, last bool) graph.Tensor {
	f := t.values[x.Storage]
	if f == nil {
		return x
	}
	again := f(last && t.pending[x.Storage] == 1)
	t.values[x.Storage] = func(bool) graph.Tensor { return again }
	v := x
	v.Storage, v.Offset = again.Storage, again.Offset+x.Offset
	return v
}
