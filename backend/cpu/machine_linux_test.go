package cpu

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"coil/graph"

	"golang.org/x/sys/unix"
)

// Large buffers and what programs work in have the flag of huge pages in the kernel's list of mappings.
func TestHugePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("this kernel has no huge pages")
	}
	own, err := unix.Mmap(-1, 0, 4<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(own)
	if unix.Madvise(own, unix.MADV_HUGEPAGE) != nil || !flagged(t, uintptr(unsafe.Pointer(&own[0])), "hg") {
		t.Skip("this system, such as qemu, does not list what was asked of a mapping")
	}
	c, err := New(Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const n = 4 << 20 // 16 MiB
	b, err := c.NewBuffer(n)
	if err != nil {
		t.Fatal(err)
	}
	r := graph.NewRecorder(1, 1)
	r.Record(&graph.Fill{Y: r.Temporary(n/1024, 1024), Value: 1})
	p, err := c.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for what, x := range map[string][]float32{"a buffer": b.(*buffer).data, "the activations": c.slabs.parts[1]} {
		if at := uintptr(unsafe.Pointer(&x[len(x)/2])); !flagged(t, at, "hg") {
			t.Errorf("%s of %d MiB is not in huge pages", what, len(x)>>18)
		}
	}
}

// flagged reports whether the mapping that has an address has a flag in /proc/self/smaps.
func flagged(t *testing.T, at uintptr, flag string) bool {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inside := false
	for s := bufio.NewScanner(f); s.Scan(); {
		var lo, hi uintptr
		if n, _ := fmt.Sscanf(s.Text(), "%x-%x ", &lo, &hi); n == 2 {
			inside = lo <= at && at < hi
		} else if flags, ok := strings.CutPrefix(s.Text(), "VmFlags:"); ok && inside {
			return strings.Contains(flags+" ", " "+flag+" ")
		}
	}
	t.Fatalf("no mapping has %#x", at)
	return false
}
