package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"coil/graph"
	"coil/loop"
)

// An initializer makes the first values of a parameter from the one with number first on, in order.
type initializer func(values []float32, first int, rng *rand.Rand)

// Parameter is a weight matrix, or a vector as one row, at Offset in the arena of all parameters.
type Parameter struct {
	Name       string
	Rows, Cols int
	Offset     int
	Decay      bool // matrices decay; vectors, one or a row for each of several things, and the injection that decays the state do not
	// Parts are the columns of each of the matrices side by side, of a matrix inside a block: queries, keys and values; gate and up.
	Parts []int
	// LoopRows are the rows for each loop, of a parameter that has some for each; else 0.
	LoopRows int
	init     initializer
}

// Size is the number of values.
func (p Parameter) Size() int { return p.Rows * p.Cols }

// Counterpart is the name of the parameter that is in layer layers[i] what p is in layer i; p's own outside the layers.
func (p Parameter) Counterpart(layers []int) string {
	inLayer, ok := strings.CutPrefix(p.Name, "layers.")
	if !ok {
		return p.Name
	}
	number, rest, _ := strings.Cut(inLayer, ".")
	i, err := strconv.Atoi(number)
	if err != nil {
		panic("model: the name of a layer's parameter")
	}
	return fmt.Sprintf("layers.%d.%s", layers[i], rest)
}

// view is the parameter as a tensor in an arena of parameters, or of their gradients.
func (p Parameter) view(arena graph.Tensor) graph.Tensor {
	arena.Offset, arena.Rows, arena.Cols, arena.Stride = arena.Offset+p.Offset, p.Rows, p.Cols, p.Cols
	return arena
}

// Model is a configuration with the layout of its parameters.
type Model struct {
	Config       Config
	Loops        Loops
	Architecture loop.Architecture
	Vocabulary   int
	Length       int // positions of a sequence
	Parameters   []Parameter
	Size         int // values of the arena

	byName map[string]Parameter
}

// New lays out the parameters of a model for sequences of length tokens of a vocabulary.
func New(c Config, l Loops, vocabulary, length int) (*Model, error) {
	a, err := c.Check(l)
	if err != nil {
		return nil, err
	}
	if vocabulary < 2 || length < 1 {
		return nil, fmt.Errorf("model: a vocabulary of %d and sequences of %d tokens", vocabulary, length)
	}
	m := &Model{Config: c, Loops: l, Architecture: a, Vocabulary: vocabulary, Length: length, byName: map[string]Parameter{}}
	m.layout()
	return m, nil
}

