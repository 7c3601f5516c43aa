package experiment

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"coil/run"
	"coil/thorough"
	"coil/train"
)

// killedVariable names the folder of experiments in the environment of a process that TestKilledWhileMaking kills.
const killedVariable = "COIL_TEST_KILLED"

// TestKilledChild makes an experiment's folder and the run of its first cell, and stops it at once.
func TestKilledChild(t *testing.T) {
	root := os.Getenv(killedVariable)
	if root == "" {
		t.Skip("it is a part of TestKilledWhileMaking")
	}
	f := makeFolder(t, root, tiny)
	if err := f.Train(f.Cells[0], newBackend(t), nil, func() run.Command { return run.Stop }); !errors.Is(err, train.ErrStopped) {
		t.Fatal(err)
	}
}

// Whichever system call kills a process that makes an experiment and starts a cell, the next process continues both.
func TestKilledWhileMaking(t *testing.T) {
	thorough.Skip(t)
	if testing.Short() {
		t.Skip("kills a process at many of its system calls")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("COIL_REQUIRE") == "all" {
			t.Fatal("strace is not installed: apt-get install strace")
		}
		t.Skip("strace is not installed: apt-get install strace")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const calls = "openat,mkdirat,mkdir,write,pwrite64,fsync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,flock"
	stride := 2 // the others with COIL_KILLS=all
	if os.Getenv("COIL_KILLS") == "all" {
		stride = 1
	}
	b := newBackend(t)
	kills := 0
	for n := 1; ; n += stride {
		root := t.TempDir()
		cmd := exec.Command(strace, "-f", "-qq", "-o", filepath.Join(t.TempDir(), "trace"), "-e", "trace="+calls,
			"-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n), program, "-test.run", "^TestKilledChild$")
		cmd.Env = append(os.Environ(), killedVariable+"="+root, "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
		out, err := cmd.CombinedOutput()
		if err == nil {
			break // it has no more calls
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Skipf("strace can't trace here: %v: %s", err, out)
		}
		kills++
		f, err := remake(root, parsed(t, tiny))
		if err != nil {
			t.Fatalf("killed at call %d: %v", n, err)
		}
		if err := f.Train(f.Cells[0], b, nil, nil); err != nil {
			t.Fatalf("killed at call %d: %v", n, err)
		}
		if s, why, err := f.State(f.Cells[0]); s != Done || err != nil {
			t.Fatalf("killed at call %d, the cell ends as %v, %q, %v", n, s, why, err)
		}
	}
	t.Logf("%d kills", kills)
	if kills == 0 {
		t.Error("no process was killed")
	}
}
