package run

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A file is what a safe write needs of a file. Tests put in ones that fail.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

// createFile makes a new file. What has this name already is removed, not written into: it may be a link.
func createFile(path string) (file, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err // not f: a nil *os.File is not a nil file
	}
	return f, nil
}

// writeSynced makes a file of what write writes, and returns when it is on the disk.
func writeSynced(create func(path string) (file, error), path string, write func(io.Writer) error) (err error) {
	f, err := create(path)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	return f.Sync()
}

// temporarySuffix ends the name of a file that takes another's place when it is whole.
const temporarySuffix = ".tmp"

// ReplaceFile makes the file at path hold data: at every moment, and after a crash, it is the old file or the new one.
func ReplaceFile(path string, data []byte) error {
	temporary := path + temporarySuffix
	err := writeSynced(createFile, temporary, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		os.Remove(temporary)
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// syncDirectory returns when the names in a directory are on the disk: a rename may be lost before.
func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // network file systems, which have no such operation
	}
	return err
}

// MakeFolder makes a folder, and those above it if needed. It returns when all folders that it made are on the disk: a synced
// file is lost if the name of a folder above it is lost.
func MakeFolder(path string) error {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	there := absolute // the nearest one that is there already
	for !exists(there) && there != filepath.Dir(there) {
		there = filepath.Dir(there)
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	for dir := absolute; dir != there; {
		dir = filepath.Dir(dir)
		if err := syncDirectory(dir); err != nil {
			return err
		}
	}
	return nil
}

// isFull reports whether err says that there is no space left.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// withHint adds to an error of the file system what the user can do about it, and ends that with elsewhere.
func withHint(err error, elsewhere string) error {
	var cure string
	switch {
	case isFull(err):
		cure = "disk full: free some space"
	case errors.Is(err, syscall.EROFS):
		cure = "this disk is read-only: make it writable"
	case errors.Is(err, syscall.EPERM):
		cure = "the system does not allow it: is it marked as immutable?"
	case errors.Is(err, fs.ErrPermission):
		cure = "change its permissions"
	case errors.Is(err, syscall.ENOTDIR):
		cure = "a part of this path is a file, not a folder: rename that"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		cure = "too many files are open: close programs, or raise the limit with ulimit -n"
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.ETIMEDOUT):
		cure = "the disk or the network behind it fails: look at the system's log, and try again"
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOSYS):
		cure = "this disk cannot lock or link files: mount it with locks (NFS needs lockd, Lustre -o flock), or use a local one"
	default:
		return err
	}
	return fmt.Errorf("%w: %s%s", err, cure, elsewhere)
}
