package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"coil/autodiff"
	"coil/graph"
	"coil/model"
	"coil/thorough"
)

// checkTape builds a model twice, with gradients and without, and compares the gradients with differences of the loss
// of the one without. build records the model and returns its parameters and the accumulator of its loss.
func checkTape(t *testing.T, label string, seed uint64, recompute bool, build func(c *trial, tape *autodiff.Tape) ([]watched, graph.Tensor)) {
	t.Helper()
	record := func(train bool) (*trial, []watched, graph.Tensor) {
		c := onPaper(t, seed).inBody("%s, recompute=%v", label, recompute)
		tape := autodiff.NewTape(c.Recorder, train)
		tape.Recompute = recompute
		params, loss := build(c, tape)
		tape.Backward()
		if c.Err() != nil {
			t.Fatalf("%s: %v", c.label, c.Err())
		}
		return c, params, loss
	}
	trained, params, trainedLoss := record(true)
	plain, plainParams, plainLoss := record(false)
	of := func(loss graph.Tensor) func(r *reference) float64 {
		return func(r *reference) float64 { return r.read(loss).x[0].v }
	}
	ref := trained.evaluate(0, nil, 0)
	if a, b := of(trainedLoss)(ref), of(plainLoss)(plain.evaluate(0, nil, 0)); a != b || math.IsNaN(a) {
		t.Errorf("%s: loss %g with gradients, %g without", trained.label, a, b)
	}
	for i, w := range params {
		plain.checkGradient(trained.names[w.x.Storage], plainParams[i].x.Storage, values(ref.read(w.grad).x), of(plainLoss))
	}
}

func TestTransformerGradients(t *testing.T) {
	for _, recompute := range []bool{false, true} {
		checkTape(t, "transformer", 1, recompute, func(c *trial, tape *autodiff.Tape) ([]watched, graph.Tensor) {
			params := c.transformer(tape)
			return params, c.sumNamed("loss sum")
		})
	}
}

// A gate on the states of a looped layer, whose losses are expected over the loops: everything learns from it.
func TestExitGradients(t *testing.T) {
	const length, width, vocabulary, beta = 3, 4, 5, 0.2
	for loops := 1; loops <= 4; loops++ {
		for _, recompute := range []bool{false, true} {
			checkTape(t, fmt.Sprintf("%d loops", loops), 5, recompute, func(c *trial, tape *autodiff.Tape) ([]watched, graph.Tensor) {
				var params []watched
				param := func(rows, cols int) graph.Tensor {
					params = append(params, c.watch(tape, tape.Training(), "parameter", rows, cols, c.scaled(0.7)))
					return params[len(params)-1].x
				}
				none := graph.Tensor{}
				layer, gain, out, head := param(width, width), param(1, width), param(1, width), param(vocabulary, width)
				gate, bias := param(width, 1), param(1, 1)
				ones := c.Constant(1, width, []float32{1, 1, 1, 1})
				s := tape.Embedding(param(vocabulary, width), c.index([]int32{0, 3, 1, 2, 4, 0}), none)
				var states, gates []graph.Tensor
				for range loops {
					s = tape.Segment(s, func(s graph.Tensor) graph.Tensor {
						return tape.Linear(tape.Norm(s, gain, none, 0.1, true), autodiff.Linear{Weight: layer, Activation: graph.GELU, Residual: s})
					})
					states, gates = append(states, s), append(gates, tape.Norm(s, ones, none, 0.1, false))
				}
				e, scale := model.NewExits(tape, gates, gate, bias, c.index([]int32{1, 2, 4, 0, graph.Ignore, 3})), c.number(0.5)
				for i, s := range states {
					e.CrossEntropy(i+1, autodiff.CrossEntropy{X: tape.Norm(s, out, none, 0.1, true), W: head, Transpose: true, Scale: scale, Chunk: 2 * vocabulary})
				}
				loss, entropy, sum := c.Temporary(length, 1), c.Temporary(length, 1), c.sum("loss sum", 1, 1)
				e.Loss(loss, entropy, beta, scale)
				tape.Record(&graph.Sum{X: loss, Y: sum, Alpha: 0.5, Accumulate: true})
				tape.Record(&graph.Sum{X: entropy, Y: sum, Alpha: -0.5 * beta, Accumulate: true})
				return params, sum
			})
		}
	}
}

// sumNamed finds an accumulator.
func (c *trial) sumNamed(name string) graph.Tensor {
	for i, s := range c.Storages() {
		if s.Space == graph.Accumulator && c.names[i+1] == name {
			return graph.Tensor{Storage: i + 1, Rows: 1, Cols: s.Len, Stride: s.Len}
		}
	}
	panic("no accumulator " + name)
}

