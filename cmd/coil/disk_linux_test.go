package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"coil/run/runtest"
)

// On a disk that fills up, the run fails and keeps its data; with space again, it continues, and nothing is lost.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("needs a disk of its own, and may not mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	path, whole := filepath.Join(disk, "run"), filepath.Join(t.TempDir(), "whole")
	flags := []string{"train", tinyFile(t), "--model.width", "64", "--model.hidden", "128", "--checkpoint.every", "1", "--run-dir"}
	mustCoil(t, append(flags, whole)...)

	_, stderr, code := coil(t, append(flags, path)...)
	found := regexp.MustCompile(`disk full: .*; the checkpoint of step (\d+) is intact; then continue with\n  coil resume (.*)\n$`).FindStringSubmatch(stderr)
	if code != exitFailed || found == nil || found[2] != path {
		t.Fatalf("a full disk: %d, %s", code, stderr)
	}
	c, err := view(t, path).Latest()
	if err != nil || !strings.HasSuffix(c.Path, "/step-00000"+found[1]) || c.Step < 3 {
		t.Fatalf("the newest checkpoint is %s, %v, after %s", c.Path, err, stderr)
	}
	h, err := runtest.Events(view(t, path))
	if err != nil || len(h) == 0 {
		t.Errorf("of the events there are %v, %v", h, err)
	}

	for _, step := range []string{"step-000001", "step-000002"} {
		if err := os.RemoveAll(filepath.Join(path, "checkpoints", step)); err != nil {
			t.Fatal(err)
		}
	}
	mustCoil(t, "resume", path, "--checkpoint.keep", "1") // two of them have room
	wantSame(t, path, whole)
}
