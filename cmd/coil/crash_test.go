package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"coil/report"
	"coil/run"
	"coil/run/runtest"
	"coil/thorough"
)

// crashEnv, in the environment of coil in tests, names a file. As soon as it is there, the process that trains the run crashes
// in the way that the file says.
const crashEnv = "COIL_TEST_CRASH"

func crashWhenAsked() {
	path := os.Getenv(crashEnv)
	if path == "" {
		return
	}
	for {
		time.Sleep(5 * time.Millisecond)
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 {
			continue
		}
		how, dir, _ := strings.Cut(string(b), " ")
		r, err := run.View(dir)
		if err != nil {
			continue
		}
		if h, _, _ := r.Holder(); h.PID == os.Getpid() {
			os.Remove(path)
			crash(how)
		}
	}
}

func crash(how string) {
	switch how {
	case "panic":
		panic("a fault for a test")
	case "map":
		m := map[int]int{}
		for range 2 {
			go func() {
				for i := 0; ; i++ {
					m[i%8] = i
				}
			}()
		}
	case "memory":
		for size := 1 << 45; ; size++ {
			runtime.KeepAlive(make([]byte, size))
		}
	}
}

// However the program crashes: the terminal is what it was, the trace is in the run's folder, the exit code is Go's, every
// command says that the run crashed, and the run goes on from its newest checkpoint.
func TestCrash(t *testing.T) {
	t.Parallel()
	config := tinyFile(t)
	signal := func(s syscall.Signal) func(t *testing.T, r *run.Run, ask string) {
		return func(t *testing.T, r *run.Run, _ string) {
			h, ok, err := r.Holder()
			if !ok || err != nil {
				t.Fatal("nobody trains it", err)
			}
			if err := syscall.Kill(h.PID, s); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask := func(how string) func(t *testing.T, r *run.Run, ask string) {
		return func(t *testing.T, r *run.Run, ask string) {
			if err := os.WriteFile(ask, []byte(how+" "+r.Path()), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	crashes := []struct {
		name   string
		do     func(t *testing.T, r *run.Run, ask string)
		reason string // in the trace, "" for none
		code   int
		lines  bool // not in the dashboard
	}{
		{"panic", ask("panic"), "panic: a fault for a test", exitCrashed, false},
		{"panic with lines", ask("panic"), "panic: a fault for a test", exitCrashed, true},
		{"two writers of a map", ask("map"), "fatal error: concurrent map writes", exitCrashed, false},
		{"out of memory", ask("memory"), "out of memory", exitCrashed, false},
		{"SIGQUIT", signal(syscall.SIGQUIT), "SIGQUIT: quit", exitCrashed, false},
		{"SIGABRT", signal(syscall.SIGABRT), "SIGABRT: abort", exitCrashed, false},
		{"SIGSEGV", signal(syscall.SIGSEGV), "SIGSEGV: segmentation violation", exitCrashed, false},
		{"SIGKILL", signal(syscall.SIGKILL), "", 128 + 9, false},
	}
	for _, k := range thorough.Cases(t, 8, "crashes", crashes) {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, file := filepath.Join(dir, "runs", "run"), filepath.Join(dir, "ask")
			args := []string{"coil", "train", config, "--run-dir", path, "--steps", forever, "--train.report", "1", "--checkpoint.every", "1", "--checkpoint.keep", "2"}
			if k.lines {
				args = append(args, "--no-tui")
			}
			p := startOnTerminal(t, 120, 40, []string{crashEnv + "=" + file}, args...)
			before := freshState(t)
			for latest := 0; latest < 1; time.Sleep(5 * time.Millisecond) {
				if r, err := run.View(path); err == nil {
					c, _ := r.Latest()
					latest = c.Step
				}
			}
			if !k.lines {
				p.await(t, "\x1b[?1006h")
				p.await(t, "training")
				if p.state(t) == before {
					t.Error("the dashboard has not set the terminal")
				}
			}
			r := view(t, path)
			k.do(t, r, file)
			p.wantExit(t, k.code)
			if after := p.state(t); after != before {
				t.Errorf("the terminal is not what it was: %v, %v", after, before)
			}
			shown := p.shown()
			if !k.lines {
				for _, mode := range []string{"1049", "1002", "1006", "2004"} {
					if strings.LastIndex(shown, "\x1b[?"+mode+"l") < strings.LastIndex(shown, "\x1b[?"+mode+"h") {
						t.Errorf("mode %s is still set", mode)
					}
				}
				if strings.LastIndex(shown, "\x1b[?25h") < strings.LastIndex(shown, "\x1b[?25l") {
					t.Error("the cursor is still hidden")
				}
				_, shown, _ = strings.Cut(shown, "\x1b[?1049l")
				if !strings.Contains(shown, "coil resume "+path) {
					t.Errorf("on the normal screen is %q", shown)
				}
			}
			if !strings.Contains(shown, k.reason) {
				t.Errorf("the trace is not on the screen: %q", shown)
			}
			wantTrace(t, path, k.reason)
			wantGoesOn(t, path, k.reason)
		})
	}
}

// wantTrace checks the trace of a run that crashed for a reason, or was killed, for none, and that coil list says so.
func wantTrace(t *testing.T, path, reason string) {
	t.Helper()
	trace := filepath.Join(path, "crash.txt")
	b, err := os.ReadFile(trace)
	if err != nil || !strings.Contains(string(b), reason) || (reason == "") != (len(b) == 0) || reason != "" && !strings.Contains(string(b), "goroutine ") {
		t.Errorf("the trace is %q, %v", b, err)
	}
	_, stderr, _ := coil(t, "list", "--runs", filepath.Dir(path))
	if said := strings.Contains(stderr, "crashed"); said != (reason != "") || !strings.Contains(stderr, reason) {
		t.Errorf("list says %s", stderr)
	}
}

// wantCrash checks what every command says of a run that crashed for a reason.
func wantCrash(t *testing.T, path, reason string) {
	t.Helper()
	trace := filepath.Join(path, "crash.txt")
	for _, args := range [][]string{
		{"list", "--runs", filepath.Dir(path), "--json"},
		{"watch", path, "--no-tui"},
		{"watch", path, "--once", "--size", "200x50"},
		{"report", path, "--json"},
		{"report", path},
		{"verify", path},
		{"eval", path, "--examples", "8"},
	} {
		stdout, stderr, code := coil(t, args...)
		said := stdout + stderr
		if code != exitOK || !strings.Contains(said, "crashed") || !strings.Contains(said, reason) || !strings.Contains(said, trace) {
			t.Errorf("%v: %d, %s", args, code, said)
		}
	}
	if page, err := os.ReadFile(filepath.Join(path, "report", "index.html")); err != nil || !strings.Contains(string(page), trace) {
		t.Errorf("the report does not say where the trace is, %v", err)
	}
}

// wantGoesOn checks that a run that crashed continues from its newest checkpoint, and that its trace is kept.
func wantGoesOn(t *testing.T, path, reason string) {
	t.Helper()
	c, err := view(t, path).Latest()
	if err != nil {
		t.Fatal(err)
	}
	n := c.Step + 2
	_, stderr, code := coil(t, "resume", path, "--steps", strconv.Itoa(n))
	if code != exitOK || !strings.Contains(stderr, fmt.Sprintf("from step %d of %d\n", c.Step, n)) {
		t.Fatalf("resume: %d, %s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(path, "crash.txt")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end there is a crash.txt, %v", err)
	}
	if s := parseJSON[[]report.Summary](t, mustCoil(t, "report", path, "--json"))[0]; s.Status != report.Finished || s.Crash != nil {
		t.Errorf("it stands as %+v", s)
	}
	if reason == "" {
		return
	}
	if !strings.Contains(stderr, "the run crashed") || !strings.Contains(stderr, reason) {
		t.Errorf("resume says %s", stderr)
	}
	kept, _ := filepath.Glob(filepath.Join(path, "crash-*.txt"))
	h, err := runtest.Events(view(t, path))
	if err != nil || len(kept) != 1 || !slices.ContainsFunc(h, func(e run.Event) bool {
		return e.Kind == run.KindNote && strings.Contains(e.Text, reason) && strings.Contains(e.Text, filepath.Base(kept[0]))
	}) {
		t.Errorf("kept are %v, and the events are %v, %v", kept, h, err)
	}
}

// A run in the background leaves its trace too.
func TestCrashInBackground(t *testing.T) {
	t.Parallel()
	thorough.Skip(t)
	path := filepath.Join(t.TempDir(), "runs", "run")
	b := parseJSON[startedMessage](t, mustProcess(t, "train", tinyFile(t), "--run-dir", path, "--detach", "--json", "--steps", forever, "--train.report", "1", "--checkpoint.every", "1", "--checkpoint.keep", "2"))
	t.Cleanup(func() { syscall.Kill(b.PID, syscall.SIGKILL) })
	r := view(t, path)
	for c, _ := r.Latest(); c.Step < 1; c, _ = r.Latest() {
		time.Sleep(5 * time.Millisecond)
	}
	if err := syscall.Kill(b.PID, syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	for alive := true; alive; _, alive, _ = r.Holder() {
		time.Sleep(5 * time.Millisecond)
	}
	wantTrace(t, path, "SIGABRT: abort")
	wantCrash(t, path, "SIGABRT: abort")
	wantGoesOn(t, path, "SIGABRT: abort")
}

// The process that was started passes signals on to that of the dashboard; when it is killed itself, the run is saved.
func TestSupervisor(t *testing.T) {
	t.Parallel()
	thorough.Skip(t)
	config := tinyFile(t)
	type end struct {
		signal syscall.Signal
		code   int
	}
	for _, k := range thorough.Cases(t, 3, "signals", []end{{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}, {syscall.SIGKILL, -1}}) {
		t.Run(k.signal.String(), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "run")
			p := startOnTerminal(t, 120, 40, nil, "coil", "train", config, "--run-dir", path, "--steps", forever, "--batch", "1024")
			p.await(t, "tokens/s")
			r := view(t, path)
			if h, ok, err := r.Holder(); !ok || h.PID == p.Process.Pid {
				t.Errorf("%v trains it, %v", h, err)
			}
			if err := p.Process.Signal(k.signal); err != nil {
				t.Fatal(err)
			}
			p.wantExit(t, k.code)
			for alive := true; alive; _, alive, _ = r.Holder() {
				time.Sleep(5 * time.Millisecond)
			}
			if h, err := runtest.Events(r); err != nil || h[len(h)-1].Kind != run.KindStop {
				t.Errorf("the last event is %v, %v", h[len(h)-1], err)
			}
			if _, err := r.Latest(); err != nil {
				t.Error(err)
			}
		})
	}
}
