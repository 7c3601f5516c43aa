//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package terminal

import "golang.org/x/sys/unix"

func flushInput(fd int) error {
	const read = 1 // FREAD of sys/fcntl.h: the queue to flush
	return unix.IoctlSetPointerInt(fd, unix.TIOCFLUSH, read)
}
