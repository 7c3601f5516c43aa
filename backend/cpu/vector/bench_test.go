package vector_test

import (
	"fmt"
	"testing"

	"coil/backend/cpu/vector"
)

// BenchmarkKernels runs each kernel over a row of a small model and over one that calls cost nothing for.
func BenchmarkKernels(b *testing.B) {
	for _, k := range vector.All() {
		for _, op := range operations() {
			for _, n := range []int{64, 2048} {
				b.Run(fmt.Sprintf("%s/%s/%d", k.Name, op.name, n), func(b *testing.B) {
					x := make([][]float32, op.operands)
					for i := range x {
						x[i] = make([]float32, n)
						for j := range x[i] {
							x[i][j] = float32(j%13)/8 - 0.75
						}
					}
					for b.Loop() {
						op.run(k, x)
					}
					b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N*n), "ns/element")
				})
			}
		}
	}
}
