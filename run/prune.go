package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// intact ends an error with what a run can still be resumed from.
func (r *Run) intact() string {
	if cs, err := r.Checkpoints(); err == nil && len(cs) > 0 {
		return fmt.Sprintf("the checkpoint of step %d is intact", cs[len(cs)-1].Step)
	}
	return "there is no earlier checkpoint"
}

// discard removes a directory atomically for readers. It is, or was, the checkpoint of that path.
func discard(dir, path string) error {
	gone, err := moveOver(dir, hidden(path, goneSuffix), path)
	if err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// clearAway frees the name of a checkpoint that will be written. If something has the name and can't be removed, it gets another
// name.
func clearAway(dir, path string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_, err := moveOver(dir, hidden(path, goneSuffix), path)
	return withHint(err, "")
}

// mostAside is the largest number of directories that can't be removed for one name.
const mostAside = 100

// moveOver renames a directory, removing one that has the new name, and returns that; with a number behind it if there is
// one already that can't be removed. Both are the checkpoint of that path, or were.
func moveOver(dir, to, path string) (string, error) {
	free := to
	for n := 2; ; n++ {
		err := os.Rename(dir, free)
		if !errors.Is(err, fs.ErrExist) || n > mostAside {
			return free, err
		}
		if gone := hidden(path, goneSuffix); free != gone && discard(free, path) == nil || free == gone && os.RemoveAll(gone) == nil {
			continue
		}
		free = to + strconv.Itoa(n)
	}
}

// recoverCheckpoints cleans up after a killed process. Directories that can't be removed do no harm: Prune tries again and reports
// them.
func (r *Run) recoverCheckpoints() error {
	entries, err := os.ReadDir(r.checkpointsPath())
	if err != nil {
		return err
	}
	for _, e := range entries {
		m := checkpointPattern.FindStringSubmatch(e.Name())
		if m == nil || m[1] == "" {
			continue
		}
		dir, path := filepath.Join(r.checkpointsPath(), e.Name()), filepath.Join(r.checkpointsPath(), m[2])
		switch m[4] {
		case newSuffix, goneSuffix:
			os.RemoveAll(dir)
		case oldSuffix:
			if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
				if err := os.Rename(dir, path); err != nil { // killed before the new one was in its place
					return err
				}
			} else if err != nil {
				return err
			} else {
				discard(dir, path)
			}
		}
	}
	return nil
}

// Prune removes all checkpoints except the newest keep, those that Rewind has set aside, and leftovers that could not be removed
// earlier. It does not touch damaged checkpoints, nor the checkpoint of step 0: a run has one if its first weights came from
// another run, and it may be their only copy. The error names everything that could not be removed; that does no harm.
// It panics if keep is not positive.
func (r *Run) Prune(keep int) error {
	r.mustWrite()
	if keep < 1 {
		panic("run: Prune must keep a checkpoint")
	}
	r.saving.Lock()
	defer r.saving.Unlock()
	cs, err := r.Checkpoints()
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range cs[:max(0, len(cs)-keep)] {
		if c.Step != 0 {
			errs = append(errs, withHint(discard(c.Path, r.checkpointPath(c.Step)), ""))
		}
	}
	entries, err := os.ReadDir(r.checkpointsPath())
	errs = append(errs, withHint(err, ""))
	for _, e := range entries {
		m := checkpointPattern.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		dir, path := filepath.Join(r.checkpointsPath(), e.Name()), filepath.Join(r.checkpointsPath(), m[2])
		switch {
		case m[1] == "" && m[4] == undoneSuffix, m[1] == "." && m[4] == oldSuffix && exists(path):
			errs = append(errs, withHint(discard(dir, path), ""))
		case m[1] == "." && m[4] == goneSuffix:
			errs = append(errs, withHint(os.RemoveAll(dir), ""))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove old checkpoints: %w", err)
	}
	return nil
}

// setAside renames the checkpoints after a step, the newest first, so that a kill leaves no gap.
func (r *Run) setAside(step int) error {
	r.saving.Lock()
	defer r.saving.Unlock()
	places, err := r.places()
	if err != nil {
		return err
	}
	for _, p := range slices.Backward(places) {
		if p.step <= step {
			break
		}
		path := r.checkpointPath(p.step)
		if _, err := moveOver(p.path, path+undoneSuffix, path); err != nil {
			return err
		}
	}
	return syncDirectory(r.checkpointsPath())
}
