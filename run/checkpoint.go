package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A checkpoint is a directory that is written under another name and then renamed. In checkpoints/ there are
//
//	step-000500          a checkpoint
//	step-000500.undone   one that Rewind set aside
//	.step-000500.tmp     one that is being written
//	.step-000500.old     one that is being replaced by another of the same step
//	.step-000500.gone    one that is being removed
//
// After a kill, the next process that opens the run for writing cleans up the last three. A number follows the name if an
// older directory of that name can't be removed.
const (
	undoneSuffix = ".undone"
	newSuffix    = ".tmp"
	oldSuffix    = ".old"
	goneSuffix   = ".gone"

	manifestName   = "checkpoint.json"
	manifestFormat = 2 // 1 had no identity
)

var checkpointPattern = regexp.MustCompile(`^(\.?)(step-(\d{6,}))(?:(\.[a-z]+)\d*)?$`)

// ErrNoCheckpoint is the error of asking for the latest checkpoint of a run that has none.
var ErrNoCheckpoint = errors.New("the run has no checkpoint")

// ErrDamaged is the error of a checkpoint with a file that is missing, cut or changed.
var ErrDamaged = errors.New("not whole")

// ErrOtherRun is the error of a checkpoint that another run has saved. It is an ErrDamaged too.
var ErrOtherRun = fmt.Errorf("of another run, and so %w", ErrDamaged)

// ErrLost is the error of asking for the latest checkpoint of a run that has none although its events mention one.
var ErrLost = errors.New("the checkpoints are gone")

// A Checkpoint is a saved state of training.
type Checkpoint struct {
	Step  int
	Path  string // its directory
	Saved time.Time
	Meta  json.RawMessage // what was given to Save
	About json.RawMessage // and to SaveSnapshot beside it, nil if nothing
	Files []CheckpointFile
	Run   string // identity of the run that saved it, "" for format 1
}

// A CheckpointFile is a file of a checkpoint.
type CheckpointFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	CRC32C string `json:"crc32c"` // of its bytes, as eight hexadecimal digits
}

// A FileWriter is a file to save. Write is called once, with a buffered writer.
type FileWriter struct {
	Name  string // without a folder
	Write func(io.Writer) error
}

// manifest is checkpoint.json.
type manifest struct {
	Format int              `json:"format"`
	Run    string           `json:"run,omitempty"`
	Step   int              `json:"step"`
	Saved  time.Time        `json:"saved"`
	Files  []CheckpointFile `json:"files"`
	Meta   json.RawMessage  `json:"meta"`
	About  json.RawMessage  `json:"about,omitempty"`
}

func decodeManifest(b []byte) (manifest, error) {
	var m manifest
	if err := Unseal(b, &m); errors.Is(err, ErrChanged) {
		return m, err
	} else if err != nil {
		return m, errors.New("it is not JSON of the right form")
	}
	if m.Format < 1 || m.Format > manifestFormat {
		return m, fmt.Errorf("it has format %d, and this program knows %d: use a newer coil", m.Format, manifestFormat)
	}
	for _, f := range m.Files {
		if !plainName(f.Name) {
			return m, fmt.Errorf("it has a file of the name %q", f.Name)
		}
	}
	return m, nil
}

// plainName reports whether a file of a checkpoint may have this name.
func plainName(name string) bool {
	return name != "" && name != manifestName && name[0] != '.' && !strings.ContainsAny(name, "/\\\x00")
}

func (r *Run) checkpointsPath() string {
	return filepath.Join(r.path, checkpointsName)
}

// checkpointPath returns where the checkpoint of a step is.
func (r *Run) checkpointPath(step int) string {
	return filepath.Join(r.checkpointsPath(), fmt.Sprintf("step-%06d", step))
}

// hidden returns where a checkpoint is while it is being written, replaced or removed.
func hidden(path, suffix string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+suffix)
}

// A place is where a checkpoint should be.
type place struct {
	step int
	path string
}

// places returns where there are checkpoints, whole or not, in ascending order.
func (r *Run) places() ([]place, error) {
	entries, err := os.ReadDir(r.checkpointsPath())
	if err != nil {
		return nil, err
	}
	found := make(map[int]string)
	for _, e := range entries { // ".step-000500.old" is sorted before "step-000500", which counts if both are there
		m := checkpointPattern.FindStringSubmatch(e.Name())
		if m == nil || !(m[1] == "" && m[4] == "") && !(m[1] == "." && m[4] == oldSuffix) {
			continue
		}
		if step, err := strconv.Atoi(m[3]); err == nil && r.checkpointPath(step) == filepath.Join(r.checkpointsPath(), m[2]) {
			found[step] = filepath.Join(r.checkpointsPath(), e.Name())
		}
	}
	places := make([]place, 0, len(found))
	for step, path := range found {
		places = append(places, place{step, path})
	}
	slices.SortFunc(places, func(a, b place) int { return a.step - b.step })
	return places, nil
}

