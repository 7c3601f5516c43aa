package run

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Snapshot is the content of a checkpoint: see [Run.Save].
type Snapshot struct {
	Meta  any // the state, beside the files: the same in runs that have computed the same
	About any // how that came about; nil for nothing
	Files []FileWriter
}

// makingPrefix is the prefix of a folder in which Create is making a run. The folder gets its final name when it is whole.
const makingPrefix = ".making-"

// stampLayout is the layout of the local time, to the second, at the beginning of a run's id.
const stampLayout = "2006-01-02_15-04-05"

// Create makes a run in a new directory below root, which it makes if needed, and points root/latest to it.
// The directory is named after the local time, four random hexadecimal digits and name, which may be empty.
//
// Create sets ID, Identity, Name and Created of info, and Host, OS, Arch, CPUs, GoVersion and Revision if they are empty.
// The optional first becomes the checkpoint of step 0, for weights that only this process has.
//
// The run appears whole or not at all. After an error, no half-made run stays behind; the next Create removes what a killed
// process left.
func Create(root, name string, config []byte, info Info, first ...Snapshot) (*Run, error) {
	r, err := createBelow(root, name, config, info, first)
	if err != nil {
		return nil, fmt.Errorf("create a run in %s: %w", root, withHint(err, ", or choose another folder with --out"))
	}
	return r, nil
}

func createBelow(root, name string, config []byte, info Info, first []Snapshot) (*Run, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if err := MakeFolder(root); err != nil {
		return nil, err
	}
	removeAbandoned(root)
	info.Name = name
	info.Created = time.Now()
	making, err := makeDirectory(root, info.Created.Format(stampLayout), name)
	if err != nil {
		return nil, err
	}
	info.ID = strings.TrimPrefix(filepath.Base(making), makingPrefix)
	r, err := fill(making, config, info, first)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(making))
	}
	path := filepath.Join(root, info.ID)
	err = os.Rename(making, path)
	if err == nil {
		r.moved(path)
		if err = syncDirectory(root); err == nil {
			err = pointLatest(root, info.ID)
		}
	}
	if err != nil {
		return nil, errors.Join(err, r.Close(), os.RemoveAll(making), os.RemoveAll(path))
	}
	return r, nil
}

// moved says where the directory of the run is now.
func (r *Run) moved(path string) {
	r.path = path
	r.requests.from(path)
}

// CheckName returns an error unless name, which may be empty, can be part of the name of a directory of runs.
func CheckName(name string) error {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-+", c) {
			return fmt.Errorf("the name %q has the character %q: use letters, digits and . _ - +", name, c)
		}
	}
	if len(name) > 100 {
		return fmt.Errorf("the name %.20q… has %d characters: use at most 100", name, len(name))
	}
	return nil
}

// makeDirectory makes a directory for making a run, with a unique name.
func makeDirectory(root, stamp, name string) (string, error) {
	for {
		var random [2]byte
		rand.Read(random[:]) // never fails
		id := stamp + "_" + hex.EncodeToString(random[:])
		if name != "" {
			id += "_" + name
		}
		// There are 65536 names a second, so a free one is soon found.
		if _, err := os.Lstat(filepath.Join(root, id)); err == nil {
			continue
		}
		path := filepath.Join(root, makingPrefix+id)
		if err := os.Mkdir(path, 0o777); !errors.Is(err, fs.ErrExist) {
			return path, err
		}
	}
}

// removeAbandoned removes the remains of processes that were killed while making a run; a process that is making one holds its
// lock. Remains that can't be removed do no harm.
func removeAbandoned(root string) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		if !e.IsDir() || !strings.HasPrefix(e.Name(), makingPrefix) || youngerThan(path, abandonedAfter) {
			continue
		}
		if lock, err := acquire(path); err == nil {
			os.RemoveAll(path)
			release(lock)
		}
	}
}

// abandonedAfter is how long a process may take from making a directory to locking it.
const abandonedAfter = time.Minute

func youngerThan(path string, age time.Duration) bool {
	fi, err := os.Lstat(path)
	return err != nil || time.Since(fi.ModTime()) < age
}

// CreateAt makes a run in exactly the directory path, which is made if need be. It is an error if anything is in
// there: the error says what, and how to resume it if it is a run; it is ErrLocked if another process is making one there.
// What a process left that was killed while it made a run there is removed. Info is completed as Create does; Name is kept.
// root/latest, of whatever root, does not change.
func CreateAt(path string, config []byte, info Info, first ...Snapshot) (*Run, error) {
	r, err := createRun(path, config, info, first)
	if err != nil {
		return nil, fmt.Errorf("create a run at %s: %w", path, withHint(err, ", or choose another folder with --run-dir"))
	}
	return r, nil
}

