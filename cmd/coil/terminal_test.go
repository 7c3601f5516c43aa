package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"coil/run"
	"coil/run/runtest"
	"coil/thorough"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// onTerminal is a process on a terminal of its own.
type onTerminal struct {
	*exec.Cmd
	terminal *os.File // the other side
	mu       sync.Mutex
	screen   bytes.Buffer // everything that was written
	ended    chan struct{}
}

// startOnTerminal starts a program on a terminal that answers nothing.
func startOnTerminal(t testing.TB, w, h int, env []string, args ...string) *onTerminal {
	t.Helper()
	p := &onTerminal{Cmd: exec.CommandContext(t.Context(), args[0], args[1:]...), ended: make(chan struct{})}
	p.Env = append(os.Environ(), "TERM=xterm-256color", "CI=", "NO_COLOR=", "LC_ALL=C.UTF-8")
	p.Env = append(p.Env, env...)
	opened, err := pty.StartWithSize(p.Cmd, &pty.Winsize{Rows: uint16(h), Cols: uint16(w)})
	if err != nil {
		t.Fatal(err)
	}
	// One that is read without blocking, so that closing it hangs up at once.
	fd, err := syscall.Dup(int(opened.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	opened.Close()
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	p.terminal = os.NewFile(uintptr(fd), "terminal")
	read := make(chan struct{})
	go func() {
		io.Copy(p, p.terminal)
		close(read)
	}()
	go func() {
		p.Wait()
		select { // what it wrote last
		case <-read:
		case <-time.After(time.Second):
		}
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.ended
		p.terminal.Close()
	})
	return p
}

// signal sends a signal to all processes of the terminal.
func (p *onTerminal) signal(s syscall.Signal) { syscall.Kill(-p.Process.Pid, s) }

func (p *onTerminal) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.Write(b)
}

func (p *onTerminal) shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

