package main

import (
	"runtime"
	"syscall"
)

// peakResident is the most memory in bytes that this process has had resident, 0 if the system does not say.
func peakResident() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return u.Maxrss
	}
	return u.Maxrss << 10
}
