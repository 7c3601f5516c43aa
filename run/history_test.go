package run

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"coil/run/curve"
	"coil/thorough"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// wantSame fails unless two histories are equal.
func wantSame(t rapid.TB, got, want *History) {
	t.Helper()
	numbers := cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b })
	times := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
	if d := cmp.Diff(want, got, cmp.AllowUnexported(tracedAt{}, History{}, Series{}, curve.Curve{}, curve.Point{}, sampled{}), numbers, sameNumber, times,
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Path" }, cmp.Ignore())); d != "" {
		t.Fatal(d)
	}
}

// anyEvent is an event of any kind, with a record or not.
func anyEvent(t *rapid.T) Event {
	e := Event{Kind: rapid.SampledFrom([]string{KindStart, KindSetup, KindTrain, KindTrain, KindTrain, KindEval, KindCheckpoint, KindResume, KindPause, KindContinue, KindNote, KindStop,
		KindEnd, KindError, "newer"}).Draw(t, "kind"), Step: rapid.IntRange(-1, 30).Draw(t, "step"), Time: time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "time")), Text: rapid.String().Draw(t, "text")}
	switch e.Kind {
	case KindTrain:
		e.Train = anyRecord[Train](t)
	case KindEval:
		e.Eval = anyRecord[Eval](t)
	case KindSetup:
		e.Setup = &Setup{Model: rapid.String().Draw(t, "model"), Steps: rapid.IntRange(-1, 50).Draw(t, "steps")}
	}
	if e.Kind == KindSetup || e.Kind == KindCheckpoint {
		e.Seconds = new(anyNumber.Draw(t, "seconds"))
	}
	return e
}

// Whoever adds events as they happen, follows a run as it grows, or reads it afterwards has the same history.
func TestHistoryStreamedAndRead(t *testing.T) {
	t.Parallel()
	most := 40 / thorough.Every(t, 2, "events")
	rapid.Check(t, func(rt *rapid.T) {
		r := &Run{path: t.TempDir()}
		if err := os.WriteFile(eventsPath(r), nil, 0o666); err != nil {
			rt.Fatal(err)
		}
		f := must(os.OpenFile(eventsPath(r), os.O_WRONLY|os.O_APPEND, 0))(t)
		defer f.Close()
		er := must(r.Events())(t)
		defer er.Close()
		added, followed := NewHistory(CurvePoints), NewHistory(CurvePoints)
		for range rapid.IntRange(0, most).Draw(rt, "events") {
			e := anyEvent(rt)
			added.Add(e)
			line := must(encodeEvent(e))(t)
			cut := rapid.IntRange(0, len(line)).Draw(rt, "cut")
			for _, piece := range [][]byte{line[:cut], line[cut:]} {
				must(f.Write(piece))(t)
				if rapid.Bool().Draw(rt, "looks") {
					if _, _, err := followed.Follow(er, time.Time{}); err != nil {
						rt.Fatal(err)
					}
				}
			}
		}
		if _, _, err := followed.Follow(er, time.Time{}); err != nil {
			rt.Fatal(err)
		}
		wantSame(rt, followed, added)
		read, err := r.History()
		if err != nil {
			rt.Fatal(err)
		}
		wantSame(rt, read, added)
	})
}

