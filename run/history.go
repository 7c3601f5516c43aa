package run

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"coil/run/curve"
)

// Bounds that keep a history small, whatever its events hold.
const (
	CurvePoints = 2048 // of each curve, for whoever draws them
	mostCurves  = 256  // of training, and of evaluation
	mostLogged  = 2000
	mostSamples = 64
	mostSampled = 4   // evaluations whose samples and traces are kept
	mostTraced  = 256 // rows and columns of a trace
	mostGarbled = 16
	mostUnknown = 64
	longestText = 4000 // bytes
)

// A History is what the events of a run come to: curves of bounded length, the log, and how the run stands. Add the events in
// the order in which they were written, or let Follow read them.
//
// A run that was killed at step 370 and goes on from its checkpoint of step 300 does the steps 301 to 370 again. Since
// a file that is only appended to cannot take back the first time, there is an event of KindResume with step 300
// between the two, and what it takes back does not count: the events of KindTrain and KindEval before it with a later
// step.
type History struct {
	Setup   Setup // the newest
	Train   Series
	HeldOut Series // of evaluations on held-out examples

	State   string // kind of the newest event that says how the run stands: of any but notes and unknown kinds; "" if there is none
	Step    int    // of that: steps that are done
	Latest  int    // step of the newest event of any kind
	Phase   Phase  // as far as events say
	Began   time.Time
	Newest  time.Time // of the events
	Seconds float64   // of training
	PerStep float64   // seconds that a step takes, smoothed; 0 if that is not known
	Fastest float64   // the most tokens a second
	// Trained are the seconds of training since the newest setup, and Waited those of them that were spent waiting for batches.
	Trained, Waited float64

	// Log are the events but reports of training, the oldest first, evaluations with their score alone. Of a long log some are
	// given up: OmittedFrom the index before which they were, Omitted their number.
	Log         []Event
	Omitted     int
	OmittedFrom int

	Garbled      int            // lines that are no events
	GarbledLines []*LineError   // the first of them
	Cut          int            // bytes after the last whole line
	UnknownKinds map[string]int // how many events of kinds that this version does not know
	// UnknownMembers is in how many events there were members that this version does not know. They are counted if it is not nil.
	UnknownMembers map[string]int

	sampled  []sampled
	traces   []tracedAt
	life     time.Time     // begin of the newest process
	lives    time.Duration // of the processes before
	reported Point         // the newest report: its step and seconds
	at       *curve.Curve  // seconds of training, by step
	saved    int           // step of the newest checkpoint that events report
	isSaved  bool
}

// sampled are the samples of an evaluation.
type sampled struct {
	step    int
	samples []Sample
}

// tracedAt is the trace of an evaluation.
type tracedAt struct {
	step  int
	trace *Trace
}

// clipped is a trace of bounded size.
func (t *Trace) clipped() *Trace {
	c := &Trace{About: clip(t.About), Columns: t.Columns[:min(len(t.Columns), mostTraced)], Note: clip(t.Note)}
	for _, r := range t.Rows[:min(len(t.Rows), mostTraced)] {
		r.Cells = r.Cells[:min(len(r.Cells), mostTraced)]
		c.Rows = append(c.Rows, r)
	}
	return c
}

// NewHistory is a history whose curves have at most the given number of points; see [curve.New].
func NewHistory(points int) *History {
	return &History{Phase: PhasePreparing, Train: newSeries(points), HeldOut: newSeries(points), at: curve.New(CurvePoints), UnknownKinds: map[string]int{}}
}

