package cpu

import (
	"golang.org/x/sys/unix"
)

// machineMemory is the machine's memory in bytes.
func machineMemory() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 1 << 40
	}
	return int64(n)
}

// deviceName is the processor's model.
func deviceName() string {
	s, err := unix.Sysctl("machdep.cpu.brand_string")
	if err != nil {
		return "processor"
	}
	return s
}
