package metal_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"coil/graph"
	"coil/metal"
	"coil/metal/emulator"
	"coil/thorough"
)

// fusion is a product and the operation after it.
type fusion struct {
	name    string
	cores   int
	m, k, n int // of C
	layout  string
	more    string // bias, accumulate, value: the backward pass also wants the function's value
	pad     int
	after   func(c *comparison, product *graph.Matmul, more string, pad int) graph.Op
	want    []string // kernels
}

// turning is a rotary operation on the first cols columns of C.
func turning(cols, width, length int) func(*comparison, *graph.Matmul, string, int) graph.Op {
	return func(_ *comparison, product *graph.Matmul, _ string, _ int) graph.Op {
		return &graph.Rotary{X: product.C.Columns(0, cols), Width: width, Length: length, Base: 100}
	}
}

// activationSlope is the backward pass of an activation, in place.
func activationSlope(f graph.Activation) func(*comparison, *graph.Matmul, string, int) graph.Op {
	return func(c *comparison, product *graph.Matmul, more string, pad int) graph.Op {
		x := product.C
		op := &graph.ActivateBackward{Activation: f, X: c.load(x.Rows, x.Cols, pad, c.normal), DY: x, DX: x}
		if more == "value" {
			op.Y = c.load(x.Rows, x.Cols, pad, c.normal)
		}
		return op
	}
}

// swigluSlope is the backward pass of SwiGLU, which C is only made for.
func swigluSlope(c *comparison, product *graph.Matmul, more string, pad int) graph.Op {
	product.C = c.Temporary(product.C.Rows, product.C.Cols)
	x := product.C
	op := &graph.SwiGLUBackward{X: c.load(x.Rows, 2*x.Cols, pad, c.normal), DY: x, DX: c.load(x.Rows, 2*x.Cols, pad, c.normal)}
	if more == "value" {
		op.Y = c.load(x.Rows, x.Cols, pad, c.normal)
	}
	return op
}

var fusions = []fusion{
	{"heads of 8", 8, 48, 20, 72, "nn", "", 0, turning(48, 8, 12), []string{"matmul_nn_32"}},
	{"heads of 16", 8, 45, 24, 48, "nn", "bias", 0, turning(32, 16, 9), []string{"matmul_nn_32"}},
	{"heads of 32", 8, 40, 32, 96, "nt", "bias", 4, turning(64, 32, 8), []string{"matmul_nt_32"}},
	{"heads of 4", 8, 35, 20, 24, "nn", "bias", 0, turning(16, 4, 7), []string{"matmul_nn_32"}},
	{"heads of 2, not in vectors", 8, 33, 7, 9, "nn", "bias", 3, turning(6, 2, 11), []string{"matmul_nn_32"}},
	{"heads of 64", 1, 160, 32, 192, "nn", "bias", 0, turning(128, 64, 40), []string{"matmul_nn_64"}},
	{"heads of 32 in tiles of 64", 1, 144, 24, 192, "nn", "bias", 0, turning(128, 32, 36), []string{"matmul_nn_64"}},
	{"all columns", 1, 128, 16, 128, "nt", "", 4, turning(128, 16, 128), []string{"matmul_nt_64"}},

	{"heads of a product that is added", 8, 48, 20, 72, "nn", "accumulate", 0, turning(48, 8, 12), []string{"matmul_nn_32", "rotary"}},
	{"heads wider than a tile", 8, 40, 32, 192, "nn", "", 0, turning(128, 64, 8), []string{"matmul_nn_32", "rotary"}},
	{"heads in two tiles", 8, 40, 32, 72, "nn", "", 0, turning(48, 24, 8), []string{"matmul_nn_32", "rotary"}},
	{"heads of a product in parts", 8, 32, 512, 48, "nn", "", 0, turning(32, 16, 8), []string{"matmul_nn_32", "matmul_parts", "rotary"}},
	{"turned back", 8, 48, 20, 72, "nn", "", 0, func(c *comparison, product *graph.Matmul, _ string, _ int) graph.Op {
		return &graph.Rotary{X: product.C.Columns(0, 48), Width: 8, Length: 12, Base: 100, Inverse: true}
	}, []string{"matmul_nn_32", "rotary"}},
	{"not the first columns", 8, 48, 20, 72, "nn", "", 0, func(c *comparison, product *graph.Matmul, _ string, _ int) graph.Op {
		return &graph.Rotary{X: product.C.Columns(8, 72), Width: 8, Length: 12, Base: 100}
	}, []string{"matmul_nn_32", "rotary"}},

	{"gelu", 8, 45, 20, 48, "nt", "value", 0, activationSlope(graph.GELU), []string{"matmul_nt_32"}},
	{"gelu, not in vectors", 8, 45, 20, 47, "nt", "value", 3, activationSlope(graph.GELU), []string{"matmul_nt_32"}},
	{"gelu without its value", 1, 130, 20, 136, "nn", "", 4, activationSlope(graph.GELU), []string{"matmul_nn_64"}},
	{"relu, added", 8, 45, 20, 48, "nt", "accumulate", 4, activationSlope(graph.ReLU), []string{"matmul_nt_32"}},
	{"gelu of a product in parts", 8, 32, 512, 48, "nn", "value", 0, activationSlope(graph.GELU), []string{"matmul_nn_32", "matmul_parts"}},
	{"gelu not in place", 8, 45, 20, 48, "nt", "", 0, func(c *comparison, product *graph.Matmul, _ string, pad int) graph.Op {
		x := product.C
		return &graph.ActivateBackward{Activation: graph.GELU, X: c.load(x.Rows, x.Cols, pad, c.normal), DY: x, DX: c.load(x.Rows, x.Cols, pad, c.normal)}
	}, []string{"matmul_nt_32", "activate_backward"}},
	{"a value in the place of an operand", 8, 48, 48, 48, "nt", "", 0, func(c *comparison, product *graph.Matmul, _ string, _ int) graph.Op {
		x := product.C
		product.A = c.Temporary(48, 48)
		c.Record(&graph.Add{A: c.loaded[0], Y: product.A, Alpha: 1})
		y := c.Temporary(48, 48)
		return &graph.ActivateBackward{Activation: graph.GELU, X: c.load(48, 48, 0, c.normal), DY: x, DX: x, Y: y}
	}, []string{"matmul_nt_32", "activate_backward"}},

	{"swiglu", 8, 45, 20, 48, "nt", "value", 0, swigluSlope, []string{"matmul_nt_32"}},
	{"swiglu, not in vectors", 8, 45, 20, 46, "nt", "value", 3, swigluSlope, []string{"matmul_nt_32"}},
	{"swiglu without its value", 1, 130, 20, 136, "nn", "", 4, swigluSlope, []string{"matmul_nn_64"}},
	{"swiglu of a product in parts", 8, 32, 512, 48, "nn", "value", 0, swigluSlope, []string{"matmul_nn_32", "matmul_parts"}},
	{"swiglu of a product that is wanted", 8, 45, 20, 48, "nt", "", 0, func(c *comparison, product *graph.Matmul, more string, pad int) graph.Op {
		wanted := product.C
		op := swigluSlope(c, product, more, pad)
		product.C, op.(*graph.SwiGLUBackward).DY = wanted, wanted
		return op
	}, []string{"matmul_nt_32", "swiglu_backward"}},
}

