package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"coil/backend"
	"coil/graph"
)

// memory is a backend with only buffers: enough to record and to evaluate the reference.
type memory struct{ backend.Backend }

type block struct{ x []float32 }

func (memory) NewBuffer(n int) (graph.Buffer, error) { return &block{make([]float32, n)}, nil }

func (b *block) Len() int { return len(b.x) }

func (b *block) Write(offset int, src []float32) error {
	copy(b.x[offset:], src)
	return nil
}

func (b *block) Read(offset int, dst []float32) error {
	copy(dst, b.x[offset:])
	return nil
}

func (b *block) Free() {}

func onPaper(t *testing.T, seed uint64) *suite {
	return &suite{failer: t, b: memory{}, rng: rand.New(rand.NewPCG(seed, 3))}
}

// evaluate runs the reference, with parameter storage k moved by h along a direction.
func (c *trial) evaluate(k int, direction []float64, h float64) *reference {
	c.Helper()
	if c.Err() != nil {
		c.Fatalf("%s: %v", c.label, c.Err())
	}
	ref := newReference(c.Recorder, c.given(), nil)
	for i, d := range direction {
		ref.storages[k-1][i].v += h * d
	}
	ref.run()
	return ref
}

// checkGradient compares the derivative of value along random directions of a parameter with differences of the value.
func (c *trial) checkGradient(name string, parameter int, gradient []float64, value func(*reference) float64) {
	c.Helper()
	const h = 2e-5
	direction := make([]float64, len(gradient))
	var want, size float64
	for i, g := range gradient {
		direction[i] = c.rng.NormFloat64()
		want += g * direction[i]
		size += math.Abs(g * direction[i])
	}
	at := func(h float64) float64 { return value(c.evaluate(parameter, direction, h)) }
	got := (8*(at(h)-at(-h)) - (at(2*h) - at(-2*h))) / (12 * h)
	// The quotient is wrong by h⁴ times a fifth derivative, and by what cancels in the values.
	if !(math.Abs(got-want) <= 1e-6*size+1e-15/h*math.Abs(at(0))) {
		c.Errorf("%s: gradient of %s: difference quotient %g, want %g", c.label, name, got, want)
	}
}

func values(xs []num) []float64 {
	vs := make([]float64, len(xs))
	for i, x := range xs {
		vs[i] = x.v
	}
	return vs
}

// gradientOf checks an operation that has a backward operation: forward computes y from parameters, backward adds the
// gradients of Σ dy∘y to accumulators. The weights dy are the same for forward and backward.
func gradientOf(t *testing.T, label string, forward func(c *trial, xs []graph.Tensor) graph.Tensor,
	backward func(c *trial, xs []graph.Tensor, y, dy graph.Tensor) []graph.Tensor, shapes ...[2]int) {
	t.Helper()
	c := onPaper(t, 7).inBody("%s", label)
	c.Recorder = graph.NewRecorder(1, 1)
	var xs []graph.Tensor
	for _, shape := range shapes {
		xs = append(xs, c.weight("x", shape[0], shape[1], c.scaled(0.7)))
	}
	y := forward(c, xs)
	dy := c.weight("dy", y.Rows, y.Cols)
	grads := backward(c, xs, y, dy)
	value := func(r *reference) float64 {
		sum, weights := 0.0, r.read(dy).x
		for i, v := range r.read(y).x {
			sum += v.v * weights[i].v
		}
		return sum
	}
	base := c.evaluate(0, nil, 0)
	for i, g := range grads {
		if g.Exists() {
			c.checkGradient("operand", xs[i].Storage, values(base.read(g).x), value)
		}
	}
}

