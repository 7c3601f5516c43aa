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
//	    crash.txt      the trace of the crash of that process: Crash
//
// One process at a time writes a run: the one that made it (Create, CreateAt) or resumed it (Open). Any number of
// others read it (View). A process may be killed, and the machine may lose power, at any moment: run.json, config.toml
// and every checkpoint are there whole or not at all, and at most the last line of events.jsonl is cut.
package run

import (
	"bytes"
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

// Formats of a run; run.json has the number:
//
//   - 1, which had no such member: nothing was sealed, and no run had an identity,
//   - 2: the numbers of an event were in one object, by name; see decodeEvent,
//   - 3: events have records.
//
// A run of an earlier format keeps its run.json, and new events are of this one.
const (
	sealedFormat = 2
	infoFormat   = 3
)

// Info is run.json: what the run is and what it ran on. It is written once, when the run is made.
type Info struct {
	Format   int       `json:"format,omitempty"`
	ID       string    `json:"id"`                 // the name of the directory
	Identity string    `json:"identity,omitempty"` // what no other run has; every checkpoint has it too
	Name     string    `json:"name,omitempty"`
	Created  time.Time `json:"created"`
	Args     []string  `json:"args"` // the command line

	Host      string `json:"host"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	CPUs      int    `json:"cpus"`
	GoVersion string `json:"go_version"`
	Revision  string `json:"revision,omitempty"` // of coil; ends in "+dirty" if its sources had been changed

	Backend    string    `json:"backend"`
	Device     string    `json:"device"` // as a person calls it: "Apple M3 Max, 40 GPU cores"
	Variants   []Variant `json:"variants,omitempty"`
	Seed       uint64    `json:"seed"`
	Parameters int64     `json:"parameters"`

	WarmStart *WarmStart `json:"origin,omitempty"` // nil if the first weights are those of the seed
}

// Variant is which of several kernels the backend uses for a kind of work.
type Variant struct {
	Subject string `json:"subject"`          // the kind of work: "attention"
	Name    string `json:"variant"`          // how it is done: "fused"
	Reason  string `json:"reason,omitempty"` // why it is not done by the fastest kernels
}

// WarmStart is where a run's first weights came from. They are in the run's own checkpoint of step 0, so the other run is no
// longer needed.
type WarmStart struct {
	Run   string `json:"run"`             // its directory
	Step  int    `json:"step"`            // of its checkpoint
	Model string `json:"model"`           // "1⊗4"
	Grown string `json:"grown,omitempty"` // how layers were added: "middle in blocks of 2"

	// Changed are the keys of the model, except its layers, that had other values there, with those values.
	Changed []string `json:"changed,omitempty"`
}

// String is "step 1200 of runs/2026-11-23_15-20-31_ab12, 1⊗4, grown by unroll".
func (o WarmStart) String() string {
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
	i.Format, i.Identity = infoFormat, newIdentity()
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
// Append, Save, Rewind, Prune and SetConfig panic if the run was opened with View.
type Run struct {
	path     string
	info     Info
	identity string   // that its checkpoints have, "" if it is not known
	damage   error    // what is wrong with run.json, nil if nothing
	lock     *os.File // nil for View
	relock   *os.File // the lock that is held since the file of the other was deleted, nil if it was not
	create   func(path string) (file, error)

	requests  commandReader
	appending sync.Mutex // one line at a time, and what follows
	events    *os.File   // for appending; nil for View
	digest    digest
	looked    time.Time  // when the events were looked at, whether they are there
	saving    sync.Mutex // one change of checkpoints/ at a time
}

// Open opens an existing run for writing: to resume it. It removes what a killed process has left half-written.
// The error is ErrLocked if another process has the run open for writing.
func Open(path string) (*Run, error) {
	r, err := View(path)
	if err != nil {
		return nil, err
	}
	if err := r.openForWriting(); err != nil {
		return nil, fmt.Errorf("open run %s: %w", path, withHint(err, ""))
	}
	return r, nil
}

func (r *Run) openForWriting() (err error) {
	r.lock, err = acquire(r.path)
	if err != nil {
		return err
	}
	if err := os.Mkdir(r.checkpointsPath(), 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return errors.Join(err, release(r.lock))
	}
	if err := r.recoverCheckpoints(); err != nil {
		return errors.Join(err, release(r.lock))
	}
	if err := r.openEvents(); err != nil {
		return errors.Join(err, release(r.lock))
	}
	r.requests.from(r.path)
	return nil
}

// View opens a run for reading. It takes no lock and changes nothing, so the run may be growing.
//
// A run.json that is missing or garbled is [Run.Damage], and no error: weights and events don't depend on it.
func View(path string) (*Run, error) {
	// A link such as runs/latest may point to another run soon; this one must stay what it is.
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", path, withHint(err, ""))
	}
	r := &Run{path: resolved, create: createFile}
	b, err := ReadFile(filepath.Join(resolved, infoName), MostText)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !isRun(resolved):
		return nil, fmt.Errorf("open run %s: this folder is not a run: it has no %s", path, infoName)
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("open run %s: it is a file, and a run is a folder", path)
	case unreadable(err):
		return nil, fmt.Errorf("open run %s: %w", path, withHint(err, ""))
	case err == nil:
		err = r.readInfo(b)
	}
	if err != nil && !exists(filepath.Join(resolved, configName)) {
		return nil, fmt.Errorf("open run %s: %s is damaged: %w", path, infoName, infoFault(err))
	}
	if err != nil {
		r.damage = fmt.Errorf("%s is damaged: %w; what the run ran on is uncertain; the rest of the run is unharmed", filepath.Join(resolved, infoName), infoFault(err))
		r.guess()
	}
	return r, nil
}

// readInfo decodes run.json, sealed or of format 1.
func (r *Run) readInfo(b []byte) error {
	if err := json.Unmarshal(b, &r.info); err != nil {
		return errors.New("it is not JSON of the right form")
	}
	err := Unseal(b, &r.info)
	switch {
	case err != nil && r.info.Format == 0 && !bytes.Contains(b, []byte(`"crc32c"`)):
		r.identity = r.info.ID + " of " + r.info.Created.Format(time.RFC3339Nano) // format 1 has no other
		return nil
	case err != nil:
		return err
	case r.info.Format > infoFormat:
		return fmt.Errorf("it has format %d, and this program knows %d: use a newer coil", r.info.Format, infoFormat)
	}
	r.identity = r.info.Identity
	return nil
}

// infoFault says in words what is wrong with run.json.
func infoFault(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("it is missing")
	case errors.Is(err, ErrChanged):
		return ErrChanged
	}
	return err
}

// guess makes up for what run.json does not say.
func (r *Run) guess() {
	if r.info.ID == "" {
		r.info.ID = filepath.Base(r.path)
	}
	if r.info.Created.IsZero() {
		r.info.Created = stamped(filepath.Base(r.path))
	}
	if r.info.Created.IsZero() {
		if fi, err := os.Stat(filepath.Join(r.path, configName)); err == nil {
			r.info.Created = fi.ModTime()
		}
	}
	places, _ := r.places()
	for _, p := range places { // the run's identity is that of its checkpoints
		if c, err := load(p); err == nil && c.Run != "" {
			r.identity = c.Run
			return
		}
	}
}

// Damage says what is wrong with run.json, nil if nothing is.
func (r *Run) Damage() error { return r.damage }

// Identity is what no other run has; "" if it is not known.
func (r *Run) Identity() string { return r.identity }

// Close ends the writing of a run and releases its lock. Closing a run that was opened with View does nothing.
func (r *Run) Close() error {
	if r.lock == nil {
		return nil
	}
	r.appending.Lock()
	defer r.appending.Unlock()
	err := errors.Join(r.events.Sync(), r.events.Close(), release(r.lock))
	if r.relock != nil {
		err = errors.Join(err, release(r.relock))
	}
	if err != nil {
		return fmt.Errorf("close run %s: %w", r.path, withHint(err, ""))
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
	if info.WarmStart != nil {
		origin := *info.WarmStart
		origin.Changed = slices.Clone(origin.Changed)
		info.WarmStart = &origin
	}
	return info
}

// Config returns config.toml, without its seal.
func (r *Run) Config() ([]byte, error) {
	text, _, err := r.readConfig()
	return text, err
}

// Edited reports whether config.toml was changed since coil wrote it. Runs before format 2 do not record that.
func (r *Run) Edited() (bool, error) {
	_, edited, err := r.readConfig()
	return edited, err
}

func (r *Run) readConfig() (text []byte, edited bool, err error) {
	b, err := ReadFile(filepath.Join(r.path, configName), MostText)
	if err != nil {
		return nil, false, fmt.Errorf("the configuration: %w", withHint(err, ""))
	}
	text, whole := unsealConfig(b)
	return text, !whole && !r.unsealed(b), nil
}

// unsealed reports whether the configuration is of a run whose files were not sealed yet.
func (r *Run) unsealed(config []byte) bool {
	return r.damage == nil && r.info.Format < sealedFormat && !bytes.HasPrefix(config, []byte(configSealPrefix))
}

// SetConfig replaces config.toml.
func (r *Run) SetConfig(text []byte) error {
	r.mustWrite()
	if err := ReplaceFile(filepath.Join(r.path, configName), sealConfig(text)); err != nil {
		return fmt.Errorf("the configuration: %w", withHint(err, ""))
	}
	return nil
}
