//go:build !noasm

package vector

import "golang.org/x/sys/cpu"

// native lists this processor's kernels, best first.
func native() []*Kernels {
	var ks []*Kernels
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX2 {
		ks = append(ks, avx512.kernels())
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		ks = append(ks, avx2.kernels())
	}
	return ks
}