// TestDetached compares the gradients of a model with a detached part to those of the same model with a constant of the
// same value in its place.
func TestDetached(t *testing.T) {
	gradients := func(constant []num) (grads [][]float64, detached []num) {
		c := onPaper(t, 3).inBody("detached")
		c.Recorder = graph.NewRecorder(1, 1)
		tape := autodiff.NewTape(c.Recorder, true)
		var params []watched
		param := func(rows, cols int) graph.Tensor {
			params = append(params, c.watch(tape, true, "parameter", rows, cols, c.scaled(0.5)))
			return params[len(params)-1].x
		}
		w1, w2, table, none := param(4, 4), param(4, 4), param(5, 4), graph.Tensor{}
		x := tape.Linear(tape.Embedding(table, c.index([]int32{0, 3, 1}), none), autodiff.Linear{Weight: w1, Activation: graph.GELU})
		var y graph.Tensor
		if constant == nil {
			tape.Detached(func() {
				y = tape.Linear(tape.Norm(x, w2.RowRange(0, 1), none, 0.1, true), autodiff.Linear{Weight: w2, Activation: graph.GELU, Residual: x})
			})
		} else {
			values := make([]float32, len(constant))
			for i, v := range constant {
				values[i] = float32(v.v)
			}
			y = c.Constant(3, 4, values)
		}
		z := tape.Linear(tape.Add(x, y), autodiff.Linear{Weight: w1, Transpose: true, Residual: y})
		tape.CrossEntropy(autodiff.CrossEntropy{X: z, W: table, Transpose: true, Targets: c.index([]int32{1, 2, 4}), Weight: 1, Chunk: 100})
		tape.Backward()
		ref := c.evaluate(0, nil, 0)
		for _, w := range params {
			grads = append(grads, values(ref.read(w.grad).x))
		}
		return grads, ref.read(y).x
	}
	got, detached := gradients(nil)
	want, _ := gradients(detached)
	for i := range want {
		for j, g := range got[i] {
			if !(math.Abs(g-want[i][j]) <= 1e-6) { // the constant is rounded to float32
				t.Errorf("gradient %d of parameter %d: %g, want %g", j, i, g, want[i][j])
			}
		}
	}
}

