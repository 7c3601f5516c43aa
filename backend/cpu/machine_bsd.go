//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package cpu

import "golang.org/x/sys/unix"

// machineMemory is the machine's memory in bytes. The names are those of macOS, of NetBSD, whose hw.physmem has 32 bits
// only, and of the other BSDs.
func machineMemory() int64 {
	for _, name := range []string{"hw.memsize", "hw.physmem64", "hw.physmem"} {
		if n, err := unix.SysctlUint64(name); err == nil {
			return int64(n)
		}
	}
	return 1 << 40 // not known: the system refuses what it hasn't got
}

// deviceName is the processor's model, under macOS's name and that of the BSDs.
func deviceName() string {
	for _, name := range []string{"machdep.cpu.brand_string", "hw.model"} {
		if s, err := unix.Sysctl(name); err == nil {
			return s
		}
	}
	return "processor"
}

// hugePages does nothing: these systems choose the size of pages themselves.
func hugePages([]float32) {}
