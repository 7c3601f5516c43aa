package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"coil/thorough"
)

// sameNumber compares numbers, and takes NaN for equal to NaN.
var sameNumber = cmp.Comparer(func(a, b Number) bool {
	return math.Float64bits(float64(a)) == math.Float64bits(float64(b)) || a != a && b != b
})

func eventsPath(r *Run) string { return filepath.Join(r.Path(), eventsName) }

// write adds bytes to the events as no run would.
func write(t testing.TB, r *Run, s string) {
	t.Helper()
	f := must(os.OpenFile(eventsPath(r), os.O_WRONLY|os.O_APPEND, 0))(t)
	defer f.Close()
	if _, err := f.WriteString(s); err != nil {
		t.Fatal(err)
	}
}

func reader(t testing.TB, r *Run) *EventReader {
	t.Helper()
	er := must(r.Events())(t)
	t.Cleanup(func() { er.Close() })
	return er
}

func wantEOF(t testing.TB, er *EventReader) {
	t.Helper()
	if e, err := er.Next(); err != io.EOF {
		t.Fatalf("%+v, %v; want io.EOF", e, err)
	}
}

func wantNote(t testing.TB, er *EventReader, text string) {
	t.Helper()
	if e, err := er.Next(); err != nil || e.Text != text {
		t.Fatalf("%.60q, %v; want %.60q", e.Text, err, text)
	}
}

func note(text string) Event { return Event{Kind: KindNote, Text: text} }

func TestEventBytes(t *testing.T) {
	r := newRun(t)
	e := Event{Kind: KindTrain, Step: 7, Time: time.Date(2026, 11, 23, 15, 20, 31, 123_456_789, time.UTC), Text: "a<b\n",
		Train: &Train{Loss: new(Number(0.5)), Rate: new(Number(1e-9)), Tokens: new(Number(1 << 40)),
			Cosines: map[string]Number{"x": Number(math.NaN()), "y": Number(math.Inf(1)), "z": Number(math.Inf(-1))}}}
	if err := r.Append(e); err != nil {
		t.Fatal(err)
	}
	want := `{"kind":"train","step":7,"time":"2026-11-23T15:20:31.123Z","text":"a<b\n",` +
		`"train":{"loss":0.5,"lr":1e-9,"tokens":1099511627776,"cosines":{"x":"NaN","y":"+Inf","z":"-Inf"}}}` + "\n"
	if diff := cmp.Diff(want, string(must(os.ReadFile(eventsPath(r)))(t))); diff != "" {
		t.Error(diff)
	}
	e.Time = e.Time.Round(time.Millisecond)
	if diff := cmp.Diff(e, must(reader(t, r).Next())(t), sameNumber); diff != "" {
		t.Error(diff)
	}
}

func TestNumberRefuses(t *testing.T) {
	for _, s := range []string{`null`, `"1"`, `"nan"`, `""`, `true`, `[]`, `1e999`} {
		if e, err := decodeEvent([]byte(`{"kind":"train","values":{"x":` + s + `}}`)); err == nil {
			t.Errorf("%s was read as %v", s, e.Train)
		}
		if s == "null" { // as if there were none
			continue
		}
		if e, err := decodeEvent([]byte(`{"kind":"train","train":{"loss":` + s + `}}`)); err == nil {
			t.Errorf("%s was read as %v", s, e.Train)
		}
	}
}

func TestEventsRoundTrip(t *testing.T) {
	r := newRun(t)
	er := reader(t, r)
	rapid.Check(t, func(rt *rapid.T) {
		want := Event{
			Kind: rapid.SampledFrom([]string{KindTrain, KindEval, KindNote, "newer"}).Draw(rt, "kind"),
			Step: rapid.IntRange(0, math.MaxInt).Draw(rt, "step"),
			Time: time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(rt, "time")).UTC(),
			Text: rapid.String().Draw(rt, "text"),
		}
		switch want.Kind {
		case KindTrain:
			want.Train = anyRecord[Train](rt)
		case KindEval:
			want.Eval = anyRecord[Eval](rt)
		}
		if err := r.Append(want); err != nil {
			rt.Fatal(err)
		}
		got, err := er.Next()
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got, sameNumber); diff != "" {
			rt.Fatal(diff)
		}
		if _, err := er.Next(); err != io.EOF {
			rt.Fatal(err)
		}
	})
}

