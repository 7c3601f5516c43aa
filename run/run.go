// Package run keeps a training run on disk: a directory that is written safely and can be read while it grows.
//
//	runs/
//	  latest -> 2026-11-23_15-20-31_ab12_addition
//	  2026-11-23_15-20-31_ab12_addition/
//	    config.toml    what was asked, byte for byte
//	    run.json       what it ran on: Info
//	    events.jsonl   what happened, one JSON object a line: Event
//	    checkpoints/
//	      step-000500/ the files of one checkpoint, and checkpoint.json, their list with sizes and checksums
//	    control.jsonl  what others ask of the process that trains the run: Request
//	    run.lock       locked, by flock(2), by the process that writes the run
//
// One process at a time writes a run: the one that made it (Create, CreateAt) or resumed it (Open). Any number of
// others read it (View). A process may be killed, and the machine may lose power, at any moment: run.json, config.toml
// and every checkpoint are there whole or not at all, and at most the last line of events.jsonl is cut.
package run

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The names in a run directory.
const (
	configName      = "config.toml"
	infoName        = "run.json"
	eventsName      = "events.jsonl"
	checkpointsName = "checkpoints"
	controlName     = "control.jsonl"
	lockName        = "run.lock"
)

// Info is run.json: what the run is and what it ran on. It is written once, when the run is made.
type Info struct {
	ID      string    `json:"id"` // the name of the directory
	Name    string    `json:"name,omitempty"`
	Created time.Time `json:"created"`
	Args    []string  `json:"args"` // the command line

	Host      string `json:"host"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	CPUs      int    `json:"cpus"`
	GoVersion string `json:"go_version"`
	Revision  string `json:"revision,omitempty"` // of coil; ends in "+dirty" if its sources had been changed

	Backend    string `json:"backend"`
	Device     string `json:"device"` // as a person calls it: "Apple M3 Max, 40 GPU cores"
	Seed       uint64 `json:"seed"`
	Parameters int64  `json:"parameters"`

	Origin *Origin `json:"origin,omitempty"` // nil if the first weights are those of the seed
}

// Origin is where a run's first weights came from. They are in the run's own checkpoint of step 0, so nobody needs the
// other run any more.
type Origin struct {
	Run   string `json:"run"`             // its directory
	Step  int    `json:"step"`            // of its checkpoint
	Model string `json:"model"`           // "1⊗4"
	Grown string `json:"grown,omitempty"` // how layers were added: "middle in blocks of 2"

	// Changed are the keys of the model, but for its layers, that had other values there, with those.
	Changed []string `json:"changed,omitempty"`
}

// String is "step 1200 of runs/2026-11-23_15-20-31_ab12, 1⊗4, grown by unroll".
func (o Origin) String() string {
	s := fmt.Sprintf("step %d of %s, %s", o.Step, o.Run, o.Model)
	if o.Grown != "" {
		s += ", grown by " + o.Grown
	}
	if o.Changed != nil {
		s += ", which had " + strings.Join(o.Changed, ", ")
	}
	return s
}

// complete fills in what the program knows by itself and the caller has left empty.
func (i *Info) complete() error {
	if i.Host == "" {
		host, err := os.Hostname()
		if err != nil {
			return err
		}
		i.Host = host
	}
	if i.OS == "" {
		i.OS = runtime.GOOS
	}
	if i.Arch == "" {
		i.Arch = runtime.GOARCH
	}
	if i.CPUs == 0 {
		i.CPUs = runtime.NumCPU()
	}
	if i.GoVersion == "" {
		i.GoVersion = runtime.Version()
	}
	if i.Revision == "" {
		i.Revision = revision()
	}
	return nil
}

// revision returns the git revision that this program was built from, "" if that was not recorded.
func revision() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var revision, dirty string
	for _, s := range build.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + dirty
}

// A Run is a run directory. Its methods may be called at the same time.
// Append, Save, Rewind and Prune panic if the run was opened with View.
type Run struct {
	path   string
	info   Info
	lock   *os.File // nil for View
	events *os.File // for appending; nil for View
	create func(path string) (file, error)

	requests  requests
	appending sync.Mutex // one line at a time
	saving    sync.Mutex // one change of checkpoints/ at a time
}

// Create makes a run in a new directory below root, which is made too if need be, and points root/latest to it.
// The directory is named after the local time, four random hexadecimal digits and name, which may be empty.
//
// Of info, ID, Name and Created are set here, and Host, OS, Arch, CPUs, GoVersion and Revision if they are empty.
// Whatever fails, no half-made run stays behind.
func Create(root, name string, config []byte, info Info) (*Run, error) {
	r, err := createBelow(root, name, config, info)
	if err != nil {
		return nil, fmt.Errorf("create a run in %s: %w", root, withCure(err, ", or choose another folder with --out"))
	}
	return r, nil
}

func createBelow(root, name string, config []byte, info Info) (*Run, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(root, 0o777); err != nil {
		return nil, err
	}
	info.Name = name
	info.Created = time.Now()
	path, err := makeDirectory(root, info.Created.Format("2006-01-02_15-04-05"), name)
	if err != nil {
		return nil, err
	}
	r, err := fill(path, config, info)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	if err := pointLatest(root, r.info.ID); err != nil {
		return nil, errors.Join(err, r.Close(), os.RemoveAll(path))
	}
	return r, nil
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

// makeDirectory makes a directory that nobody else has made.
func makeDirectory(root, stamp, name string) (string, error) {
	for {
		var random [2]byte
		rand.Read(random[:]) // never fails
		id := stamp + "_" + hex.EncodeToString(random[:])
		if name != "" {
			id += "_" + name
		}
		path := filepath.Join(root, id)
		// There are 65536 names a second, so a free one is soon found.
		if err := os.Mkdir(path, 0o777); !errors.Is(err, fs.ErrExist) {
			return path, err
		}
	}
}

// CreateAt makes a run in exactly the directory path, which is made if need be. It is an error if anything is in
// there: the error says what, and how to resume it if it is a run. Info is completed as Create does; Name is kept.
// root/latest, of whatever root, does not change.
func CreateAt(path string, config []byte, info Info) (*Run, error) {
	r, err := createAt(path, config, info)
	if err != nil {
		return nil, fmt.Errorf("create a run at %s: %w", path, withCure(err, ", or choose another folder with --run-dir"))
	}
	return r, nil
}

func createAt(path string, config []byte, info Info) (*Run, error) {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, err
	}
	if err := checkEmpty(path); err != nil { // before a lock is put there
		return nil, err
	}
	info.Created = time.Now()
	return fill(path, config, info)
}

// checkEmpty returns an error that says what is in the directory. A lock alone does not count.
func checkEmpty(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	var names []string
	ours := true
	for _, e := range entries {
		switch e.Name() {
		case lockName:
			continue
		case infoName:
			return inUse(path)
		case configName, eventsName, checkpointsName, configName + ".tmp", infoName + ".tmp":
		default:
			ours = false
		}
		names = append(names, e.Name())
	}
	if len(names) == 0 {
		return nil
	}
	what := strings.Join(names[:min(len(names), 3)], ", ")
	if len(names) > 3 {
		what += fmt.Sprintf(" and %d more", len(names)-3)
	}
	if ours {
		return fmt.Errorf("the folder is in use: it holds %s of a run that ended while it was being made: remove the folder, or give another", what)
	}
	return fmt.Errorf("the folder is in use: it holds %s: give an empty or a new one", what)
}

// inUse says which run is at path, and how to go on with it.
func inUse(path string) error {
	r, err := View(path)
	if err != nil {
		return fmt.Errorf("the folder is in use: it holds a run that cannot be read (%w): give another", err)
	}
	state := "without a checkpoint"
	if cs, err := r.Checkpoints(); err == nil && len(cs) > 0 {
		state = fmt.Sprintf("at step %d", cs[len(cs)-1].Step)
	}
	return fmt.Errorf("the folder is in use: it holds run %s of %s, %s: resume it with: coil resume %s",
		r.info.ID, r.info.Created.Format("2006-01-02 15:04"), state, path)
}

// fill makes a run in the directory at path. If it fails, it removes what it made.
func fill(path string, config []byte, info Info) (r *Run, err error) {
	lock, err := acquire(path)
	if err != nil {
		return nil, err
	}
	// Only now nobody else can be making a run here.
	if err := checkEmpty(path); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	defer func() {
		if err == nil {
			return
		}
		for _, name := range []string{infoName, configName, eventsName, checkpointsName, lockName} {
			os.Remove(filepath.Join(path, name))
		}
		lock.Close()
	}()
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info.ID = filepath.Base(absolute)
	if err := info.complete(); err != nil {
		return nil, err
	}
	encoded, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := ReplaceFile(filepath.Join(path, configName), config); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(path, checkpointsName), 0o777); err != nil {
		return nil, err
	}
	events, err := openEvents(path)
	if err != nil {
		return nil, err
	}
	// Last, because a directory with this file is a run.
	if err := ReplaceFile(filepath.Join(path, infoName), append(encoded, '\n')); err != nil {
		events.Close()
		return nil, err
	}
	if err := syncDirectory(filepath.Dir(absolute)); err != nil {
		events.Close()
		return nil, err
	}
	r = &Run{path: path, info: info, lock: lock, events: events, create: createFile}
	r.requests.from(path)
	return r, nil
}

// Open opens an existing run for writing: to resume it. It removes what a killed process has left half-written.
// The error is ErrLocked if another process has the run open for writing.
func Open(path string) (*Run, error) {
	r, err := View(path)
	if err != nil {
		return nil, err
	}
	if err := r.openForWriting(); err != nil {
		return nil, fmt.Errorf("open run %s: %w", path, withCure(err, ""))
	}
	return r, nil
}

func (r *Run) openForWriting() (err error) {
	r.lock, err = acquire(r.path)
	if err != nil {
		return err
	}
	if err := r.recoverCheckpoints(); err != nil {
		return errors.Join(err, r.lock.Close())
	}
	if r.events, err = openEvents(r.path); err != nil {
		return errors.Join(err, r.lock.Close())
	}
	r.requests.from(r.path)
	return nil
}

// View opens a run for reading. It takes no lock and changes nothing, so the run may be growing.
func View(path string) (*Run, error) {
	// A link such as runs/latest may point to another run soon; this one must stay what it is.
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", path, withCure(err, ""))
	}
	r := &Run{path: resolved, create: createFile}
	b, err := os.ReadFile(filepath.Join(resolved, infoName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open run %s: this folder is not a run: it has no %s", path, infoName)
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("open run %s: it is a file, and a run is a folder", path)
	case err != nil:
		return nil, fmt.Errorf("open run %s: %w", path, withCure(err, ""))
	}
	if err := json.Unmarshal(b, &r.info); err != nil {
		return nil, fmt.Errorf("open run %s: %s is damaged: %w", path, infoName, err)
	}
	return r, nil
}

// Close ends the writing of a run and releases its lock. Closing a run that was opened with View does nothing.
func (r *Run) Close() error {
	if r.lock == nil {
		return nil
	}
	if err := errors.Join(r.events.Sync(), r.events.Close(), r.lock.Close()); err != nil {
		return fmt.Errorf("close run %s: %w", r.path, withCure(err, ""))
	}
	return nil
}

// mustWrite panics if the run is only viewed.
func (r *Run) mustWrite() {
	if r.lock == nil {
		panic("run: write to a run that was opened with View")
	}
}

// Path returns the directory of the run, without symbolic links if the run was opened.
func (r *Run) Path() string { return r.path }

// Info returns what run.json says.
func (r *Run) Info() Info {
	info := r.info
	info.Args = slices.Clone(info.Args)
	if info.Origin != nil {
		origin := *info.Origin
		origin.Changed = slices.Clone(origin.Changed)
		info.Origin = &origin
	}
	return info
}

// Config returns config.toml.
func (r *Run) Config() ([]byte, error) {
	return os.ReadFile(filepath.Join(r.path, configName))
}
