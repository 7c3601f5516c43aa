//go:build !noasm

package gemm

import "golang.org/x/sys/cpu"

//go:noescape
func transpose8(dst *float32, ds int, src *float32, ss int)

// native lists this processor's kernels, best first.
func native() []*Kernel {
	var ks []*Kernel
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX2 {
		ks = append(ks, &Kernel{Name: "avx512", lanes: 16, mr: 14, nr: 32, kc: 512, masks: true, tiles: avx512Tiles, first: avx512First,
			packA: packAAVX512, packB: packBAVX512, transpose: transpose8})
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		ks = append(ks, &Kernel{Name: "avx2", lanes: 8, mr: 6, nr: 16, kc: 384, masks: true, tiles: avx2Tiles, first: avx2First,
			packA: packAAVX2, packB: packBAVX2, transpose: transpose8})
	}
	return ks
}
