package tui

import (
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"coil/run"
	"coil/tui/curve"
)

// Bounds that keep the memory of a watched run constant, whatever its events hold.
const (
	curvePoints = 2048
	mostCurves  = 256 // of training, and of evaluation
	mostLines   = 2000
	mostSamples = 64
)

// record is what the events of a run say.
type record struct {
	setup   run.Setup
	phase   run.Phase // as far as events tell it
	ended   string    // the kind of the last event, if that ends the run's process
	step    int
	train   curves
	held    curves // of evaluations on held-out examples
	samples []run.Sample
	lines   []logLine
	best    float64 // tokens a second
	perStep float64 // seconds, smoothed
	seconds float64 // of training
	started time.Time
	newest  time.Time
	passed  int // lines that are no events
}

// curves are the values of one kind of event, by name.
type curves struct {
	byName map[string]*curve.Curve
	newest map[string]float64
	step   int // of the newest
}

func newCurves() curves {
	return curves{byName: map[string]*curve.Curve{}, newest: map[string]float64{}}
}

// names are those of all curves, in order.
func (c curves) names() []string { return slices.Sorted(maps.Keys(c.byName)) }

// value is the newest of a name.
func (c curves) value(name string) (float64, bool) {
	v, ok := c.newest[name]
	return v, ok
}

func (c *curves) add(e run.Event, seconds, tokens float64) {
	c.step = e.Step
	for name, v := range e.Values() {
		if c.byName[name] == nil {
			if len(c.byName) == mostCurves {
				continue
			}
			c.byName[name] = curve.New(curvePoints)
		}
		c.byName[name].Add(curve.Point{Step: float64(e.Step), Seconds: seconds, Tokens: tokens, Y: float64(v)})
		c.newest[name] = float64(v)
	}
}

func (c *curves) rewind(step int) {
	for _, k := range c.byName {
		k.Rewind(float64(step))
	}
}

func newRecord() *record {
	return &record{phase: run.PhasePreparing, train: newCurves(), held: newCurves()}
}

// follow adds the events that a reader has, for as long as budget; more says that there may be more.
func (r *record) follow(er *run.EventReader, budget time.Duration) (changed, more bool, err error) {
	deadline := time.Now().Add(budget)
	for n := 1; ; n++ {
		e, err := er.Next()
		var garbled *run.LineError
		switch {
		case err == nil:
			r.add(e)
		case errors.Is(err, io.EOF):
			return changed, false, nil
		case errors.As(err, &garbled):
			r.passed++
		default:
			return changed, false, err
		}
		changed = true
		if n%64 == 0 && time.Now().After(deadline) {
			return changed, true, nil
		}
	}
}

// add takes one event.
func (r *record) add(e run.Event) {
	if r.started.IsZero() {
		r.started = e.Time
	}
	r.newest, r.ended, r.step = e.Time, "", max(0, e.Step)
	switch e.Kind {
	case run.KindSetup:
		if e.Setup != nil {
			r.setup = *e.Setup
		}
		r.phase, r.seconds = run.PhaseTraining, 0
		if e.Seconds != nil {
			r.seconds = float64(*e.Seconds)
		}
		r.train.step = e.Step
	case run.KindTrain:
		r.addTrain(e)
	case run.KindEval:
		r.held.newest = map[string]float64{} // the names of an evaluation belong together
		r.held.add(e, r.seconds, r.train.newest["tokens"])
		r.samples = nil
		if e.Eval != nil {
			r.samples = slices.Clone(e.Eval.Samples[:min(len(e.Eval.Samples), mostSamples)])
		}
	case run.KindResume:
		r.train.rewind(e.Step)
		r.held.rewind(e.Step)
		r.phase = run.PhasePreparing
	case run.KindPause:
		r.phase = run.PhasePaused
	case run.KindContinue:
		r.phase = run.PhaseTraining
	case run.KindEnd, run.KindStop, run.KindError:
		r.phase, r.ended = run.PhaseDone, e.Kind
	}
	if text := r.describe(e); text != "" {
		if len(r.lines) == mostLines {
			r.lines = append(r.lines[:0], r.lines[mostLines/4:]...)
		}
		r.lines = append(r.lines, logLine{e.Time, e.Kind, text})
	}
}

func (r *record) addTrain(e run.Event) {
	if r.phase != run.PhasePaused { // a last report may follow the pause
		r.phase = run.PhaseTraining
	}
	seconds := e.Time.Sub(r.started).Seconds() // of older runs, which do not tell
	if v, ok := e.Values()["seconds"]; ok {
		seconds = float64(v)
	}
	if steps := float64(e.Step - r.train.step); steps > 0 && seconds > r.seconds {
		took := (seconds - r.seconds) / steps
		if r.perStep == 0 {
			r.perStep = took
		}
		r.perStep += 0.1 * (took - r.perStep)
	}
	r.seconds = seconds
	r.best = max(r.best, float64(e.Values()["tokens_per_second"]))
	r.train.add(e, seconds, float64(e.Values()["tokens"]))
}

// left is the time that the remaining steps will take, 0 if that is not known.
func (r *record) left() time.Duration {
	return time.Duration(max(0, float64(r.setup.Steps-r.step)) * r.perStep * float64(time.Second))
}

// metric is the name of the value by which the task is judged.
func (r *record) metric() string {
	if r.setup.Metric == "exact match" {
		return "exact"
	}
	return "accuracy"
}
