package autodiff

import "coil/graph"

// Linear is a linear map and what follows it.
type Linear struct {
	Weight     graph.Tensor
	Transpose  bool         // multiply by Weightᵀ
	Bias       graph.Tensor // may be missing
	Activation graph.Activation
	Residual   graph.Tensor // added to the result; may be missing
}

// Linear records Activation(x·Weight + Bias) + Residual.
func (t *Tape) Linear(x graph.Tensor, l Linear) graph.Tensor {
	out := l.Weight.Cols
	if l.Transpose {
		out = l.Weight.Rows
	}
	active := l.Activation != graph.Identity
	y := t.Temporary(x.Rows, out)
	op := &graph.Matmul{A: x, B: l.Weight, C: y, TransB: l.Transpose, Bias: l.Bias, Activation: l.Activation, Residual: l.Residual}
	if !t.Tracks(x, l.Weight, l.Bias, l.Residual) {
		t.Record(op)
		return y
	}
	if active && l.Residual.Exists() {
		// The activation's value is wanted again in the backward pass; with the residual added it would be lost.
		residual := l.Residual
		l.Residual = graph.Tensor{}
		return t.Add(t.Linear(x, l), residual)
	}
	z := y // the product, before the activation
	if active {
		z = t.Temporary(x.Rows, out)
		op.Pre = z
	}
	t.Record(op)
	t.track(z)
	t.Node(func() {
		dz, ok := t.gradient(z)
		if !ok {
			return
		}
		t.LinearBackward(x, l.Weight, l.Bias, dz, l.Transpose)
		t.addInto(l.Residual, dz, true)
	}, x, l.Residual)
	if active {
		t.pointwise(z, y,
			func(y graph.Tensor) { t.Record(&graph.Activate{Activation: l.Activation, X: z, Y: y}) },
			func(dy, dx, y graph.Tensor) {
				t.Record(&graph.ActivateBackward{Activation: l.Activation, X: z, DY: dy, DX: dx, Y: y})
			})
	}
	return y
}

// LinearBackward records what the gradient dz of x·w + bias adds to those of x, w and bias.
func (t *Tape) LinearBackward(x, w, bias, dz graph.Tensor, transpose bool) {
	if dx, accumulate, ok := t.into(x); ok {
		t.Record(&graph.Matmul{A: dz, B: w, C: dx, TransB: !transpose, Accumulate: accumulate})
	}
	// After dx: the value of x may take its backward pass along.
	dw, _, learns := t.into(w)
	db, _, biased := t.into(bias)
	if biased && (transpose || !learns) {
		t.Record(&graph.ColumnSums{X: dz, Y: db, Accumulate: true})
		db = graph.Tensor{}
	}
	if learns {
		if xv := t.value(x, true); transpose {
			t.Record(&graph.Matmul{A: dz, B: xv, C: dw, TransA: true, Accumulate: true})
		} else {
			t.Record(&graph.Matmul{A: xv, B: dz, C: dw, TransA: true, Accumulate: true, Sums: db})
		}
	}
}

// pointwise is recomputed for an activation, whose gradient can take the place of dy.
func (t *Tape) pointwise(x, y graph.Tensor, forward func(y graph.Tensor), backward func(dy, dx, y graph.Tensor)) {
	t.track(y)
	t.recomputed(x, y, forward, func(dy, again graph.Tensor) {
		dx := dy
		if x.Cols != y.Cols {
			dx = t.Temporary(x.Rows, x.Cols)
		}
		backward(dy, dx, again)
		t.addInto(x, dx, true)
	})
}

// recomputed remembers that y = f(x) for an f that forward records again, into the tensor given, and backward records the
// gradient of, together with the value if a tensor for it is given. If the last to add to dy asks for the value of y,
// both come from one operation.
func (t *Tape) recomputed(x, y graph.Tensor, forward func(again graph.Tensor), backward func(dy, again graph.Tensor)) {
	var ran bool
	back := func(again graph.Tensor) bool {
		dy, ok := t.gradient(y)
		if !ok || ran {
			return false
		}
		backward(dy, again)
		ran = true
		return true
	}
	t.values[y.Storage] = func(last bool) graph.Tensor {
		again := t.Temporary(y.Rows, y.Cols)
		if !last || !back(again) {
			forward(again)
		}
		return again
	}
	t.Node(func() { back(graph.Tensor{}) }, x)
}