func TestActivationGradients(t *testing.T) {
	for _, f := range []graph.Activation{graph.Identity, graph.GELU, graph.ReLU} {
		gradientOf(t, f.String(), func(c *trial, xs []graph.Tensor) graph.Tensor {
			y := c.Temporary(4, 9)
			c.Record(&graph.Activate{Activation: f, X: xs[0], Y: y})
			return y
		}, func(c *trial, xs []graph.Tensor, _, dy graph.Tensor) []graph.Tensor {
			dx := c.Temporary(4, 9)
			c.Record(&graph.ActivateBackward{Activation: f, X: xs[0], DY: dy, DX: dx})
			return []graph.Tensor{dx}
		}, [2]int{4, 9})
	}
	gradientOf(t, "swiglu", func(c *trial, xs []graph.Tensor) graph.Tensor {
		y := c.Temporary(4, 5)
		c.Record(&graph.SwiGLU{X: xs[0], Y: y})
		return y
	}, func(c *trial, xs []graph.Tensor, _, dy graph.Tensor) []graph.Tensor {
		dx := c.Temporary(4, 10)
		c.Record(&graph.SwiGLUBackward{X: xs[0], DY: dy, DX: dx})
		return []graph.Tensor{dx}
	}, [2]int{4, 10})
}

func TestNormGradients(t *testing.T) {
	for _, rms := range []bool{false, true} {
		var stats graph.Tensor
		gradientOf(t, (&graph.LayerNorm{RMS: rms}).Name(), func(c *trial, xs []graph.Tensor) graph.Tensor {
			y := c.Temporary(3, 8)
			stats = c.Temporary(3, 2)
			op := &graph.LayerNorm{X: xs[0], Gain: xs[1], Y: y, Stats: stats, Eps: 0.01, RMS: rms}
			if !rms {
				op.Bias = xs[2]
			}
			c.Record(op)
			return y
		}, func(c *trial, xs []graph.Tensor, _, dy graph.Tensor) []graph.Tensor {
			op := &graph.LayerNormBackward{X: xs[0], Gain: xs[1], Stats: stats, DY: dy, DX: c.Temporary(3, 8), DGain: c.Accumulator(1, 8), RMS: rms}
			if !rms {
				op.DBias = c.Accumulator(1, 8)
			}
			c.Record(op)
			return []graph.Tensor{op.DX, op.DGain, op.DBias}
		}, [2]int{3, 8}, [2]int{1, 8}, [2]int{1, 8})
	}
}

func TestSoftCapGradients(t *testing.T) {
	gradientOf(t, "soft cap", func(c *trial, xs []graph.Tensor) graph.Tensor {
		y := c.Temporary(3, 8)
		c.Record(&graph.SoftCap{X: xs[0], Y: y, Cap: 1.5})
		return y
	}, func(c *trial, xs []graph.Tensor, y, dy graph.Tensor) []graph.Tensor {
		dx := c.Temporary(3, 8)
		c.Record(&graph.SoftCapBackward{Y: y, DY: dy, DX: dx, Cap: 1.5})
		return []graph.Tensor{dx}
	}, [2]int{3, 8})
}

func TestDecayGradients(t *testing.T) {
	gradientOf(t, "decay", func(c *trial, xs []graph.Tensor) graph.Tensor {
		y := c.Temporary(3, 8)
		c.Record(&graph.Decay{X: xs[0], U: xs[1], Rate: xs[2], Step: xs[3], Y: y})
		return y
	}, func(c *trial, xs []graph.Tensor, _, dy graph.Tensor) []graph.Tensor {
		op := &graph.DecayBackward{X: xs[0], U: xs[1], Rate: xs[2], Step: xs[3], DY: dy, DX: c.Temporary(3, 8), DU: c.Temporary(3, 8), DRate: c.Accumulator(1, 8), DStep: c.Accumulator(1, 8)}
		c.Record(op)
		return []graph.Tensor{op.DX, op.DU, op.DRate, op.DStep}
	}, [2]int{3, 8}, [2]int{3, 8}, [2]int{1, 8}, [2]int{1, 8})
}

