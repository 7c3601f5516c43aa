//go:build unix

// Package cliff gives tests memory that ends where the address space does, so that a kernel which reads or writes even
// one value too far crashes.
package cliff

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Floats returns n zeros, followed by a page that can't be touched.
func Floats(t testing.TB, n int) []float32 {
	t.Helper()
	page := unix.Getpagesize()
	size := (max(n, 1)*4 + page - 1) / page * page
	memory, err := unix.Mmap(-1, 0, size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		err = unix.Mprotect(memory[size:], unix.PROT_NONE)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(memory); err != nil {
			t.Error(err)
		}
	})
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&memory[size-4*n])), n)
}