func TestTimeIsSet(t *testing.T) {
	r := newRun(t)
	before := time.Now().Add(-time.Millisecond)
	if err := r.Append(note("")); err != nil {
		t.Fatal(err)
	}
	if e := must(reader(t, r).Next())(t); e.Time.Before(before) || e.Time.After(time.Now().Add(time.Millisecond)) {
		t.Errorf("the time is %v", e.Time)
	}
}

// However the file grows, the reader returns each line once, and only whole.
func TestReaderOfAGrowingFile(t *testing.T) {
	r := newRun(t)
	long := strings.Repeat("long ", 50_000) // 250 kB
	var lines []string
	for _, text := range []string{"a", long, "b", "", long + long, "c"} {
		b := must(json.Marshal(note(text)))(t)
		lines = append(lines, string(b)+"\n")
	}
	all := strings.Join(lines, "")
	for _, step := range []int{1 << 30, 100_003, 65_536, 7_919} {
		if err := os.Truncate(eventsPath(r), 0); err != nil {
			t.Fatal(err)
		}
		er := reader(t, r)
		returned := 0 // bytes of lines
		for written := 0; written < len(all); {
			next := min(written+step, len(all))
			write(t, r, all[written:next])
			written = next
			for {
				e, err := er.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				line := string(must(json.Marshal(e))(t)) + "\n"
				if !strings.HasPrefix(all[returned:written], line) {
					t.Fatalf("in pieces of %d: at byte %d of %d came %.40q", step, returned, written, line)
				}
				returned += len(line)
			}
			if left := all[returned:written]; strings.Contains(left, "\n") {
				t.Fatalf("in pieces of %d: a whole line was taken for cut", step)
			}
		}
		if returned != len(all) {
			t.Errorf("in pieces of %d: %d of %d bytes came", step, returned, len(all))
		}
	}
}

func TestReaderOfGarbledLines(t *testing.T) {
	r := newRun(t)
	write(t, r, `{"kind":"note","text":"1","newer":{"x":[1]}}`+"\n"+
		"\x00\x00garbage\n"+
		"\n  \r\n"+
		`{"kind":"note","te`+"\n"+
		`{"kind":"note","text":"6","values":{"x":null}}`+"\n"+
		`{"step":7}`+"\n"+
		`[]`+"\n"+
		strings.Repeat("x", 200_000)+"\n"+
		`{"kind":"note","text":"10"}`+"\r\n"+
		`{"kind":"note","text":"11"}`)
	er := reader(t, r)
	wantNote(t, er, "1")
	for _, line := range []int{2, 5, 6, 7, 8, 9} {
		_, err := er.Next()
		var le *LineError
		if !errors.As(err, &le) || le.Line != line || le.Path != eventsPath(r) {
			t.Fatalf("%v; want an error of line %d", err, line)
		}
		wantError(t, err, fmt.Sprintf("%s:%d: ", eventsPath(r), line))
	}
	wantNote(t, er, "10")
	wantEOF(t, er)
	wantEOF(t, er)
	write(t, r, "\n")
	wantNote(t, er, "11")
	wantEOF(t, er)

	h, err := r.History()
	var le *LineError
	if len(h.Log) != 3 || h.Garbled != 6 || !errors.As(err, &le) || strings.Count(err.Error(), "not an event") != 6 {
		t.Errorf("%d events, %v; want 3 and 6 lines that are not", len(h.Log), err)
	}
}

// The next process that opens the run removes a line that a kill has cut, and readers see the line that replaces it.
func TestCutLine(t *testing.T) {
	t.Parallel()
	for _, cut := range []string{"{", `{"kind":"note","text":"`, strings.Repeat("x", 4096), strings.Repeat("x", 9000), "\x00\x00", `{"kind":"note","text":"whole"}`} {
		for _, before := range []string{"", "before"} {
			r := newRun(t)
			if before != "" {
				if err := r.Append(note(before)); err != nil {
					t.Fatal(err)
				}
			}
			write(t, r, cut)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			er := reader(t, r)
			if before != "" {
				wantNote(t, er, before)
			}
			wantEOF(t, er)
			again := must(Open(r.Path()))(t)
			wantEOF(t, er)
			if err := again.Append(note("after")); err != nil {
				t.Fatal(err)
			}
			wantNote(t, er, "after")
			wantEOF(t, er)
			if _, err := again.History(); err != nil {
				t.Error(err)
			}
			again.Close()
		}
	}
}