// Add adds an event.
func (h *History) Add(e Event) {
	before, known := h.Newest, true
	if h.Began.IsZero() {
		h.Began, h.life, before = e.Time, e.Time, e.Time
	}
	h.Newest, h.Latest = e.Time, max(0, e.Step)
	switch e.Kind {
	case KindSetup:
		h.addSetup(e)
	case KindTrain:
		h.addTrain(e)
	case KindEval:
		h.HeldOut.step = float64(e.Step)
		for k, v := range e.Eval.Numbers() {
			h.HeldOut.add(k, float64(e.Step), h.Seconds, h.tokens(), float64(v))
		}
		if e.Eval != nil && len(e.Eval.Samples) > 0 {
			h.sampled = append(h.sampled, sampled{e.Step, slices.Clone(e.Eval.Samples[:min(len(e.Eval.Samples), mostSamples)])})
			h.sampled = h.sampled[max(0, len(h.sampled)-mostSampled):]
		}
		if e.Eval != nil && e.Eval.Trace != nil {
			h.traces = append(h.traces, tracedAt{e.Step, e.Eval.Trace.clipped()})
			h.traces = h.traces[max(0, len(h.traces)-mostSampled):]
		}
	case KindCheckpoint:
		h.saved, h.isSaved = e.Step, true
		if e.Seconds != nil {
			h.Seconds = float64(*e.Seconds)
			h.at.Add(Point{Step: float64(e.Step), Y: h.Seconds})
		}
	case KindResume:
		h.rewind(e.Step)
		h.lives += max(0, before.Sub(h.life))
		h.life = e.Time
		h.saved, h.isSaved = e.Step, e.Step > 0
		h.Phase = PhasePreparing
	case KindPause:
		h.Phase = PhasePaused
	case KindContinue:
		h.Phase = PhaseTraining
	case KindEnd, KindStop, KindError:
		h.Phase = PhaseDone
	case KindStart, KindNote:
	default:
		count(h.UnknownKinds, e.Kind)
		known = false
	}
	if known && e.Kind != KindNote {
		h.State, h.Step = e.Kind, e.Step
	}
	if e.Kind != KindTrain {
		h.log(e)
	}
}

func (h *History) addSetup(e Event) {
	if e.Setup != nil {
		h.Setup = *e.Setup
	}
	h.Phase, h.Seconds = PhaseTraining, orZero(e.Seconds)
	h.Trained, h.Waited = 0, 0
	h.reported = Point{Step: float64(e.Step), Seconds: h.Seconds}
}

func (h *History) addTrain(e Event) {
	if h.Phase != PhasePaused { // a last report may follow the pause
		h.Phase = PhaseTraining
	}
	t := e.Train
	if t == nil {
		t = &Train{}
	}
	seconds := e.Time.Sub(h.Began).Seconds() // of runs of before there was this number
	if t.Seconds != nil {
		seconds = float64(*t.Seconds)
		h.at.Add(Point{Step: float64(e.Step), Y: seconds})
	}
	steps, took := float64(e.Step)-h.reported.Step, seconds-h.reported.Seconds
	if steps > 0 && took > 0 {
		if h.PerStep == 0 {
			h.PerStep = took / steps
		}
		h.PerStep += 0.1 * (took/steps - h.PerStep)
		h.Trained += took
		h.Waited += took * orZero(t.DataWait)
	}
	h.reported = Point{Step: float64(e.Step), Seconds: seconds}
	h.Seconds = seconds
	h.Fastest = max(h.Fastest, orZero(t.TokensPerSecond))
	h.Train.step = float64(e.Step)
	for k, v := range t.Numbers() {
		h.Train.add(k, float64(e.Step), seconds, orZero(t.Tokens), float64(v))
	}
}

// orZero is a number, or 0 if there is none.
func orZero(n *Number) float64 {
	if n == nil {
		return 0
	}
	return float64(*n)
}

// tokens are those of the newest report.
func (h *History) tokens() float64 {
	v, _ := h.Train.Value(Tokens.Key())
	return v
}

// rewind takes back what was reported of later steps.
func (h *History) rewind(step int) {
	h.Train.rewind(step)
	h.HeldOut.rewind(step)
	h.at.Rewind(float64(step))
	h.sampled = slices.DeleteFunc(h.sampled, func(s sampled) bool { return s.step > step })
	h.traces = slices.DeleteFunc(h.traces, func(t tracedAt) bool { return t.step > step })
}

// log appends an event to the log, without what is large in it.
func (h *History) log(e Event) {
	if len(h.Log) == mostLogged { // its begin stays, and what is newest
		h.OmittedFrom = mostLogged / 4
		h.Omitted += mostLogged / 4
		h.Log = slices.Delete(h.Log, h.OmittedFrom, h.OmittedFrom+mostLogged/4)
	}
	e.Text = clip(e.Text)
	if s := e.Setup; s != nil {
		e.Setup = &Setup{Model: clip(s.Model), Task: clip(s.Task), Metric: s.Metric, Steps: s.Steps, Backend: clip(s.Backend), Device: clip(s.Device)}
	}
	if e.Eval != nil {
		e.Eval = &Eval{Score: e.Eval.Score}
	}
	e.Train = nil
	h.Log = append(h.Log, e)
}

