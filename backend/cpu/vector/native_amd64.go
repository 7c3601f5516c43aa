//go:build !noasm

package vector

import "golang.org/x/sys/cpu"

// native lists this processor's kernels, best first.
func native() []*Kernels {
	var ks []*Kernels
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX2 {
		ks = append(ks, withNarrowHeads(avx512.kernels(), avx2.kernels()))
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		ks = append(ks, avx2.kernels())
	}
	return ks
}

// withNarrowHeads rotates pairs of at most 8 with the narrower registers: the wider ones would load half a register right after
// a store beside it, and wait for that store.
func withNarrowHeads(wide, narrow *Kernels) *Kernels {
	rotate := wide.Rotate
	wide.Rotate = func(a, b, c, s []float32, count, stride int) {
		if len(c) <= 8 {
			narrow.Rotate(a, b, c, s, count, stride)
			return
		}
		rotate(a, b, c, s, count, stride)
	}
	return wide
}
