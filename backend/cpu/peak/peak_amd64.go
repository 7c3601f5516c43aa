//go:build !noasm

package peak

import "golang.org/x/sys/cpu"

//go:noescape
func fmaAVX512(turns int)

//go:noescape
func fmaAVX2(turns int)

var native = loops()

func loops() []loop {
	var ls []loop
	if cpu.X86.HasAVX512F {
		ls = append(ls, loop{"avx512", 24 * 16 * 2, fmaAVX512})
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		ls = append(ls, loop{"avx2", 12 * 8 * 2, fmaAVX2})
	}
	return ls
}
