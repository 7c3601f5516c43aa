package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"coil/run"
	"coil/run/runtest"
	"coil/thorough"
)

// needPrograms skips a test for which a program is not installed; with COIL_REQUIRE=all it fails.
func needPrograms(t *testing.T, packages string, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("COIL_REQUIRE") == "all" {
				t.Fatalf("%s is not installed: apt-get install %s", name, packages)
			}
			t.Skipf("%s is not installed: apt-get install %s", name, packages)
		}
	}
}

// command runs a command that must succeed, and returns what it prints.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// process is coil as a process of its own.
type process struct {
	*exec.Cmd
	stdout, stderr locked
	ended          chan struct{}
}

// locked is text that one goroutine writes and another reads.
type locked struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), name, args...), ended: make(chan struct{})}
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Process.Kill()
		<-p.ended
	})
	return p
}

// until waits until something is so, and returns false if the process ends before.
func (p *process) until(so func() bool) bool {
	for !so() {
		select {
		case <-p.ended:
			return false
		case <-time.After(time.Millisecond):
		}
	}
	return true
}

// await waits until something is so; it is an error if the process ends before.
func (p *process) await(t *testing.T, what string, so func() bool) {
	t.Helper()
	if !p.until(so) {
		t.Fatalf("coil ended with %v before %s: %s", p.ProcessState, what, &p.stderr)
	}
}

func (p *process) send(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wantExit waits for the end, with that exit code.
func (p *process) wantExit(t *testing.T, code int) {
	t.Helper()
	<-p.ended
	if got := p.ProcessState.ExitCode(); got != code {
		t.Fatalf("%v, want exit code %d: %s", p.ProcessState, code, &p.stderr)
	}
}

// steps is the newest step that a run has reported, -1 before it has begun.
func steps(path string) int {
	r, err := run.View(path)
	if err != nil {
		return -1
	}
	h, err := runtest.Events(r)
	if err != nil || len(h) == 0 {
		return -1
	}
	return h[len(h)-1].Step
}

func view(t *testing.T, path string) *run.Run {
	t.Helper()
	r, err := run.View(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// checkpoint is what a checkpoint holds: the checksums of its files, and its meta.
func checkpoint(t *testing.T, path string) map[string]string {
	t.Helper()
	c, err := view(t, path).Latest()
	if err != nil {
		t.Fatal(err)
	}
	var meta map[string]any
	if err := json.Unmarshal(c.Meta, &meta); err != nil {
		t.Fatal(err)
	}
	held := map[string]string{"meta": fmt.Sprint(meta)}
	for _, f := range c.Files {
		held[f.Name] = f.CRC32C
	}
	return held
}

// wantSame checks that two runs have the same newest checkpoint, and that the history of the first has each report once.
func wantSame(t *testing.T, path, other string) {
	t.Helper()
	if got, want := checkpoint(t, path), checkpoint(t, other); !maps.Equal(got, want) {
		t.Errorf("the run ends with %v, one that was never stopped with %v", got, want)
	}
	h, err := runtest.Events(view(t, path))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range h {
		at := fmt.Sprint(e.Kind, " ", e.Step)
		if (e.Kind == run.KindTrain || e.Kind == run.KindEval) && seen[at] {
			t.Errorf("the history has %s twice", at)
		}
		seen[at] = true
	}
}

// heedHangUp lets children be ended by SIGHUP though these tests were started under nohup, which children inherit; they
// inherit no handler.
func heedHangUp(t *testing.T) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP) // always: once it was handled, signal.Ignored does not report that it is ignored again
	t.Cleanup(func() { signal.Stop(c) })
}

// A first signal ends the run after the step, with a checkpoint, a word on how to go on, and 128 and its number as the
// exit code; gone on with, the run becomes what it would have been.
func TestSignalStops(t *testing.T) {
	t.Parallel()
	config := tinyFile(t)
	heedHangUp(t)
	for _, s := range thorough.Cases(t, 3, "signals", []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}) {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "run")
			flags := []string{"train", config, "--checkpoint.every", "0", "--train.schedule", "constant", "--run-dir"}
			p := start(t, "coil", append(flags, path, "--steps", "100000000", "--train.report", "1")...)
			p.await(t, "a step was done", func() bool { return steps(path) > 0 })

			// In the meantime, no other process may write it.
			for _, args := range [][]string{{"resume", path}, {"train", config, "--run-dir", path}} {
				if _, stderr, code := coil(t, args...); code != exitFailed || !strings.Contains(stderr, "in use") {
					t.Errorf("%v beside it: %d, %s", args, code, stderr)
				}
			}
			if _, stderr, _ := coil(t, "resume", path); !strings.Contains(stderr, fmt.Sprintf("process %d on ", p.Process.Pid)) {
				t.Errorf("it is not said who trains it: %s", stderr)
			}

			p.send(t, s)
			p.wantExit(t, 128+int(s))
			said := p.stderr.String()
			c, err := view(t, path).Latest()
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"\nstopping", fmt.Sprintf("\nstopped at step %d of 100000000; continue with\n  coil resume %s\n", c.Step, path)} {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not said: %s", want, said)
				}
			}
			if out := p.stdout.String(); out != "" {
				t.Errorf("on stdout is %s", out)
			}
			h, err := runtest.Events(view(t, path))
			if last := h[len(h)-1]; err != nil || last.Kind != run.KindStop || last.Step != c.Step {
				t.Errorf("the last event is %v, %v", last, err)
			}

			n := fmt.Sprint(c.Step + 3)
			mustCoil(t, "resume", path, "--steps", n)
			whole := filepath.Join(t.TempDir(), "whole")
			mustCoil(t, append(flags, whole, "--steps", n)...)
			wantSame(t, path, whole)
		})
	}
}

