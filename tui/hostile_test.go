package tui

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coil/metric"
	"coil/run"
	"coil/tui/canvas"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/mattn/go-runewidth"
	"pgregory.net/rapid"
)

// anyEvent is an event as a garbled file, or a newer version, may have it.
func anyEvent() *rapid.Generator[run.Event] {
	number := rapid.OneOf(rapid.Float64Range(0, 100), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 1e308, -1e308, 0}))
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "\x1b[2J", "a\nb\tc", "漢字 wide", strings.Repeat("long ", 500)}))
	return rapid.Custom(func(t *rapid.T) run.Event {
		e := run.Event{Step: rapid.OneOf(rapid.IntRange(-1, 50), rapid.SampledFrom([]int{math.MaxInt, math.MinInt})).Draw(t, "step"), Text: text.Draw(t, "text"),
			Kind: rapid.SampledFrom([]string{run.KindStart, run.KindSetup, run.KindTrain, run.KindTrain, run.KindTrain, run.KindEval, run.KindCheckpoint, run.KindResume, run.KindPause,
				run.KindContinue, run.KindNote, run.KindStop, run.KindEnd, run.KindError, "of a newer version"}).Draw(t, "kind"),
			Time: begin.Add(time.Duration(rapid.Int64().Draw(t, "time")))}
		values := map[string]run.Number{}
		for _, name := range []string{"loss", "accuracy", "exact", "tokens", "seconds", "tokens_per_second", "lr", "grad_norm", "accuracy_loop_1", "accuracy_loop_99", "change_loop_1", "time_matmul",
			"memory", "thermal", "temperature", "low_power", "on_battery", "data_wait", "loss_loop_-3", "something new"} {
			if rapid.Bool().Draw(t, "has "+name) {
				values[name] = run.Number(number.Draw(t, name))
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "has setup") == 0 {
			e.Setup = &run.Setup{Model: text.Draw(t, "model"), Blocks: rapid.SliceOfN(rapid.IntRange(-2, 1<<40), 0, 5).Draw(t, "layers"), Loops: rapid.SliceOfN(rapid.IntRange(-2, 1<<40), 0, 5).Draw(t, "loops"),
				Looped: rapid.IntRange(-2, 6).Draw(t, "looped"), Steps: rapid.IntRange(-2, 1<<40).Draw(t, "steps"), Metric: rapid.SampledFrom([]metric.Metric{metric.Accuracy, metric.ExactMatch}).Draw(t, "metric"), Device: text.Draw(t, "device"),
				Memory: rapid.Int64().Draw(t, "memory"), MemoryLimit: rapid.Int64().Draw(t, "limit")}
		}
		var samples []run.Sample
		for range rapid.IntRange(0, 3).Draw(t, "samples") {
			samples = append(samples, run.Sample{Kind: text.Draw(t, "kind"), Question: text.Draw(t, "question"), Want: text.Draw(t, "want"), Said: text.Draw(t, "said"), Right: rapid.Bool().Draw(t, "right")})
		}
		if rapid.Bool().Draw(t, "has a record") {
			e.Train, e.Eval = run.TrainOf(values), run.EvalOf(values)
			e.Eval.Samples = samples
		}
		return e
	})
}

