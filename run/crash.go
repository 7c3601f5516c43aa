package run

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
)

// crashName is the file to which Go writes the trace of a crash. It is there, and empty, while the run is trained.
const crashName = "crash.txt"

// A Crash is how a process ended that trained a run, by a panic or a fatal error of the program.
type Crash struct {
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"` // "panic: runtime error: integer divide by zero"; if the trace has none, where it was
	Trace  string    `json:"trace"`  // the path of the file that has it
}

// String says when the run crashed, why, and where the trace is.
func (c Crash) String() string {
	return fmt.Sprintf("crashed on %s: %s; the trace is in %s", c.Time.Format("2006-01-02 at 15:04:05"), c.Reason, c.Trace)
}

// Crash returns the crash of the last process that trained the run, and whether it crashed. A process that was killed leaves no
// trace.
func (r *Run) Crash() (Crash, bool) {
	if r.lock == nil {
		if _, held, err := r.Holder(); held || err != nil {
			return Crash{}, false // the trace may be half written
		}
	}
	return readCrash(filepath.Join(r.path, crashName))
}

func readCrash(path string) (Crash, bool) {
	f, fi, err := openRegular(path)
	if err != nil {
		return Crash{}, false
	}
	defer f.Close()
	c := Crash{Time: fi.ModTime(), Trace: path}
	where := "" // the first function outside the Go runtime
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if isReason(line) {
			c.Reason = line
			return c, true
		}
		if name, _, ok := strings.Cut(line, "("); ok && where == "" && strings.HasSuffix(line, ")") && !strings.Contains(line, "runtime") && line[0] != '\t' {
			where = name
		}
	}
	if where != "" {
		c.Reason = "fatal error in " + where
	} else if fi.Size() > 0 {
		c.Reason = "fatal error"
	}
	return c, c.Reason != ""
}

// isReason reports whether a line of a trace says why the program crashed. For some fatal errors, Go writes the reason only to
// standard error.
func isReason(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "SIG")
}

// AddToCrash adds what the crashed process wrote to standard error to the trace, if that does not say why it crashed.
func (r *Run) AddToCrash(stderr string) error {
	c, ok := r.Crash()
	if !ok || isReason(c.Reason) {
		return nil
	}
	f, err := openOwn(c.Trace, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "\nstandard error:\n%s", stderr)
	return errors.Join(err, f.Close())
}

// CatchCrashes makes Go also write the trace of a crash of this process into the run's folder, until end is called. A process
// catches the crashes of one run at a time. Don't defer end: deferred calls run before the trace is written.
//
// The trace of an earlier crash is kept under a name with its time, and noted in the events.
func (r *Run) CatchCrashes(step int) (end func(), err error) {
	r.mustWrite()
	path := filepath.Join(r.path, crashName)
	defer func() {
		if err != nil {
			err = fmt.Errorf("the file for the trace of a crash: %w", withHint(err, ""))
		}
	}()
	if c, ok := readCrash(path); ok {
		c.Trace = filepath.Join(r.path, "crash-"+c.Time.UTC().Format("20060102-150405")+".txt")
		if err := os.Rename(path, c.Trace); err != nil {
			return nil, err
		}
		c.Trace = filepath.Base(c.Trace)
		if err := r.Append(Event{Kind: KindNote, Step: step, Text: "the run " + c.String()}); err != nil {
			return nil, err
		}
	}
	f, err := openOwn(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return nil, err
	}
	defer f.Close() // Go has its own descriptor
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		return nil, err
	}
	return func() {
		debug.SetCrashOutput(nil, debug.CrashOptions{})
		if fi, err := os.Lstat(path); err == nil && fi.Size() == 0 {
			os.Remove(path)
		}
	}, nil
}
