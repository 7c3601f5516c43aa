package run

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// patience is how long Exclusive waits for its turn: far longer than a turn takes.
const patience = 2 * time.Minute

// Exclusive calls do while no other process is in a call with the same path, of a file that is made if need be, and stays.
// It waits for its turn; it is an error if another process has had it for minutes.
func Exclusive(path string, do func() error) (err error) {
	f, err := openOwn(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return withHint(err, ", or choose another folder with --out")
	}
	defer func() { err = errors.Join(err, release(f)) }()
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := flock(f, syscall.LOCK_EX)
		switch {
		case err == nil:
			return do()
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return withHint(err, "")
		case time.Since(begin) > patience:
			return fmt.Errorf("another process has held %s for %v; end it, and try again", path, patience)
		}
	}
}
