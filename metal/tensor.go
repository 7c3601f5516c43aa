package metal

import (
	"fmt"
	"math"
	"slices"

	"coil/backend"
	"coil/graph"
)

// Metal 4's tensor operations multiply bfloat matrices on the matrix units of M5. Nobody who wrote coil had one, so a shape
// of products goes that way only after a probe on the machine: the tensor kernel must give what the others give, and be
// faster. Float32 products never do: those units would round them to TF32.

// ProductShape is what a choice of kernels for products depends on.
type ProductShape struct {
	Layout  string // nn, nt or tn: which operand is transposed
	M, N, K int
}

func (s ProductShape) String() string { return fmt.Sprintf("%s %dx%dx%d", s.Layout, s.M, s.N, s.K) }

// Tensors says how products of bfloat matrices use tensor operations.
type Tensors struct {
	// Shapes says, by the text of their ProductShape, which products do, as probes have found or somebody remembers.
	Shapes map[string]bool
	// Remember, if not nil, is called with Shapes when a probe has added to it.
	Remember func(shapes map[string]bool)
	// Always leaves the probes out: every product that can does. It is for tests.
	Always bool
	// Off is the reason why no product does; "" if some may.
	Off string
}

// tensorTile is the side of a tile of the tensor kernels; shaders/tensors.metal has the same number.
const tensorTile = 64

// startTensors says whether products may use tensor operations.
func (m *Metal) startTensors(asked *Tensors) {
	t := Tensors{Off: "they are not enabled"}
	if asked != nil {
		t = *asked
	}
	switch d := m.device.Description(); {
	case t.Off != "":
	case !d.Tensors:
		t.Off = "the GPU has no units for them"
	case !m.options.BFloat16:
		t.Off = "they are for --bfloat16 only"
	}
	if m.tensors = t; m.tensors.Shapes == nil {
		m.tensors.Shapes = map[string]bool{}
	}
}

// Tensors says how products use tensor operations now.
func (m *Metal) Tensors() Tensors { return m.tensors }

// takesTensors reports whether a product could use tensor operations: both operands are bfloat matrices whose rows begin at
// multiples of 16 bytes; nothing else is known about them.
func (p *product) takesTensors(tile int) bool {
	aligned := func(f factor) bool {
		return f.bf16 && f.from%16 == 0 && f.stride%8 == 0 && f.outer%8 == 0 && f.step%8 == 0
	}
	return tile == tensorTile && p.triangle == full && aligned(p.a) && aligned(p.b)
}

// usesTensors reports whether a product is to use tensor operations.
func (l *lowering) usesTensors(p *product, tile int) bool {
	return l.tensors != nil && p.takesTensors(tile) && l.tensors(ProductShape{p.layout(), p.m, p.n, p.k})
}

// prefersTensors reports whether products of a shape use tensor operations, after a probe if it is not known. A shape that
// is probed has no answer yet: the probe sets one, and the other.
func (m *Metal) prefersTensors(s ProductShape) bool {
	if m.tensors.Off != "" || m.tensors.Always {
		return m.tensors.Off == ""
	}
	name := s.String()
	use, known := m.tensors.Shapes[name]
	if !known {
		use = m.compare(s)
		m.tensors.Shapes[name] = use
		if m.tensors.Remember != nil {
			m.tensors.Remember(m.tensors.Shapes)
		}
	}
	return use
}

// A probe compares the two ways on this many runs of this many products, and the tensor kernel must take less than this
// share of the time of the other.
const (
	probeRuns     = 3
	probeProducts = 4
	probeShare    = 0.95
)

// compare runs products of a shape both ways, and reports whether tensor operations give the same in less time.
func (m *Metal) compare(s ProductShape) bool {
	var out [2][]float32
	var best [2]float64
	for i, use := range []bool{false, true} {
		m.tensors.Shapes[s.String()] = use
		var err error
		if out[i], best[i], err = m.timeProducts(s); err != nil || m.tensors.Off != "" {
			return false
		}
	}
	var largest, most float64
	for i, x := range out[0] {
		largest = max(largest, math.Abs(float64(x)))
		d := math.Abs(float64(x - out[1][i]))
		if d != d {
			return false
		}
		most = max(most, d)
	}
	// Both ways multiply the same bfloat numbers exactly and add in float32, in other orders.
	return most <= 1e-4*largest && best[1] < probeShare*best[0]
}

// timeProducts returns the product of two matrices and the least GPU time of a program that computes it several times.
func (m *Metal) timeProducts(s ProductShape) ([]float32, float64, error) {
	r := graph.NewRecorder(1, 1)
	operand := func(rows, cols int, phase float64) graph.Tensor {
		const kinds = 13 // of rows
		table := make([]float32, kinds*cols)
		for i := range table {
			table[i] = float32(math.Sin(0.7*float64(i) + phase))
		}
		t := r.Temporary(rows, cols)
		r.Record(&graph.Embedding{Table: r.Constant(kinds, cols, table), Index: r.Input(rows), Y: t})
		return t
	}
	op := &graph.Matmul{TransA: s.Layout == "tn", TransB: s.Layout == "nt"}
	rows, cols := []int{s.M, s.K}, []int{s.K, s.N}
	if op.TransA {
		slices.Reverse(rows)
	}
	if op.TransB {
		slices.Reverse(cols)
	}
	op.A, op.B = operand(rows[0], rows[1], 0), operand(cols[0], cols[1], 1)
	for range probeProducts {
		retraffic := *op
		retraffic.C = r.Output(s.M, s.N)
		r.Record(&retraffic)
		op.C = retraffic.C
	}
	p, err := m.Compile(r)
	if err != nil {
		return nil, 0, err
	}
	defer p.Close()
	inputs := [][]int32{make([]int32, rows[0]), make([]int32, cols[0])}
	for _, x := range inputs {
		for i := range x {
			x[i] = int32(i % 13)
		}
	}
	least := math.Inf(1)
	for range probeRuns {
		if err := p.Run(backend.Args{Inputs: inputs}); err != nil {
			return nil, 0, err
		}
		if err := p.Results(nil); err != nil {
			return nil, 0, err
		}
		least = min(least, Seconds(p))
	}
	out := make([]float32, s.M*s.N)
	return out, least, p.Output(op.C, out)
}