// SwiGLU records silu(g) ∘ u for x = [g, u].
func (t *Tape) SwiGLU(x graph.Tensor) graph.Tensor {
	y := t.Temporary(x.Rows, x.Cols/2)
	t.Record(&graph.SwiGLU{X: x, Y: y})
	if t.Tracks(x) {
		t.pointwise(x, y,
			func(y graph.Tensor) { t.Record(&graph.SwiGLU{X: x, Y: y}) },
			func(dy, dx, y graph.Tensor) { t.Record(&graph.SwiGLUBackward{X: x, DY: dy, DX: dx, Y: y}) })
	}
	return y
}

// Norm records layernorm, or rmsnorm.
func (t *Tape) Norm(x, gain, bias graph.Tensor, eps float32, rms bool) graph.Tensor {
	y := t.Temporary(x.Rows, x.Cols)
	op := &graph.LayerNorm{X: x, Gain: gain, Bias: bias, Y: y, Eps: eps, RMS: rms}
	if !t.Tracks(x, gain, bias) {
		t.Record(op)
		return y
	}
	op.Stats = t.Temporary(x.Rows, 2)
	t.Record(op)
	t.track(y)
	t.recomputed(x, y,
		func(again graph.Tensor) {
			t.Record(&graph.LayerNorm{X: t.value(x, false), Gain: gain, Bias: bias, Y: again, Eps: eps, RMS: rms})
		},
		func(dy, again graph.Tensor) {
			b := &graph.LayerNormBackward{X: t.value(x, false), Gain: gain, Stats: op.Stats, DY: dy, RMS: rms, Y: again}
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

// HeadNorm records rmsnorm of each head of the queries and keys in qkv with gains [1,w] of their own, and leaves the values as they
// are.
func (t *Tape) HeadNorm(qkv, queryGain, keyGain graph.Tensor, heads graph.HeadLayout, eps float32) graph.Tensor {
	y := t.Temporary(qkv.Rows, qkv.Cols)
	parts := []struct {
		gain     graph.Tensor
		from, to int
		heads    int
		stats    graph.Tensor
	}{{gain: queryGain, to: heads.Keys(), heads: heads.Heads}, {gain: keyGain, from: heads.Keys(), to: heads.Values(), heads: heads.KVHeads}}
	tracked := t.Tracks(qkv, queryGain, keyGain)
	for i, p := range parts {
		if tracked {
			parts[i].stats = t.Temporary(qkv.Rows, 2*p.heads)
		}
		t.Record(&graph.LayerNorm{X: qkv.Columns(p.from, p.to), Gain: p.gain, Y: y.Columns(p.from, p.to), Stats: parts[i].stats, Eps: eps, Parts: p.heads, RMS: true})
	}
	t.Record(&graph.Add{A: qkv.Columns(heads.Values(), heads.Columns()), Y: y.Columns(heads.Values(), heads.Columns()), Alpha: 1})
	if !tracked {
		return y
	}
	t.result(y, func(dy graph.Tensor) {
		dx, accumulate, ok := t.into(qkv)
		if !ok {
			dx = t.Temporary(qkv.Rows, qkv.Cols)
		}
		for _, p := range parts {
			b := &graph.LayerNormBackward{X: qkv.Columns(p.from, p.to), Gain: p.gain, Stats: p.stats, DY: dy.Columns(p.from, p.to), DX: dx.Columns(p.from, p.to),
				Parts: p.heads, RMS: true, Accumulate: accumulate}
			b.DGain, _, _ = t.into(p.gain)
			t.Record(b)
		}
		values := graph.Add{A: dy.Columns(heads.Values(), heads.Columns()), Y: dx.Columns(heads.Values(), heads.Columns()), Alpha: 1}
		if accumulate {
			values.B, values.Beta = values.Y, 1
		}
		t.Record(&values)
	}, qkv)
	return y
}

// Decay records a state that fades and is given its input: see [graph.Decay].
func (t *Tape) Decay(x, u, rate, step graph.Tensor) graph.Tensor {
	y := t.Temporary(x.Rows, x.Cols)
	t.Record(&graph.Decay{X: x, U: u, Rate: rate, Step: step, Y: y})
	if !t.Tracks(x, u, rate, step) {
		return y
	}
	t.result(y, func(dy graph.Tensor) {
		b := &graph.DecayBackward{X: x, U: u, Rate: rate, Step: step, DY: dy, DX: dy, DU: t.Temporary(x.Rows, x.Cols)}
		for _, p := range []struct {
			of graph.Tensor
			to *graph.Tensor
		}{{rate, &b.DRate}, {step, &b.DStep}} {
			dp, _, ok := t.into(p.of)
			if !ok {
				dp = t.Accumulator(1, x.Cols)
			}
			*p.to = dp
		}
		t.Record(b)
		t.addInto(u, b.DU, true)
		t.addInto(x, dy, true)
	}, x, u)
	return y
}

// Attention is how queries, keys and values attend: see [graph.Attention] and, with Hard, [graph.HardAttention].
type Attention struct {
	Heads, KVHeads, Length int
	Scale                  float32 // 0 with Hard
	Hard                   bool
}

// width is the width of a head of qkv.
func (a Attention) width(qkv graph.Tensor) int {
	kv := a.KVHeads
	if kv == 0 {
		kv = a.Heads
	}
	return qkv.Cols / (a.Heads + 2*kv)
}

// Attention records causal attention over qkv.
func (t *Tape) Attention(qkv graph.Tensor, a Attention) graph.Tensor {
	y := t.Temporary(qkv.Rows, a.Heads*a.width(qkv))
	if a.Hard {
		t.hardAttention(qkv, y, a)
		return y
	}
	op := &graph.Attention{QKV: qkv, Out: y, Heads: a.Heads, KVHeads: a.KVHeads, Length: a.Length, Scale: a.Scale}
	if !t.Tracks(qkv) {
		t.Record(op)
		return y
	}
	op.LogSum = t.Temporary(qkv.Rows, a.Heads)
	t.Record(op)
	t.attentionGradient(qkv, y, func(dy, dqkv graph.Tensor) graph.Op {
		return &graph.AttentionBackward{QKV: qkv, Out: y, LogSum: op.LogSum, DOut: dy, DQKV: dqkv, Heads: a.Heads, KVHeads: a.KVHeads, Length: a.Length, Scale: a.Scale}
	})
	return y
}

func (t *Tape) hardAttention(qkv, y graph.Tensor, a Attention) {
	op := &graph.HardAttention{QKV: qkv, Out: y, Heads: a.Heads, KVHeads: a.KVHeads, Length: a.Length}
	if !t.Tracks(qkv) {
		t.Record(op)
		return
	}
	op.Chosen = t.Temporary(qkv.Rows, a.Heads)
	t.Record(op)
	t.attentionGradient(qkv, y, func(dy, dqkv graph.Tensor) graph.Op {
		return &graph.HardAttentionBackward{Chosen: op.Chosen, DOut: dy, DQKV: dqkv, Heads: a.Heads, KVHeads: a.KVHeads, Length: a.Length}
	})
}

// attentionGradient remembers the operation that makes the gradient of qkv from that of y.
func (t *Tape) attentionGradient(qkv, y graph.Tensor, backward func(dy, dqkv graph.Tensor) graph.Op) {
	t.result(y, func(dy graph.Tensor) {
		dx, accumulate, _ := t.into(qkv)
		if !accumulate {
			t.Record(backward(dy, dx))
			return
		}
		apart := t.Temporary(qkv.Rows, qkv.Cols)
		t.Record(backward(dy, apart))
		t.Record(&graph.Add{A: dx, B: apart, Y: dx, Alpha: 1, Beta: 1})
	}, qkv)
}

// Rotary rotates x in place. The operation that made x must not need its value from before.
func (t *Tape) Rotary(x graph.Tensor, width, length int, base float64) {
	op := graph.Rotary{X: x, Width: width, Length: length, Base: base}
	t.Record(&op)
	if t.Tracks(x) {
		t.Node(func() {
			if dx, ok := t.gradient(x); ok {
				back := op
				back.X, back.Inverse = dx, true
				t.Record(&back)
			}
		}, x)
	}
}

// Embedding records table[index], plus positions if they exist.
func (t *Tape) Embedding(table graph.Tensor, index graph.Index, positions graph.Tensor) graph.Tensor {
	y := t.Temporary(index.Len, table.Cols)
	t.Record(&graph.Embedding{Table: table, Index: index, Positions: positions, Y: y})
	if t.Tracks(table, positions) {
		t.result(y, func(dy graph.Tensor) {
			b := &graph.EmbeddingBackward{Index: index, DY: dy}
			b.DTable, _, _ = t.into(table)
			b.DPositions, _, _ = t.into(positions)
			t.Record(b)
		})
	}
	return y
}

// AddScaled records a + beta·b.
func (t *Tape) AddScaled(a, b graph.Tensor, beta float32) graph.Tensor {
	y := t.Temporary(a.Rows, a.Cols)
	t.Record(&graph.Add{A: a, B: b, Y: y, Alpha: 1, Beta: beta})
	if t.Tracks(a, b) {
		t.result(y, func(dy graph.Tensor) {
			if db, accumulate, ok := t.into(b); ok && accumulate {
				t.Record(&graph.Add{A: db, B: dy, Y: db, Alpha: 1, Beta: beta})
			} else if ok {
				t.Record(&graph.Add{A: dy, Y: db, Alpha: beta})
			}
			t.addInto(a, dy, true)
		}, a, b)
	}
	return y
}

// Add records a + b; b may be a row that is added to every row of a.
func (t *Tape) Add(a, b graph.Tensor) graph.Tensor {
	y := t.Temporary(a.Rows, a.Cols)
	t.Record(&graph.Add{A: a, B: b, Y: y, Alpha: 1, Beta: 1})
	if t.Tracks(a, b) {
		t.result(y, func(dy graph.Tensor) {
			if b.Rows != a.Rows {
				if db, accumulate, ok := t.into(b); ok {
					t.Record(&graph.ColumnSums{X: dy, Y: db, Accumulate: accumulate})
				}
			} else {
				t.addInto(b, dy, false)
			}
			t.addInto(a, dy, true)
		}, a, b)
	}
	return y
}

// CrossEntropy is the loss of a linear head: logits X·W (X·Wᵀ with Transpose) of the rows of X against Targets.
type CrossEntropy struct {
	X, W      graph.Tensor // [n,d]; [d,classes], or [classes,d] with Transpose
	Transpose bool
	Targets   graph.Index
	Loss      graph.Tensor // [n,1]: receives each row's loss, if given
	Correct   graph.Tensor // [n,1]: receives 1 for each row whose largest logit is its target's, if given

	// Weight·Scale times the gradient of the losses is added to those of X and W; row by row times RowWeights[n,1], if given.
	Weight     float32
	Scale      graph.Scalar
	RowWeights graph.Tensor

	Chunk int     // about how many logits are held at a time; at least 64 rows of them
	Cap   float32 // logits z become Cap·tanh(z/Cap); 0: they stay as they are
}

// leastRows is how many rows of logits are held at a time at least: each of the products reads all of W.
const leastRows = 64

// Logits records the logits of some rows of X.
func (t *Tape) Logits(h CrossEntropy, xs, logits graph.Tensor) {
	t.Record(&graph.Matmul{A: xs, B: h.W, C: logits, TransB: h.Transpose})
	if h.Cap > 0 {
		t.Record(&graph.SoftCap{X: logits, Y: logits, Cap: h.Cap})
	}
}

// CrossEntropy records a loss. With training, the gradient of each chunk of rows is taken at once.
func (t *Tape) CrossEntropy(h CrossEntropy) {
	classes := h.W.Cols
	if h.Transpose {
		classes = h.W.Rows
	}
	train := t.Tracks(h.X, h.W)
	rows := min(h.X.Rows, max(leastRows, h.Chunk/classes))
	var dx graph.Tensor
	if train && t.grads[h.X.Storage] != nil {
		dx = t.Temporary(h.X.Rows, h.X.Cols)
	}
	for lo := 0; lo < h.X.Rows; lo += rows {
		hi := min(h.X.Rows, lo+rows)
		xs := h.X.RowRange(lo, hi)
		logits := t.Temporary(hi-lo, classes)
		t.Logits(h, xs, logits)
		op := &graph.CrossEntropy{Logits: logits, Targets: h.Targets.Range(lo, hi), Scale: h.Scale, Weight: h.Weight}
		if h.Loss.Exists() {
			op.Loss = h.Loss.RowRange(lo, hi)
		}
		if h.Correct.Exists() {
			op.Correct = h.Correct.RowRange(lo, hi)
		}
		if h.RowWeights.Exists() {
			op.RowWeights = h.RowWeights.RowRange(lo, hi)
		}
		if train {
			op.DLogits = logits
			if h.Cap > 0 {
				op.DLogits = t.Temporary(hi-lo, classes)
			}
		}
		t.Record(op)
		if !train {
			continue
		}
		if h.Cap > 0 {
			t.Record(&graph.SoftCapBackward{Y: logits, DY: op.DLogits, DX: op.DLogits, Cap: h.Cap})
			logits = op.DLogits
		}
		if dw, _, ok := t.into(h.W); ok {
			a, b := xs, logits
			if h.Transpose {
				a, b = logits, xs
			}
			t.Record(&graph.Matmul{A: a, B: b, C: dw, TransA: true, Accumulate: true})
		}
		if dx.Exists() {
			t.Record(&graph.Matmul{A: logits, B: h.W, C: dx.RowRange(lo, hi), TransB: !h.Transpose})
		}
	}
	if dx.Exists() {
		t.Node(func() { t.addInto(h.X, dx, true) }, h.X)
	}
}
