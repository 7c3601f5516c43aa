package experiment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"coil/config"
	"coil/encode"
	"coil/run"
)

// A Folder is an experiment on disk:
//
//	experiments/
//	  p-hop-laptop/
//	    grid.toml        the question, whole: [Grid]
//	    cells/
//	      1x4_s1/        a run for each cell, and measures.json when it is finished
//	    logs/            what the processes that train them write
//	    results.csv …    what [Folder.Write] makes of them
//
// Whoever trains a cell holds its run's lock. So any number of processes, on any number of machines that share the folder,
// can work on one experiment.
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
)

// Make makes the folder of an experiment below root, or opens it if it is there. It may have had other cells: seeds may be
// added, and values. But a cell that is in both must be the same.
func Make(root string, g Grid) (*Folder, error) {
	if g.Name == "" {
		return nil, errors.New("the experiment has no name")
	}
	if err := run.CheckName(g.Name); err != nil {
		return nil, err
	}
	f := &Folder{Path: filepath.Join(root, g.Name), Grid: g}
	var err error
	if f.Cells, err = g.Cells(); err != nil {
		return nil, err
	}
	had, err := os.ReadFile(filepath.Join(f.Path, gridName))
	switch {
	case err == nil:
		if err := f.agrees(had); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	default:
		if entries, err := os.ReadDir(f.Path); err == nil && len(entries) > 0 {
			return nil, fmt.Errorf("%s holds %s and no %s, so it is no experiment: choose another folder with --out", f.Path, entries[0].Name(), gridName)
		}
	}
	if err := os.MkdirAll(filepath.Join(f.Path, cellsName), 0o777); err != nil {
		return nil, err
	}
	if text := g.Encode(); string(text) != string(had) {
		return f, run.ReplaceFile(filepath.Join(f.Path, gridName), text)
	}
	return f, nil
}

// agrees returns an error that names the first key that a cell of both grids has with another value.
func (f *Folder) agrees(had []byte) error {
	g, err := stored(filepath.Join(f.Path, gridName), had)
	if err != nil {
		return fmt.Errorf("the experiment that is there can't be read: %w", err)
	}
	before, err := g.Cells()
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

// stored reads a grid as [Make] has written it, with every key there was.
func stored(source string, text []byte) (Grid, error) { return parse(source, text, config.Unwritten()) }

// Open opens the folder of an experiment.
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
	f.Cells, err = f.Grid.Cells()
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
	Failed               // it ended with an error
	Done
)

func (s State) String() string { return [...]string{"waiting", "running", "failed", "done"}[s] }

// State looks at a cell. The text is why it failed, or who trains it.
func (f *Folder) State(c Cell) (State, string, error) {
	path := f.RunPath(c)
	r, err := run.View(path)
	if errors.Is(err, fs.ErrNotExist) || err != nil && isBeingMade(path) {
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
	if _, err := os.Stat(filepath.Join(path, measuresName)); err == nil {
		return Done, "", nil
	}
	h, _ := r.History() // a line that is garbled says nothing of how it ended
	if n := len(h); n > 0 && h[n-1].Kind == run.KindError {
		return Failed, h[n-1].Text, nil
	}
	return Waiting, "", nil
}

// isBeingMade reports whether a folder that is no run yet may become one.
func isBeingMade(path string) bool {
	_, err := os.Stat(filepath.Join(path, "run.json"))
	return errors.Is(err, fs.ErrNotExist)
}

// writeMeasures makes a cell a finished one.
func writeMeasures(path string, m Measures) error {
	var b bytes.Buffer
	if err := encode.JSON(&b, m); err != nil {
		return err
	}
	return run.ReplaceFile(filepath.Join(path, measuresName), b.Bytes())
}

// readMeasures reads what was measured of a finished cell.
func readMeasures(path string) (m Measures, err error) {
	name := filepath.Join(path, measuresName)
	text, err := os.ReadFile(name)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%s is damaged: %w; remove it, and the experiment measures the cell again", name, err)
	}
	return m, nil
}
