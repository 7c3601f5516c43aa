package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"coil/run"
	"coil/text"
	"coil/tui/terminal"

	"golang.org/x/sys/unix"
)

// The dashboard or the home screen runs in its own process, with the same command line. Whatever ends that process, even a
// fatal error of the Go runtime (which no handler sees) or kill -9, its parent waits for it, restores the terminal, says what
// happened, and exits with the same code. Only then does the shell continue.

// supervisedEnv, in the environment of the child, names the descriptors of the connection to its parent.
const (
	supervisedEnv  = "COIL_SUPERVISED"
	supervisorLine = 3 // a socket: the child writes the run's path, and sees the parent's end
	besideScreen   = 4 // a file without a name, for output while the dashboard is open
)

// mostStderr is the size of the end of that output that is shown.
const mostStderr = 4 << 20

// supervisor is the parent of the process that shows the dashboard.
type supervisor struct {
	line   *os.File
	beside *os.File
}

// supervise returns, in a process that has one, its supervisor. In any other it starts such a process, waits for its end, and
// returns an error that has its exit code.
//
// In its normal mode, the terminal sends Ctrl-C to both processes. The supervisor then passes SIGINT on as the signal second: as
// SIGTERM to a process that leaves at once after two interrupts, and not at all (second is nil) to one whose commands handle
// Ctrl-C themselves.
func supervise(w io.Writer, second os.Signal) (*supervisor, error) {
	if os.Getenv(supervisedEnv) == "" {
		return nil, superviseChild(w, second)
	}
	os.Unsetenv(supervisedEnv) // the processes that this one starts have no supervisor
	unix.CloseOnExec(supervisorLine)
	unix.CloseOnExec(besideScreen)
	s := &supervisor{os.NewFile(supervisorLine, "supervisor"), os.NewFile(besideScreen, "output")}
	go func() {
		io.Copy(io.Discard, s.line) // which writes nothing
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}()
	return s, nil
}

// tell sends the path of the run in training.
func (s *supervisor) announce(r *run.Run) { io.WriteString(s.line, r.Path()) } // at worst its path is not named after a crash

// ownProgram is the file of this program, as this process was called, to start it again.
func ownProgram() (string, error) {
	program, err := exec.LookPath(os.Args[0])
	if err != nil {
		return "", fmt.Errorf("the program file of coil is no longer where it was: %w", err)
	}
	return program, nil
}

func superviseChild(w io.Writer, second os.Signal) error {
	program, err := ownProgram()
	if err != nil {
		return err
	}
	before, err := terminal.Save(os.Stdin)
	if err != nil {
		return fmt.Errorf("the state of the terminal: %w", err)
	}
	beside, err := unnamedFile()
	if err != nil {
		return err
	}
	defer beside.Close()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return fmt.Errorf("start the process of the dashboard: %w", err)
	}
	unix.CloseOnExec(ends[0])
	unix.CloseOnExec(ends[1]) // the child gets it as another
	line, childLine := os.NewFile(uintptr(ends[0]), "line"), os.NewFile(uintptr(ends[1]), "line")
	defer line.Close()
	c := exec.Command(program, os.Args[1:]...)
	c.Env = append(os.Environ(), supervisedEnv+"=1")
	c.Stdin, c.Stdout, c.Stderr, c.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, []*os.File{childLine, beside}
	signals := endingSignals(syscall.SIGQUIT, syscall.SIGABRT)
	defer signal.Stop(signals)
	err = c.Start()
	childLine.Close()
	if err != nil {
		return fmt.Errorf("start the process of the dashboard: %w", err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go forward(signals, ended, c.Process, func(s os.Signal) os.Signal {
		if s == syscall.SIGINT && !before.Changed() {
			return second
		}
		return s
	})
	path := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(line)
		path <- string(b)
	}()
	if err := c.Wait(); err != nil && c.ProcessState == nil {
		return fmt.Errorf("wait for the process of the dashboard: %w", err)
	}
	if before.Changed() {
		before.Restore(os.Stdout)
	}
	code, what := endOfChild(c.ProcessState.Sys().(syscall.WaitStatus))
	if what == "" {
		return silentError{code}
	}
	stderr, _ := io.ReadAll(io.NewSectionReader(beside, 0, mostStderr))
	w.Write(stderr)
	fmt.Fprintf(w, "coil: the process of the dashboard %s\n", what)
	tellCrash(w, <-path, string(stderr))
	return silentError{code}
}

// endOfChild returns the exit code for the end of a child, and the message if the child did not end by itself.
func endOfChild(s syscall.WaitStatus) (code int, what string) {
	switch {
	case s.Signaled():
		code = 128 + int(s.Signal())
		switch s.Signal() {
		case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP: // before it handled them
			return code, ""
		case syscall.SIGKILL:
			return code, "was killed, by a person or by the system for lack of memory"
		}
		return code, fmt.Sprintf("ended with signal %d (%s)", int(s.Signal()), s.Signal())
	case s.ExitStatus() == exitCrashed:
		return exitCrashed, "crashed"
	}
	return s.ExitStatus(), ""
}

// tellCrash prints where the stack trace of a crash is, and how to continue.
func tellCrash(w io.Writer, path, stderr string) {
	r, err := run.View(path)
	if path == "" || err != nil {
		return
	}
	if err := r.AddToCrash(stderr); err != nil {
		fmt.Fprintf(w, "coil: %v\n", fileError("the trace", err))
	}
	if c, ok := r.Crash(); ok {
		fmt.Fprintf(w, "the stack trace is also in %s\n", c.Trace)
	}
	fmt.Fprintf(w, "continue with\n  coil resume %s\n", text.Path(path))
}

// forward passes signals on to a child; as maps each to the signal to send, or to nil for none.
func forward(signals <-chan os.Signal, ended <-chan struct{}, child *os.Process, as func(os.Signal) os.Signal) {
	for {
		select {
		case s := <-signals:
			if s = as(s); s != nil {
				child.Signal(s) // it may just have ended
			}
		case <-ended:
			return
		}
	}
}

// unnamedFile makes a file that exists only while it is open.
func unnamedFile() (*os.File, error) {
	f, err := os.CreateTemp("", "coil-output-*")
	if err != nil {
		return nil, fmt.Errorf("a file for output while the dashboard is open: %w", err)
	}
	os.Remove(f.Name())
	return f, nil
}
