package emulator_test

import (
	"math"
	"slices"
	"testing"

	"coil/metal"
)

// TestForms runs kernels in forms that other projects use.
func TestForms(t *testing.T) {
	t.Parallel()
	type shape struct {
		Rows, Cols    uint32
		Scale, Offset float32
		Steps         [2]float32
	}
	for name, o := range modes {
		t.Run(name, func(t *testing.T) {
			g := open(t, o)
			lib := g.library("forms", read(t, "forms"))

			x := normal(3*8, 1)
			y, want := g.undefined(4*len(x)), make([]float32, len(x))
			check(t, g.run(launch(g.pipeline(lib, "copied"), dims{2, 3}, dims{4, 1}, g.buffer(x), y, g.buffer(shape{3, 8, 2, 0.5, [2]float32{7, 9}}))), "")
			for i := range want {
				want[i] = (x[i]+1)*3 + 0.5 + 9 + 4 + float32(i%8/2)
			}
			near(t, "copied", view[float32](g, y), want, 1e-6)

			y = g.buffer(4 * 4)
			check(t, g.run(launch(g.pipeline(lib, "mixed"), nil, dims{4}, g.buffer([]float32{1, 2, 3, 4}), y, g.buffer(uint32(3)))), "")
			if got := view[float32](g, y); !slices.Equal(got, []float32{-1, -2, -3, 0}) {
				t.Error("mixed:", got)
			}

			nan := float32(math.NaN())
			out := g.undefined(3 * 4)
			check(t, g.run(launch(g.pipeline(lib, "bools"), nil, dims{3}, g.buffer([]float32{1, 2, 3, 4, 5, 1, 7, 3, 2, 2, 2, 2, 2, 2, 2, 2, nan, 1, 1, 1, 1, 1, 1, 2}), out)), "")
			if got := view[uint32](g, out); !slices.Equal(got, []uint32{5 | 1<<4 | 5<<8, 1<<5 | 2<<8, 8 | 1<<6 | got[2]&0xff00 | 1<<16}) {
				t.Errorf("bools: %#x", got)
			}

			y = g.undefined(6 * 4)
			check(t, g.run(launch(g.pipeline(lib, "limits"), nil, nil, y)), "")
			if got := view[float32](g, y); !slices.Equal(got, []float32{math.MaxFloat32, float32(math.Inf(-1)), 65504, 1.0 / 128, 255, -1 << 31}) {
				t.Error("limits:", got)
			}

			p := g.pipeline(lib, "reversed")
			y = g.undefined(64 * 4)
			run := launch(p, nil, dims{64}, g.buffer(normal(64, 2)), y)
			check(t, g.run(run), "threadgroup memory 0 (room) has no length")
			if g.SetThreadgroupMemory(p, 0, 20) == nil || g.SetThreadgroupMemory(p, 4, 16) == nil {
				t.Error("20 bytes, or index 4, are accepted")
			}
			for i, n := range []int{256, 16} {
				if err := g.SetThreadgroupMemory(p, i, n); err != nil {
					t.Fatal(err)
				}
			}
			check(t, g.run(run), "")
			reversed := normal(64, 2)
			slices.Reverse(reversed)
			if !slices.Equal(view[float32](g, y), reversed) {
				t.Error("reversed is not")
			}

			y = g.buffer(8)
			flag := func(bits uint32) metal.Constant {
				return metal.Constant{Index: 0, Type: metal.ConstantBool, Bits: bits}
			}
			check(t, g.run(launch(g.pipeline(lib, "biased", flag(0)), nil, dims{2}, y)), "")
			if got := view[float32](g, y); !slices.Equal(got, []float32{1, 1}) {
				t.Error("without bias:", got)
			}
			check(t, g.run(launch(g.pipeline(lib, "biased", flag(1)), nil, dims{2}, y)), "buffer 1 (bias) is not bound")
			check(t, g.run(launch(g.pipeline(lib, "biased", flag(1)), nil, dims{2}, y, g.buffer([]float32{2, 3}))), "")
			if got := view[float32](g, y); !slices.Equal(got, []float32{3, 4}) {
				t.Error("with bias:", got)
			}
		})
	}
}