// TestRandomTapes records random graphs: however a tape saves memory, the gradients are those of the loss.
func TestRandomTapes(t *testing.T) {
	for seed := range uint64(500 / thorough.Every(t, 15, "graphs")) {
		for _, recompute := range []bool{false, true} {
			checkTape(t, fmt.Sprintf("random graph %d", seed), seed, recompute, randomGraph)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

const graphWidth = 4

// graph is a random model under construction.
type network struct {
	*trial
	tape   *autodiff.Tape
	train  bool
	shape  *rand.Rand // of the graph's structure
	params []watched
	byKind map[[2]int][]graph.Tensor // parameters by shape, to be shared
	used   *[]graph.Tensor           // parameters of the segment being recorded
	next   int                       // how many of them this recording of it has used
}

func randomGraph(c *trial, tape *autodiff.Tape) ([]watched, graph.Tensor) {
	const length, vocabulary = 3, 5
	g := &network{trial: c, tape: tape, train: tape.Training(), shape: rand.New(rand.NewPCG(c.rng.Uint64(), 4)), byKind: map[[2]int][]graph.Tensor{}}
	tokens := func() graph.Index {
		ids := make([]int32, length*c.Groups())
		for i := range ids {
			ids[i] = int32(c.rng.IntN(vocabulary))
		}
		return c.index(ids)
	}
	nodes := []graph.Tensor{tape.Embedding(g.param(vocabulary, graphWidth), tokens(), graph.Tensor{})}
	for range 1 + g.shape.IntN(7) {
		nodes = append(nodes, g.node(nodes, true))
	}
	sum := c.sum("loss sum", 1, 1)
	heads := 1 + c.rng.IntN(2)
	for i := range heads {
		x := nodes[len(nodes)-1]
		if i > 0 {
			x = pick(g, nodes)
		}
		w, transpose := g.param(graphWidth, vocabulary), false
		if c.rng.IntN(2) == 0 {
			w, transpose = g.param(vocabulary, graphWidth), true
		}
		loss := c.output("loss", length, 1)
		tape.CrossEntropy(autodiff.CrossEntropy{X: x, W: w, Transpose: transpose, Targets: tokens(), Loss: loss, Scale: c.number(0.5), Weight: 0.5, Chunk: 1 + c.rng.IntN(4*vocabulary)})
		tape.Record(&graph.Sum{X: loss, Y: sum, Alpha: 0.25, Accumulate: true})
	}
	return g.params, sum
}

func pick(g *network, nodes []graph.Tensor) graph.Tensor {
	last := nodes[max(0, len(nodes)-3):] // so that most nodes have several readers
	return last[g.shape.IntN(len(last))]
}

// param is a new parameter, or one of before.
func (g *network) param(rows, cols int) graph.Tensor {
	if g.used == nil {
		return g.newParam(rows, cols)
	}
	if g.next == len(*g.used) {
		*g.used = append(*g.used, g.newParam(rows, cols))
	}
	g.next++
	return (*g.used)[g.next-1]
}

func (g *network) newParam(rows, cols int) graph.Tensor {
	shape := [2]int{rows, cols}
	if old := g.byKind[shape]; len(old) > 0 && g.rng.IntN(3) == 0 {
		return old[g.rng.IntN(len(old))]
	}
	w := g.watch(g.tape, g.train, "parameter", rows, cols, g.scaled(0.6))
	g.params = append(g.params, w)
	g.byKind[shape] = append(g.byKind[shape], w.x)
	return w.x
}

func (g *network) maybe(x graph.Tensor) graph.Tensor {
	if g.shape.IntN(2) == 0 {
		return graph.Tensor{}
	}
	return x
}

// node records a random operation on some of the nodes.
func (g *network) node(nodes []graph.Tensor, segments bool) graph.Tensor {
	x, d, none := pick(g, nodes), graphWidth, graph.Tensor{}
	f := []graph.Activation{graph.Identity, graph.GELU, graph.GELU}[g.shape.IntN(3)]
	switch g.shape.IntN(11) {
	case 0, 1: // its value is dropped
		return g.tape.Linear(x, autodiff.Linear{Weight: g.param(d, d), Activation: graph.GELU})
	case 8:
		residual := g.maybe(pick(g, nodes))
		if g.shape.IntN(2) == 0 {
			return g.tape.Linear(x, autodiff.Linear{Weight: g.param(d, d), Bias: g.maybe(g.param(1, d)), Transpose: true, Activation: f, Residual: residual})
		}
		return g.tape.Linear(x, autodiff.Linear{Weight: g.param(d, d), Bias: g.maybe(g.param(1, d)), Activation: f, Residual: residual})
	case 2: // of a part of the columns
		h := g.tape.Linear(x, autodiff.Linear{Weight: g.param(d, 2*d), Activation: f})
		y := g.tape.Linear(h.Columns(0, d), autodiff.Linear{Weight: g.param(d, d), Activation: f})
		return g.tape.Linear(h.Columns(1, d+1), autodiff.Linear{Weight: g.param(d, d), Residual: y})
	case 3:
		if g.shape.IntN(2) == 0 {
			return g.tape.Norm(x, g.param(1, d), none, 0.1, true)
		}
		gain, bias := g.param(1, d), g.maybe(g.param(1, d))
		if bias == gain {
			bias = none
		}
		return g.tape.Norm(x, gain, bias, 0.1, false)
	case 4:
		h := g.tape.Linear(x, autodiff.Linear{Weight: g.param(d, 2*d), Activation: f})
		if g.shape.IntN(2) == 0 {
			return g.tape.SwiGLU(h)
		}
		wide := g.tape.Linear(x, autodiff.Linear{Weight: g.param(d, 3*d)})
		return g.tape.Add(g.tape.SwiGLU(wide.Columns(0, 2*d)), g.tape.SwiGLU(h))
	case 5:
		qkv := g.tape.Linear(x, autodiff.Linear{Weight: g.param(d, 3*d)})
		if g.shape.IntN(2) == 0 {
			g.tape.Rotary(qkv.Columns(0, 2*d), 2, 3, 10)
		}
		y := g.tape.Attention(qkv, autodiff.Attention{Heads: 2, Length: 3})
		if g.shape.IntN(2) == 0 { // a second reader of the queries, keys and values
			y = g.tape.Add(y, g.tape.Attention(qkv, autodiff.Attention{Heads: 1, Length: 3, Scale: 0.3}))
		}
		return y
	case 6:
		return g.tape.Add(x, pick(g, nodes))
	case 7:
		return g.tape.Add(x, g.param(1, d))
	}
	if !segments {
		return g.tape.Add(x, x)
	}
	// A segment may be recorded again: it must be the same operations on the same parameters each time.
	seed, used := g.shape.Uint64(), new([]graph.Tensor)
	nodes = slices.Clone(nodes)
	return g.tape.Segment(x, func(x graph.Tensor) graph.Tensor {
		outer := *g
		g.shape, g.used, g.next = rand.New(rand.NewPCG(seed, 5)), used, 0
		inner := append(slices.Clone(nodes), x)
		for range 1 + g.shape.IntN(3) {
			inner = append(inner, g.node(inner, false))
		}
		g.shape, g.used, g.next = outer.shape, nil, 0
		return inner[len(inner)-1]
	})
}