// load reads the manifest of a checkpoint.
func load(p place) (Checkpoint, error) {
	path := filepath.Join(p.path, manifestName)
	b, err := ReadFile(path, mostManifest)
	if err != nil {
		return Checkpoint{}, err
	}
	m, err := decodeManifest(b)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%s is damaged: %w", path, err)
	}
	if m.Step != p.step {
		return Checkpoint{}, fmt.Errorf("%s is of step %d: the folder was renamed", path, m.Step)
	}
	var meta bytes.Buffer // without the indentation
	if err := json.Compact(&meta, m.Meta); err != nil {
		return Checkpoint{}, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return Checkpoint{Step: m.Step, Path: p.path, Saved: m.Saved, Meta: meta.Bytes(), About: m.About, Files: m.Files, Run: m.Run}, nil
}

// load is load for a checkpoint that must be of this run.
func (r *Run) load(p place) (Checkpoint, error) {
	c, err := load(p)
	if err == nil && c.Run != r.identity && r.identity != "" && (c.Run != "" || r.info.Format >= sealedFormat) {
		return Checkpoint{}, fmt.Errorf("%w: %s", ErrOtherRun, p.path)
	}
	return c, err
}

// checkSizes looks only at the sizes of the files.
func (c Checkpoint) checkSizes() error {
	for _, f := range c.Files {
		fi, err := os.Stat(filepath.Join(c.Path, f.Name))
		if err != nil {
			return err
		}
		if err := c.checkSize(f, fi); err != nil {
			return err
		}
	}
	return nil
}

func (c Checkpoint) checkSize(f CheckpointFile, fi fs.FileInfo) error {
	if fi.Size() != f.Size {
		return fmt.Errorf("%s is damaged: it has %d bytes, and had %d when it was saved", filepath.Join(c.Path, f.Name), fi.Size(), f.Size)
	}
	return nil
}

// chunk is how many bytes of a file of a checkpoint are read or written at a time.
const chunk = 64 << 10

// Verify reads the whole checkpoint. The error names the file that is missing, cut or changed.
func (c Checkpoint) Verify() error {
	saved, err := load(place{c.Step, c.Path})
	if err != nil {
		return err
	}
	buf := make([]byte, chunk)
	for _, f := range saved.Files {
		if err := saved.verifyFile(f, buf); err != nil {
			return err
		}
	}
	return nil
}

func (c Checkpoint) verifyFile(f CheckpointFile, buf []byte) error {
	file, _, err := c.Open(f.Name)
	if err != nil {
		return err
	}
	defer file.Close()
	crc := crc32.New(castagnoli)
	// Hiding the file's WriterTo makes the buffer be used.
	if _, err := io.CopyBuffer(crc, struct{ io.Reader }{file}, buf); err != nil {
		return err
	}
	if sum := fmt.Sprintf("%08x", crc.Sum32()); sum != f.CRC32C {
		return fmt.Errorf("%s is damaged: its checksum is %s, and was %s when it was saved", file.Name(), sum, f.CRC32C)
	}
	return nil
}

// Open opens a file of the checkpoint, and returns its size too, which it has checked; the content is Verify's.
func (c Checkpoint) Open(name string) (*os.File, int64, error) {
	i := slices.IndexFunc(c.Files, func(f CheckpointFile) bool { return f.Name == name })
	if i < 0 {
		return nil, 0, fmt.Errorf("checkpoint %s has no file %q", c.Path, name)
	}
	file, fi, err := openRegular(filepath.Join(c.Path, name))
	if err != nil {
		return nil, 0, err
	}
	if err := c.checkSize(c.Files[i], fi); err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, fi.Size(), nil
}

// Checkpoints returns the checkpoints in ascending order of their steps. It leaves out those of other runs, and those that have
// no sound checkpoint.json, or a file that is missing or has another size; it does not read the files.
func (r *Run) Checkpoints() ([]Checkpoint, error) {
	places, err := r.places()
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", withHint(err, ""))
	}
	var whole []Checkpoint
	for _, p := range places {
		if c, err := r.load(p); err == nil && c.checkSizes() == nil {
			whole = append(whole, c)
		}
	}
	return whole, nil
}

// Checkpoint returns the checkpoint of a step, verified. If there is none, the error names the steps that have one.
func (r *Run) Checkpoint(step int) (Checkpoint, error) {
	places, err := r.places()
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint of step %d: %w", step, withHint(err, ""))
	}
	var steps []string
	for _, p := range places {
		if p.step == step {
			c, err := r.verified(p)
			if err != nil {
				return Checkpoint{}, r.fault(fmt.Sprintf("the checkpoint of step %d", step), err, places, step)
			}
			return c, nil
		}
		steps = append(steps, strconv.Itoa(p.step))
	}
	if len(steps) == 0 {
		return Checkpoint{}, r.none()
	}
	return Checkpoint{}, fmt.Errorf("run %s has no checkpoint of step %d, only of %s", r.path, step, strings.Join(steps, ", "))
}

