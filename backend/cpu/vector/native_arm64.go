//go:build !noasm

package vector

// native lists this processor's kernels, best first. Every arm64 processor has NEON.
func native() []*Kernels { return []*Kernels{neon.kernels()} }