// await waits until a text was written; it is an error if the process ends before.
func (p *onTerminal) await(t testing.TB, text string) {
	t.Helper()
	seen := 0 // looked through only once: waiting must not take the processor from what is measured
	found := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		written := p.screen.Bytes()
		from := max(0, seen-len(text))
		seen = len(written)
		return bytes.Contains(written[from:], []byte(text))
	}
	for !found() {
		select {
		case <-p.ended:
			if found() {
				return
			}
			t.Fatalf("it ended with %v before it wrote %q: %q", p.ProcessState, text, p.shown())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// awaitScreenAfter waits until a text was written, and the alternate screen entered afterwards: keys then reach what draws there.
func (p *onTerminal) awaitScreenAfter(t testing.TB, text string) {
	t.Helper()
	p.await(t, text)
	for {
		s := p.shown()
		if strings.Contains(s[strings.LastIndex(s, text):], "\x1b[?1049h") {
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("it ended with %v after %q", p.ProcessState, text)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *onTerminal) press(t testing.TB, keys string) {
	t.Helper()
	if _, err := p.terminal.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// freshState is what a terminal is set to that no program has set.
func freshState(t *testing.T) term.State {
	t.Helper()
	a, b, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	s, err := term.GetState(int(b.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

// state is what the terminal is set to.
func (p *onTerminal) state(t *testing.T) (s term.State) {
	t.Helper()
	c, err := p.terminal.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Control(func(fd uintptr) {
		now, err := term.GetState(int(fd))
		if err != nil {
			t.Error(err)
			return
		}
		s = *now
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *onTerminal) wantExit(t *testing.T, code int) {
	t.Helper()
	<-p.ended
	if got := p.ProcessState.ExitCode(); got != code {
		t.Errorf("it ended with %d, want %d: %q", got, code, p.shown())
	}
}

// tail is what is on the normal screen after the dashboard.
func (p *onTerminal) tail(t *testing.T) string {
	t.Helper()
	const leave = "\x1b[?1049l"
	_, after, ok := strings.Cut(p.shown(), leave)
	if !ok {
		t.Fatalf("it did not leave the alternate screen: %q", p.shown())
	}
	return after
}

// No command asks the terminal for anything before it draws: a terminal that does not answer would hold it up for seconds.
func TestNoQuestions(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"presets"}, {"train", "--dry-run"}} {
		p := startOnTerminal(t, 100, 30, nil, append([]string{"coil"}, args...)...)
		p.wantExit(t, exitOK)
		if s := p.shown(); strings.Contains(s, "\x1b") || s == "" {
			t.Errorf("%v writes %q", args, s)
		}
	}
}

const forever = "100000000"

// On a terminal, coil train opens the dashboard; keys control the run, and messages are on the normal screen afterwards.
func TestTrainInDashboard(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "run")
	p := startOnTerminal(t, 120, 40, nil, "coil", "train", tinyFile(t), "--run-dir", path, "--steps", forever, "--train.report", "1", "--batch", "1024")
	before := freshState(t)
	p.await(t, "\x1b[?1049h")
	p.await(t, "1⊗2")
	p.await(t, "tokens/s")
	p.press(t, "p")
	p.await(t, "paused")
	r := view(t, path)
	kinds := func() string {
		h, err := runtest.Events(r)
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, e := range h {
			s = append(s, e.Kind)
		}
		return strings.Join(s, " ")
	}
	if s := kinds(); !strings.HasSuffix(s, "pause") {
		t.Errorf("events are …%s", s[max(0, len(s)-100):])
	}
	p.press(t, "p")
	p.press(t, "e")
	p.await(t, "samples")
	for !strings.Contains(kinds(), "continue") || !strings.Contains(kinds(), "eval") {
		time.Sleep(5 * time.Millisecond)
	}
	p.press(t, "q")
	p.await(t, "leave it running in the background")
	p.press(t, "s")
	p.wantExit(t, 130)
	if s := p.tail(t); !strings.Contains(s, "stopped at step") || !strings.Contains(s, "coil resume "+path) || !strings.Contains(s, "model    1⊗2") {
		t.Errorf("on the normal screen is %q", s)
	}
	if after := p.state(t); after != before {
		t.Errorf("the terminal is not what it was: %v, %v", after, before)
	}
	if _, err := r.Latest(); err != nil {
		t.Error(err)
	}
}

// Ctrl-C is a key there: once stops, twice leaves at once.
func TestCtrlCInDashboard(t *testing.T) {
	thorough.Skip(t)
	path := filepath.Join(t.TempDir(), "run")
	p := startOnTerminal(t, 120, 40, nil, "coil", "train", tinyFile(t), "--run-dir", path, "--steps", forever, "--batch", "1024")
	p.await(t, "tokens/s")
	p.press(t, "\x03")
	p.wantExit(t, 130)
	if _, err := view(t, path).Latest(); err != nil {
		t.Error(err)
	}
	path = filepath.Join(t.TempDir(), "second")
	p = startOnTerminal(t, 120, 40, nil, "coil", "train", tinyFile(t), "--run-dir", path, "--batch", "524288", "--steps", "2") // two long steps
	p.await(t, "training")
	p.press(t, "\x03")
	p.await(t, "a second Ctrl-C leaves at once")
	p.press(t, "\x03")
	p.wantExit(t, 130)
	p.tail(t)
	if cs, err := view(t, path).Checkpoints(); err != nil || len(cs) != 0 {
		t.Errorf("there are checkpoints %v, %v", cs, err)
	}
}

// A terminal that is closed stops the run, which saves a checkpoint.
func TestTerminalIsClosed(t *testing.T) {
	t.Parallel()
	thorough.Skip(t)
	heedHangUp(t)
	path := filepath.Join(t.TempDir(), "run")
	p := startOnTerminal(t, 120, 40, nil, "coil", "train", tinyFile(t), "--run-dir", path, "--steps", forever, "--batch", "1024")
	p.await(t, "tokens/s")
	p.terminal.Close()
	<-p.ended
	r := view(t, path)
	if _, err := r.Latest(); err != nil {
		t.Errorf("%v; it ended with %v", err, p.ProcessState)
	}
	if h, err := runtest.Events(r); err != nil || h[len(h)-1].Kind != run.KindStop {
		t.Errorf("the last event is %v, %v", h[len(h)-1], err)
	}
}

// A run that fails closes the dashboard, and says why on the normal screen.
func TestFailureInDashboard(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "run")
	p := startOnTerminal(t, 120, 40, nil, "coil", "train", tinyFile(t), "--run-dir", path, "--rate", "1e6", "--train.clip", "0", "--train.warmup", "0", "--steps", "1000")
	p.wantExit(t, exitDiverged)
	if s := p.tail(t); !strings.Contains(s, "coil: diverged at step") {
		t.Errorf("on the normal screen is %q", s)
	}
	p = startOnTerminal(t, 120, 40, nil, "coil", "train", tinyFile(t), "--run-dir", path)
	p.wantExit(t, exitFailed)
	if s := p.tail(t); !strings.Contains(s, "the folder is in use") {
		t.Errorf("on the normal screen is %q", s)
	}
}

// Lines of progress where no dashboard is wanted, or can be.
func TestNoDashboard(t *testing.T) {
	for name, k := range map[string]struct {
		w, h int
		env  []string
		args []string
	}{
		"--no-tui":  {120, 40, nil, []string{"--no-tui"}},
		"--json":    {120, 40, nil, []string{"--json"}},
		"CI":        {120, 40, []string{"CI=true"}, nil},
		"TERM=dumb": {120, 40, []string{"TERM=dumb"}, nil},
		"tiny":      {59, 40, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startOnTerminal(t, k.w, k.h, k.env, append([]string{"coil", "train", tinyFile(t), "--run-dir", filepath.Join(t.TempDir(), "run")}, k.args...)...)
			p.wantExit(t, exitOK)
			if s := p.shown(); strings.Contains(s, "\x1b") || !strings.Contains(s, "12/12") {
				t.Errorf("it writes %q", s)
			}
		})
	}
}

// coil watch shows a run of another process, and leaving it leaves the run alone.
func TestWatch(t *testing.T) {
	thorough.Skip(t)
	path := filepath.Join(t.TempDir(), "run")
	trainer := start(t, "coil", "train", tinyFile(t), "--run-dir", path, "--steps", forever, "--train.report", "1", "--batch", "1024")
	trainer.await(t, "a step was done", func() bool { return steps(path) > 0 })
	p := startOnTerminal(t, 120, 40, nil, "coil", "watch", path)
	p.await(t, "training")
	p.press(t, "q")
	p.wantExit(t, exitOK)
	before := steps(path)
	trainer.await(t, "steps were done after it", func() bool { return steps(path) > before+5 })
	p = startOnTerminal(t, 120, 40, nil, "coil", "watch", path)
	p.await(t, "training")
	p.press(t, "ts")
	trainer.wantExit(t, 130)
	p.await(t, "stopped")
	p.press(t, "q")
	p.wantExit(t, exitOK)
}

// mustProcess is what a process of its own prints.
func mustProcess(t *testing.T, args ...string) string {
	t.Helper()
	p := start(t, "coil", args...)
	p.wantExit(t, exitOK)
	return p.stdout.String()
}

// A detached run does the same whether or not someone watches.
func TestDetach(t *testing.T) {
	t.Parallel()
	config := tinyFile(t)
	path := filepath.Join(t.TempDir(), "run")
	b := parseJSON[startedMessage](t, mustProcess(t, "train", config, "--run-dir", path, "--detach", "--json", "--checkpoint.every", "0", "--train.schedule", "constant", "--steps", forever, "--train.report", "1"))
	t.Cleanup(func() { syscall.Kill(b.PID, syscall.SIGKILL) })
	if b.Run != path {
		t.Errorf("it says %+v", b)
	}
	if pgid, err := syscall.Getpgid(b.PID); err != nil || pgid != b.PID {
		t.Errorf("its group is %d, %v: it is not in a session of its own", pgid, err)
	}
	if err := syscall.Kill(b.PID, syscall.SIGHUP); err != nil { // means nothing to it
		t.Fatal(err)
	}
	r := view(t, path)
	before := steps(path)
	for steps(path) < before+5 {
		time.Sleep(5 * time.Millisecond)
	}
	if err := r.Send(run.Stop); err != nil {
		t.Fatal(err)
	}
	for alive := true; alive; _, alive, _ = r.Holder() {
		time.Sleep(5 * time.Millisecond)
	}
	c, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	if log, err := os.ReadFile(filepath.Join(path, logName)); err != nil || !strings.Contains(string(log), "model    1⊗2") {
		t.Errorf("its log is %q, %v", log, err)
	}
	n := strconv.Itoa(c.Step + 3)
	done := parseJSON[startedMessage](t, mustProcess(t, "resume", path, "--detach", "--json", "--steps", n))
	for alive := true; alive; _, alive, _ = r.Holder() {
		time.Sleep(5 * time.Millisecond)
	}
	if done.PID == b.PID {
		t.Error("it is the same process")
	}
	whole := filepath.Join(t.TempDir(), "whole")
	mustCoil(t, "train", config, "--run-dir", whole, "--checkpoint.every", "0", "--train.schedule", "constant", "--steps", n)
	wantSame(t, path, whole)
}

// What keeps a run from beginning in the background is said in front, with the same exit code.
func TestDetachFails(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	config := tinyFile(t)
	path := filepath.Join(folder, "run")
	mustCoil(t, "train", config, "--run-dir", path)
	for _, k := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"train", config, "--run-dir", path, "--detach"}, exitFailed, "the folder is in use"},
		{[]string{"train", config, "--out", folder, "--detach", "--model", "nonsense"}, exitUsage, "nonsense"},
		{[]string{"resume", path, "--detach", "--step", "5"}, exitUsage, "no checkpoint of step 5"},
	} {
		p := start(t, "coil", k.args...)
		p.wantExit(t, k.code)
		if s := p.stderr.String(); !strings.Contains(s, k.want) || p.stdout.String() != "" || strings.Count(s, "coil:") != 1 {
			t.Errorf("%v: %q, %q", k.args, p.stdout.String(), s)
		}
	}
	if left, err := filepath.Glob(filepath.Join(folder, ".log-*")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// From the dashboard, a run moves to the background and continues there with the same bits.
func TestMoveToBackground(t *testing.T) {
	thorough.Skip(t)
	config := tinyFile(t)
	path := filepath.Join(t.TempDir(), "run")
	p := startOnTerminal(t, 120, 40, nil, "coil", "train", config, "--run-dir", path, "--steps", "30000", "--train.report", "1", "--checkpoint.every", "0", "--batch", "1024")
	p.await(t, "tokens/s")
	p.press(t, "d")
	p.wantExit(t, exitOK)
	if s := p.tail(t); !strings.Contains(s, "in the background: process") {
		t.Fatalf("on the normal screen is %q", s)
	}
	r := view(t, path)
	before := steps(path)
	for steps(path) < before+5 {
		time.Sleep(5 * time.Millisecond)
	}
	if err := r.Send(run.Stop); err != nil && !errors.Is(err, run.ErrNotTrained) {
		t.Fatal(err)
	}
	for alive := true; alive; _, alive, _ = r.Holder() {
		time.Sleep(5 * time.Millisecond)
	}
	h, err := runtest.Events(r)
	if err != nil || h[len(h)-1].Kind != run.KindStop {
		t.Errorf("the last event is %v, %v", h[len(h)-1], err)
	}
}

// The dashboard in a real terminal multiplexer.
func TestTmux(t *testing.T) {
	t.Parallel()
	needPrograms(t, "tmux", "tmux")
	socket := filepath.Join(t.TempDir(), "tmux")
	tmux := func(args ...string) string {
		t.Helper()
		return command(t, "tmux", append([]string{"-S", socket, "-u", "-f", "/dev/null"}, args...)...)
	}
	path := filepath.Join(t.TempDir(), "run")
	program, err := exec.LookPath("coil")
	if err != nil {
		t.Fatal(err)
	}
	tmux("new-session", "-d", "-x", "110", "-y", "34", "-e", "CI=", "-e", "LC_ALL=C.UTF-8",
		program+" train "+tinyFile(t)+" --run-dir "+path+" --steps "+forever+" --train.report 1 --batch 1024; echo the code is $?; read wait")
	t.Cleanup(func() { exec.Command("tmux", "-S", socket, "kill-server").Run() })
	await := func(what string, so func(screen string) bool) string {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for {
			s := tmux("capture-pane", "-p")
			if so(s) {
				return s
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is not on the screen:\n%s", what, s)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	s := await("the dashboard", func(s string) bool { return strings.Contains(s, "1 loss") && strings.Contains(s, "tokens/s") })
	if n := strings.Count(strings.TrimRight(s, "\n"), "\n") + 1; n != 34 {
		t.Errorf("%d lines:\n%s", n, s)
	}
	tmux("send-keys", "?")
	await("help", func(s string) bool { return strings.Contains(s, "pause training, or continue") })
	tmux("send-keys", "Escape")
	await("the loss again", func(s string) bool { return strings.Contains(s, "1 loss") })
	tmux("resize-window", "-x", "70", "-y", "18")
	await("the smaller dashboard", func(s string) bool {
		return strings.Contains(s, "3 loops") && !strings.Contains(s, "9 log") && len([]rune(strings.Split(s, "\n")[2])) == 70
	})
	tmux("send-keys", "t")
	await("the question", func(s string) bool { return strings.Contains(s, "stop training, after saving") })
	tmux("send-keys", "s")
	await("the end", func(s string) bool {
		return strings.Contains(s, "stopped at step") && strings.Contains(s, "the code is 130")
	})
}

// The time of the result is that of training: looking at the finished dashboard adds nothing to it.
func TestTimeWithoutLooking(t *testing.T) {
	t.Parallel()
	thorough.Skip(t)
	begin := time.Now()
	p := startOnTerminal(t, 120, 40, nil, "coil", "train", tinyFile(t), "--run-dir", filepath.Join(t.TempDir(), "run"))
	p.await(t, "\x1b[?1049h")
	p.await(t, "finished")
	trained := time.Since(begin)
	time.Sleep(trained + 1500*time.Millisecond)
	p.press(t, "q")
	p.wantExit(t, 0)
	took := regexp.MustCompile(`after 12 steps, ([\d.]+ m?s): `).FindStringSubmatch(p.tail(t))
	if took == nil {
		t.Fatalf("on the normal screen is %q", p.tail(t))
	}
	if d, err := time.ParseDuration(strings.ReplaceAll(took[1], " ", "")); err != nil || d > trained+time.Second {
		t.Errorf("the result says %s, and training took at most %v", took[1], trained)
	}
}

// Pasted text, bursts of the wheel and mouse reports that are cut do nothing to training; after Ctrl-Z and fg, the mouse works.
func TestNoKeysOfSequencesInDashboard(t *testing.T) {
	thorough.Skip(t)
	path := filepath.Join(t.TempDir(), "run")
	p := startOnTerminal(t, 120, 40, nil, "coil", "train", tinyFile(t), "--run-dir", path, "--steps", forever, "--train.report", "1", "--batch", "1024")
	p.await(t, "tokens/s")
	p.press(t, "\x1b[200~https://example.org/tts?q=pst\x1b[201~")
	p.press(t, strings.Repeat("\x1b[<65;33;17M", 200))
	for i := 2; i < len("\x1b[<64;33;17M"); i++ {
		p.press(t, "\x1b[<64;33;17M"[:i])
		time.Sleep(5 * time.Millisecond)
		p.press(t, "\x1b[<64;33;17M"[i:])
	}
	p.press(t, "\x1a")
	p.await(t, "\x1b[?1049l")
	before := len(p.shown())
	for !strings.Contains(p.shown()[before:], "\x1b[?1006h") {
		p.signal(syscall.SIGCONT)
		time.Sleep(20 * time.Millisecond)
	}
	n := steps(path)
	for steps(path) < n+3 {
		time.Sleep(5 * time.Millisecond)
	}
	h, err := runtest.Events(view(t, path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range h {
		if e.Kind != run.KindSetup && e.Kind != run.KindTrain && e.Kind != run.KindStart && e.Kind != run.KindEval && e.Kind != run.KindCheckpoint {
			t.Errorf("there is an event of kind %s", e.Kind)
		}
	}
	p.press(t, "\x03")
	p.wantExit(t, 130)
}
