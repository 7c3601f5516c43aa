package corpus

import (
	"os"
	"syscall"
)

// mapFile maps a file into memory for reading. Files are replaced by renaming and never cut, so the memory stays readable.
func mapFile(f *os.File) ([]byte, func(), error) {
	fi, err := f.Stat()
	if err != nil || fi.Size() == 0 {
		return nil, func() {}, err
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, int(fi.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return b, func() { syscall.Munmap(b) }, nil
}