// layout lists the parameters: first those that decay, so that each kind is one run of the arena.
func (m *Model) layout() {
	c, d, heads := m.Config, m.Config.Width, m.Config.Layout()
	normal := func(x []float32, _ int, rng *rand.Rand) {
		for i := range x {
			x[i] = float32(rng.NormFloat64() * c.InitStd)
		}
	}
	constant := func(v float32) initializer {
		return func(x []float32, _ int, _ *rand.Rand) {
			for i := range x {
				x[i] = v
			}
		}
	}
	identity := func(x []float32, first int, _ *rand.Rand) {
		for i := range x {
			x[i] = 0
			if (first+i)%(d+1) == 0 {
				x[i] = 1
			}
		}
	}
	var matrices, vectors []Parameter
	matrix := func(name string, rows, cols int, init initializer) {
		matrices = append(matrices, Parameter{Name: name, Rows: rows, Cols: cols, Decay: true, init: init})
	}
	vector := func(name string, n int, v float32) {
		vectors = append(vectors, Parameter{Name: name, Rows: 1, Cols: n, init: constant(v)})
	}
	linear := func(name string, in int, biased bool, parts ...int) {
		out := 0
		for _, n := range parts {
			out += n
		}
		matrix(name+".weight", in, out, normal)
		matrices[len(matrices)-1].Parts = parts
		if biased {
			vector(name+".bias", out, 0)
		}
	}
	// rows are vectors, one for each of n things.
	rows := func(name string, n, cols int, v float32) {
		vectors = append(vectors, Parameter{Name: name, Rows: n, Cols: cols, init: constant(v)})
	}
	norm := func(name string) {
		if c.Norm == NoNorm {
			return
		}
		vector(name+".gain", d, 1)
		if c.Bias && c.Norm == LayerNorm {
			vector(name+".bias", d, 0)
		}
	}
	matrix("embedding.weight", m.Vocabulary, d, normal)
	if c.Positions == LearnedPositions {
		matrix("positions.weight", m.Length, d, normal)
	}
	for i := range m.Architecture.Layers() {
		name := fmt.Sprintf("layers.%d.", i)
		norm(name + "attention.norm")
		linear(name+"attention.qkv", d, c.Bias && c.QKVBias, heads.Keys(), heads.Values()-heads.Keys(), heads.Columns()-heads.Values())
		if c.QKNorm {
			vector(name+"attention.q_norm.gain", heads.Width, 1)
			vector(name+"attention.k_norm.gain", heads.Width, 1)
		}
		linear(name+"attention.out", heads.Heads*heads.Width, c.Bias, d)
		if c.NormPlace == SandwichNorm {
			norm(name + "attention.norm_out")
		}
		norm(name + "feedforward.norm")
		hidden := []int{c.Hidden}
		if c.gated() {
			hidden = append(hidden, c.Hidden) // gate and up, side by side
		}
		linear(name+"feedforward.in", d, c.Bias, hidden...)
		linear(name+"feedforward.out", c.Hidden, c.Bias, d)
		if c.NormPlace == SandwichNorm {
			norm(name + "feedforward.norm_out")
		}
		if m.hears() && m.Architecture.Block(i) == m.Architecture.Looped() {
			rows(name+"message.queries", messages, d, 0)
			for _, which := range messageNames {
				linear(name+"message."+which+".down", 2*d, false, c.CarryRank)
				linear(name+"message."+which+".up", c.CarryRank, false, d, d) // to forget, and to hear
				matrices[len(matrices)-1].init = constant(0)
			}
		}
	}
	if c.Injection == LinearInjection { // begins as add
		matrix("injection.state.weight", d, d, identity)
		matrix("injection.input.weight", d, d, identity)
	}
	if c.Injection == DecayInjection { // e·B without decay of weights, which would let the input vanish
		vectors = append(vectors, Parameter{Name: "injection.input.weight", Rows: d, Cols: d, init: identity})
		vector("injection.decay", d, 0)
		vector("injection.step", d, decayStep)
	}
	if n, loops := c.Streams, m.maxLoops(); n > 0 {
		for _, purpose := range streamPurposes {
			matrix("hyper_connections."+purpose.name+".weight", loops*n*d, n, normal)
			matrices[len(matrices)-1].LoopRows = n * d
			rows("hyper_connections."+purpose.name+".scale", loops, 1, streamScale)
			vectors[len(vectors)-1].LoopRows = 1
			rows("hyper_connections."+purpose.name+".bias", loops, n, purpose.bias(n))
			vectors[len(vectors)-1].LoopRows = 1
		}
		matrix("hyper_connections.embedding.weight", loops, d, constant(0))
		matrices[len(matrices)-1].LoopRows = 1
	}
	if c.LoopNorm {
		norm("loop_norm")
	}
	if c.LoopEmbedding {
		matrix("loop_embedding.weight", m.maxLoops(), d, normal)
		matrices[len(matrices)-1].LoopRows = 1
	}
	if m.Loops.LearnedExit() {
		matrix("exit.weight", d, 1, normal)
		vector("exit.bias", 1, 0)
	}
	if c.finalNorm() {
		norm("norm")
	}
	if !c.Tied {
		matrix("head.weight", d, m.Vocabulary, normal)
	}
	for _, p := range append(matrices, vectors...) {
		p.Offset = m.Size
		m.Size += p.Size()
		m.Parameters = append(m.Parameters, p)
		m.byName[p.Name] = p
	}
}

// decayStep is what the speed of decay starts as, so that the state falls by √(1/5) in a loop, as in Parcae: with
// δ = ln(1 + exp(decayStep)) and decay = 0, exp(−δ) is that.
var decayStep = float32(math.Log(math.Expm1(math.Log(5) / 2)))

// hears reports whether loops receive messages from the loop before: a model that trains one loop only has nothing to hear.
func (m *Model) hears() bool { return m.Config.Carry == RestartCarry && m.maxLoops() > 1 }

// streamPurposes are what the weights of streams are for, and their first biases: a loop reads the mean of the streams; it halves them
// and writes as much as half of what it made of that, so that they do not grow.
var streamPurposes = []struct {
	name string
	bias func(n int) float32
}{
	{"read", func(n int) float32 { return -float32(math.Log(float64(n - 1))) }}, // σ(b) = 1/n
	{"keep", func(int) float32 { return 0 }},                                    // σ(b) = 1/2
	{"write", func(int) float32 { return -float32(math.Log(3)) }},               // 2σ(b) = 1/2
}

// streamScale is how much the weights of streams depend on the streams at first.
const streamScale = 0.01

// maxLoops is the largest loop count that is trained.
func (m *Model) maxLoops() int {
	if r, ok := m.Loops.Random(); ok {
		return max(m.Architecture.Count(), r.Max)
	}
	return m.Architecture.Count()
}