// A second Ctrl-C leaves at once, in the middle of a step.
func TestSecondInterruptLeaves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	p := start(t, "coil", "train", tinyFile(t), "--run-dir", path, "--batch", "524288", "--steps", "2") // two long steps
	p.await(t, "the run began", func() bool { return steps(path) == 0 })
	p.send(t, syscall.SIGINT)
	p.await(t, "it said that it stops", func() bool { return strings.Contains(p.stderr.String(), "a second Ctrl-C leaves at once") })
	p.send(t, syscall.SIGINT)
	p.wantExit(t, 128+int(syscall.SIGINT))
	if cs, err := view(t, path).Checkpoints(); err != nil || len(cs) != 0 {
		t.Errorf("there are checkpoints %v, %v", cs, err)
	}
}

// No other second signal does: a closed terminal and batch systems send several.
func TestSecondSignalWaits(t *testing.T) {
	t.Parallel()
	config := tinyFile(t)
	heedHangUp(t)
	for _, pair := range thorough.Cases(t, 4, "pairs of signals", [][2]syscall.Signal{{syscall.SIGHUP, syscall.SIGHUP}, {syscall.SIGHUP, syscall.SIGTERM}, {syscall.SIGTERM, syscall.SIGTERM},
		{syscall.SIGINT, syscall.SIGTERM}, {syscall.SIGINT, syscall.SIGHUP}, {syscall.SIGTERM, syscall.SIGINT}}) {
		t.Run(fmt.Sprint(pair), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run")
			p := start(t, "coil", "train", config, "--run-dir", path, "--batch", "2048", "--steps", "100000000") // so that the signals come in one step
			p.await(t, "the run began", func() bool { return steps(path) == 0 })
			p.send(t, pair[0])
			p.await(t, "it said that it stops", func() bool { return strings.Contains(p.stderr.String(), "stopping") })
			for range 3 {
				p.Process.Signal(pair[1]) // it may have ended
				if pair[1] == syscall.SIGINT {
					break
				}
			}
			p.wantExit(t, 128+int(pair[0]))
			if c, err := view(t, path).Latest(); err != nil || c.Step < 1 {
				t.Errorf("the newest checkpoint is of step %d, %v", c.Step, err)
			}
		})
	}
}

// A run whose lines go to a program that ends keeps training; a result that reaches nobody is a failure, after the training.
func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	for _, to := range thorough.Cases(t, 3, "pipes", []string{"2>&1", "--json 2>&1", "2>&1 >/dev/null"}) {
		path := filepath.Join(t.TempDir(), "run")
		p := start(t, "sh", "-c", `coil train "$1" --run-dir "$2" --steps 300 --checkpoint.every 0 `+to+` | head -n 1`, "sh", tinyFile(t), path)
		p.wantExit(t, 0) // head's
		r := view(t, path)
		for _, alive, _ := r.Holder(); alive; _, alive, _ = r.Holder() { // some shells don't wait for the first
			time.Sleep(time.Millisecond)
		}
		h, err := runtest.Events(r)
		if last := h[len(h)-1]; err != nil || last.Kind != run.KindEnd || last.Step != 300 {
			t.Errorf("%s: the last event is %v, %v", to, last, err)
		}
		if c, err := r.Latest(); err != nil || c.Step != 300 {
			t.Errorf("%s: the newest checkpoint is of step %d, %v", to, c.Step, err)
		}
	}
}

