package metal_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"coil/backend"
	"coil/backend/cpu"
	"coil/graph"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/thorough"
)

// pair is a Metal backend and the one that it is compared with.
type pair struct {
	*testing.T
	metal  *metal.Metal
	cpu    backend.Backend
	device *emulator.Device
	exact  bool // float32
	rng    *rand.Rand
}

func newPair(t *testing.T, e emulator.Options, o metal.Options) *pair {
	t.Helper()
	d := emulatortest.Open(t, e)
	m, err := metal.New(d, o)
	if err != nil {
		t.Fatal(err)
	}
	d.SetWindows(m.Window)
	c, err := cpu.New(cpu.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	return &pair{t, m, c, d, !o.BFloat16, rand.New(rand.NewPCG(1, 2))}
}

// comparison is a recording that both backends run.
type comparison struct {
	*pair
	*graph.Recorder
	loaded []graph.Tensor
	got    [][]float32 // what the Metal backend left in them
}

func (p *pair) begin() *comparison {
	return &comparison{pair: p, Recorder: graph.NewRecorder(1, 1)}
}

// load is a temporary of such values, with pad columns to either side that are compared as well.
func (c *comparison) load(rows, cols, pad int, value func() float32) graph.Tensor {
	data := make([]float32, rows*(cols+2*pad))
	for i := range data {
		data[i] = value()
	}
	x := c.Temporary(rows, cols+2*pad)
	c.Record(&graph.Add{A: c.Constant(rows, cols+2*pad, data), Y: x, Alpha: 1})
	c.loaded = append(c.loaded, x)
	return x.Columns(pad, pad+cols)
}

// run records operations, runs them on both backends, and compares all that was loaded: results may differ by tolerance of
// the value or of 1. It returns the kernels that they became.
func (c *comparison) run(label string, tolerance float64, ops ...graph.Op) []string {
	c.Helper()
	for _, op := range ops {
		c.Record(op)
	}
	var shown []graph.Tensor
	for _, x := range c.loaded {
		y := c.Output(x.Rows, x.Cols)
		c.Record(&graph.Add{A: x, Y: y, Alpha: 1})
		shown = append(shown, y)
	}
	var kernels []string
	values := make([][][]float32, 2)
	for i, b := range []backend.Backend{c.cpu, c.metal} {
		p, err := b.Compile(c.Recorder)
		if err == nil && b == c.metal {
			for _, buffer := range metal.Passing(p) {
				if buffer != 0 {
					c.device.MarkUndefined(buffer, 0, len(c.device.Bytes(buffer)))
				}
			}
		}
		if err == nil {
			err = p.Run(backend.Args{})
		}
		if err == nil {
			err = p.Results(nil)
		}
		if err != nil {
			c.Fatalf("%s: %v", label, err)
		}
		for _, y := range shown {
			v := make([]float32, y.Size())
			if err := p.Output(y, v); err != nil {
				c.Fatalf("%s: %v", label, err)
			}
			values[i] = append(values[i], v)
		}
		for _, cost := range metal.Costs(p) { // nil of the other backend
			if slices.Contains(ops, cost.Op) {
				kernels = append(kernels, cost.Kernels...)
			}
		}
		p.Close()
	}
	c.got = values[1]
	for i, y := range shown {
		wrong := 0
		for j, want := range values[0][i] {
			got := values[1][i][j]
			if d := math.Abs(float64(got - want)); !(d <= tolerance*max(1, math.Abs(float64(want)))) {
				if wrong++; wrong == 1 {
					c.Errorf("%s: operand %d [%d,%d] is %g, want %g", label, i, j/y.Cols, j%y.Cols, got, want)
				}
			}
		}
		if wrong > 1 {
			c.Errorf("%s: operand %d: %d of %d wrong", label, i, wrong, y.Size())
		}
	}
	return kernels
}

// small is -1, 0 or 1: sums of products of these are whole numbers, exact in either precision.
func (p *pair) small() float32 { return float32(p.rng.IntN(3) - 1) }

func (p *pair) normal() float32 { return float32(p.rng.NormFloat64()) }

// epilogues of a matmul.
var epilogues = []string{"plain", "accumulate", "bias", "gelu", "relu into its residual", "residual"}

func (p *pair) matmul(layout string, m, n, k, pad int, epilogue string) (kernels []string) {
	p.Helper()
	c := p.begin()
	op := &graph.Matmul{TransA: layout == "tn", TransB: layout == "nt"}
	ar, ac, br, bc := m, k, k, n
	if op.TransA {
		ar, ac = k, m
	}
	if op.TransB {
		br, bc = n, k
	}
	op.A, op.B, op.C = c.load(ar, ac, pad, p.small), c.load(br, bc, pad, p.small), c.load(m, n, pad, p.small)
	tolerance := 0.0
	switch epilogue {
	case "accumulate":
		op.Accumulate = true
	case "bias":
		op.Bias = c.load(1, n, 0, p.small)
	case "gelu":
		op.Activation, op.Pre, op.Bias = graph.GELU, c.load(m, n, pad, p.small), c.load(1, n, pad, p.small)
		if tolerance = 1e-5; !p.exact {
			tolerance = 1e-2
		}
	case "relu into its residual":
		op.Activation, op.Residual, op.Bias = graph.ReLU, op.C, c.load(1, n, pad, p.small)
	case "residual":
		op.Residual = c.load(m, n, pad, p.small)
	}
	if op.TransA && !slices.Contains([]string{"bias", "residual"}, epilogue) {
		op.Sums = c.load(1, n, pad, p.small)
	}
	return c.run(fmt.Sprintf("%s m=%d n=%d k=%d pad=%d %s", layout, m, n, k, pad, epilogue), tolerance, op)
}

// Sizes that lead to each way of cutting, whole and with edges, on a chip with a number of cores.
var matmulSizes = []struct {
	cores, m, n, k int
	tile           int
	parts          bool
}{
	{1, 128, 128, 32, 64, false},
	{1, 187, 119, 37, 64, false},
	{1, 188, 116, 20, 64, false},
	{8, 64, 32, 48, 32, false},
	{8, 43, 75, 19, 32, false},
	{64, 33, 850, 12, 32, false}, // two strips, the second one narrower
	{8, 32, 64, 512, 32, true},
	{8, 21, 38, 777, 32, true},
	{8, 40, 44, 300, 32, true},
	{1, 128, 64, 1024, 64, true},
	{1, 126, 63, 1022, 64, true},
}

func TestMatmul(t *testing.T) {
	for _, o := range thorough.Cases(t, 3, "orders", []struct {
		emulator.Options
		every int // checked, only a part of the cases is run
	}{
		{emulator.Options{}, 1},
		{emulator.Options{Checked: true}, 5},
		{emulator.Options{Checked: true, Order: emulator.Reverse}, 7},
		{emulator.Options{Checked: true, Order: emulator.Random, Seed: 3}, 9},
	}) {
		for _, bf16 := range []bool{false, true} {
			t.Run(fmt.Sprintf("checked=%v order=%v bf16=%v", o.Checked, o.Order, bf16), func(t *testing.T) {
				byCores, every := map[int]*pair{}, o.every*thorough.Every(t, 23, "cases")
				number := 0
				for i, s := range matmulSizes {
					p := byCores[s.cores]
					if p == nil {
						p = newPair(t, o.Options, metal.Options{Cores: s.cores, BFloat16: bf16})
						byCores[s.cores] = p
					}
					for j, layout := range []string{"nn", "nt", "tn"} {
						for e, epilogue := range epilogues {
							if number++; number%every != 0 {
								continue
							}
							pad := []int{0, 3, 4}[(i+j+e)%3]
							want := []string{fmt.Sprintf("matmul_%s_%d", layout, s.tile)}
							if bf16 && pad != 3 { // what a view of begins at an odd element stays in float
								want[0] += "_bfloat"
							}
							if s.parts {
								want = append(want, "matmul_parts")
							}
							if got := p.matmul(layout, s.m, s.n, s.k, pad, epilogue); !slices.Equal(got, want) {
								t.Errorf("m=%d n=%d k=%d on %d cores: launches %s, want %s", s.m, s.n, s.k, s.cores, strings.Join(got, ", "), strings.Join(want, ", "))
							}
						}
					}
				}
			})
		}
	}
}
