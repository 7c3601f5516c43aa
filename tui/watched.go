package tui

import (
	"path/filepath"
	"strings"
	"time"

	"coil/run"
)

// watched is one run that is shown.
type watched struct {
	*run.History
	run    *run.Run // nil while the run of this process is not made yet
	cell   string   // the path by which an experiment knows it
	reader *run.EventReader
	err    error // why nothing more can be read
	more   bool  // there may be more to read at once

	alive   bool       // a process trains it
	crash   *run.Crash // how it ended, if it crashed
	checked time.Time
}

// How long a poll may read, and how often it asks whether a process trains the run.
const (
	readBudget = 50 * time.Millisecond
	checkEvery = 2 * time.Second
)

func watch(r *run.Run) *watched { return &watched{History: run.NewHistory(run.CurvePoints), run: r} }

// poll reads what is new.
func (w *watched) poll(now time.Time) (changed bool) {
	if w.run == nil || w.err != nil {
		return false
	}
	if w.reader == nil {
		if w.reader, w.err = w.run.Events(); w.err != nil {
			return true
		}
	}
	changed, w.more, w.err = w.Follow(w.reader, time.Now().Add(readBudget))
	if now.Sub(w.checked) >= checkEvery || changed && w.ended() {
		w.checked = now
		_, alive, err := w.run.Holder()
		alive = alive && err == nil
		changed = changed || alive != w.alive
		w.alive = alive
		if c, ok := w.run.Crash(); ok {
			changed = changed || w.crash == nil
			w.crash = &c
		} else {
			w.crash = nil
		}
	}
	return changed || w.err != nil
}

// ended reports whether the process that trains the run has said that it ends.
func (w *watched) ended() bool { return w.Phase == run.PhaseDone }

func (w *watched) close() {
	if w.reader != nil {
		w.reader.Close()
	}
}

// state says in a word or two how the run is doing.
func (w *watched) state() string {
	switch {
	case w.run == nil:
		return "preparing"
	case w.State == run.KindEnd:
		return "finished"
	case w.State == run.KindError:
		return "failed"
	case w.State == run.KindStop:
		return "stopped"
	case w.crash != nil:
		return "crashed"
	case !w.alive:
		return "killed"
	}
	return string(w.Phase)
}

// name is the short name of a run among others: its name, or else the random part of its id.
func (w *watched) name() string {
	if w.run == nil {
		return "this run"
	}
	i := w.run.Info()
	if i.Name != "" {
		return i.Name
	}
	if parts := strings.Split(i.ID, "_"); len(parts) >= 3 {
		return parts[2]
	}
	return filepath.Base(w.run.Path())
}
