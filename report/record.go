// Package report turns runs into a folder that can be read anywhere: a page that needs no network, and its plots.
package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"coil/config/schema"
	"coil/format"
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

// Record is what a run tells of itself. What a killed process did after its last checkpoint, and a resumed run did again,
// is in it once: see run.History.
type Record struct {
	Path   string // of the run's directory
	Info   run.Info
	Status Status
	Crash  *run.Crash // nil if the process that trained it last did not crash

	info    string            // run.json
	config  string            // config.toml
	keys    map[string]string // of the configuration, as in "train.steps"
	setup   run.Setup         // as far as it is known
	steps   int               // done
	begun   time.Time
	last    time.Time // of the last event
	ran     time.Duration
	train   map[string][]point // of each value, the reports of training
	evals   []run.Event
	log     []run.Event
	omitted []string // what could not be read, in words
}

// point is a value at a place on the x axis, mostly a step. y may be NaN or infinite, which is a gap.
type point struct{ x, y float64 }

// Read reads what there is of a run, which may be growing. What can't be read is told in the report.
func Read(r *run.Run) *Record {
	rec := &Record{Path: r.Path(), Info: r.Info(), train: map[string][]point{}}
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

// reading is the state that is needed only while events are read.
type reading struct {
	begun   time.Time // this life of the run
	last    string    // kind of event that gives the state of the run
	garbled int
	kinds   map[string]int // that are not known
	members map[string]int
}

// mostGarbled is the number of garbled lines that are reported one by one.
const mostGarbled = 5

func (rec *Record) readEvents(r *run.Run) {
	in := reading{kinds: map[string]int{}, members: map[string]int{}}
	events, err := r.Events()
	if err != nil {
		rec.omit("%v", err)
	} else {
		defer events.Close()
		rec.follow(events, &in)
	}
	rec.ran += max(0, rec.last.Sub(in.begun))
	rec.Status = status(r, in.last)
	if c, ok := r.Crash(); ok {
		rec.Crash = &c
	}

	if in.garbled > mostGarbled {
		rec.omit("%d more lines of events.jsonl that are no events", in.garbled-mostGarbled)
	}
	for _, k := range slices.Sorted(maps.Keys(in.kinds)) {
		rec.omit("%s of the unknown kind %q", format.Plural(in.kinds[k], "event"), k)
	}
	for _, m := range slices.Sorted(maps.Keys(in.members)) {
		rec.omit("the unknown member %q of %s", m, format.Plural(in.members[m], "event"))
	}
}

// follow reads the events to their end.
func (rec *Record) follow(events *run.EventReader, in *reading) {
	for {
		e, err := events.Next()
		line := (*run.LineError)(nil)
		switch {
		case err == nil:
			rec.add(e, in)
			noteUnknown(events.Line(), in.members)
		case errors.Is(err, io.EOF):
			if n := events.Cut(); n > 0 {
				rec.omit("the last line of events.jsonl, %s without an end", format.Plural(n, "byte"))
			}
			return
		case errors.As(err, &line):
			if in.garbled++; in.garbled <= mostGarbled {
				rec.omit("line %d of events.jsonl: not an event: %v", line.Line, line.Err)
			}
		default:
			rec.omit("the events after step %d: %v", rec.steps, err)
			return
		}
	}
}

// noteUnknown counts the members of a line that events don't have.
func noteUnknown(line []byte, unknown map[string]int) {
	var members map[string]json.RawMessage
	if json.Unmarshal(line, &members) != nil {
		return
	}
	for name := range members {
		switch strings.ToLower(name) { // as encoding/json compares them
		case "kind", "step", "time", "values", "text", "setup", "samples", "seconds", "train", "eval":
		default:
			unknown[name]++
		}
	}
}

// add follows one event.
func (rec *Record) add(e run.Event, in *reading) {
	if rec.begun.IsZero() {
		rec.begun, in.begun, rec.last = e.Time, e.Time, e.Time
	}
	switch e.Kind {
	case run.KindTrain:
		for name, y := range e.Values() {
			rec.train[name] = append(rec.train[name], point{float64(e.Step), float64(y)})
		}
	case run.KindEval:
		rec.evals = append(rec.evals, e)
	case run.KindSetup:
		if e.Setup != nil {
			rec.setup = *e.Setup
		}
		rec.log = append(rec.log, e)
	case run.KindResume:
		rec.rewind(e.Step)
		rec.ran += max(0, rec.last.Sub(in.begun))
		in.begun = e.Time
		rec.log = append(rec.log, e)
	case run.KindStart, run.KindPause, run.KindContinue, run.KindNote, run.KindStop, run.KindEnd, run.KindError:
		rec.log = append(rec.log, e)
	case run.KindCheckpoint:
	default:
		in.kinds[e.Kind]++
		return
	}
	rec.last = e.Time
	if e.Kind != run.KindNote {
		rec.steps, in.last = e.Step, e.Kind
	}
}

// rewind takes back the reports of later steps.
func (rec *Record) rewind(step int) {
	for name, points := range rec.train {
		rec.train[name] = slices.DeleteFunc(points, func(p point) bool { return p.x > float64(step) })
	}
	rec.evals = slices.DeleteFunc(rec.evals, func(e run.Event) bool { return e.Step > step })
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
	if s.Metric != exactMatch {
		s.Metric = "accuracy"
	}
	for key, n := range map[string]*int{"train.steps": &s.Steps, "train.batch": &s.Batch} {
		if *n == 0 {
			fmt.Sscan(rec.keys[key], n) // a garbled one stays 0, which is unknown
		}
	}
}

const exactMatch = "exact match"

// metric is the name, in the values of evaluations, of what the task is judged by.
func (rec *Record) metric() string {
	if rec.setup.Metric == exactMatch {
		return "exact"
	}
	return "accuracy"
}

// heldOut is a value of all evaluations that have it.
func (rec *Record) heldOut(name string) []point {
	var points []point
	for _, e := range rec.evals {
		if y, ok := e.Values()[name]; ok {
			points = append(points, point{float64(e.Step), float64(y)})
		}
	}
	return points
}

// evaluation is the last one, empty if there was none.
func (rec *Record) evaluation() run.Event {
	if len(rec.evals) == 0 {
		return run.Event{}
	}
	return rec.evals[len(rec.evals)-1]
}

// newest is the last report of a value of training.
func (rec *Record) newest(name string) (point, bool) {
	points := rec.train[name]
	if len(points) == 0 {
		return point{}, false
	}
	return points[len(points)-1], true
}

// Summary is what came out of a run. Pointers are nil if the run does not tell.
type Summary struct {
	ID          string      `json:"id"`
	Path        string      `json:"path"`
	Status      Status      `json:"status"`
	Model       string      `json:"model"`
	Task        string      `json:"task"`
	Parameters  int64       `json:"parameters"`
	Steps       int         `json:"steps"`              // done
	Planned     int         `json:"planned_steps"`      // 0 if that is not known
	Loss        *run.Number `json:"loss,omitempty"`     // of training, in the last report
	Metric      string      `json:"metric"`             // what the task is judged by: accuracy or exact match
	HeldOut     *run.Number `json:"held_out,omitempty"` // of that, in the last evaluation
	HeldOutLoss *run.Number `json:"held_out_loss,omitempty"`
	Best        *run.Number `json:"best,omitempty"` // of held_out, in any evaluation
	BestStep    int         `json:"best_step,omitempty"`
	Seconds     run.Number  `json:"seconds"` // of training; or of running, with evaluations and pauses, if the run tells only that
	Crash       *run.Crash  `json:"crash,omitempty"`
}

// Summary returns what came out of the run.
func (rec *Record) Summary() Summary {
	s := Summary{ID: rec.Info.ID, Path: rec.Path, Status: rec.Status, Model: rec.setup.Model, Task: rec.setup.Task, Parameters: rec.setup.Parameters,
		Steps: rec.steps, Planned: rec.setup.Steps, Metric: rec.setup.Metric, Seconds: run.Number(rec.ran.Seconds()), Crash: rec.Crash}
	if p, ok := rec.newest("loss"); ok {
		s.Loss = number(p.y)
	}
	if p, ok := rec.newest("seconds"); ok {
		s.Seconds = run.Number(p.y)
	}
	values := rec.evaluation().Values()
	if y, ok := values[rec.metric()]; ok {
		s.HeldOut = number(float64(y))
	}
	if y, ok := values["loss"]; ok {
		s.HeldOutLoss = number(float64(y))
	}
	for _, p := range rec.heldOut(rec.metric()) {
		if !math.IsNaN(p.y) && (s.Best == nil || p.y > float64(*s.Best)) {
			s.Best, s.BestStep = number(p.y), int(p.x)
		}
	}
	return s
}

// Losses are the means of the training loss in at most n pieces of the run, the oldest first. One is NaN if a loss in it was
// not finite.
func (rec *Record) Losses(n int) []float64 {
	points := rec.train["loss"]
	means := make([]float64, min(n, len(points)))
	for i := range means {
		piece := points[i*len(points)/len(means) : (i+1)*len(points)/len(means)]
		for _, p := range piece {
			means[i] += p.y / float64(len(piece))
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
