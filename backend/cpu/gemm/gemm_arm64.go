//go:build !noasm

package gemm

//go:noescape
func k8x12(k int, a *float32, ars, acs int, b *float32, bcs int, c *float32, ldc int, acc int)

// native lists this processor's kernels, best first. Every arm64 processor has NEON.
func native() []*Kernel {
	return []*Kernel{{Name: "neon", mr: 8, nr: 12, kc: 256, micro: k8x12}}
}
