//go:build !linux

package machine

import (
	"runtime"
	"syscall"
)

// Read reads what the system reports to every process: its peak memory.
func Read() Reading {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return Reading{}
	}
	if runtime.GOOS == "darwin" { // in bytes; in KiB elsewhere
		return Reading{Peak: int64(u.Maxrss)}
	}
	return Reading{Peak: int64(u.Maxrss) << 10}
}
