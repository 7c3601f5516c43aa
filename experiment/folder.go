package experiment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"coil/config"
	"coil/run"
)

// A Folder is an experiment on disk:
//
//	experiments/
//	  p-hop-laptop/
//	    grid.toml        the question, whole: [Grid]
//	    cells/
//	      1x4_s1/        a run for each cell, and measures.json when it is finished
//	    experiment.lock  held for a moment by the process that makes a folder or writes files
//	    logs/            the output of the processes that train them
//	    results.csv …    written by [Folder.Write]
//
// A process that trains a cell holds its run's lock. So any number of processes, on any number of machines that share the
// folder, can work on one experiment.
type Folder struct {
	Path  string
	Grid  Grid
	Cells []Cell
}

const (
	gridName     = "grid.toml"
	cellsName    = "cells"
	logsName     = "logs"
	measuresName = "measures.json"
	lockName     = "experiment.lock"
)

// Make makes the folder of an experiment below root, or opens it if it exists; cells are those of the grid. The folder may
// have had other cells: seeds and values may be added. But a cell that is in both must be the same. Processes that make the
// same folder at once wait for each other, and continue the work of one that was killed.
func Make(root string, g Grid, cells []Cell) (*Folder, error) {
	if err := g.CheckName(); err != nil {
		return nil, err
	}
	f := &Folder{Path: filepath.Join(root, g.Name), Grid: g, Cells: cells}
	if err := f.checkFree(); err != nil { // before a lock is put there
		return nil, err
	}
	if err := run.MakeFolder(f.Path); err != nil {
		return nil, err
	}
	return f, f.exclusive(f.fill)
}

// checkFree returns an error if the folder holds files that do not belong to an experiment.
func (f *Folder) checkFree() error {
	if _, err := os.Stat(filepath.Join(f.Path, gridName)); err == nil {
		return nil
	}
	entries, err := os.ReadDir(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, e := range entries {
		ours := e.Name() == lockName || strings.HasPrefix(e.Name(), gridName)
		if e.Name() == cellsName { // made before the grid is written, and empty until then
			cells, err := os.ReadDir(filepath.Join(f.Path, cellsName))
			ours = err == nil && len(cells) == 0
		}
		if !ours {
			return fmt.Errorf("%s holds %s and no %s, so it is no experiment: choose another folder with --out", f.Path, e.Name(), gridName)
		}
	}
	return nil
}

// fill writes the grid, if it goes with the one that is there. Only one process does so at a time.
func (f *Folder) fill() error {
	path, text := filepath.Join(f.Path, gridName), f.Grid.Encode()
	had, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(had, text):
	case err == nil:
		if err := f.agrees(had); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := run.MakeFolder(filepath.Join(f.Path, cellsName)); err != nil || bytes.Equal(had, text) {
		return err
	}
	return run.ReplaceFile(path, text)
}

// exclusive calls do while no other process does anything exclusive in the folder: it makes a folder or a run, or writes files.
func (f *Folder) exclusive(do func() error) error {
	return run.Exclusive(filepath.Join(f.Path, lockName), do)
}

// agrees returns an error that names the first key that a cell of both grids has with another value.
func (f *Folder) agrees(had []byte) error {
	g, err := stored(filepath.Join(f.Path, gridName), had)
	if err != nil {
		return fmt.Errorf("the existing experiment can't be read: %w", err)
	}
	before, err := g.expand()
	if err != nil {
		return err
	}
	configs := map[string]config.Config{}
	for _, c := range before {
		configs[c.Name] = c.Config
	}
	for _, c := range f.Cells {
		old, ok := configs[c.Name]
		if !ok {
			continue
		}
		if err := sameConfig(old, c.Config); err != nil {
			return fmt.Errorf("%s holds another experiment of this name: cell %s has %w; give the new one another name, or another folder with --out", f.Path, c.Name, err)
		}
	}
	return nil
}

// sameConfig returns an error that names the first key that differs.
func sameConfig(had, now config.Config) error {
	a, b := had.Keys(), now.Keys()
	for i := range a {
		if a[i].Value() != b[i].Value() {
			return fmt.Errorf("%s = %s there, and %s here", a[i].Name, a[i].Value(), b[i].Value())
		}
	}
	return nil
}

// isOf returns an error with the difference unless a run has the configuration of the cell.
func (c Cell) isOf(r *run.Run) error {
	text, err := r.Config()
	if err != nil {
		return err
	}
	had := config.Unwritten()
	if err := had.Parse(filepath.Join(r.Path(), "config.toml"), text); err != nil {
		return err
	}
	return c.differs(r, had)
}

func (c Cell) differs(r *run.Run, had config.Config) error {
	if err := sameConfig(had, c.Config); err != nil {
		return fmt.Errorf("the run in %s is not this cell's: it has %w; move it away, and the cell is trained again", r.Path(), err)
	}
	return nil
}

// stored reads a grid as [Make] has written it, with every key there was.
func stored(source string, text []byte) (Grid, error) { return parse(source, text, config.Unwritten()) }

// Open opens the folder of an experiment. Its cells have no models: they were checked when it was made, and whoever trains one
// makes its task then.
func Open(path string) (*Folder, error) {
	name := filepath.Join(path, gridName)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not the folder of an experiment: it has no %s", path, gridName)
	} else if err != nil {
		return nil, err
	}
	f := &Folder{Path: path}
	if f.Grid, err = stored(name, text); err != nil {
		return nil, err
	}
	f.Cells, err = f.Grid.expand()
	return f, err
}

