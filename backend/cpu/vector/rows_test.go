package vector_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"coil/backend/cpu/internal/cliff"
	"coil/backend/cpu/vector"
)

// TestRows: what a kernel does with many rows is what one call for each would do, and what lies between them stays. Rows end at
// a page that can't be touched.
func TestRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, k := range vector.All() {
		for n := 1; n <= 40; n += 3 {
			for count := 1; count <= 5; count++ {
				stride := n + 1 + count%2
				row := func(x []float32, i int) []float32 { return x[i*stride:][:n] }
				matrix := func() []float32 {
					x := cliff.Floats(t, (count-1)*stride+n)
					for i := range x {
						x[i] = float32(rng.NormFloat64())
					}
					return x
				}
				values := func(perRow int) []float32 {
					x := cliff.Floats(t, count*perRow)
					for i := range x {
						x[i] = float32(rng.NormFloat64())
					}
					return x
				}
				same := func(name string, got, want []float32) {
					t.Helper()
					if !slices.Equal(got, want) {
						t.Fatalf("%s: %s of %d rows of %d: %v, want %v", k.Name, name, count, n, got, want)
					}
				}
				x, y, results, want := matrix(), matrix(), values(1), make([]float32, count)
				for i := range want {
					want[i] = k.Dot(row(x, i), y[i*(stride-1):][:n])
				}
				k.DotRows(results, x, y, stride, stride-1, n)
				same("dot", results, want)
				alone, alphas := slices.Clone(x), values(1)
				for i := range want {
					k.Scale(row(alone, i), row(alone, i), alphas[i])
				}
				k.ScaleRows(x, alphas, stride, n)
				same("scale", x, alone)
				gain, bias, stats := matrix()[:n], matrix()[:n], values(2)
				means, want2 := make([]float32, count), make([]float32, count)
				for i := range want {
					want[i], want2[i] = moments(k, row(x, i))
				}
				k.MomentsRows(means, results, x, stride, n)
				same("means", means, want)
				same("variances", results, want2)
				for _, bias := range [][]float32{bias, nil} {
					normed := matrix()
					alone := slices.Clone(normed)
					for i := range count {
						k.NormRows(row(alone, i), row(x, i), gain, bias, stats[2*i:][:2], 0, 0, n)
					}
					k.NormRows(normed, x, gain, bias, stats, stride, stride, n)
					same("norm", normed, alone)
				}
				for variant := range 8 {
					rms, accumulate := variant&1 != 0, variant&2 != 0
					dx, dgain, dbias := matrix(), slices.Clone(gain), slices.Clone(bias)
					dxAlone, dgainAlone, dbiasAlone := slices.Clone(dx), slices.Clone(gain), slices.Clone(bias)
					if variant&4 != 0 {
						dgain, dbias, dgainAlone, dbiasAlone = nil, nil, nil, nil
					}
					for i := range count {
						k.NormBackwardRows(row(dxAlone, i), dgainAlone, dbiasAlone, y[i*(stride-1):][:n], row(x, i), gain, stats[2*i:][:2], make([]float32, 6), 0, 0, 0, n, rms, accumulate)
					}
					k.NormBackwardRows(dx, dgain, dbias, y, x, gain, stats, cliff.Floats(t, 6*count), stride, stride-1, stride, n, rms, accumulate)
					same("gradient of norm", dx, dxAlone)
					same("gradient of the gain", dgain, dgainAlone)
					same("gradient of the bias", dbias, dbiasAlone)
				}
			}
		}
	}
}

// TestColumns: sums go down the columns in the order of the rows, and each element is what the kernel of one slice makes of it. What
// lies between the rows stays; they end at a page that can't be touched.
func TestColumns(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for _, k := range vector.All() {
		for n := 1; n <= 70; n += 1 + n/20 {
			for count := 1; count <= 5; count++ {
				stride := n + count%3
				matrix := func() []float32 {
					x := cliff.Floats(t, (count-1)*stride+n)
					for i := range x {
						x[i] = float32(rng.NormFloat64())
					}
					return x
				}
				same := func(name string, got, want []float32) {
					t.Helper()
					if !slices.Equal(got, want) {
						t.Fatalf("%s: %s of %d columns of %d: %v, want %v", k.Name, name, n, count, got, want)
					}
				}
				x, shifts, sums := matrix(), matrix()[:n], matrix()[:n]
				want := slices.Clone(sums)
				for i := range count {
					k.Add(want, want, x[i*stride:][:n], 1, 1)
				}
				k.ColumnSums(sums, x, stride, count)
				same("sums", sums, want)
				for j := range want {
					want[j] = x[j]
					for i := range count {
						want[j] = max(want[j], x[i*stride+j])
					}
				}
				k.MaxColumns(sums, x, stride, count)
				same("largest", sums, want)
				p, d, q, e := slices.Clone(x), matrix(), slices.Clone(x), slices.Clone(x)
				clear(want)
				for i := range count {
					for j := range want {
						k.Exp(e[i*stride+j:][:1], x[i*stride+j:][:1], 0.5, -shifts[j])
						want[j] += e[i*stride+j]
					}
				}
				k.ExpColumns(sums, p, shifts, stride, count, 0.5)
				same("exp", p, e)
				same("sums of exp", sums, want)
				old := slices.Clone(d)
				k.SoftmaxBackwardColumns(q, d, shifts, sums, stride, count, 0.5)
				same("exp before the gradient of softmax", q, e)
				for i := range count {
					for j, delta := range sums {
						at := i*stride + j
						close(t, k.Name+" gradient of softmax", d[at], 0.5*float64(e[at])*(float64(old[at])-float64(delta)), 1)
						old[at] = d[at]
					}
				}
				same("gradient of softmax, between the rows", d, old)
			}
		}
		nan := float32(math.NaN())
		for n := 1; n <= 40; n++ {
			x, sums, shifts := make([]float32, 3*n), make([]float32, n), make([]float32, n)
			x[n+n/2] = nan
			k.MaxColumns(shifts, x, n, 3)
			clear(shifts)
			k.ExpColumns(sums, x, shifts, n, 3, 1)
			for j, s := range sums {
				if (s == s) != (j != n/2) {
					t.Errorf("%s: exp with NaN in column %d of %d sums to %g in column %d", k.Name, n/2, n, s, j)
				}
			}
		}
	}
}
