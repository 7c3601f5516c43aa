package run

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// mountDisk mounts a small disk, or skips the test where that is not allowed.
func mountDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("needs a disk of its own, and may not mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A real disk fills up: the earlier checkpoint stays, the unfinished one goes, and with space the run continues.
func TestFullDisk(t *testing.T) {
	disk := mountDisk(t, "5m")
	r := must(Create(filepath.Join(disk, "runs"), "x", nil, Info{}))(t)
	defer r.Close()
	save := func(step, mib int) error {
		_, err := r.Save(step, step, []FileWriter{content("model", strings.Repeat("x", mib<<20)), content("optimizer", strings.Repeat("y", mib<<20))})
		return err
	}
	if err := save(1, 1); err != nil {
		t.Fatal(err)
	}
	err := save(2, 2)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	wantError(t, err, "checkpoints/.step-000002.tmp/", "disk full: the checkpoint has 4 MiB", "free at least 2 MiB", "the checkpoint of step 1 is intact")
	if got := inCheckpoints(t, r); !slices.Equal(got, []string{"step-000001"}) {
		t.Errorf("there are %v", got)
	}
	if c := must(r.Latest())(t); c.Step != 1 {
		t.Errorf("the latest is of step %d", c.Step)
	}

	// A full disk does not cut an event in two.
	filler := must(os.Create(filepath.Join(disk, "filler")))(t)
	defer filler.Close()
	if _, err := io.Copy(filler, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	events := 0
	for ; ; events++ {
		err := r.Append(note(strings.Repeat("x", 100_000)))
		if err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			wantError(t, err, eventsName, "disk full: free some space")
			break
		}
	}
	_, err = Create(filepath.Join(disk, "runs"), "y", []byte(strings.Repeat("x", 8192)), Info{})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	wantError(t, err, "disk full: free some space, or choose another folder with --out")
	if ids := must(List(filepath.Join(disk, "runs")))(t); len(ids) != 1 || len(names(t, filepath.Join(disk, "runs"))) != 2 {
		t.Errorf("a run that could not be made left %v", names(t, filepath.Join(disk, "runs")))
	}
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if err := r.Append(note("last")); err != nil {
		t.Fatal(err)
	}
	if h := must(r.History())(t); len(h.Log) != events+1 || h.Log[events].Text != "last" {
		t.Errorf("%d events, want %d", len(h.Log), events+1)
	}
	if err := save(1, 1); err != nil { // again, beside the old one
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Root may write into any folder, but not on a disk that is read-only.
func TestReadOnlyDisk(t *testing.T) {
	disk := mountDisk(t, "1m")
	root := filepath.Join(disk, "runs")
	r := must(Create(root, "x", nil, Info{}))(t)
	saveSteps(t, r, 1)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("may not make a disk read-only: %v", err)
	}
	_, err := Create(root, "y", nil, Info{})
	wantError(t, err, root, "read-only file system", "--out")
	_, err = Open(r.Path())
	wantError(t, err, r.Path(), "read-only")
	v := must(View(r.Path()))(t)
	if c := must(v.Latest())(t); c.Step != 1 {
		t.Errorf("the latest is of step %d", c.Step)
	}
	if _, held, err := v.Holder(); held || err != nil {
		t.Error(held, err)
	}
}

// The kernel's own always-full file.
func TestDevFull(t *testing.T) {
	r := newRun(t)
	saveSteps(t, r, 4, 5)
	r.create = func(path string) (file, error) {
		return os.OpenFile("/dev/full", os.O_WRONLY, 0)
	}
	_, err := r.Save(6, nil, []FileWriter{content("model", "model")})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	wantOld(t, r)
}