// An archived run, and the same run as this program would write its events, have the same history.
func TestArchivedHistory(t *testing.T) {
	for _, path := range archivedEvents(t) {
		old := &Run{path: filepath.Dir(path)}
		want, err := old.History()
		if err != nil {
			t.Fatal(err)
		}
		again := &Run{path: t.TempDir()}
		var lines strings.Builder
		er := must(old.Events())(t)
		defer er.Close()
		for {
			e, err := er.Next()
			if err != nil {
				break
			}
			lines.Write(must(encodeEvent(e))(t))
		}
		if strings.Contains(lines.String(), `"values"`) {
			t.Fatalf("%s: the events still have values", path)
		}
		if err := os.WriteFile(eventsPath(again), []byte(lines.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		got, err := again.History()
		if err != nil {
			t.Fatal(err)
		}
		want.Cut = 0
		wantSame(t, got, want)
		if got.Train.Step() == 0 || len(got.Train.Points(Loss.Key())) == 0 {
			t.Errorf("%s: there is no report of training", path)
		}
	}
}

// However long a run is, its history takes the same memory.
func TestHistoryIsBounded(t *testing.T) {
	h := NewHistory(CurvePoints)
	at := time.Unix(0, 0)
	grow := func(from, to int) {
		for step := from; step < to; step++ {
			at = at.Add(time.Second)
			h.Add(Event{Kind: KindTrain, Step: step, Time: at, Train: &Train{Loss: new(Number(step % 7)), Accuracy: new(Number(0.5)), Seconds: new(Number(step))}})
			if step%10 == 0 {
				h.Add(Event{Kind: KindEval, Step: step, Time: at, Eval: &Eval{Score: Score{Loss: new(Number(1))}, Samples: make([]Sample, 100),
					Other: map[string]Number{fmt.Sprint(step): 1}}}) // a new name each time
				h.Add(Event{Kind: fmt.Sprint("newer", step), Step: step, Time: at, Text: strings.Repeat("x", 9000)})
				h.Add(Event{Kind: KindCheckpoint, Step: step, Time: at, Seconds: new(Number(step))})
			}
		}
	}
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	grow(1, 30_000)
	before := heap()
	grow(30_000, 90_000)
	if after := heap(); after > before+before/4+1<<20 {
		t.Errorf("%d bytes became %d", before, after)
	}
	if len(h.Log) > mostLogged || h.Log[0].Step != 10 || h.Log[len(h.Log)-1].Step != 89_990 || len(h.Log)+h.Omitted != 3*8999 {
		t.Errorf("%d lines of the log, from step %d to %d, and %d were given up", len(h.Log), h.Log[0].Step, h.Log[len(h.Log)-1].Step, h.Omitted)
	}
	if s := h.SecondsAt(89_995); s != 89_995 {
		t.Errorf("training took %g seconds", s)
	}
	runtime.KeepAlive(h)
}

// What a newer coil writes is counted and passed over.
func TestUnknownEvents(t *testing.T) {
	r := newRun(t)
	write(t, r, `{"kind":"train","step":3,"Kind":"train","train":{"loss":2,"newer":1,"loops":[]},"values":{},"newer":[]}`+"\n"+
		`{"kind":"newer","step":4}`+"\n"+"garbage\n"+`{"kind":"note","step":5,"newer":1}`+"\n")
	h := NewHistory(0)
	h.UnknownMembers = map[string]int{}
	if _, _, err := h.Follow(reader(t, r), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"newer": 2, "train.newer": 1}, h.UnknownMembers); d != "" {
		t.Errorf("members: %s", d)
	}
	if d := cmp.Diff(map[string]int{"newer": 1}, h.UnknownKinds); d != "" {
		t.Errorf("kinds: %s", d)
	}
	if v, ok := h.Train.Value(Loss.Key()); !ok || v != 2 || h.State != KindTrain || h.Step != 3 || h.Latest != 5 || h.Garbled != 1 || h.GarbledLines[0].Line != 3 {
		t.Errorf("%g %t, %s, step %d, %d garbled: %v", v, ok, h.State, h.Step, h.Garbled, h.GarbledLines)
	}
}

// What is taken back is not current any more.
func TestCurrent(t *testing.T) {
	h := NewHistory(0)
	eval := func(step int, e Eval) { h.Add(Event{Kind: KindEval, Step: step, Eval: &e}) }
	eval(10, Eval{Score: Score{Loss: new(Number(1)), Exact: new(Number(0.25))}, Loops: []LoopScore{{Loop: 2}, {Loop: 1, Score: Score{Exact: new(Number(0.5))}}}, Samples: []Sample{{Kind: "a"}}})
	eval(20, Eval{Score: Score{Loss: new(Number(2))}, Samples: []Sample{{Kind: "b"}}})
	if _, ok := h.HeldOut.Current(Exact.Key()); ok || h.HeldOut.Step() != 20 || len(h.HeldOut.CurrentKeys()) != 1 {
		t.Errorf("at step %d there are %v", h.HeldOut.Step(), h.HeldOut.CurrentKeys())
	}
	h.Add(Event{Kind: KindResume, Step: 15})
	if v, ok := h.HeldOut.Current(Exact.Key()); !ok || v != 0.25 || h.HeldOut.Step() != 10 {
		t.Errorf("at step %d there is %g", h.HeldOut.Step(), v)
	}
	if loops := Loops(h.HeldOut.CurrentKeys(), Exact); len(loops) != 1 || loops[0] != 1 {
		t.Errorf("loops %v", loops)
	}
	if step, samples := h.Samples(); step != 10 || len(samples) != 1 || samples[0].Kind != "a" {
		t.Errorf("samples of step %d: %v", step, samples)
	}
	h.Add(Event{Kind: KindResume, Step: 0})
	if _, samples := h.Samples(); len(h.HeldOut.Keys()) > 0 || h.HeldOut.Step() != 0 || samples != nil {
		t.Errorf("all is taken back, and there are %v, %v", h.HeldOut.Keys(), samples)
	}
}

// A run may need longer than a time.Duration can hold.
func TestLeft(t *testing.T) {
	h := NewHistory(0)
	h.Setup, h.Latest, h.PerStep = Setup{Steps: 12e12}, 0, 1
	if left := h.Left(); left != 12e12 {
		t.Errorf("%g s are left, want %g", left, 12e12)
	}
}

// The trace of the newest evaluation is kept, taken back with it, and of bounded size.
func TestTrace(t *testing.T) {
	h := NewHistory(10)
	if _, trace := h.Trace(); trace != nil {
		t.Error("a trace of nothing")
	}
	for step := 1; step <= 9; step++ {
		wide := TraceRow{Label: "loop", Cells: make([]TraceCell, 1000)}
		h.Add(Event{Kind: KindEval, Step: step, Eval: &Eval{Trace: &Trace{About: strings.Repeat("a", 9000), Rows: slices.Repeat([]TraceRow{wide}, 1000)}}})
	}
	step, trace := h.Trace()
	if step != 9 || len(trace.Rows) != mostTraced || len(trace.Rows[0].Cells) != mostTraced || len(trace.About) != longestText {
		t.Errorf("the trace of step %d has %d rows and an introduction of %d bytes", step, len(trace.Rows), len(trace.About))
	}
	h.Add(Event{Kind: KindResume, Step: 7})
	if step, _ := h.Trace(); step != 7 {
		t.Errorf("after going back to step 7 the trace is of step %d", step)
	}
	h.Add(Event{Kind: KindResume, Step: 1})
	if step, trace := h.Trace(); trace != nil {
		t.Errorf("after going back to step 1 there is a trace of step %d", step)
	}
}
