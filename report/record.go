// Package report turns runs into a folder that can be read anywhere: a page that needs no network, and its plots.
package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"coil/config/schema"
	"coil/format"
	"coil/metric"
	"coil/plot"
	"coil/run"
)

// Status is how a run stands.
type Status string

const (
	Finished Status = "finished" // all steps are done
	Stopped  Status = "stopped"  // by its user; it can be resumed
	Failed   Status = "failed"   // with an error
	Running  Status = "running"
	Paused   Status = "paused"  // and its process waits
	Crashed  Status = "crashed" // its process ended without a message
)

// Record summarizes a run. Steps that a killed process made after its last checkpoint, and that the resumed run repeated,
// are in it once: see [run.History].
type Record struct {
	Path   string // of the run's directory
	Info   run.Info
	Status Status
	Crash  *run.Crash // nil if the process that trained it last did not crash

	info    string            // run.json
	config  string            // config.toml
	keys    map[string]string // of the configuration, as in "train.steps"
	setup   run.Setup         // as far as it is known
	history *run.History
	omitted []string // what could not be read, in words
}

// Read reads a run, which may still be growing. The report says what can't be read.
func Read(r *run.Run) *Record {
	rec := &Record{Path: r.Path(), Info: r.Info(), history: run.NewHistory(run.CurvePoints)}
	rec.readEvents(r)
	rec.readConfig(r)
	rec.completeSetup()
	if err := r.Damage(); err != nil {
		rec.omit("%v", err)
	}
	b, err := run.ReadFile(filepath.Join(r.Path(), "run.json"), run.MostText)
	if err != nil && r.Damage() == nil {
		rec.omit("%v", err)
	}
	rec.info = string(b)
	return rec
}

func (rec *Record) omit(format string, a ...any) {
	rec.omitted = append(rec.omitted, fmt.Sprintf(format, a...))
}

// mostGarbled is the number of garbled lines that are reported one by one.
const mostGarbled = 5

func (rec *Record) readEvents(r *run.Run) {
	h := rec.history
	h.UnknownMembers = map[string]int{}
	events, err := r.Events()
	if err != nil {
		rec.omit("%v", err)
	} else {
		defer events.Close()
		if _, _, err := h.Follow(events, time.Time{}); err != nil {
			rec.omit("the events after step %d: %v", h.Step, err)
		}
	}
	rec.setup = h.Setup
	rec.Status = status(r, h.State)
	if c, ok := r.Crash(); ok {
		rec.Crash = &c
	}
	for _, line := range h.GarbledLines[:min(len(h.GarbledLines), mostGarbled)] {
		rec.omit("line %d of events.jsonl: not an event: %v", line.Line, line.Err)
	}
	if h.Garbled > mostGarbled {
		rec.omit("%d more lines of events.jsonl that are no events", h.Garbled-mostGarbled)
	}
	if h.Cut > 0 {
		rec.omit("the last line of events.jsonl, %s without an end", format.Plural(h.Cut, "byte"))
	}
	for _, k := range slices.Sorted(maps.Keys(h.UnknownKinds)) {
		rec.omit("%s of the unknown kind %q", format.Plural(h.UnknownKinds[k], "event"), k)
	}
	for _, m := range slices.Sorted(maps.Keys(h.UnknownMembers)) {
		rec.omit("the unknown member %q of %s", m, format.Plural(h.UnknownMembers[m], "event"))
	}
}

// status is how a run stands whose last event was of that kind.
func status(r *run.Run, last string) Status {
	if _, held, err := r.Holder(); err == nil && held {
		if last == run.KindPause {
			return Paused
		}
		return Running
	}
	switch last {
	case run.KindEnd:
		return Finished
	case run.KindStop:
		return Stopped
	case run.KindError:
		return Failed
	}
	return Crashed
}

func (rec *Record) readConfig(r *run.Run) {
	b, err := r.Config()
	if err != nil {
		rec.omit("the configuration: %v", err)
		return
	}
	rec.config = string(b)
	tables, err := schema.Document("config.toml", b)
	if err != nil {
		rec.omit("the keys of %v", err)
		return
	}
	rec.keys = map[string]string{}
	flatten(tables, "", rec.keys)
}

// flatten writes the keys of nested tables as in "train.steps".
func flatten(tables map[string]any, prefix string, keys map[string]string) {
	for name, v := range tables {
		if table, ok := v.(map[string]any); ok {
			flatten(table, prefix+name+".", keys)
			continue
		}
		keys[prefix+name] = fmt.Sprint(v)
		if list, ok := v.([]any); ok {
			var items []string
			for _, item := range list {
				items = append(items, fmt.Sprint(item))
			}
			keys[prefix+name] = strings.Join(items, ", ")
		}
	}
}

