//go:build noasm || !amd64

package vector

func native() []*Kernels { return nil }