// clip is the beginning of a text that is too long.
func clip(s string) string {
	if len(s) <= longestText {
		return s
	}
	return strings.Clone(strings.ToValidUTF8(s[:longestText], ""))
}

// count adds one to the number of a name, unless there are too many names.
func count(n map[string]int, name string) {
	if _, ok := n[name]; ok || len(n) < mostUnknown {
		n[name]++
	}
}

// Follow adds the events that a reader has, until a time, or all if that is zero; more says that there may be more.
func (h *History) Follow(er *EventReader, until time.Time) (changed, more bool, err error) {
	for n := 1; ; n++ {
		e, err := er.Next()
		var garbled *LineError
		switch {
		case err == nil:
			h.Add(e)
			if h.UnknownMembers != nil {
				for _, name := range unknownMembers(er.Line()) {
					count(h.UnknownMembers, name)
				}
			}
		case errors.Is(err, io.EOF):
			h.Cut = er.Cut()
			return changed, false, nil
		case errors.As(err, &garbled):
			if h.Garbled++; len(h.GarbledLines) < mostGarbled {
				h.GarbledLines = append(h.GarbledLines, garbled)
			}
		default:
			return changed, false, err
		}
		changed = true
		if n%64 == 0 && !until.IsZero() && time.Now().After(until) {
			return changed, true, nil
		}
	}
}

// Samples are those of the newest evaluation that has any, and its step.
func (h *History) Samples() (step int, samples []Sample) {
	if n := len(h.sampled); n > 0 {
		return h.sampled[n-1].step, h.sampled[n-1].samples
	}
	return 0, nil
}

// Trace is that of the newest evaluation that has one, and its step; nil if there is none.
func (h *History) Trace() (step int, t *Trace) {
	if n := len(h.traces); n > 0 {
		return h.traces[n-1].step, h.traces[n-1].trace
	}
	return 0, nil
}

// Ran is for how long there were processes that trained the run.
func (h *History) Ran() time.Duration { return h.lives + max(0, h.Newest.Sub(h.life)) }

// Left is the time that the rest of training will take, in seconds, 0 if that is not known. It may be more than a
// [time.Duration] can hold.
func (h *History) Left() float64 {
	left := max(0, float64(h.Setup.Steps-h.Latest)) * h.PerStep
	if h.Setup.Time > 0 {
		left = min(left, max(0, h.Setup.Time-h.Seconds))
	}
	return left
}

// Ended reports whether the newest thing that the run did was to end its training.
func (h *History) Ended() bool { return h.State == KindEnd }

// Failure is why the run failed, if that is how it stands.
func (h *History) Failure() (text string, failed bool) {
	if h.State != KindError {
		return "", false
	}
	for _, e := range slices.Backward(h.Log) {
		if e.Kind == KindError {
			return e.Text, true
		}
	}
	return "", true
}

// Saved returns the step of the newest checkpoint that the events report, and whether there is one. The run may have gone back
// since to a time before it.
func (h *History) Saved() (step int, ok bool) { return h.saved, h.isSaved }

// SecondsAt is how long training had taken when a step was done, as far as the events say. What a run has done after that step
// and taken back does not count.
func (h *History) SecondsAt(step int) float64 {
	for _, p := range slices.Backward(h.at.Points()) {
		if p.Step <= float64(step) {
			return p.Y
		}
	}
	return 0
}

// History reads the events so far; of a long run it may pass over some, see [Run.Events]. If some lines are not events, it
// returns what the others come to and the *LineErrors, joined: the first of them, if they are many.
func (r *Run) History() (*History, error) {
	h := NewHistory(CurvePoints)
	er, err := r.Events()
	if err != nil {
		return h, err
	}
	defer er.Close()
	if _, _, err = h.Follow(er, time.Time{}); err != nil {
		return h, fmt.Errorf("read the events: %w", err)
	}
	var garbled []error
	for _, line := range h.GarbledLines {
		garbled = append(garbled, line)
	}
	return h, errors.Join(garbled...)
}