func TestWeighGradients(t *testing.T) {
	for _, form := range []struct{ x, y int }{{3, 3}, {1, 3}, {3, 1}} { // parts
		gradientOf(t, fmt.Sprintf("weigh %d parts into %d", form.x, form.y), func(c *trial, xs []graph.Tensor) graph.Tensor {
			y := c.Temporary(2, 4*form.y)
			c.Record(&graph.Weigh{X: xs[0], W: xs[1], Residual: xs[2], Y: y, Alpha: 1.5})
			return y
		}, func(c *trial, xs []graph.Tensor, _, dy graph.Tensor) []graph.Tensor {
			dx, dw := c.Temporary(2, 4*form.x), c.Temporary(2, 3)
			c.Record(&graph.Weigh{X: dy, W: xs[1], Y: dx, Alpha: 1.5})
			c.Record(&graph.Dots{A: dy, B: xs[0], Y: dw, Alpha: 1.5})
			return []graph.Tensor{dx, dw, dy}
		}, [2]int{2, 4 * form.x}, [2]int{2, 3}, [2]int{2, 4 * form.y})
	}
}

func TestSoftmaxGradients(t *testing.T) {
	gradientOf(t, "softmax", func(c *trial, xs []graph.Tensor) graph.Tensor {
		y := c.Temporary(3, 5)
		c.Record(&graph.Softmax{X: xs[0], Y: y, Scale: 1.5})
		return y
	}, func(c *trial, xs []graph.Tensor, y, dy graph.Tensor) []graph.Tensor {
		dx := c.Temporary(3, 5)
		c.Record(&graph.SoftmaxBackward{Y: y, DY: dy, DX: dx, Scale: 1.5})
		return []graph.Tensor{dx}
	}, [2]int{3, 5})
}

func TestNormsOfParts(t *testing.T) {
	for _, rms := range []bool{false, true} {
		var stats graph.Tensor
		gradientOf(t, "norm of parts", func(c *trial, xs []graph.Tensor) graph.Tensor {
			y := c.Temporary(3, 12)
			stats = c.Temporary(3, 6)
			c.Record(&graph.LayerNorm{X: xs[0], Gain: xs[1], Y: y, Stats: stats, Eps: 1e-3, RMS: rms, Parts: 3})
			return y
		}, func(c *trial, xs []graph.Tensor, _, dy graph.Tensor) []graph.Tensor {
			op := &graph.LayerNormBackward{X: xs[0], Gain: xs[1], Stats: stats, DY: dy, DX: c.Temporary(3, 12), DGain: c.Accumulator(1, 4), RMS: rms, Parts: 3}
			c.Record(op)
			return []graph.Tensor{op.DX, op.DGain}
		}, [2]int{3, 12}, [2]int{1, 4})
	}
}

