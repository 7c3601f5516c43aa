package emulator_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"coil/metal"
)

type matmulParams struct {
	M, N, K, LDA, LDB, LDC uint32
	Alpha, Beta            float32
}

// matmul multiplies op(A) and op(B) in float64; flags transpose them.
func matmul(m, n, k int, a, b []float32, transA, transB bool) []float32 {
	at := func(x []float32, trans bool, i, j, rows, cols int) float64 {
		if trans {
			return float64(x[j*rows+i])
		}
		return float64(x[i*cols+j])
	}
	c := make([]float32, m*n)
	for i := range m {
		for j := range n {
			s := 0.0
			for l := range k {
				s += at(a, transA, i, l, m, k) * at(b, transB, l, j, k, n)
			}
			c[i*n+j] = float32(s)
		}
	}
	return c
}

func TestMatmul(t *testing.T) {
	t.Parallel()
	for name, o := range modes {
		t.Run(name, func(t *testing.T) {
			g := open(t, o)
			lib := g.library("matmul", read(t, "matmul"))
			for _, c := range []struct {
				kernel         string
				m, n, k        int
				transA, transB bool
				tile           int
			}{
				{"matmul_nn", 32, 32, 16, false, false, 32},
				{"matmul_nn", 45, 37, 29, false, false, 32},
				{"matmul_nt", 33, 65, 40, false, true, 32},
				{"matmul_tn", 70, 31, 17, true, false, 32},
				{"matmul_nn_64", 65, 70, 9, false, false, 64},
			} {
				a, b := normal(c.m*c.k, 1), normal(c.k*c.n, 2)
				p := matmulParams{uint32(c.m), uint32(c.n), uint32(c.k), uint32(c.k), uint32(c.n), uint32(c.n), 1, 0}
				if c.transA {
					p.LDA = uint32(c.m)
				}
				if c.transB {
					p.LDB = uint32(c.k)
				}
				y := g.undefined(4 * c.m * c.n)
				groups := dims{uint32((c.n + c.tile - 1) / c.tile), uint32((c.m + c.tile - 1) / c.tile)}
				check(t, g.run(launch(g.pipeline(lib, c.kernel), groups, dims{128}, g.buffer(a), g.buffer(b), y, g.buffer(p))), "")
				near(t, fmt.Sprint(c), view[float32](g, y), matmul(c.m, c.n, c.k, a, b, c.transA, c.transB), 1e-5)
			}
		})
	}
}

func TestSoftmax(t *testing.T) {
	t.Parallel()
	const rows = 3
	for name, o := range modes {
		t.Run(name, func(t *testing.T) {
			g := open(t, o)
			p := g.pipeline(g.library("norm", read(t, "norm")), "softmax")
			for _, n := range []int{1, 5, 64, 300} {
				x, want := normal(rows*n, uint64(n)), make([]float32, rows*n)
				for r := range rows {
					sum := 0.0
					for _, v := range x[r*n : r*n+n] {
						sum += math.Exp(float64(v))
					}
					for i, v := range x[r*n : r*n+n] {
						want[r*n+i] = float32(math.Exp(float64(v)) / sum)
					}
				}
				for _, threads := range []uint32{32, 64, 256} {
					y := g.undefined(4 * rows * n)
					check(t, g.run(launch(p, dims{rows}, dims{threads}, g.buffer(x), y, g.buffer(uint32(n)))), "")
					near(t, fmt.Sprint(n, threads), view[float32](g, y), want, 1e-6)
				}
			}
		})
	}
}

type normParams struct {
	Rows, N uint32
	Eps     float32
}

func TestLayerNorm(t *testing.T) {
	t.Parallel()
	const rows, n, eps = 21, 75, 1e-5
	x, gain, bias, dy := normal(rows*n, 1), normal(n, 2), normal(n, 3), normal(rows*n, 4)
	y, dx := make([]float32, rows*n), make([]float32, rows*n)
	dgain, dbias := make([]float32, n), make([]float32, n)
	for r := range rows {
		x, dy := x[r*n:r*n+n], dy[r*n:r*n+n]
		mean, variance := 0.0, 0.0
		for _, v := range x {
			mean += float64(v) / n
		}
		for _, v := range x {
			variance += (float64(v) - mean) * (float64(v) - mean) / n
		}
		scale := 1 / math.Sqrt(variance+eps)
		var a, b float64
		hat := func(i int) float64 { return (float64(x[i]) - mean) * scale }
		for i := range n {
			y[r*n+i] = float32(hat(i)*float64(gain[i]) + float64(bias[i]))
			d := float64(dy[i]) * float64(gain[i]) / n
			a, b = a+d, b+d*hat(i)
			dgain[i] += float32(float64(dy[i]) * hat(i))
			dbias[i] += dy[i]
		}
		for i := range n {
			dx[r*n+i] = float32(scale * (float64(dy[i])*float64(gain[i]) - a - hat(i)*b))
		}
	}
	for name, o := range modes {
		t.Run(name, func(t *testing.T) {
			g := open(t, o)
			lib := g.library("norm", read(t, "norm"))
			bx, bgain, bdy, params := g.buffer(x), g.buffer(gain), g.buffer(dy), g.buffer(normParams{rows, n, eps})
			by, stats, bdx, bdgain, bdbias := g.undefined(4*rows*n), g.undefined(8*rows), g.undefined(4*rows*n), g.undefined(4*n), g.undefined(4*n)
			forward := launch(g.pipeline(lib, "layernorm_forward"), dims{rows}, dims{64}, bx, bgain, g.buffer(bias), by, stats, params)
			byX := launch(g.pipeline(lib, "layernorm_backward_x"), dims{rows}, dims{64}, bx, bgain, bdy, stats, bdx, params)
			byGain := launch(g.pipeline(lib, "layernorm_backward_w"), dims{(n + 31) / 32}, dims{32, 8}, bx, bdy, stats, bdgain, bdbias, params)
			byGain.Barrier = false // it reads only what byX reads
			check(t, g.run(forward, byX, byGain), "")
			near(t, "y", view[float32](g, by), y, 1e-5)
			near(t, "dx", view[float32](g, bdx), dx, 1e-5)
			near(t, "dgain", view[float32](g, bdgain), dgain, 1e-5)
			near(t, "dbias", view[float32](g, bdbias), dbias, 1e-5)
		})
	}
}

