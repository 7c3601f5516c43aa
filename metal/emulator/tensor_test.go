package emulator_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"coil/metal"
	"coil/metal/emulator"
)

// bfloats cuts values to bfloat, and returns them as float32 too.
func bfloats(x []float32) (out []uint16, rounded []float32) {
	for _, v := range x {
		b := uint16(math.Float32bits(v) >> 16)
		out = append(out, b)
		rounded = append(rounded, math.Float32frombits(uint32(b)<<16))
	}
	return out, rounded
}

func TestTensorProduct(t *testing.T) {
	t.Parallel()
	type shape struct{ M, N, K, LDA, LDB, LDC int32 }
	for name, o := range modes {
		t.Run(name, func(t *testing.T) {
			o.Tensors = true
			g := open(t, o)
			lib := g.library("tensor", read(t, "tensor"))
			for _, c := range []struct {
				kernel         string
				m, n, k        int
				transA, transB bool
			}{
				{"product_nn", 64, 32, 32, false, false},
				{"product_nn", 70, 45, 29, false, false},
				{"product_nt", 33, 65, 40, false, true},
				{"product_tn", 70, 31, 17, true, false},
			} {
				a, wantA := bfloats(normal(c.m*c.k, 1))
				b, wantB := bfloats(normal(c.k*c.n, 2))
				p := shape{int32(c.m), int32(c.n), int32(c.k), int32(c.k), int32(c.n), int32(c.n)}
				if c.transA {
					p.LDA = int32(c.m)
				}
				if c.transB {
					p.LDB = int32(c.k)
				}
				y := g.undefined(4 * c.m * c.n)
				groups := dims{uint32((c.n + 31) / 32), uint32((c.m + 63) / 64)}
				check(t, g.run(launch(g.pipeline(lib, c.kernel), groups, dims{128}, g.buffer(a), g.buffer(b), y, g.buffer(p))), "")
				near(t, fmt.Sprint(c), view[float32](g, y), matmul(c.m, c.n, c.k, wantA, wantB, c.transA, c.transB), 1e-5)
			}
		})
	}
}

// TestTensorFaults runs products whose threads do not meet, and one that reads behind its buffer: extents alone keep a
// product within its operands.
func TestTensorFaults(t *testing.T) {
	t.Parallel()
	type shape struct{ M, N, K, LDA, LDB, LDC int32 }
	o := modes["checked"]
	o.Tensors = true
	g := open(t, o)
	lib := g.library("tensor", read(t, "tensor"))
	operand := func(n int) metal.Buffer {
		b, _ := bfloats(normal(n, 1))
		return g.buffer(b)
	}
	for _, c := range []struct {
		name    string
		kernel  string
		threads uint32
		shape   shape
		want    string
	}{
		{"whole", "product_nn", 128, shape{64, 32, 16, 16, 32, 32}, ""},
		{"too few threads", "product_nn", 64, shape{64, 32, 16, 16, 32, 32}, simd},
		{"too many threads", "product_nn", 256, shape{64, 32, 16, 16, 32, 32}, simd},
		{"an extent too large", "product_nn", 128, shape{64, 32, 17, 16, 32, 32}, bounds},
		{"some threads only", "product_divergent", 128, shape{64, 32, 16, 16, 32, 32}, barrier},
	} {
		err := g.run(launch(g.pipeline(lib, c.kernel), dims{1}, dims{c.threads}, operand(64*16), operand(16*32), g.buffer(4*64*32),
			g.buffer(c.shape)))
		t.Run(c.name, func(t *testing.T) { check(t, err, c.want) })
	}
}

// TestNoTensors compiles a product for a GPU without tensors, whose headers lack it.
func TestNoTensors(t *testing.T) {
	g := open(t, emulator.Options{})
	if _, err := g.Library("tensor", read(t, "tensor")); err == nil || !strings.Contains(err.Error(), "file not found") {
		t.Errorf("%v, want a header that is missing", err)
	}
}