func TestAttentionGradients(t *testing.T) {
	const n, d, heads, length = 10, 6, 2, 5
	var logSum graph.Tensor
	gradientOf(t, "attention", func(c *trial, xs []graph.Tensor) graph.Tensor {
		y := c.Temporary(n, d)
		logSum = c.Temporary(n, heads)
		c.Record(&graph.Attention{QKV: xs[0], Out: y, LogSum: logSum, Heads: heads, Length: length})
		return y
	}, func(c *trial, xs []graph.Tensor, y, dy graph.Tensor) []graph.Tensor {
		dx := c.Temporary(n, 3*d)
		c.Record(&graph.AttentionBackward{QKV: xs[0], Out: y, LogSum: logSum, DOut: dy, DQKV: dx, Heads: heads, Length: length})
		return []graph.Tensor{dx}
	}, [2]int{n, 3 * d})
	gradientOf(t, "shared keys and values", func(c *trial, xs []graph.Tensor) graph.Tensor {
		y := c.Temporary(n, 8)
		logSum = c.Temporary(n, 4)
		c.Record(&graph.Attention{QKV: xs[0], Out: y, LogSum: logSum, Heads: 4, KVHeads: 2, Scale: 0.4, Length: length})
		return y
	}, func(c *trial, xs []graph.Tensor, y, dy graph.Tensor) []graph.Tensor {
		dx := c.Temporary(n, 16)
		c.Record(&graph.AttentionBackward{QKV: xs[0], Out: y, LogSum: logSum, DOut: dy, DQKV: dx, Heads: 4, KVHeads: 2, Scale: 0.4, Length: length})
		return []graph.Tensor{dx}
	}, [2]int{n, 16})
	var chosen graph.Tensor
	gradientOf(t, "hard attention", func(c *trial, xs []graph.Tensor) graph.Tensor {
		y := c.Temporary(n, 8)
		chosen = c.Temporary(n, 4)
		c.Record(&graph.HardAttention{QKV: xs[0], Out: y, Chosen: chosen, Heads: 4, KVHeads: 2, Length: length})
		return y
	}, func(c *trial, xs []graph.Tensor, y, dy graph.Tensor) []graph.Tensor {
		dx := c.Temporary(n, 16)
		c.Record(&graph.HardAttentionBackward{Chosen: chosen, DOut: dy, DQKV: dx, Heads: 4, KVHeads: 2, Length: length})
		return []graph.Tensor{dx}
	}, [2]int{n, 16})
	gradientOf(t, "rotary", func(c *trial, xs []graph.Tensor) graph.Tensor {
		y := c.Temporary(n, 8)
		c.Record(&graph.Add{A: xs[0], Y: y, Alpha: 1})
		c.Record(&graph.Rotary{X: y, Width: 4, Length: length, Base: 100})
		return y
	}, func(c *trial, _ []graph.Tensor, _, dy graph.Tensor) []graph.Tensor {
		dx := c.Temporary(n, 8)
		c.Record(&graph.Add{A: dy, Y: dx, Alpha: 1})
		c.Record(&graph.Rotary{X: dx, Width: 4, Length: length, Base: 100, Inverse: true})
		return []graph.Tensor{dx}
	}, [2]int{n, 8})
}

func TestEmbeddingGradients(t *testing.T) {
	var ids graph.Index
	gradientOf(t, "embedding", func(c *trial, xs []graph.Tensor) graph.Tensor {
		y := c.Temporary(8, 3)
		ids = c.index([]int32{0, 4, 1, 1, 3, 4, 1, 0})
		c.Record(&graph.Embedding{Table: xs[0], Index: ids, Positions: xs[1], Y: y})
		return y
	}, func(c *trial, _ []graph.Tensor, _, dy graph.Tensor) []graph.Tensor {
		dtable, dpositions := c.Accumulator(5, 3), c.Accumulator(4, 3)
		c.Record(&graph.EmbeddingBackward{Index: ids, DY: dy, DTable: dtable, DPositions: dpositions})
		return []graph.Tensor{dtable, dpositions}
	}, [2]int{5, 3}, [2]int{4, 3})
}

