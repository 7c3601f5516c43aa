package run

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Limits of files that are read whole. Files of coil are far smaller; the limits keep wrong files out of memory.
const (
	MostText     = 1 << 20  // bytes of a configuration, and of run.json
	mostManifest = 64 << 20 // bytes of checkpoint.json
)

// A NotFileError is the error of a path that is not an ordinary file: reading it could wait forever.
type NotFileError struct {
	Path string
	Mode fs.FileMode
}

func (e *NotFileError) Error() string {
	what := "a device"
	switch {
	case e.Mode.IsDir():
		what = "a folder"
	case e.Mode&fs.ModeNamedPipe != 0:
		what = "a pipe"
	case e.Mode&fs.ModeSocket != 0:
		what = "a socket"
	}
	return fmt.Sprintf("%s is %s, not a file", e.Path, what)
}

// openRegular opens an ordinary file for reading.
func openRegular(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // otherwise, opening a pipe waits for a writer
	if errors.Is(err, syscall.ENXIO) {
		return nil, nil, &NotFileError{path, fs.ModeSocket}
	} else if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = &NotFileError{path, fi.Mode()}
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, fi, nil
}

// ReadFile reads an ordinary file of at most limit bytes. Pipes, devices and larger files are refused at once.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, fi, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tooLarge := func(n int64) error {
		return fmt.Errorf("%s has %d bytes, and at most %d are read: is it the right file?", path, n, limit)
	}
	if fi.Size() > limit {
		return nil, tooLarge(fi.Size())
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1)) // it may grow, or have no known size
	if err == nil && int64(len(b)) > limit {
		err = tooLarge(int64(len(b)))
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// openOwn opens a file of the run's own for writing. It follows no link, which could lead to somebody's other file.
func openOwn(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|noFollow|syscall.O_NONBLOCK, 0o666)
	if err != nil {
		if fi, e := os.Lstat(path); e == nil && !fi.Mode().IsRegular() {
			return nil, notOwn(path, fi)
		}
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = notOwn(path, fi)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func notOwn(path string, fi fs.FileInfo) error {
	if fi.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s is a link, and coil writes only into files of its own: remove the link", path)
	}
	return fmt.Errorf("%w: remove it", &NotFileError{path, fi.Mode()})
}

// ErrUnreadable is the error of a file that exists but can't be read now; its content may be fine.
var ErrUnreadable = errors.New("cannot be read")

// unreadable reports whether err comes from the system, not from a file's content or absence.
func unreadable(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP:
		return false
	}
	return true
}