// Many write, and many read: each event comes once, whole, and each writer's in order.
func TestAppendAtTheSameTime(t *testing.T) {
	r := newRun(t)
	const writers, each = 4, 100
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := r.Append(Event{Kind: fmt.Sprint(w), Step: i, Text: strings.Repeat("x", i*50)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			er, err := r.Events()
			if err != nil {
				t.Error(err)
				return
			}
			defer er.Close()
			next := make(map[string]int)
			for n := 0; n < writers*each; {
				e, err := er.Next()
				if err == io.EOF {
					time.Sleep(time.Millisecond)
					continue
				}
				if err != nil || e.Step != next[e.Kind] || len(e.Text) != e.Step*50 {
					t.Errorf("writer %s: event %d with %d bytes, %v; want event %d", e.Kind, e.Step, len(e.Text), err, next[e.Kind])
					return
				}
				next[e.Kind]++
				n++
			}
		})
	}
	wg.Wait()
}

func TestEventsOfAMissingFile(t *testing.T) {
	r := newRun(t)
	if err := os.Remove(eventsPath(r)); err != nil {
		t.Fatal(err)
	}
	_, err := r.Events()
	wantError(t, err, eventsPath(r))
	_, err = r.History()
	wantError(t, err, eventsPath(r))
}

// steps is what a history says, shortly: the log, and the steps of its curves.
func steps(h *History) string {
	var b strings.Builder
	for _, e := range h.Log {
		if e.Kind != KindEval { // the log has also those that were taken back
			fmt.Fprintf(&b, "%s%d ", e.Kind, e.Step)
		}
	}
	for _, s := range []struct {
		name string
		Series
	}{{"train", h.Train}, {"eval", h.HeldOut}} {
		b.WriteString(s.name)
		for _, p := range s.Points(Loss.Key()) {
			fmt.Fprintf(&b, " %g", p.Step)
		}
		b.WriteString("; ")
	}
	return b.String()
}

func TestHistoryOfAResumedRun(t *testing.T) {
	r := newRun(t)
	report := func(kind string, step int) {
		t.Helper()
		e := Event{Kind: kind, Step: step}
		switch kind {
		case KindTrain:
			e.Train = &Train{Loss: new(Number(step))}
		case KindEval:
			e.Eval = &Eval{Score: Score{Loss: new(Number(step))}}
		}
		if err := r.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	rewind := func(step int) {
		t.Helper()
		if err := r.Rewind(step); err != nil {
			t.Fatal(err)
		}
	}
	report(KindStart, 0)
	for _, s := range []int{10, 20, 30} {
		report(KindTrain, s)
		report(KindEval, s)
	}
	report(KindCheckpoint, 20)
	report(KindError, 35)
	rewind(20)
	report(KindTrain, 30)
	report(KindTrain, 40)
	const want = "start0 checkpoint20 error35 resume20 train 10 20 30 40; eval 10 20; "
	if got := steps(must(r.History())(t)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	rewind(35)
	rewind(35)
	report(KindTrain, 40)
	const second = "start0 checkpoint20 error35 resume20 resume35 resume35 train 10 20 30 40; eval 10 20; "
	if got := steps(must(r.History())(t)); got != second {
		t.Errorf("%s\nwant\n%s", got, second)
	}
	rewind(0)
	const third = "start0 checkpoint20 error35 resume20 resume35 resume35 resume0 train; eval; "
	if got := steps(must(r.History())(t)); got != third {
		t.Errorf("%s\nwant\n%s", got, third)
	}
	// Nothing is removed from the file.
	er := reader(t, r)
	n := 0
	for ; ; n++ {
		if _, err := er.Next(); err == io.EOF {
			break
		}
	}
	if n != 16 {
		t.Errorf("the file has %d events, want 16", n)
	}
}

// Whatever a run does, its history has the steps of training in ascending order.
func TestHistoryAscends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := NewHistory(CurvePoints)
		step := 0
		for range rapid.IntRange(0, 50).Draw(t, "events") {
			if rapid.IntRange(0, 4).Draw(t, "resume") == 0 {
				step = rapid.IntRange(0, step).Draw(t, "to")
				h.Add(Event{Kind: KindResume, Step: step})
				continue
			}
			step++
			h.Add(Event{Kind: KindTrain, Step: step, Train: &Train{Loss: new(Number(0))}})
		}
		last := 0
		for _, p := range h.Train.Points(Loss.Key()) {
			if int(p.Step) != last+1 {
				t.Fatal(steps(h))
			}
			last = int(p.Step)
		}
		if last != step {
			t.Fatalf("at step %d: %s", step, steps(h))
		}
	})
}

