package run

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// latestName is the symbolic link, beside the runs, to the one that was made last.
const latestName = "latest"

// pointLatest makes root/latest point to the run id. A reader finds the old run or the new one, never nothing.
func pointLatest(root, id string) error {
	link := filepath.Join(root, latestName)
	if fi, err := os.Lstat(link); err == nil && fi.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("%s should be a link to the latest run, but is something else: rename it, or choose another folder with --out", link)
	}
	// The id is unique, so no other process uses this name.
	temporary := filepath.Join(root, "."+latestName+"."+id)
	if err := os.Symlink(id, temporary); err != nil {
		return err
	}
	if err := os.Rename(temporary, link); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}

// List returns the ids of the runs in root in the order in which they were made, the oldest first. A root that does not exist
// has none.
func List(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the runs in %s: %w", root, withHint(err, ""))
	}
	var ids []string
	for _, e := range entries {
		if e.Name() != latestName && e.Name()[0] != '.' && isRun(filepath.Join(root, e.Name())) {
			ids = append(ids, e.Name())
		}
	}
	made := make(map[string]time.Time, len(ids))
	for _, id := range ids {
		made[id] = created(root, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(made[a].Compare(made[b]), strings.Compare(a, b)) })
	return ids, nil
}

// created is when a run in root was made, which its run.json says to the nanosecond.
func created(root, id string) time.Time {
	r, err := View(filepath.Join(root, id))
	if err != nil {
		return stamped(id)
	}
	return r.info.Created
}

// stamped is the second with which an id begins, the zero time if it doesn't begin with one.
func stamped(id string) time.Time {
	t, _ := time.ParseInLocation(stampLayout, id[:min(len(id), len(stampLayout))], time.Local) // zero on an error
	return t
}

// isRun reports whether there is a run at path. One that has lost its run.json has a configuration still, and what came of it.
func isRun(path string) bool {
	if fi, err := os.Stat(filepath.Join(path, infoName)); err == nil {
		return fi.Mode().IsRegular()
	}
	if fi, err := os.Stat(filepath.Join(path, configName)); err != nil || !fi.Mode().IsRegular() {
		return false
	}
	return !abandoned(path, eventsName) && exists(filepath.Join(path, eventsName)) || !abandoned(path, checkpointsName) && exists(filepath.Join(path, checkpointsName))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Resolve returns the directory of the run that is meant by what a user typed: "latest" for the run that root/latest
// points to, the path of a run, the id of a run in root, the name of runs in root, which means the newest of them, or the
// beginning of exactly one such id or name, in this order.
// The error names runs that could have been meant.
func Resolve(root, nameOrPath string) (string, error) {
	if nameOrPath == latestName {
		return resolveLatest(root)
	}
	if nameOrPath != "" && isRun(nameOrPath) {
		return nameOrPath, nil
	}
	ids, err := List(root)
	if err != nil {
		return "", err
	}
	var begin, contain []string
	newest := ""
	for _, id := range ids {
		name := NameOf(root, id)
		switch {
		case id == nameOrPath:
			return filepath.Join(root, id), nil
		case name == nameOrPath && name != "":
			newest = id
		case strings.HasPrefix(id, nameOrPath), strings.HasPrefix(name, nameOrPath):
			begin = append(begin, id)
		case strings.Contains(id, nameOrPath):
			contain = append(contain, id)
		}
	}
	switch {
	case nameOrPath == "":
		return "", fmt.Errorf("which run? Give its folder, its id, its name, the beginning of either, or latest%s", near(root, ids))
	case newest != "":
		return filepath.Join(root, newest), nil
	case len(begin) == 1:
		return filepath.Join(root, begin[0]), nil
	case len(begin) > 1:
		return "", fmt.Errorf("%d runs in %s begin with %q%s", len(begin), root, nameOrPath, near(root, begin))
	}
	if _, err := os.Stat(nameOrPath); err == nil {
		return "", fmt.Errorf("%s is not a run: it has no %s%s", nameOrPath, infoName, near(root, ids))
	}
	if len(contain) > 0 {
		ids = contain
	}
	return "", fmt.Errorf("no run in %s begins with %q, and it is not a folder%s", root, nameOrPath, near(root, ids))
}

// NameOf is the name that a run in root was given, "" if none.
func NameOf(root, id string) string {
	if parts := strings.SplitN(id, "_", 4); len(parts) == 4 { // as Create makes it: the date, the time, four digits and the name
		return parts[3]
	}
	r, err := View(filepath.Join(root, id))
	if err != nil {
		return ""
	}
	return r.info.Name
}

func resolveLatest(root string) (string, error) {
	id, err := os.Readlink(filepath.Join(root, latestName))
	if err == nil {
		path := id
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, id)
		}
		if isRun(path) {
			return path, nil
		}
	}
	ids, listErr := List(root)
	if listErr != nil {
		return "", listErr
	}
	if err != nil {
		return "", fmt.Errorf("there is no latest run in %s%s", root, near(root, ids))
	}
	return "", fmt.Errorf("the latest run in %s was %s, which is gone%s", root, id, near(root, ids))
}

// near ends an error with the newest few of the runs.
func near(root string, ids []string) string {
	if len(ids) == 0 {
		return fmt.Sprintf(" (there are no runs in %s)", root)
	}
	var b strings.Builder
	b.WriteString("; there is")
	for i := len(ids) - 1; i >= max(0, len(ids)-5); i-- {
		b.WriteString("\n  " + ids[i])
	}
	if len(ids) > 5 {
		fmt.Fprintf(&b, "\n  and %d older", len(ids)-5)
	}
	return b.String()
}
