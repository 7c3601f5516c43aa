package tui

import (
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"coil/run"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// terminal is a terminal of this process, what was written to it, and what it was set to before.
func terminal(t *testing.T) (tty *os.File, written func() string, before *term.State) {
	t.Helper()
	other, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 30, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	if before, err = term.GetState(int(tty.Fd())); err != nil {
		t.Fatal(err)
	}
	all := make(chan string)
	go func() {
		b, _ := io.ReadAll(other) // ends with an error when the terminal is closed
		all <- string(b)
	}()
	return tty, func() string {
		tty.Close()
		return <-all
	}, before
}

// A fault of the dashboard gives the terminal back as it was, and leaves training alone.
func TestFaultGivesTheTerminalBack(t *testing.T) {
	tty, written, before := terminal(t)
	begun := make(chan struct{})
	var asked atomic.Int32
	o := Options{Style: style(), Training: &Training{Start: func() { close(begun) }, Run: func() *run.Run { return nil }, Done: make(chan struct{}),
		Signaled: func() bool { return false }, Log: func() []string { return nil }, Control: new(run.Control),
		Activity: func() run.Activity {
			select {
			case <-begun:
				if asked.Add(1) > 2 {
					panic("a fault")
				}
			default:
			}
			return run.Activity{}
		}}}
	_, err := Run(o, tty, tty, nil)
	if err == nil || !strings.Contains(err.Error(), "the dashboard failed: a fault") {
		t.Errorf("it ends with %v", err)
	}
	if after, err := term.GetState(int(tty.Fd())); err != nil || *after != *before {
		t.Errorf("the terminal is not what it was: %v", err)
	}
	if s := written(); !strings.Contains(s, "\x1b[?1049h") || !strings.Contains(s, "\x1b[?1049l") || !strings.Contains(s, "\x1b[?25h") {
		t.Errorf("written is %q", s)
	}
	if c := o.Training.Control.Next(); c != "" {
		t.Errorf("training was told to %s", c)
	}
}

// Any request ends it, in any state.
func TestStopGivesTheTerminalBack(t *testing.T) {
	tty, written, before := terminal(t)
	stop := make(chan struct{})
	o := Options{Style: style(), Training: &Training{Start: func() { close(stop) }, Run: func() *run.Run { return nil }, Done: make(chan struct{}),
		Signaled: func() bool { return false }, Log: func() []string { return nil }, Control: new(run.Control), Activity: func() run.Activity { return run.Activity{} }}}
	if outcome, err := Run(o, tty, tty, stop); outcome != AtOnce || err != nil {
		t.Errorf("it ends with %v, %v", outcome, err)
	}
	if after, err := term.GetState(int(tty.Fd())); err != nil || *after != *before {
		t.Errorf("the terminal is not what it was: %v", err)
	}
	if s := written(); !strings.Contains(s, "\x1b[?1049l") {
		t.Errorf("written is %q", s)
	}
}