// completeSetup takes missing parts of the setup from the configuration: a run of an earlier coil has no setup.
func (rec *Record) completeSetup() {
	s := &rec.setup
	s.Model = cmp.Or(s.Model, strings.ReplaceAll(rec.keys["model.layers"], "x", "⊗"))
	s.Task = cmp.Or(s.Task, rec.keys["task.name"])
	s.Parameters = cmp.Or(s.Parameters, rec.Info.Parameters)
	s.Backend = cmp.Or(s.Backend, rec.Info.Backend)
	s.Device = cmp.Or(s.Device, rec.Info.Device)
	for key, n := range map[string]*int{"train.steps": &s.Steps, "train.batch": &s.Batch} {
		if *n == 0 {
			fmt.Sscan(rec.keys[key], n) // a garbled one stays 0, which is unknown
		}
	}
}

// judged is the quantity by which the task is judged.
func (rec *Record) judged() run.Quantity { return run.Judged(rec.setup.Metric) }

// trained are the reports of training that have a value.
func (rec *Record) trained(k run.Key) []plot.Point { return points(&rec.history.Train, k) }

// heldOut are the evaluations that have a value.
func (rec *Record) heldOut(k run.Key) []plot.Point { return points(&rec.history.HeldOut, k) }

func points(s *run.Series, k run.Key) []plot.Point {
	var all []plot.Point
	for _, p := range s.Points(k) {
		all = append(all, plot.Point{X: p.Step, Y: p.Y})
	}
	return all
}

// means are trained, each point standing for those that were given up around it.
func (rec *Record) means(k run.Key) []plot.Point { return means(&rec.history.Train, k) }

func means(s *run.Series, k run.Key) []plot.Point {
	var all []plot.Point
	for _, p := range s.Points(k) {
		all = append(all, plot.Point{X: p.Step, Y: p.Mean()})
	}
	return all
}

// newest is the last report of a value of training.
func (rec *Record) newest(q run.Quantity) (plot.Point, bool) {
	p, ok := rec.history.Train.Last(q.Key())
	return plot.Point{X: p.Step, Y: p.Y}, ok
}

// Summary is the result of a run. A pointer is nil if the run has no such value.
type Summary struct {
	ID          string        `json:"id"`
	Path        string        `json:"path"`
	Status      Status        `json:"status"`
	Model       string        `json:"model"`
	Task        string        `json:"task"`
	Parameters  int64         `json:"parameters"`
	Steps       int           `json:"steps"`              // done
	Planned     int           `json:"planned_steps"`      // 0 if that is not known
	Loss        *run.Number   `json:"loss,omitempty"`     // of training, in the last report
	Metric      metric.Metric `json:"metric"`             // what the task is judged by
	HeldOut     *run.Number   `json:"held_out,omitempty"` // of that, in the last evaluation
	HeldOutLoss *run.Number   `json:"held_out_loss,omitempty"`
	Best        *run.Number   `json:"best,omitempty"` // of held_out, in any evaluation
	BestStep    int           `json:"best_step,omitempty"`
	Seconds     run.Number    `json:"seconds"` // of training; or of the whole run, with evaluations and pauses, if that is all that is known
	Crash       *run.Crash    `json:"crash,omitempty"`
}

// Summary returns what came out of the run.
func (rec *Record) Summary() Summary {
	s := Summary{ID: rec.Info.ID, Path: rec.Path, Status: rec.Status, Model: rec.setup.Model, Task: rec.setup.Task, Parameters: rec.setup.Parameters,
		Steps: rec.history.Step, Planned: rec.setup.Steps, Metric: rec.setup.Metric, Seconds: run.Number(rec.history.Ran().Seconds()), Crash: rec.Crash}
	if p, ok := rec.newest(run.Loss); ok {
		s.Loss = number(p.Y)
	}
	if p, ok := rec.newest(run.Seconds); ok {
		s.Seconds = run.Number(p.Y)
	}
	held, judged := &rec.history.HeldOut, rec.judged().Key()
	if y, ok := held.Current(judged); ok {
		s.HeldOut = number(y)
	}
	if y, ok := held.Current(run.Loss.Key()); ok {
		s.HeldOutLoss = number(y)
	}
	for _, p := range held.Points(judged) {
		if !math.IsNaN(p.Y) && (s.Best == nil || s.Metric.Better(p.Y, float64(*s.Best))) {
			s.Best, s.BestStep = number(p.Y), int(p.Step)
		}
	}
	return s
}

// Losses are the means of the training loss in at most n pieces of the run, the oldest first. One is NaN if a loss in it was
// not finite.
func (rec *Record) Losses(n int) []float64 {
	points := rec.history.Train.Points(run.Loss.Key())
	means := make([]float64, min(n, len(points)))
	for i := range means {
		piece := points[i*len(points)/len(means) : (i+1)*len(points)/len(means)]
		for _, p := range piece {
			means[i] += p.Mean() / float64(len(piece))
		}
		if math.IsInf(means[i], 0) {
			means[i] = math.NaN()
		}
	}
	return means
}

func number(y float64) *run.Number {
	n := run.Number(y)
	return &n
}
