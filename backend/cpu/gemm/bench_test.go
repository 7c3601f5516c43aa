package gemm_test

import (
	"fmt"
	"testing"

	"coil/backend/cpu/gemm"
)

// BenchmarkMul multiplies 512 rows with a packed weight; BenchmarkMulTN is the weight's gradient. GFLOP/s of one core.
func BenchmarkMul(b *testing.B) {
	eachShape(b, func(b *testing.B, kn *gemm.Kernel, m, k, n int) func() {
		a, w, c := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
		packed := kn.Pack(make([]float32, kn.PackedLen(k, n)), false, k, n, w, n)
		s := newScratch(kn.NeedMul())
		return func() { kn.Mul(&s, m, a, k, packed, c, n, false) }
	})
}

func BenchmarkMulTN(b *testing.B) {
	eachShape(b, func(b *testing.B, kn *gemm.Kernel, m, k, n int) func() {
		x, dy, dw := make([]float32, m*k), make([]float32, m*n), make([]float32, k*n)
		s := newScratch(kn.NeedTN(k, n, m))
		return func() { kn.MulTN(&s, k, n, m, x, k, dy, n, dw, n, true, gemm.Sums{}) }
	})
}

// eachShape runs what prepare returns for each kernel and some sizes of layers.
func eachShape(b *testing.B, prepare func(b *testing.B, kn *gemm.Kernel, m, k, n int) func()) {
	const m = 512
	for _, kn := range gemm.Kernels() {
		for _, s := range [][2]int{{64, 64}, {64, 256}, {256, 256}, {256, 1024}, {1024, 256}} {
			b.Run(fmt.Sprintf("%s/%dx%d", kn.Name, s[0], s[1]), func(b *testing.B) {
				run := prepare(b, kn, m, s[0], s[1])
				b.ReportAllocs()
				for b.Loop() {
					run()
				}
				b.ReportMetric(2*m*float64(s[0]*s[1])*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
