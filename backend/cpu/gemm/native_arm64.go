//go:build !noasm

package gemm

// native lists this processor's kernels, best first. Every arm64 processor has NEON.
func native() []*Kernel {
	return []*Kernel{{Name: "neon", lanes: 4, mr: 6, nr: 16, kc: 256, tiles: neonTiles, first: neonFirst}}
}