// fused records the product and the operation after it; apart, with one between them that keeps them from being lowered
// as one. It returns the kernels and what was left in memory.
func (p *pair) fused(f fusion, apart bool) (kernels []string, got [][]float32) {
	p.Helper()
	c := p.begin()
	op := &graph.Matmul{TransB: f.layout == "nt", Accumulate: f.more == "accumulate"}
	br, bc := f.k, f.n
	if op.TransB {
		br, bc = f.n, f.k
	}
	op.A, op.B, op.C = c.load(f.m, f.k, f.pad, p.small), c.load(br, bc, f.pad, p.small), c.load(f.m, f.n, f.pad, p.small)
	if f.more == "bias" {
		op.Bias = c.load(1, f.n, 0, p.small)
	}
	ops := []graph.Op{op, f.after(c, op, f.more, f.pad)}
	if apart {
		ops = []graph.Op{ops[0], &graph.Fill{Y: c.Temporary(1, 4)}, ops[1]}
	}
	tolerance := 2e-6 * float64(f.k)
	if !p.exact {
		tolerance = 2e-2 * float64(f.k)
	}
	kernels = c.run(f.name, tolerance, ops...)
	return slices.DeleteFunc(kernels, func(k string) bool { return k == "fill" }), c.got
}

// TestFusions: a product that also does what the operation after it would do leaves what the two of them leave, bit by bit.
func TestFusions(t *testing.T) {
	for _, o := range []struct {
		emulator.Options
		bf16 bool
	}{
		{emulator.Options{}, false},
		{emulator.Options{}, true},
		{emulator.Options{Checked: true, Order: emulator.Reverse}, false},
		{emulator.Options{Checked: true, Order: emulator.Random, Seed: 3}, true},
	} {
		t.Run(fmt.Sprintf("checked=%v bf16=%v", o.Checked, o.bf16), func(t *testing.T) {
			for _, f := range thorough.Cases(t, 9, "fusions", fusions) {
				if f.pad == 3 && o.Checked && o.bf16 {
					continue // as in float
				}
				p := newPair(t, o.Options, metal.Options{Cores: f.cores, BFloat16: o.bf16})
				kernels, got := p.fused(f, false)
				for i, k := range kernels {
					kernels[i] = strings.TrimSuffix(k, "_bfloat")
				}
				if !slices.Equal(kernels, f.want) {
					t.Errorf("%s: launches %s, want %s", f.name, strings.Join(kernels, ", "), strings.Join(f.want, ", "))
				}
				if o.Checked {
					continue // the same kernels
				}
				_, want := newPair(t, o.Options, metal.Options{Cores: f.cores, BFloat16: o.bf16}).fused(f, true)
				for i := range want {
					if !slices.Equal(got[i], want[i]) {
						t.Errorf("%s: operand %d has other bits than by two launches", f.name, i)
					}
				}
			}
		})
	}
}