func (r *Run) verified(p place) (Checkpoint, error) {
	c, err := r.load(p)
	if err != nil {
		return Checkpoint{}, err
	}
	return c, c.Verify()
}

// fault returns the error of a checkpoint, with what to do. An unreadable checkpoint may be whole, so the advice is not to give it
// up.
func (r *Run) fault(what string, err error, places []place, step int) error {
	switch {
	case unreadable(err):
		return fmt.Errorf("%s %w: %w", what, ErrUnreadable, withHint(err, ""))
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("%s is %w; %s", what, err, r.wholeBefore(places, step))
	}
	return fmt.Errorf("%s is %w: %w; %s", what, ErrDamaged, err, r.wholeBefore(places, step))
}

// none returns the error of a run without a checkpoint.
func (r *Run) none() error {
	entries, _ := os.ReadDir(r.checkpointsPath())
	for _, e := range entries { // the run was going back to its beginning
		if strings.Contains(e.Name(), undoneSuffix) {
			return fmt.Errorf("run %s: %w", r.path, ErrNoCheckpoint)
		}
	}
	h, _ := r.History() // without events, nothing is known
	if step, ok := h.Saved(); ok {
		return fmt.Errorf("run %s: %w: %s mentions one of step %d, but %s has none; put the folder back, or start again with: coil resume %s --step 0",
			r.path, ErrLost, eventsName, step, r.checkpointsPath(), r.path)
	}
	return fmt.Errorf("run %s: %w", r.path, ErrNoCheckpoint)
}

// Latest returns the newest checkpoint, verified. If that is damaged, the error names the file, and the newest older
// checkpoint that is whole, and how to resume from it: that is for the user to decide. The error is ErrUnreadable if the
// system does not let it be read; ErrNoCheckpoint if there is none, or ErrLost if there should be one.
func (r *Run) Latest() (Checkpoint, error) {
	for {
		places, err := r.places()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Checkpoint{}, fmt.Errorf("latest checkpoint: %w", withHint(err, ""))
		}
		if len(places) == 0 {
			return Checkpoint{}, r.none()
		}
		newest := places[len(places)-1]
		before, _ := os.Lstat(newest.path)
		c, err := r.verified(newest)
		if err == nil {
			return c, nil
		}
		now, statErr := os.Lstat(newest.path)
		replaced := statErr == nil && (before == nil || !os.SameFile(before, now) || !before.ModTime().Equal(now.ModTime())) // a number of a file may come again
		if errors.Is(statErr, fs.ErrNotExist) || replaced {
			continue // by the process that writes the run, in the meantime
		}
		return Checkpoint{}, r.fault(fmt.Sprintf("the newest checkpoint, of step %d,", newest.step), err, places, newest.step)
	}
}

// LatestWhole returns the newest checkpoint that is whole, and why each newer one is not. One that can't be read may be whole,
// and is an error, unless its disk fails.
func (r *Run) LatestWhole() (Checkpoint, []error, error) {
	places, err := r.places()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Checkpoint{}, nil, fmt.Errorf("latest checkpoint: %w", withHint(err, ""))
	}
	var passed []error
	for _, p := range slices.Backward(places) {
		c, err := r.verified(p)
		if err == nil {
			return c, passed, nil
		}
		what := fmt.Sprintf("the checkpoint of step %d", p.step)
		switch {
		case unreadable(err) && !errors.Is(err, syscall.EIO):
			return Checkpoint{}, nil, fmt.Errorf("%s %w: %w", what, ErrUnreadable, withHint(err, ""))
		case errors.Is(err, ErrDamaged):
			err = fmt.Errorf("%s is %w", what, err)
		default:
			err = fmt.Errorf("%s is %w: %w", what, ErrDamaged, err)
		}
		passed = append(passed, err)
	}
	if len(places) == 0 {
		return Checkpoint{}, nil, r.none()
	}
	return Checkpoint{}, passed, fmt.Errorf("run %s: no checkpoint is whole: %w", r.path, errors.Join(passed...))
}

// wholeBefore ends an error with the newest checkpoint before a step that is whole.
func (r *Run) wholeBefore(places []place, step int) string {
	for _, p := range slices.Backward(places) {
		if p.step >= step {
			continue
		}
		if c, err := r.verified(p); err == nil {
			return fmt.Sprintf("that of step %d is whole: resume from it with: coil resume %s --step %d", c.Step, r.path, c.Step)
		}
	}
	return "no older one is whole"
}