func createRun(path string, config []byte, info Info, first []Snapshot) (*Run, error) {
	if err := MakeFolder(path); err != nil {
		return nil, err
	}
	if err := checkFree(path); err != nil { // before a lock is put there
		return nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info.ID = filepath.Base(absolute)
	info.Created = time.Now()
	r, err := fill(path, config, info, first)
	if err != nil {
		return nil, err
	}
	if err := syncDirectory(filepath.Dir(absolute)); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// abandoned reports whether a name in the directory of a run is there before it is one, and what could be under it is of no
// worth yet.
func abandoned(path, name string) bool {
	switch name {
	case lockName:
		return true
	case configName:
		b, err := ReadFile(filepath.Join(path, name), MostText)
		_, whole := unsealConfig(b)
		return err == nil && whole // otherwise it belongs to the user
	case configName + temporarySuffix, infoName + temporarySuffix:
		return exists(filepath.Join(path, lockName))
	case eventsName:
		fi, err := os.Lstat(filepath.Join(path, name))
		return err == nil && fi.Size() == 0
	case checkpointsName:
		entries, err := os.ReadDir(filepath.Join(path, name))
		for _, e := range entries { // the first checkpoint is of weights that are elsewhere too
			m := checkpointPattern.FindStringSubmatch(e.Name())
			if m == nil || m[2] != "step-000000" {
				return false
			}
		}
		return err == nil
	}
	return false
}

// checkFree returns an error if the directory holds anything except the remains of an abandoned start.
func checkFree(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		switch {
		case e.Name() == infoName:
			return inUse(path)
		case !abandoned(path, e.Name()):
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil
	}
	what := strings.Join(names[:min(len(names), 3)], ", ")
	if len(names) > 3 {
		what += fmt.Sprintf(" and %d more", len(names)-3)
	}
	return fmt.Errorf("the folder is in use: it holds %s: give an empty or a new one", what)
}

// inUse says which run is at path, and how to go on with it.
func inUse(path string) error {
	r, err := View(path)
	if err != nil {
		return fmt.Errorf("the folder is in use: it holds a run that cannot be read (%w): give another", err)
	}
	if r.damage != nil {
		return fmt.Errorf("the folder is in use: it holds a run: %w; resume it with: coil resume %s", r.damage, path)
	}
	state := "without a checkpoint"
	if cs, err := r.Checkpoints(); err == nil && len(cs) > 0 {
		state = fmt.Sprintf("at step %d", cs[len(cs)-1].Step)
	}
	return fmt.Errorf("the folder is in use: it holds run %s of %s, %s: resume it with: coil resume %s",
		r.info.ID, r.info.Created.Format("2006-01-02 15:04"), state, path)
}

// fill makes a run in the directory at path: it locks it, removes the remains of an abandoned start, and makes the files. If it
// fails, it removes what it made.
func fill(path string, config []byte, info Info, first []Snapshot) (_ *Run, err error) {
	lock, err := acquire(path)
	if err != nil {
		return nil, err
	}
	// From now on, no other process can be making a run here.
	if err := checkFree(path); err != nil {
		return nil, errors.Join(err, release(lock))
	}
	r := &Run{path: path, lock: lock, create: createFile}
	made := []string{infoName, infoName + temporarySuffix, configName, configName + temporarySuffix, eventsName, checkpointsName}
	clear := func(more ...string) error {
		var errs []error
		for _, name := range append(made, more...) {
			errs = append(errs, os.RemoveAll(filepath.Join(path, name)))
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err == nil {
			return
		}
		if r.events != nil {
			r.events.Close()
		}
		clear(lockName)
		release(lock)
	}()
	if err := clear(); err != nil {
		return nil, err
	}
	if err := info.complete(); err != nil {
		return nil, err
	}
	r.info, r.identity = info, info.Identity
	encoded, err := Seal(info)
	if err != nil {
		return nil, err
	}
	if err := ReplaceFile(filepath.Join(path, configName), sealConfig(config)); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(path, checkpointsName), 0o777); err != nil {
		return nil, err
	}
	if err := r.openEvents(); err != nil {
		return nil, err
	}
	for _, s := range first {
		if _, err := r.SaveSnapshot(0, s); err != nil {
			return nil, err
		}
	}
	// Last, because a directory with this file is a run.
	if err := ReplaceFile(filepath.Join(path, infoName), encoded); err != nil {
		return nil, err
	}
	r.requests.from(path)
	return r, nil
}

// newIdentity returns a unique identity.
func newIdentity() string {
	var random [16]byte
	rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}
