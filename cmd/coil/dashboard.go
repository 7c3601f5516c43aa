package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"coil/run"
	"coil/train"
	"coil/tui"

	"golang.org/x/sys/unix"
)

// inDashboard trains on another goroutine and shows the dashboard on this one. Messages wait until the dashboard is closed,
// and then go to the normal screen.
func (s *session) inDashboard() error {
	style, err := s.ui.appearance.style()
	if err != nil {
		return err
	}
	screen, err := s.supervisor.takeScreen()
	if err != nil {
		return err
	}
	messages := &deferredWriter{}
	p := newProgress(messages)
	p.silent.Store(true)
	stop := watchSignals(messages, stopping, leaving)
	defer stop.end()
	atOnce := make(chan struct{})
	stop.first = func() { s.control.Send(run.Stop) }
	stop.second = func(int) { close(atOnce); stop.second = os.Exit }

	var running atomic.Pointer[job]
	done := make(chan struct{})
	begin := time.Now()
	var took time.Duration // of training alone; the dashboard may stay open for longer
	var failure error
	work := func() {
		defer close(done)
		defer func() { took = time.Since(begin) }()
		var j *job
		if j, failure = s.prepare(messages, p.report); failure != nil {
			j.close()
			return
		}
		running.Store(j)
		s.supervisor.announce(j.r)
		failure = j.t.Run(j.r, s.control.Next)
	}
	outcome, fault := tui.Run(tui.Options{Style: style, Training: &tui.Training{
		Start: func() { go work() },
		Run: func() *run.Run {
			if j := running.Load(); j != nil {
				return j.r
			}
			return nil
		},
		Activity: func() run.Activity {
			if j := running.Load(); j != nil {
				return j.t.Activity()
			}
			return run.Activity{Phase: run.PhasePreparing}
		},
		Done: done, Signaled: stop.asked, Log: screen.log, Control: &s.control,
	}}, os.Stdin, screen.terminal, atOnce)
	w := s.cmd.ErrOrStderr()
	screen.giveBack(w)
	messages.to(w)
	if outcome == tui.AtOnce {
		return stop.err()
	}
	if fault != nil {
		fmt.Fprintf(w, "%v\ntraining continues; Ctrl-C stops it\n\n", fault)
	}
	p.silent.Store(false)
	<-done
	j := running.Load()
	if j == nil {
		return failure
	}
	defer j.close()
	if outcome == tui.Detach && errors.Is(failure, train.ErrStopped) {
		return s.moveToBackground(j)
	}
	return s.finish(j, p, failure, took, stop)
}

// deferredWriter keeps what is written until it is given a writer to pass it on to.
type deferredWriter struct {
	mu   sync.Mutex
	kept bytes.Buffer
	w    io.Writer
}

func (l *deferredWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w != nil {
		return l.w.Write(b)
	}
	return l.kept.Write(b)
}

func (l *deferredWriter) to(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w = w
	w.Write(l.kept.Bytes())
}

// screen is the terminal while the dashboard owns it: whatever else this process writes to standard output and error
// goes to a file, and to the dashboard's log.
type screen struct {
	terminal       *os.File
	stdout, stderr int // as they were
	file           *os.File
	read           int64
	lines          []string
}

func (p *supervisor) takeScreen() (*screen, error) {
	s := &screen{file: p.beside}
	var err error
	if s.stdout, err = unix.Dup(1); err == nil {
		s.stderr, err = unix.Dup(2)
	}
	if err == nil {
		err = unix.Dup2(int(s.file.Fd()), 1)
	}
	if err == nil {
		err = unix.Dup2(int(s.file.Fd()), 2)
	}
	if err != nil {
		return nil, fmt.Errorf("set up the terminal: %w", err)
	}
	s.terminal = os.NewFile(uintptr(s.stdout), "/dev/stdout")
	return s, nil
}

// mostLines is how many lines the log keeps.
const mostLines = 200

// log returns what was written in the meantime.
func (s *screen) log() []string {
	var b [16 << 10]byte
	for {
		n, _ := s.file.ReadAt(b[:], s.read)
		end := bytes.LastIndexByte(b[:n], '\n')
		if end < 0 {
			if n < len(b) {
				return s.lines
			}
			end = n - 1 // a line without end
		}
		s.read += int64(end) + 1
		for line := range strings.SplitSeq(strings.TrimSuffix(string(b[:end+1]), "\n"), "\n") {
			s.lines = append(s.lines, line)
		}
		s.lines = s.lines[max(0, len(s.lines)-mostLines):]
	}
}

// giveBack restores standard output and error, and writes to w what was written in the meantime.
func (s *screen) giveBack(w io.Writer) {
	unix.Dup2(s.stdout, 1)
	unix.Dup2(s.stderr, 2)
	s.file.Seek(0, io.SeekStart)
	io.Copy(w, s.file)
	s.file.Truncate(0) // else the supervisor would show it again after a crash
	s.file.Seek(0, io.SeekStart)
	s.terminal.Close()
	unix.Close(s.stderr)
}
