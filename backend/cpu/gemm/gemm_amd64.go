//go:build !noasm

package gemm

import "golang.org/x/sys/cpu"

//go:noescape
func k14x32(k int, a *float32, ars, acs int, b *float32, bcs int, c *float32, ldc int, acc int)

//go:noescape
func k8x32(k int, a *float32, ars, acs int, b *float32, bcs int, c *float32, ldc int, acc int)

//go:noescape
func k6x16(k int, a *float32, ars, acs int, b *float32, bcs int, c *float32, ldc int, acc int)

//go:noescape
func transpose8(dst *float32, ds int, src *float32, ss int)

//go:noescape
func packRows14(dst *float32, ps int, src *float32, ss, k, np int)

//go:noescape
func packRows32(dst *float32, ps int, src *float32, ss, k, np int)

//go:noescape
func packRows16(dst *float32, ps int, src *float32, ss, k, np int)

//go:noescape
func packRows6(dst *float32, ps int, src *float32, ss, k, np int)

// native lists this processor's kernels, best first.
func native() []*Kernel {
	var ks []*Kernel
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX2 {
		ks = append(ks, &Kernel{Name: "avx512", mr: 14, nr: 32, kc: 384, micro: k14x32, small: k8x32, smallRows: 8,
			packMR: packRows14, packNR: packRows32, transpose: transpose8})
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		ks = append(ks, &Kernel{Name: "avx2", mr: 6, nr: 16, kc: 384, micro: k6x16,
			packMR: packRows6, packNR: packRows16, transpose: transpose8})
	}
	return ks
}