// Cell returns the cell of that name.
func (f *Folder) Cell(name string) (Cell, error) {
	for _, c := range f.Cells {
		if c.Name == name {
			return c, nil
		}
	}
	return Cell{}, fmt.Errorf("%s has no cell %q: its cells are %s and so on", f.Path, name, f.Cells[0].Name)
}

// RunPath is the folder of a cell's run.
func (f *Folder) RunPath(c Cell) string { return filepath.Join(f.Path, cellsName, c.Name) }

// logPath is the file of what the process that trains a cell writes.
func (f *Folder) logPath(c Cell) string { return filepath.Join(f.Path, logsName, c.Name+".txt") }

// log opens that file, to append.
func (f *Folder) log(c Cell) (*os.File, error) {
	if err := f.makeLogs(); err != nil {
		return nil, err
	}
	return os.OpenFile(f.logPath(c), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
}

func (f *Folder) makeLogs() error { return os.MkdirAll(filepath.Join(f.Path, logsName), 0o777) }

// State is how far a cell is.
type State int

const (
	Waiting State = iota // not begun, or begun and stopped
	Running              // some process trains it now
	Failed               // it ended with an error, or its folder has a finished run of another configuration
	Done
)

func (s State) String() string { return [...]string{"waiting", "running", "failed", "done"}[s] }

// State reads the state of a cell. The text says why it failed, or who trains it.
func (f *Folder) State(c Cell) (State, string, error) {
	path := f.RunPath(c)
	r, err := run.View(path)
	making := err != nil && isBeingMade(path)
	if err != nil && !making { // it may have been made since
		r, err = run.View(path)
	}
	if errors.Is(err, fs.ErrNotExist) || err != nil && making {
		for _, stage := range c.early {
			if s, who, err := f.State(stage); err != nil || s == Running || s == Failed {
				return s, who, err
			}
		}
		return Waiting, "", nil
	} else if err != nil {
		return Waiting, "", err
	}
	if h, alive, err := r.Holder(); err != nil {
		return Waiting, "", err
	} else if alive {
		return Running, h.String(), nil
	}
	switch err := c.finished(r); {
	case err == nil:
		return Done, "", nil
	case !errors.Is(err, fs.ErrNotExist):
		return Failed, err.Error(), nil
	}
	h, _ := r.History() // a garbled line says nothing about the end
	if why, failed := h.Failure(); failed {
		return Failed, why, nil
	}
	return Waiting, "", nil
}

// Damage describes the damage of run.json of a cell's run, and of the runs of its earlier stages. Such runs are usable.
func (f *Folder) Damage(c Cell) []error {
	var damage []error
	for _, stage := range c.early {
		damage = append(damage, f.Damage(stage)...)
	}
	if r, err := run.View(f.RunPath(c)); err == nil && r.Damage() != nil { // State reports an error of View
		damage = append(damage, r.Damage())
	}
	return damage
}

// isBeingMade reports whether a folder that is not yet a run may become one.
func isBeingMade(path string) bool {
	_, err := os.Stat(filepath.Join(path, "run.json"))
	return errors.Is(err, fs.ErrNotExist)
}

// finished returns nil if the run in a cell's folder is finished and belongs to the cell, fs.ErrNotExist if it has not been
// measured, and another error if something is wrong with it.
func (c Cell) finished(r *run.Run) error {
	m, err := readMeasures(r.Path())
	switch {
	case err != nil:
		return err
	case m.Config == nil:
		return c.isOf(r)
	}
	had := config.Unwritten()
	for key, value := range m.Config {
		if err := had.Set(key, value); err != nil {
			return fmt.Errorf("%s is of another version of coil: %w", filepath.Join(r.Path(), measuresName), err)
		}
	}
	return c.differs(r, had)
}

// values returns the values of all keys of the cell's configuration.
func (c Cell) values() map[string]string {
	values := map[string]string{}
	for _, k := range c.Config.Keys() {
		values[k.Name] = k.Value()
	}
	return values
}

// writeMeasures makes a cell a finished one.
func writeMeasures(path string, m Measures) error {
	text, err := run.Seal(m)
	if err != nil {
		return err
	}
	return run.ReplaceFile(filepath.Join(path, measuresName), text)
}

// mostMeasures is how many bytes measures.json may have.
const mostMeasures = 64 << 20

// readMeasures reads the measures of a finished cell. Earlier versions of coil did not seal them.
func readMeasures(path string) (m Measures, err error) {
	name := filepath.Join(path, measuresName)
	text, err := run.ReadFile(name, mostMeasures)
	if err != nil {
		return m, err
	}
	if err = run.Unseal(text, &m); errors.Is(err, run.ErrChanged) && !bytes.Contains(text, []byte(`"crc32c"`)) {
		if err = nil; json.Unmarshal(text, &m) != nil {
			err = errors.New("it is not JSON of the right form")
		}
	}
	if err != nil {
		return m, fmt.Errorf("%s is damaged: %w; remove it, and the experiment measures the cell again", name, err)
	}
	return m, nil
}
