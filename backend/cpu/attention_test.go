package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"coil/backend/cpu/gemm"
)

// TestBlocksOfKeys holds the backward pass of attention by blocks of keys to the same with all keys in one block, which the conformance
// suite holds to its reference.
func TestBlocksOfKeys(t *testing.T) {
	const heads, ld = 2, 150
	for _, kernel := range gemm.Kernels() {
		c, err := New(Options{Kernels: kernel.Name, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, length := range []int{256, 257, 300, 515} {
			for _, width := range []int{8, 20, 32} {
				rng := rand.New(rand.NewPCG(uint64(length), uint64(width)))
				random := func(n int) []float32 {
					x := make([]float32, n)
					for i := range x {
						x[i] = float32(rng.NormFloat64())
					}
					return x
				}
				qkv, dout, out, logSum := random(length*ld), random(length*ld), make([]float32, length*ld), make([]float32, length*heads)
				forward := forwardHead{q: qkv, k: qkv[width:], v: qkv[2*width:], ld: ld, ldK: ld, ldV: ld, scale: 0.3, out: out, ldOut: ld, logSum: logSum, heads: heads}
				all := c.tiling(width, length, length)
				size, need := c.forwardScratch(all)
				c.attendHead(&worker{scratch: make([]float32, size), gemm: need.Cut(gemm.Aligned(need.Len()))}, all, &forward)
				for _, adds := range []bool{false, true} {
					before := random(length * ld)
					gradient := func(keys int) []float32 {
						d := append([]float32(nil), before...)
						tile := c.tiling(width, length, keys)
						size, need := c.backwardScratch(tile)
						w := &worker{scratch: make([]float32, size), gemm: need.Cut(gemm.Aligned(need.Len()))}
						c.attendHeadBackward(w, tile, &backwardHead{forwardHead: forward, dq: d, dk: d[width:], dv: d[2*width:], ldGrad: ld, adds: adds, dout: dout, ldDout: ld})
						return d
					}
					label := fmt.Sprintf("%s, %d positions, width %d, adds %v", kernel.Name, length, width, adds)
					want, got := gradient(length), gradient(min(length, blockKeys))
					for i := range want {
						if !(math.Abs(float64(got[i]-want[i])) <= 1e-4*(1+math.Abs(float64(want[i])))) {
							t.Fatalf("%s: row %d, column %d is %g, want %g", label, i/ld, i%ld, got[i], want[i])
						}
					}
				}
			}
		}
	}
}