// TestFeatures compiles much of the language; what comes out must not depend on how it runs.
func TestFeatures(t *testing.T) {
	t.Parallel()
	type params struct {
		N    uint32
		Eps  float32
		Mode int32
	}
	var first []float32
	for name, o := range modes {
		t.Run(name, func(t *testing.T) {
			g := open(t, o)
			lib := g.library("features", read(t, "features"))
			hits, y := g.buffer(4), g.buffer(64*4)
			check(t, g.run(launch(g.pipeline(lib, "features"), nil, dims{64},
				g.buffer([]float32{1, 2, 3, 4, 5, 6, 7, 8}), y, g.buffer(66*32), g.buffer(params{8, 0.25, 1}), g.buffer([]uint32{1, 2}), hits)), "")
			if n := view[uint32](g, hits)[0]; n != 64 {
				t.Errorf("%d threads counted", n)
			}
			if first == nil {
				first = append(first, view[float32](g, y)...)
			}
			near(t, "y", view[float32](g, y), first, 1e-6)

			m := g.buffer(192 * 4)
			check(t, g.run(launch(g.pipeline(lib, "matrices"), nil, dims{32}, m)), "")
			for i, v := range view[float32](g, m) {
				want := float32(0)
				switch {
				case i >= 128 && (i-128)%9 == 0:
					want = 28 + 9
				case i < 128 && i%17 == 0:
					want = 28
				case i < 128 && i%17 == 8:
					want = 14
				}
				if v != want {
					t.Errorf("matrices: [%d] is %g, want %g", i, v, want)
				}
			}

			for kernel, c := range map[string][2][2]uint16{
				"scale_half":   {{0x3c00, 0x4000}, {0x4200, 0x4600}}, // 1, 2 → 3, 6
				"scale_bfloat": {{0x3f80, 0x4040}, {0x4040, 0x4110}}, // 1, 3 → 3, 9
			} {
				b := g.buffer(c[0])
				check(t, g.run(launch(g.pipeline(lib, kernel), nil, dims{2}, b, g.buffer(float32(3)))), "")
				if got := [2]uint16(view[uint16](g, b)); got != c[1] {
					t.Errorf("%s: %#x, want %#x", kernel, got, c[1])
				}
			}
		})
	}
}

// TestMutants breaks kernels that are right; the checks must notice each time.
func TestMutants(t *testing.T) {
	t.Parallel()
	runMatmul := func(g gpu, lib metal.Library) error {
		return g.run(launch(g.pipeline(lib, "matmul_nn"), dims{2, 2}, dims{128},
			g.buffer(normal(45*40, 1)), g.buffer(normal(40*37, 2)), g.buffer(4*45*37), g.buffer(matmulParams{45, 37, 40, 40, 37, 37, 1, 0})))
	}
	runNorm := func(g gpu, lib metal.Library) error {
		x, one := g.buffer(normal(900, 1)), g.buffer(normal(300, 1))
		stats, params := g.buffer(24), g.buffer(normParams{3, 300, 1e-5})
		return g.run(
			launch(g.pipeline(lib, "softmax"), dims{3}, dims{128}, x, g.buffer(3600), g.buffer(uint32(300))),
			launch(g.pipeline(lib, "layernorm_forward"), dims{3}, dims{128}, x, one, one, g.buffer(3600), stats, params),
			launch(g.pipeline(lib, "layernorm_backward_w"), dims{10}, dims{32, 8}, x, x, stats, g.buffer(1200), g.buffer(1200), params))
	}
	const barrier = "threadgroup_barrier(mem_flags::mem_threadgroup);"
	g := open(t, modes["checked"])
	for _, c := range []struct {
		file     string
		run      func(gpu, metal.Library) error
		old, new string
	}{
		{"matmul", runMatmul, barrier, ""},
		{"matmul", runMatmul, barrier, "threadgroup_barrier(mem_flags::mem_device);"},
		{"matmul", runMatmul, barrier, "simdgroup_barrier(mem_flags::mem_threadgroup);"},
		{"matmul", runMatmul, " && k0 + k < p.K", ""},
		{"matmul", runMatmul, "row0 + r < p.M && ", ""},
		{"norm", runNorm, barrier, ""},
		{"norm", runNorm, "lane < nsg ? ", "true ? "},
		{"norm", runNorm, "if (lane == 0) red[sg] = v;", "red[sg] = v;"},
	} {
		source, _, _ := strings.Cut(read(t, c.file), `template [[host_name("matmul_nt")]]`) // one kernel of them will do
		for i, mutant := range mutants(source, c.old, c.new) {
			if c.run(g, g.library(c.file, mutant)) == nil {
				t.Errorf("%s: %q → %q, place %d: not noticed", c.file, c.old, c.new, i)
			}
		}
	}
}

// mutants are the texts with one of the places of old replaced.
func mutants(text, old, new string) []string {
	parts := strings.Split(text, old)
	var all []string
	for i := 1; i < len(parts); i++ {
		all = append(all, strings.Join(parts[:i], old)+new+strings.Join(parts[i:], old))
	}
	return all
}
