//go:build !linux

package machine

import "syscall"

// Read reads what the system tells every process of itself: the most memory that it had.
func Read() Reading {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return Reading{}
	}
	return Reading{Peak: u.Maxrss} // bytes on darwin
}
