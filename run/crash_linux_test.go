package run

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// childCreate makes a run whose first weights are another's, at a path and below a folder, saves a checkpoint and removes an old one.
func childCreate(path string) error {
	first := Snapshot{Meta: 0, Files: []FileWriter{content("model", "first")}}
	r, err := CreateAt(path, []byte("steps = 1\n"), Info{}, first)
	if err != nil {
		return err
	}
	below, err := Create(filepath.Join(filepath.Dir(path), "runs"), "x", []byte("steps = 1\n"), Info{}, first)
	if err != nil {
		return err
	}
	for _, step := range []int{1, 2, 2} {
		if _, err := r.Save(step, step, []FileWriter{content("model", "weights")}); err != nil {
			return err
		}
	}
	return errors.Join(r.SetConfig([]byte("steps = 2\n")), r.Prune(1), r.Rewind(1), below.Close(), r.Close())
}

func init() { children["create"] = childCreate }

// calls are the system calls that change a disk or lock a file.
const calls = "openat,mkdirat,mkdir,write,pwrite64,fsync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,rmdir,symlink,symlinkat,flock"

// straceProgram returns the path of strace. Without it, the test is skipped.
func straceProgram(t *testing.T) string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("COIL_REQUIRE") == "all" {
			t.Fatal("strace is not installed: apt-get install strace")
		}
		t.Skip("strace is not installed: apt-get install strace")
	}
	return strace
}

// traced is the command of a child; strace injects a fault into one of its system calls that concern the folder.
func traced(t *testing.T, dir, path, fault string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(straceProgram(t), "-f", "-qq", "-o", filepath.Join(dir, "trace"), "-e", "trace="+calls, "-e", "inject="+calls+":"+fault, must(os.Executable())(t), path)
	cmd.Env = append(os.Environ(), "COIL_TEST_CHILD=create", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
	return cmd
}

// If a process that makes a run is killed at any system call, either the run is complete, or the next process makes it and finds
// nothing left behind.
func TestKillAtEachCall(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills a process at each of its system calls")
	}
	stride := 3 // the others with COIL_KILLS=all
	if os.Getenv("COIL_KILLS") == "all" {
		stride = 1
	}
	kills := 0
	for n := 1; ; n += stride {
		dir := t.TempDir()
		path := filepath.Join(dir, "run")
		out, err := traced(t, dir, path, fmt.Sprintf("signal=KILL:when=%d", n)).CombinedOutput()
		if err == nil {
			break // it has no more calls
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Skipf("strace can't trace here: %v: %s", err, out)
		}
		kills++
		if r, err := View(path); err == nil {
			if r.Damage() != nil {
				t.Fatalf("killed at call %d: %v", n, r.Damage())
			}
			if c, err := r.Latest(); err != nil {
				t.Fatalf("killed at call %d: the newest checkpoint: %d, %v", n, c.Step, err)
			}
			r, err := Open(path)
			if err != nil {
				t.Fatalf("killed at call %d: %v", n, err)
			}
			if edited, err := r.Edited(); edited || err != nil {
				t.Fatalf("killed at call %d: the configuration passes for an edited one: %v", n, err)
			}
			r.Close()
		} else {
			r, err := CreateAt(path, []byte("steps = 1\n"), Info{})
			if err != nil {
				t.Fatalf("killed at call %d, and then %v", n, err)
			}
			if got := strings.Join(names(t, path), " "); got != "checkpoints config.toml events.jsonl run.json run.lock" {
				t.Fatalf("killed at call %d, and then there is %s", n, got)
			}
			r.Close()
		}
		root := filepath.Join(dir, "runs")
		for _, id := range must(List(root))(t) {
			if c, err := must(View(filepath.Join(root, id)))(t).Latest(); err != nil || c.Step != 0 {
				t.Fatalf("killed at call %d: a run below a folder has %d, %v", n, c.Step, err)
			}
		}
		if entries, err := os.ReadDir(root); err == nil {
			for _, e := range entries { // an hour later
				if strings.HasPrefix(e.Name(), makingPrefix) {
					old := must(os.Stat(path))(t).ModTime().Add(-2 * abandonedAfter)
					if err := os.Chtimes(filepath.Join(root, e.Name()), old, old); err != nil {
						t.Fatal(err)
					}
				}
			}
			r := must(Create(root, "y", nil, Info{}))(t)
			r.Close()
			for _, name := range names(t, root) {
				if strings.HasPrefix(name, makingPrefix) {
					t.Fatalf("killed at call %d: %s stays", n, name)
				}
			}
		}
	}
	if kills < 10 {
		t.Fatalf("only %d kills", kills)
	}
	t.Logf("%d kills", kills)
}

// A checkpoint that the system does not permit to read is not called damaged, and the error does not advise to give it up.
func TestUnreadable(t *testing.T) {
	r := newRun(t)
	saveSteps(t, r, 3, 4)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	places := must(r.places())(t)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		t.Skip(err)
	}
	_, err := r.verified(places[1])
	_, latest := r.Latest()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{r.fault("the newest checkpoint", err, places, 4), latest} {
		if err == nil || errors.Is(err, ErrDamaged) || errors.Is(err, ErrNoCheckpoint) || strings.Contains(err.Error(), "--step") {
			t.Fatal(err)
		}
		wantError(t, err, "too many files are open: close programs")
	}
	for _, errno := range []syscall.Errno{syscall.EACCES, syscall.EPERM, syscall.EIO, syscall.ESTALE, syscall.ENOMEM} {
		if err := r.fault("it", &os.PathError{Op: "open", Path: "x", Err: errno}, places, 4); !errors.Is(err, ErrUnreadable) || errors.Is(err, ErrDamaged) {
			t.Errorf("%v: %v", errno, err)
		}
	}
	for _, errno := range []syscall.Errno{syscall.ENOENT, syscall.ENOTDIR} {
		if err := r.fault("it", &os.PathError{Op: "open", Path: "x", Err: errno}, places, 4); errors.Is(err, ErrUnreadable) || !errors.Is(err, ErrDamaged) {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

// A checkpoint that can't be removed stops nothing: coil tries again later, and everything else continues.
func TestUnremovable(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	saveSteps(t, r, 1, 2)
	stuck := filepath.Join(r.checkpointPath(1), "mounted")
	if err := os.Mkdir(stuck, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", stuck, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("needs a folder that can't be removed, and may not mount one: %v", err)
	}
	defer func() {
		for _, name := range inCheckpoints(t, r) {
			syscall.Unmount(filepath.Join(r.checkpointsPath(), name, "mounted"), 0)
		}
	}()
	for try := range 3 {
		if err := r.Prune(1); err == nil || !strings.Contains(err.Error(), "remove old checkpoints") {
			t.Fatalf("try %d: %v", try, err)
		}
		saveSteps(t, r, 1, 3+try)
		if c := must(r.Latest())(t); c.Step != 3+try {
			t.Errorf("the newest checkpoint is of step %d", c.Step)
		}
	}
	if err := r.Rewind(4); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = must(Open(r.Path()))(t)
	defer r.Close()
	if c := must(r.Latest())(t); c.Step != 4 {
		t.Errorf("after opening it again, the newest checkpoint is of step %d", c.Step)
	}
}