func TestLossGradients(t *testing.T) {
	// The loss of every row counts with Weight·Scale, so its weight in the sum must be that for each.
	c := onPaper(t, 8).inBody("cross-entropy")
	c.Recorder = graph.NewRecorder(1, 1)
	x, loss, grad := c.weight("logits", 4, 5), c.Temporary(4, 1), c.Temporary(4, 5)
	c.Record(&graph.CrossEntropy{Logits: x, Targets: c.index([]int32{4, graph.Ignore, 0, 2}), Loss: loss, DLogits: grad, Scale: c.number(0.25), Weight: 3})
	c.checkGradient("logits", x.Storage, values(c.evaluate(0, nil, 0).read(grad).x), func(r *reference) float64 {
		sum := 0.0
		for _, l := range r.read(loss).x {
			sum += 0.75 * l.v
		}
		return sum
	})
	c = onPaper(t, 8).inBody("weighted cross-entropy")
	c.Recorder = graph.NewRecorder(1, 1)
	x, loss, grad = c.weight("logits", 3, 5), c.Temporary(3, 1), c.Temporary(3, 5)
	weights := c.weight("row weights", 3, 1, list(2, 0.5, -1))
	c.Record(&graph.CrossEntropy{Logits: x, Targets: c.index([]int32{4, 0, 2}), RowWeights: weights, Loss: loss, DLogits: grad, Weight: 1})
	c.checkGradient("logits", x.Storage, values(c.evaluate(0, nil, 0).read(grad).x), func(r *reference) float64 {
		l := r.read(loss).x
		return 2*l[0].v + 0.5*l[1].v - l[2].v
	})
	var norms graph.Tensor
	gradientOf(t, "cosine", func(c *trial, xs []graph.Tensor) graph.Tensor {
		y := c.Temporary(1, 1)
		norms = c.Temporary(1, 3)
		c.Record(&graph.Cosine{A: xs[0], B: xs[1], Y: y, Norms: norms, Alpha: 0.7})
		return y
	}, func(c *trial, xs []graph.Tensor, _, dy graph.Tensor) []graph.Tensor {
		da, db := c.Accumulator(3, 4), c.Accumulator(3, 4)
		c.Record(&graph.CosineBackward{A: xs[0], B: xs[1], Norms: norms, DA: da, DB: db, Alpha: 0.7})
		scaled := func(d graph.Tensor) graph.Tensor {
			y := c.Temporary(12, 1)
			f := d.Flat()
			f.Rows, f.Cols, f.Stride = 12, 1, 1
			c.Record(&graph.Matmul{A: f, B: dy, C: y})
			return y
		}
		return []graph.Tensor{scaled(da), scaled(db)}
	}, [2]int{3, 4}, [2]int{3, 4})
}

// The distribution adds up to one, the loss and the entropy are those of its definition, and the gradient is theirs.
func TestExit(t *testing.T) {
	const n, loops, beta = 4, 5, 0.3
	c := onPaper(t, 9).inBody("exit")
	c.Recorder = graph.NewRecorder(1, 1)
	z, losses := c.weight("Z", n*loops, 1), c.weight("losses", n*loops, 1, c.positive)
	targets := c.index([]int32{4, graph.Ignore, 0, 2})
	p, loss, entropy, dz := c.Temporary(n*loops, 1), c.Temporary(n, 1), c.Temporary(n, 1), c.Temporary(n*loops, 1)
	c.Record(&graph.Exit{Z: z, Targets: targets, P: p})
	c.Record(&graph.ExitLoss{Z: z, P: p, Losses: losses, Targets: targets, Loss: loss, Entropy: entropy, DZ: dz, Beta: beta, Scale: c.number(0.25), Weight: 3})
	base := c.evaluate(0, nil, 0)
	for i := range n {
		var sum, e, h float64
		for l := range loops {
			q := base.read(p).at(l*n+i, 0).v
			sum += q
			e += q * base.read(losses).at(l*n+i, 0).v
			if q > 0 {
				h -= q * math.Log(q)
			}
		}
		want := 1.0
		if i == 1 { // ignored
			want = 0
		}
		if math.Abs(sum-want) > 1e-12 {
			t.Errorf("position %d: the distribution adds up to %g, want %g", i, sum, want)
		}
		if math.Abs(base.read(loss).at(i, 0).v-e) > 1e-12 || math.Abs(base.read(entropy).at(i, 0).v-h) > 1e-12 {
			t.Errorf("position %d: loss %g and entropy %g, want %g and %g", i, base.read(loss).at(i, 0).v, base.read(entropy).at(i, 0).v, e, h)
		}
	}
	value := func(r *reference) float64 {
		sum := 0.0
		for i := range n {
			sum += 0.75 * (r.read(loss).at(i, 0).v - float64(float32(beta))*r.read(entropy).at(i, 0).v)
		}
		return sum
	}
	c.checkGradient("Z", z.Storage, values(base.read(dz).x), value)
	// What CrossEntropy weights its rows by is the gradient of each loss.
	weights := values(base.read(p).x)
	for i := range weights {
		weights[i] *= 0.75
	}
	c.checkGradient("losses", losses.Storage, weights, value)
}
