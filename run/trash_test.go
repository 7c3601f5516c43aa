package run

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A run in the trash is whole but no longer listed, latest points to another run, and moving the folder back restores the run.
func TestTrash(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	var ids []string
	for range 2 {
		r, err := Create(root, "same", []byte("x = 1\n"), Info{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, filepath.Base(r.Path()))
		if _, err := Trash(root, ids[len(ids)-1]); !errors.Is(err, ErrLocked) {
			t.Errorf("a run that is trained: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	to, err := Trash(root, ids[1])
	if err != nil || to != filepath.Join(root, TrashName, ids[1]) {
		t.Fatalf("it is in %s, %v", to, err)
	}
	if left, err := List(root); err != nil || len(left) != 1 || left[0] != ids[0] {
		t.Errorf("left are %v, %v", left, err)
	}
	if path, err := Resolve(root, "latest"); err != nil || filepath.Base(path) != ids[0] {
		t.Errorf("the latest is %s, %v", path, err)
	}
	if b, err := os.ReadFile(filepath.Join(to, "config.toml")); err != nil || !strings.HasSuffix(string(b), "\nx = 1\n") {
		t.Errorf("its configuration is %q, %v", b, err)
	}
	if err := os.Rename(to, filepath.Join(root, ids[1])); err != nil {
		t.Fatal(err)
	}
	if _, err := View(filepath.Join(root, ids[1])); err != nil {
		t.Errorf("it was taken back: %v", err)
	}

	// Another of the same id does not take its place.
	if err := os.CopyFS(filepath.Join(root, TrashName, ids[1]), os.DirFS(filepath.Join(root, ids[1]))); err != nil {
		t.Fatal(err)
	}
	if second, err := Trash(root, ids[1]); err != nil || second == to {
		t.Errorf("the second is in %s, %v", second, err)
	}
	if _, err := Trash(root, ids[0]); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(root, "latest")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a run there is a latest: %v", err)
	}
	for _, id := range []string{"..", ".", "latest", "nothing", ids[0], "a/b"} {
		if to, err := Trash(root, id); err == nil {
			t.Errorf("%q was moved to %s", id, to)
		}
	}
}
