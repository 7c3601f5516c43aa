package metal

import (
	"slices"

	"coil/graph"
)

// Some pairs of operations are lowered as one: a launch less, and what the first makes need not be read again. The
// recording stays as it is, and so does every bit of the results.

// fuse lets a product also do what the operation after it does to C, if it can.
func (l *lowering) fuse(o *graph.Matmul, p *product, c cut) {
	if len(l.ahead) == 0 || o.Residual.Exists() || o.Activation != graph.Identity {
		return
	}
	q := *p
	q.rounded = p.c.bf16
	switch next := l.ahead[0].(type) {
	case *graph.Rotary:
		if !q.turns(o, next, c) {
			return
		}
		q.extra = l.turnsOf(next)
	case *graph.ActivateBackward:
		if next.DY != o.C || next.DX != o.C {
			return
		}
		q.slope, q.activation = ofActivation, next.Activation
		q.extra, q.pre = l.factor(next.X, reads), l.factor(next.Y, writes)
	case *graph.SwiGLUBackward:
		if next.DY != o.C || o.Accumulate || l.wanted(o.C, l.ahead[1:]) {
			return
		}
		q.slope = ofSwiGLU
		q.extra, q.pre, q.c = l.factor(next.X, reads), l.factor(next.Y, writes), l.factor(next.DX, writes)
		g, u := halves(next.X)
		dg, du := halves(next.DX)
		q.extra.vec4, q.c.vec4 = l.vec4(g, u), l.vec4(dg, du)
	default:
		return
	}
	// What the second operation writes may lie where operands of the first are no longer wanted.
	for _, out := range []factor{q.c, q.pre} {
		for _, in := range []factor{q.a, q.b, q.bias} {
			if out.exists() && in.exists() && out.touch().conflicts(in.touch()) {
				return
			}
		}
	}
	*p, l.with = q, l.ahead[0]
}

// turns makes p turn heads as r does, if these are the first columns of C from position 0 on, no head lies in two tiles, the product is not in
// parts, and nothing is added to what was in C: the two columns of a pair are turned by different threads, which both need
// both.
func (p *product) turns(o *graph.Matmul, r *graph.Rotary, c cut) bool {
	x := o.C
	x.Cols = r.X.Cols
	if r.X != x || x.Cols > o.C.Cols || r.Inverse || r.At.Exists() || o.Accumulate || c.tile%r.Width != 0 || c.parts > 1 {
		return false
	}
	p.head, p.turned, p.length = r.Width, x.Cols, r.Length
	return true
}

// wanted reports whether one of these operations, or anything after the body, touches the storage of t.
func (l *lowering) wanted(t graph.Tensor, ops []graph.Op) bool {
	if l.rec.Storages()[t.Storage-1].Space != graph.Temporary {
		return true
	}
	same := func(x graph.Tensor) bool { return x.Storage == t.Storage }
	return slices.ContainsFunc(ops, func(op graph.Op) bool {
		f := graph.Describe(op)
		return slices.ContainsFunc(f.Reads, same) || slices.ContainsFunc(f.Writes, same)
	})
}

// turnBack lets the fused kernels of attention also turn the gradients of queries and keys back, if the next operation does
// so, and returns the table of its turns.
func (l *lowering) turnBack(o *graph.AttentionBackward) arg {
	if len(l.ahead) == 0 {
		return l.none()
	}
	lay := o.Layout()
	next, ok := l.ahead[0].(*graph.Rotary)
	if !ok || !next.Inverse || next.At.Exists() || next.X != o.DQKV.Columns(0, lay.Values()) || next.Width != lay.Width || next.Length != o.Length {
		return l.none()
	}
	l.with = next
	return l.turnsOf(next).arg
}