// A run that was started to outlive its terminal does.
func TestHangUpIgnored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	p := start(t, "sh", "-c", `trap "" HUP; exec coil "$@"`, "sh", "train", tinyFile(t), "--run-dir", path, "--steps", "100000000", "--train.report", "1", "--checkpoint.every", "0", "--json")
	p.await(t, "a step was done", func() bool { return steps(path) > 0 })
	p.send(t, syscall.SIGHUP)
	before := steps(path)
	p.await(t, "steps were done after it", func() bool { return steps(path) > before+5 })
	p.send(t, syscall.SIGINT)
	p.wantExit(t, 130)
	if o := parseJSON[outcome](t, p.stdout.String()); o.Run != path || o.Done || o.Steps <= before || o.HeldOut != nil {
		t.Errorf("its result is %+v", o)
	}
}

// An interrupted evaluation does not mention checkpoints.
func TestSignalInEval(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	mustCoil(t, "train", tinyFile(t), "--run-dir", path)
	p := start(t, "coil", "eval", path, "--examples", "100000000")
	p.await(t, "it said what it measures", func() bool { return p.stdout.String() != "" })
	p.send(t, syscall.SIGINT)
	p.wantExit(t, 130)
	if out, err := p.stdout.String(), p.stderr.String(); !strings.HasSuffix(out, " held-out examples\n") || err != "\nstopping; a second Ctrl-C leaves at once\n" {
		t.Errorf("it said %s%s", out, err)
	}
}

// A process that is killed, while it writes a checkpoint or at any other moment, goes on from the last one that is
// whole, with whatever number of workers, and ends with the bits of one that was not.
func TestKill(t *testing.T) {
	t.Parallel()
	config := tinyFile(t)
	flags := []string{"train", config, "--model.width", "128", "--model.hidden", "256", "--steps", fmt.Sprint(60 / thorough.Every(t, 3, "steps")), "--checkpoint.every", "1", "--checkpoint.keep", "2",
		"--train.average", "0.9", "--train.report", "2", "--run-dir"}
	dir := t.TempDir()
	path, whole := filepath.Join(dir, "run"), filepath.Join(dir, "whole")
	mustCoil(t, append(flags, whole)...)

	checkpoints := filepath.Join(path, "checkpoints")
	unfinished := func() bool {
		names, err := filepath.Glob(filepath.Join(checkpoints, ".step-*.tmp"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names) > 0
	}
	args := append(flags, path)
	inside, kills := 0, 0
	for i := range 8 / thorough.Every(t, 4, "kills") {
		p := start(t, "coil", append(args, "--workers", fmt.Sprint(1+i%3))...)
		p.until(func() bool { return steps(path) >= 0 })
		if i%2 == 0 {
			p.until(unfinished)
		} else {
			time.Sleep(time.Duration(rand.IntN(40_000)) * time.Microsecond)
		}
		p.Process.Kill()
		<-p.ended
		if !p.ProcessState.Exited() { // it was not faster
			kills++
			if unfinished() {
				inside++
			}
		}
		args = []string{"resume", path}
	}
	mustCoil(t, args...)
	t.Logf("%d kills, %d of them while a checkpoint was written", kills, inside)
	if inside == 0 {
		t.Error("no kill came while a checkpoint was written")
	}
	wantSame(t, path, whole)
	if entries, err := os.ReadDir(checkpoints); err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name()[0] == '.' }) {
		t.Errorf("left behind is %v, %v", entries, err)
	}
}

// A result that can't be written is a failure.
func TestNoRoomForTheResult(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("this system has no /dev/full")
	} else if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range thorough.Cases(t, 3, "commands", [][]string{{"presets"}, {"presets", "--json"}, {"task", "p-hop"}, {"backends"}, {"train", "--dry-run"}, {"--help"}}) {
		var stderr strings.Builder
		if code := execute(args, full, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%v: %d, %s", args, code, stderr.String())
		}
	}
}