// Whatever the file holds, reading ends, and the run can be opened and appended to.
func FuzzEvents(f *testing.F) {
	f.Add([]byte(`{"kind":"train","step":3,"time":"2026-11-23T15:20:31Z","values":{"loss":"NaN"}}`+"\n"), 20)
	f.Add([]byte(`{"kind":"eval","step":3,"eval":{"loss":"NaN","loops":[{"loop":1,"change":2}],"samples":[{}]}}`+"\n"), 9)
	f.Add([]byte("\n\n{}\n\x00"), 3)
	f.Add([]byte(`{"kind":"resume","step":1}`+"\nx\n"+`{"kind":"note"`), 30)
	f.Fuzz(func(t *testing.T, b []byte, flushed int) {
		dir := t.TempDir()
		path := filepath.Join(dir, eventsName)
		flushed = min(max(flushed, 0), len(b))
		if err := os.WriteFile(path, b[:flushed], 0o666); err != nil {
			t.Fatal(err)
		}
		er := must((&Run{path: dir}).Events())(t)
		defer er.Close()
		events, lines := 0, 0
		read := func() {
			for {
				_, err := er.Next()
				var le *LineError
				switch {
				case err == io.EOF:
					return
				case err == nil:
					events++
				case !errors.As(err, &le) || le.Line <= lines:
					t.Fatalf("after line %d: %v", lines, err)
				default:
					lines = le.Line
				}
			}
		}
		read()
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		read()
		whole, before := bytes.Count(b, []byte("\n")), events
		if er.line != whole {
			t.Fatalf("%d of %d lines", er.line, whole)
		}
		w := &Run{path: dir}
		if err := w.openEvents(); err != nil {
			t.Fatal(err)
		}
		defer w.events.Close()
		w.lock = must(acquire(dir))(t)
		defer w.lock.Close()
		if err := w.Append(note("last")); err != nil {
			t.Fatal(err)
		}
		read()
		if er.line != whole+1 || events != before+1 {
			t.Fatalf("%d lines and %d events more", er.line-whole, events-before)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	r := newRun(b)
	e := Event{Kind: KindTrain, Train: &Train{Loss: new(Number(1.2345)), Rate: new(Number(3e-4)), GradNorm: new(Number(0.7)), Tokens: new(Number(1e9)), TokensPerSecond: new(Number(1e5))}}
	for b.Loop() {
		if err := r.Append(e); err != nil {
			b.Fatal(err)
		}
	}
}

// A line without end takes no more memory than a long one may, and the events after it are read.
func TestLineWithoutEnd(t *testing.T) {
	thorough.Skip(t)
	path := filepath.Join(t.TempDir(), "run")
	r, err := CreateAt(path, nil, Info{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := os.OpenFile(filepath.Join(path, eventsName), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	er, err := r.Events()
	if err != nil {
		t.Fatal(err)
	}
	defer er.Close()
	piece := bytes.Repeat([]byte("x"), 1<<20)
	for range 40 {
		if _, err := f.Write(piece); err != nil {
			t.Fatal(err)
		}
		if _, err := er.Next(); err != io.EOF {
			t.Fatal(err)
		}
		if cap(er.buf) > 2*longestLine {
			t.Fatalf("%d bytes are kept", cap(er.buf))
		}
	}
	if _, err := f.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	if err := r.Append(Event{Kind: KindNote, Text: "after it"}); err != nil {
		t.Fatal(err)
	}
	line := (*LineError)(nil)
	if _, err := er.Next(); !errors.As(err, &line) || line.Line != 1 || !strings.Contains(err.Error(), "longer than 16 MiB") {
		t.Fatal(err)
	}
	if e, err := er.Next(); err != nil || e.Text != "after it" {
		t.Fatalf("%v, %v", e, err)
	}
}

// A reader of events can also return their lines, and report one without an end.
func TestLines(t *testing.T) {
	r := newRun(t)
	write(t, r, `{"kind":"note","text":"a","later":1}`+"\n\n"+`{"kind":"note","text":"b"}`+"\n"+`{"kind":"no`)
	er := reader(t, r)
	wantNote(t, er, "a")
	if got, want := string(er.Line()), `{"kind":"note","text":"a","later":1}`+"\n"; got != want {
		t.Errorf("the line is %q, want %q", got, want)
	}
	wantNote(t, er, "b")
	wantEOF(t, er)
	if er.Cut() != len(`{"kind":"no`) {
		t.Errorf("%d bytes without an end", er.Cut())
	}
	write(t, r, `te","text":"c"}`+"\n")
	wantNote(t, er, "c")
	wantEOF(t, er)
	if er.Cut() != 0 {
		t.Errorf("%d bytes without an end, of whole lines", er.Cut())
	}
}