// Initialize returns the first values of all parameters: matrices normal(0, init_std), biases 0, gains 1. Each
// parameter has its own stream of the seed.
func (m *Model) Initialize(seed uint64) []float32 {
	x := make([]float32, m.Size)
	m.InitializeParts(seed, func(offset int, values []float32) error {
		copy(x[offset:], values)
		return nil
	})
	return x
}

// partValues is how many values InitializeParts makes at a time at most.
const partValues = 1 << 20

// InitializeParts calls f with the values of Initialize, some at a time, which it may not keep, and with the offset of the first of
// them, until f returns an error.
func (m *Model) InitializeParts(seed uint64, f func(offset int, values []float32) error) error {
	all := make([]float32, min(m.Size, partValues))
	for i, p := range m.Parameters {
		rng := rand.New(rand.NewPCG(seed, uint64(i)^0x696e6974)) // "init"
		for first := 0; first < p.Size(); first += len(all) {
			x := all[:min(len(all), p.Size()-first)]
			p.init(x, first, rng)
			if err := f(p.Offset+first, x); err != nil {
				return err
			}
		}
	}
	return nil
}

// WeightGroup is one kind of weight matrix, a view for each layer in order.
type WeightGroup struct {
	Name  string
	Views func(arena graph.Tensor) []graph.Tensor
}

// WeightGroups lists the kinds of weight matrices of a layer: what the regularizer compares.
func (m *Model) WeightGroups() []WeightGroup {
	d, f, heads := m.Config.Width, m.Config.Hidden, m.Config.Layout()
	var groups []WeightGroup
	add := func(name, parameter string, lo, hi int) {
		groups = append(groups, WeightGroup{name, func(arena graph.Tensor) []graph.Tensor {
			var ts []graph.Tensor
			for i := range m.Architecture.Layers() {
				ts = append(ts, m.byName[fmt.Sprintf("layers.%d.%s.weight", i, parameter)].view(arena).Columns(lo, hi))
			}
			return ts
		}})
	}
	add("attention.q", "attention.qkv", 0, heads.Keys())
	add("attention.k", "attention.qkv", heads.Keys(), heads.Values())
	add("attention.v", "attention.qkv", heads.Values(), heads.Columns())
	add("attention.out", "attention.out", 0, d)
	if m.Config.gated() {
		add("feedforward.gate", "feedforward.in", 0, f)
		add("feedforward.up", "feedforward.in", f, 2*f)
	} else {
		add("feedforward.in", "feedforward.in", 0, f)
	}
	add("feedforward.out", "feedforward.out", 0, d)
	return groups
}

// Views returns the tensor of each parameter, by name, in an arena.
func (m *Model) Views(arena graph.Tensor) []graph.Tensor {
	var ts []graph.Tensor
	for _, p := range m.Parameters {
		ts = append(ts, p.view(arena))
	}
	return ts
}

// FLOPs of one token in a forward pass at the model's own loop count: see [Model.FLOPsAt].
func (m *Model) FLOPs() int64 { return m.FLOPsAt(m.Architecture.Count()) }

// TrainFLOPsAt is the model FLOPs of one token in a training step: those of three forward passes, as each product has two in its
// gradient. What is computed again to save memory does not count, and a truncated gradient counts as a whole one.
func (m *Model) TrainFLOPsAt(loops int) int64 { return 3 * m.FLOPsAt(loops) }

// FLOPsAt is the FLOPs of one token in a forward pass with a number of loops, of matmuls only (a multiplication and an addition are 2), counting the whole
// square of attention.
//
//	depth·(2d·(2H + 2G)·w + 4d·h [6d·h with a gate] + 4·T·H·w) + 2·d·V + injection + messages + streams
//
// with H heads of queries and G of keys and values, all of width w. Hard attention counts as softmax attention does.
func (m *Model) FLOPsAt(loops int) int64 {
	c, d, t := m.Config, int64(m.Config.Width), int64(m.Length)
	h, heads := int64(c.Hidden), c.Layout()
	queries := int64(heads.Heads * heads.Width)
	layer := 2*d*(int64(heads.Columns())+queries) + 4*d*h + 4*t*queries
	if c.gated() {
		layer += 2 * d * h
	}
	n := int64(m.Architecture.WithCount(loops).Depth())*layer + 2*d*int64(m.Vocabulary)
	switch c.Injection {
	case DecayInjection:
		n += 2 * d * d
	case LinearInjection:
		n += int64(loops) * 2 * d * d
	}
	layers := int64(m.Architecture.Sizes[m.Architecture.Looped()])
	if m.hears() {
		n += int64(loops-1) * layers * messages * (8*d*int64(c.CarryRank) + 2*(layers+1)*d)
	}
	if s := int64(c.Streams); s > 0 {
		n += int64(loops) * 3 * (2*s*d*s + 2*s)
	}
	return n
}
