package autodiff

import "coil/graph"

// Weigh records alpha times the parts of x times the weights w, into rows of cols columns, plus a residual, if that exists: see
// [graph.Weigh].
func (t *Tape) Weigh(x, w graph.Tensor, cols int, alpha float32, residual graph.Tensor) graph.Tensor {
	y := t.Temporary(x.Rows, cols)
	t.Record(&graph.Weigh{X: x, W: w, Residual: residual, Y: y, Alpha: alpha})
	if !t.Tracks(x, w, residual) {
		return y
	}
	t.result(y, func(dy graph.Tensor) {
		if dx, accumulate, ok := t.into(x); ok {
			op := &graph.Weigh{X: dy, W: t.value(w, false), Y: dx, Alpha: alpha}
			if accumulate {
				op.Residual = dx
			}
			t.Record(op)
		}
		if dw, accumulate, ok := t.into(w); ok {
			t.Record(&graph.Dots{A: dy, B: t.value(x, false), Y: dw, Alpha: alpha, Accumulate: accumulate})
		}
		t.addInto(residual, dy, true)
	}, x, w, residual)
	return y
}

// Softmax records the softmax of each row of x times the scale.
func (t *Tape) Softmax(x graph.Tensor, scale float32) graph.Tensor {
	y := t.Temporary(x.Rows, x.Cols)
	t.Record(&graph.Softmax{X: x, Y: y, Scale: scale})
	t.fromResult(x, y, func(dy graph.Tensor) graph.Op {
		return &graph.SoftmaxBackward{Y: y, DY: dy, DX: dy, Scale: scale}
	})
	return y
}

// SoftCap records limit·tanh(x/limit).
func (t *Tape) SoftCap(x graph.Tensor, limit float32) graph.Tensor {
	y := t.Temporary(x.Rows, x.Cols)
	t.Record(&graph.SoftCap{X: x, Y: y, Cap: limit})
	t.fromResult(x, y, func(dy graph.Tensor) graph.Op {
		return &graph.SoftCapBackward{Y: y, DY: dy, DX: dy, Cap: limit}
	})
	return y
}

// Affine records alpha·x + row, for a row that has no gradient.
func (t *Tape) Affine(x graph.Tensor, alpha float32, row graph.Tensor) graph.Tensor {
	y := t.Temporary(x.Rows, x.Cols)
	t.Record(&graph.Add{A: x, B: row, Y: y, Alpha: alpha, Beta: 1})
	t.fromResult(x, y, func(dy graph.Tensor) graph.Op { return &graph.Add{A: dy, Y: dy, Alpha: alpha} })
	return y
}

// fromResult remembers the operation that turns the gradient of y, in its place, into that of x.
func (t *Tape) fromResult(x, y graph.Tensor, backward func(dy graph.Tensor) graph.Op) {
	if t.Tracks(x) {
		t.result(y, func(dy graph.Tensor) {
			t.Record(backward(dy))
			t.addInto(x, dy, true)
		}, x)
	}
}

// Join records the columns of xs side by side.
func (t *Tape) Join(xs ...graph.Tensor) graph.Tensor {
	cols := 0
	for _, x := range xs {
		cols += x.Cols
	}
	y := t.Temporary(xs[0].Rows, cols)
	from := 0
	for _, x := range xs {
		t.Record(&graph.Add{A: x, Y: y.Columns(from, from+x.Cols), Alpha: 1})
		from += x.Cols
	}
	if !t.Tracks(xs...) {
		return y
	}
	t.result(y, func(dy graph.Tensor) {
		from := 0
		for _, x := range xs {
			t.addInto(x, dy.Columns(from, from+x.Cols), false)
			from += x.Cols
		}
	}, xs...)
	return y
}

// A Part is columns From to To of a linear layer's result, which are made from X.
type Part struct {
	X        graph.Tensor
	From, To int
}

// LinearParts records a linear layer whose results are made from different inputs.
func (t *Tape) LinearParts(parts []Part, w, bias graph.Tensor) graph.Tensor {
	y := t.Temporary(parts[0].X.Rows, w.Cols)
	of := func(x graph.Tensor, p Part) graph.Tensor {
		if !x.Exists() {
			return x
		}
		return x.Columns(p.From, p.To)
	}
	var xs []graph.Tensor
	for _, p := range parts {
		t.Record(&graph.Matmul{A: p.X, B: of(w, p), C: of(y, p), Bias: of(bias, p)})
		xs = append(xs, p.X)
	}
	if !t.Tracks(append(xs, w, bias)...) {
		return y
	}
	t.result(y, func(dy graph.Tensor) {
		for _, p := range parts {
			t.LinearBackward(p.X, of(w, p), of(bias, p), of(dy, p), false)
		}
	}, xs...)
	return y
}
