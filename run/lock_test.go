package run

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"coil/thorough"
)

// start starts this test program as a child.
func start(t testing.TB, child, path string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(must(os.Executable())(t), path)
	cmd.Env = append(os.Environ(), "COIL_TEST_CHILD="+child)
	cmd.Stderr = os.Stderr
	out := must(cmd.StdoutPipe())(t)
	must(cmd.StdinPipe())(t) // closed when the parent ends, and so ends the child
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(out)
}

// kill kills a child with SIGKILL.
func kill(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
}

// childHold opens a run, says so, and does nothing.
func childHold(path string) error {
	if _, err := Open(path); err != nil {
		return err
	}
	fmt.Println("open")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func TestLockOfAnotherProcess(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if h, held, err := r.Holder(); held || err != nil {
		t.Errorf("a closed run is held by %v, %v", h, err)
	}

	cmd, out := start(t, "hold", r.Path())
	if line, err := out.ReadString('\n'); line != "open\n" {
		t.Fatal(line, err)
	}
	want := Holder{cmd.Process.Pid, must(os.Hostname())(t)}
	_, err := Open(r.Path())
	if !errors.Is(err, ErrLocked) {
		t.Errorf("%v, want ErrLocked", err)
	}
	wantError(t, err, r.Path(), want.String(), "stop that first")
	v := must(View(r.Path()))(t)
	if h, held, err := v.Holder(); !held || h != want || err != nil {
		t.Errorf("held by %v, %v, %v; want %v", h, held, err, want)
	}
	_, err = CreateAt(r.Path(), nil, Info{})
	wantError(t, err, "in use")

	kill(t, cmd)
	if h, held, err := v.Holder(); held || err != nil {
		t.Errorf("held by %v, who was killed, %v", h, err)
	}
	if err := must(Open(r.Path()))(t).Close(); err != nil {
		t.Error(err)
	}
}

func TestLockOfTheSameProcess(t *testing.T) {
	r := newRun(t)
	_, err := Open(r.Path())
	if !errors.Is(err, ErrLocked) {
		t.Errorf("%v, want ErrLocked", err)
	}
	if h, held, err := r.Holder(); !held || h.PID != os.Getpid() || err != nil {
		t.Errorf("held by %v, %v, %v", h, held, err)
	}
}

// A process that has the lock and has not yet written its name is somebody all the same.
func TestLockWithoutName(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	for _, content := range []string{"", "{", "null"} {
		if err := os.WriteFile(filepath.Join(r.Path(), lockName), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Open(r.Path())
		wantError(t, err, "another process")
	}
}

// Those who ask for the holder lock for a moment, and must not keep the run from being opened.
func TestHolderDoesNotDisturb(t *testing.T) {
	r := newRun(t)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for !stop.Load() {
			if _, _, err := r.Holder(); err != nil {
				t.Error(err)
			}
		}
	})
	for range 50 {
		w, err := Open(r.Path())
		if err != nil {
			t.Error(err)
			break
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	watcher.Wait()
}

// Of many who make a run at the same place, one succeeds, and its run is whole.
func TestOneOfManyCreates(t *testing.T) {
	t.Parallel()
	for range 10 / thorough.Every(t, 5, "rounds") {
		path := filepath.Join(t.TempDir(), "run")
		var wg sync.WaitGroup
		made := make(chan *Run, 8)
		for range cap(made) {
			wg.Go(func() {
				r, err := CreateAt(path, []byte("x"), Info{})
				if err == nil {
					made <- r
				} else if !errors.Is(err, ErrLocked) && !strings.Contains(err.Error(), "in use") {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(made) != 1 {
			t.Fatalf("%d runs were made", len(made))
		}
		if err := (<-made).Close(); err != nil {
			t.Error(err)
		}
		r := must(Open(path))(t)
		if got := must(r.Config())(t); string(got) != "x" {
			t.Errorf("config is %q", got)
		}
		r.Close()
	}
}

// A lock that is deleted under the process that writes the run is locked again: no other can open the run, not even later.
func TestLockIsDeleted(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*Run) error{
		"event": func(r *Run) error { return r.Append(Event{Kind: KindTrain, Step: 1}) },
		"checkpoint": func(r *Run) error {
			_, err := r.Save(1, 0, []FileWriter{content("model", "weights")})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t)
			for range 2 { // the second time it is the new one
				if err := os.Remove(filepath.Join(r.Path(), lockName)); err != nil {
					t.Fatal(err)
				}
				if err := write(r); err != nil {
					t.Fatal(err)
				}
				if other, err := Open(r.Path()); !errors.Is(err, ErrLocked) {
					t.Fatalf("another opens it: %v, %v", other, err)
				}
			}
			h := must(r.History())(t)
			notes := 0
			for _, e := range h.Log {
				if e.Kind == KindNote && strings.Contains(e.Text, "run.lock was deleted") {
					notes++
				}
			}
			if notes != 2 {
				t.Errorf("the events are %v", h.Log)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			must(Open(r.Path()))(t).Close()
		})
	}
}

// If another process was quicker, this one writes nothing more: neither while the other has the run nor afterwards.
func TestLockIsTaken(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	if err := r.Append(Event{Kind: KindTrain, Step: 1}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(r.Path(), lockName)); err != nil {
		t.Fatal(err)
	}
	other := must(Open(r.Path()))(t)
	refused := func(want string) {
		t.Helper()
		before := must(os.ReadFile(filepath.Join(r.Path(), eventsName)))(t)
		if err := r.Append(Event{Kind: KindTrain, Step: 2}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("an event is written: %v", err)
		}
		if _, err := r.Save(2, 0, []FileWriter{content("model", "mine")}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a checkpoint is saved: %v", err)
		}
		if after := must(os.ReadFile(filepath.Join(r.Path(), eventsName)))(t); string(after) != string(before) {
			t.Errorf("events are written: %s", after[len(before):])
		}
		if cs := must(r.Checkpoints())(t); len(cs) != 0 {
			t.Errorf("there are checkpoints %v", cs)
		}
	}
	refused(ErrLocked.Error())
	if err := other.Append(Event{Kind: KindTrain, Step: 3}); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	refused("another process has trained it since")
}

// A process that is just being started has copies of all files until it runs its own program. A lock that was released is free all the same.
func TestReleaseDespiteCopies(t *testing.T) {
	r := newRun(t)
	held := must(syscall.Dup(int(r.lock.Fd())))(t)
	defer syscall.Close(held)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, locked, err := r.Holder(); locked || err != nil {
		t.Errorf("locked is %v, %v", locked, err)
	}
	f := must(acquire(r.path))(t)
	f.Close()
}