// Whatever the events, keys, mouse and size are, there is a frame, and it fits the screen.
func TestTakesAnything(t *testing.T) {
	var keys []string
	for _, g := range dashboardKeys {
		for _, b := range g.bindings {
			keys = append(keys, b.keys...)
		}
	}
	keys = append(keys, "a", "ä", "backspace", "5")
	viewed := newRun(t, "", nil)
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Style: Style{Theme: rapid.SampledFrom(canvas.Themes()).Draw(t, "theme"), Depth: rapid.SampledFrom([]canvas.Depth{canvas.NoColor, canvas.Color16, canvas.Color256}).Draw(t, "depth"),
			ASCII: rapid.Bool().Draw(t, "ascii")}}
		for range rapid.IntRange(1, 3).Draw(t, "runs") {
			o.Runs = append(o.Runs, viewed)
		}
		if rapid.Bool().Draw(t, "training") {
			now := rapid.Custom(func(t *rapid.T) run.Activity {
				return run.Activity{Phase: rapid.SampledFrom([]run.Phase{run.PhasePreparing, run.PhaseTraining, run.PhasePaused, run.PhaseDone}).Draw(t, "phase"), Loop: rapid.IntRange(0, 9).Draw(t, "loop")}
			}).Draw(t, "now")
			o.Runs, o.Training = nil, &Training{Start: func() {}, Signaled: func() bool { return false }, Run: func() *run.Run { return nil }, Control: new(run.Control), Activity: func() run.Activity { return now }, Log: func() []string { return nil }}
		}
		m := newModel(o, clock)
		for range rapid.IntRange(1, 40).Draw(t, "messages") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				m.update(tea.WindowSizeMsg{Width: rapid.IntRange(-1, 220).Draw(t, "width"), Height: rapid.IntRange(-1, 60).Draw(t, "height")})
			case 1, 2:
				if key := rapid.SampledFrom(keys).Draw(t, "key"); key != "w" { // this writes files
					m.update(keyMsg(key))
				}
			case 3:
				m.update(tea.MouseMsg{X: rapid.IntRange(-2, 220).Draw(t, "x"), Y: rapid.IntRange(-2, 60).Draw(t, "y"), Action: tea.MouseActionPress,
					Button: rapid.SampledFrom([]tea.MouseButton{tea.MouseButtonLeft, tea.MouseButtonRight, tea.MouseButtonWheelUp, tea.MouseButtonWheelDown}).Draw(t, "button")})
			default:
				w := m.runs[rapid.IntRange(0, len(m.runs)-1).Draw(t, "run")]
				for range rapid.IntRange(1, 10).Draw(t, "events") {
					w.Add(anyEvent().Draw(t, "event"))
				}
				m.dirty = true
			}
			fits(t, m)
		}
	})
}

// fits fails unless a frame fits the screen.
func fits(t *rapid.T, m *model) {
	frame := m.view()
	lines := strings.Split(frame, "\n")
	if m.height == 0 && frame == "" {
		return
	}
	if len(lines) != m.height {
		t.Fatalf("%d lines on a screen of %d", len(lines), m.height)
	}
	for _, line := range lines {
		text := stripped(line)
		if n := runewidth.StringWidth(text); n != m.width {
			t.Fatalf("a line of %d columns on a screen of %d: %q", n, m.width, text)
		}
		if strings.ContainsRune(text, 0x1b) {
			t.Fatalf("an escape of a file is on the screen: %q", line)
		}
	}
}

// stripped is a line without the sequences that set colours.
func stripped(line string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(line, "\x1b[")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != ';' })
		if end < 0 || rest[end] != 'm' {
			b.WriteString("\x1b")
			return b.String()
		}
		line = rest[end+1:]
	}
}

// A run that is still growing, cut off, garbled and gone on with is shown as far as it is known.
func TestGrowingAndGarbled(t *testing.T) {
	r := newRun(t, "", story(300, 1200))
	m := open(t, Options{Runs: []*run.Run{r}, Style: style()}, 120, 40)
	has(t, m, "300/1200")
	events := filepath.Join(r.Path(), "events.jsonl")
	write := func(s string) {
		f, err := os.OpenFile(events, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	poll := func() {
		m.update(tick{})
		m.draw()
	}
	if err := r.Append(reported(310, 1200)); err != nil {
		t.Fatal(err)
	}
	poll()
	has(t, m, "310/1200")
	write(`{"kind":"train","step":320,"tra`) // cut off
	poll()
	has(t, m, "310/1200")
	write(`in":{"loss":0.5}}` + "\n")
	poll()
	has(t, m, "320/1200")
	write("garbage\n\x00\xff\n" + `{"kind":"from the future","step":330,"new":[1,2]}` + "\n")
	poll()
	has(t, m, "330/1200")
	press(m, "9")
	has(t, m, "skipped 2 lines of events.jsonl")
	press(m, "9")
	if err := r.Append(run.Event{Kind: run.KindResume, Step: 200, Time: begin}); err != nil {
		t.Fatal(err)
	}
	poll()
	if p, _ := m.shown().Train.Last(run.Loss.Key()); p.Step != 200 {
		t.Errorf("after going back to step 200 the last report is of %g", p.Step)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	m.runs[0].checked = time.Time{}
	poll()
	has(t, m, "killed")
	if err := os.Truncate(events, 10); err != nil { // nothing left to read
		t.Fatal(err)
	}
	poll()
	has(t, m, "200/1200")
}

func BenchmarkFrame(b *testing.B) {
	m := newModel(Options{Style: style(), Runs: []*run.Run{nil}}, clock)
	for step := 10; step < 40000; step += 10 {
		m.runs[0].Add(reported(step, 40000))
	}
	m.width, m.height = 160, 45
	b.ReportAllocs()
	for b.Loop() {
		m.dirty = true
		m.view()
	}
}
