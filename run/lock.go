package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrLocked is the error of opening a run for writing while another process has it open for writing.
// Its text, where it is returned, names the process.
var ErrLocked = errors.New("the run is in use")

// A Holder is a process that has a run open for writing.
type Holder struct {
	PID  int    `json:"pid"` // 0 if it is not known
	Host string `json:"host"`
}

func (h Holder) String() string {
	if h.PID == 0 {
		return "another process"
	}
	return fmt.Sprintf("process %d on %s", h.PID, h.Host)
}

// The lock is an flock(2): the system releases it when its holder ends, by kill -9 too, so it is never stale.
// The file is not removed, because a process could then lock the removed file and another the new one.

// acquire locks the run at path for writing, until the file that it returns is closed.
func acquire(path string) (*os.File, error) {
	name := filepath.Join(path, lockName)
	for {
		f, err := openOwn(name, os.O_RDWR|os.O_CREATE)
		if err != nil {
			return nil, err
		}
		if err := lockFor(f); err != nil {
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = fmt.Errorf("%w: %s is training it (%s); stop that first", ErrLocked, readHolder(f), path)
			}
			return nil, errors.Join(err, f.Close())
		}
		if !isAt(f, name) { // its holder has removed it with the rest of the folder
			release(f)
			continue
		}
		if err := writeHolder(f); err != nil {
			return nil, errors.Join(err, release(f))
		}
		return f, nil
	}
}

// keepLock makes sure that this process still has the lock of the run, whose file somebody may have deleted: then another
// process could write the run too. It locks a new file, or returns an error if another process was quicker. r.appending is held.
func (r *Run) keepLock(step int) error {
	held := r.lock
	if r.relock != nil {
		held = r.relock
	}
	if isAt(held, filepath.Join(r.path, lockName)) {
		return nil
	}
	if _, err := os.Lstat(r.path); err != nil {
		return fmt.Errorf("the folder of the run is gone: %w", err)
	}
	f, err := acquire(r.path)
	if err != nil {
		return fmt.Errorf("%s was deleted while the run was training here: %w", lockName, err)
	}
	if fi, err := r.events.Stat(); err != nil || fi.Size() > r.digest.at {
		return errors.Join(err, release(f), fmt.Errorf("%s was deleted while the run was training here, and another process has trained it since; this one stops, and its last steps are lost", lockName))
	}
	if r.relock != nil {
		release(r.relock)
	}
	r.relock = f // not r.lock, which other goroutines read
	return r.appendLine(Event{Kind: KindNote, Step: step, Text: lockName + " was deleted while the run was training, and made again"})
}

// isAt reports whether path names the open file.
func isAt(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, named)
}

// lockFor locks f alone. It tries for a tenth of a second, because Run.Holder locks too, for a moment.
func lockFor(f *os.File) error {
	for try := 0; ; try++ {
		err := flock(f, syscall.LOCK_EX)
		if try == 10 || !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// flock locks or unlocks f without waiting. The error is EWOULDBLOCK if another process has locked it.
func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err == syscall.EINTR {
			continue
		}
		return os.NewSyscallError("flock "+f.Name(), err)
	}
}

// release unlocks f and closes it. To close it would not do: a process that is just being started elsewhere in this program has a
// copy of f, and with it the lock, until it runs its own program.
func release(f *os.File) error {
	return errors.Join(flock(f, syscall.LOCK_UN), f.Close())
}

// writeHolder writes this process into the lock.
func writeHolder(f *os.File) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	b, err := json.Marshal(Holder{os.Getpid(), host})
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(b)))
}

// readHolder returns the process that is written in the lock. It is empty when that process is just about to write.
func readHolder(f *os.File) Holder {
	var h Holder
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<12))
	if err != nil || json.Unmarshal(b, &h) != nil {
		return Holder{}
	}
	return h
}

// Holder returns the process that has the run open for writing, which may be this one, and whether there is one.
// If there is none and the last event is not of KindStop, KindEnd or KindError, the run was killed.
func (r *Run) Holder() (Holder, bool, error) {
	f, _, err := openRegular(filepath.Join(r.path, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return Holder{}, false, nil
	}
	if err != nil {
		return Holder{}, false, err
	}
	defer release(f)
	err = flock(f, syscall.LOCK_SH)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return readHolder(f), true, nil
	}
	return Holder{}, false, err
}
