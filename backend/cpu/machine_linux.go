package cpu

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// machineMemory is the memory in bytes that this process may take: the machine's, or its control group's if less.
func machineMemory() int64 {
	total := int64(1) << 40
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if f := strings.Fields(field(b, "MemTotal")); len(f) > 0 {
			if kib, err := strconv.ParseInt(f[0], 10, 64); err == nil {
				total = kib << 10
			}
		}
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if b, err := os.ReadFile(path); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 {
				total = min(total, n)
			}
		}
	}
	return total
}

// deviceName is the processor's model.
func deviceName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		if s := field(b, "model name"); s != "" {
			return s
		}
	}
	return "processor"
}

// field returns the value of the first "name : value" line.
func field(b []byte, name string) string {
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// hugePages asks the system to hold memory in pages of 2 MiB: a core caches the addresses of a fixed number of pages. The
// system may refuse.
func hugePages(x []float32) {
	const size = 2 << 20
	if len(x)*4 < 2*size { // it may have no such page of its own
		return
	}
	all := unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*4)
	first := -int(uintptr(unsafe.Pointer(&x[0]))) & (size - 1)
	unix.Madvise(all[first:first+(len(all)-first)/size*size], unix.MADV_HUGEPAGE)
}
