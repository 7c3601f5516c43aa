package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// TrashName is the folder, beside the runs, to which Trash moves them. What is in it is no run to List and Resolve.
const TrashName = ".trash"

// Trash moves the run with that id out of root, to a folder in root/.trash, and returns its path. Nothing is deleted; moving the
// folder back takes the run back. A run that a process trains is left alone, which is an ErrLocked.
func Trash(root, id string) (string, error) {
	path := filepath.Join(root, id)
	if filepath.Base(path) != id || !isRun(path) {
		return "", fmt.Errorf("move %s to the trash: it is not a run", path)
	}
	lock, err := acquire(path)
	if err != nil {
		if errors.Is(err, ErrLocked) {
			return "", err
		}
		return "", fmt.Errorf("move %s to the trash: %w", path, withHint(err, ""))
	}
	defer release(lock)
	trash := filepath.Join(root, TrashName)
	if err := MakeFolder(trash); err != nil {
		return "", fmt.Errorf("move %s to the trash: %w", path, withHint(err, ""))
	}
	to := filepath.Join(trash, id)
	if exists(to) { // one of the same id was moved before
		to += time.Now().Format("_2006-01-02_15-04-05.000000000")
	}
	if err := os.Rename(path, to); err != nil {
		return "", fmt.Errorf("move %s to the trash: %w", path, withHint(err, ""))
	}
	if err := relink(root, id); err != nil {
		return to, fmt.Errorf("the run is in %s, but %s still points to it: %w", to, filepath.Join(root, latestName), withHint(err, ""))
	}
	return to, nil
}

// relink lets latest be the newest run that is left, if it was the one that is gone.
func relink(root, gone string) error {
	link := filepath.Join(root, latestName)
	if to, err := os.Readlink(link); err != nil || filepath.Base(to) != gone {
		return nil
	}
	ids, err := List(root)
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		return pointLatest(root, ids[len(ids)-1])
	}
	return os.Remove(link)
}
