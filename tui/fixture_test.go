package tui

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"coil/metric"
	"coil/run"
	"coil/tui/canvas"
)

var begin = time.Date(2026, 11, 23, 18, 47, 4, 0, time.UTC)

// setupOf is a middle-looped model on p-hop.
func setupOf(steps int) *run.Setup {
	return &run.Setup{Model: "4⊗(1,4,1)", Blocks: []int{4, 4, 4}, Loops: []int{1, 4, 1}, Looped: 1, Parameters: 602368, FLOPs: 5_500_000,
		Task: "p-hop", Kinds: []string{"4 hops"}, Metric: metric.Accuracy, Steps: steps, Batch: 64, Length: 64,
		Backend: "cpu", Device: "Processor", Kernels: "avx2", Workers: 2, Memory: 120 << 20, MemoryLimit: 8 << 30}
}

// reported is a train event of a run that learns at about half of its steps.
func reported(step, steps int) run.Event {
	x := float64(step) / float64(steps)
	loss := 1.35/(1+math.Exp((x-0.45)*25)) + 0.02 + 0.03*math.Sin(float64(step))
	return run.Event{Kind: run.KindTrain, Step: step, Time: begin.Add(time.Duration(step) * 50 * time.Millisecond), Train: run.TrainOf(map[string]run.Number{
		"loss": run.Number(loss), "accuracy": run.Number(1 - loss/2), "grad_norm": run.Number(0.3 + loss), "lr": run.Number(4e-3 * (1 - x)),
		"tokens": run.Number(step * 4096), "tokens_per_second": run.Number(190000 + 9000*math.Sin(float64(step)/40)), "mfu": 0.412, "data_wait": 0.0001, "seconds": run.Number(float64(step) * 0.05),
		"time_matmul": 0.61, "time_attention": 0.22, "time_norm": 0.05, "time_elementwise": 0.06, "time_loss": 0.02, "time_optimizer": 0.04,
		"memory": 150 << 20, "temperature": 61, "on_battery": 0})}
}

func evaluated(step, steps int) run.Event {
	e := reported(step, steps)
	e.Kind = run.KindEval
	a := *e.Train.Accuracy
	e.Eval = &run.Eval{Score: run.Score{Loss: e.Train.Loss, Accuracy: &a, Exact: new(run.Number(0))}, Examples: new(run.Number(256))}
	e.Train = nil
	for i := run.Number(1); i <= 4; i++ {
		e.Eval.Loops = append(e.Eval.Loops, run.LoopScore{Loop: int(i), Change: new(4 / (i * i)),
			Score: run.Score{Accuracy: new(a * (0.2 + 0.2*i)), Loss: new(2 - 0.4*i)}})
	}
	e.Eval.Samples = []run.Sample{{Kind: "4 hops", Question: "abcbdacbdbcabdcabcbdacb", Want: "d", Said: "d", Right: true},
		{Kind: "4 hops", Question: "cabdbcabdacbdacbdcabcad", Want: "b", Said: "a"}}
	return e
}

// story returns the events of a run after a number of its steps.
func story(done, steps int) []run.Event {
	events := []run.Event{{Kind: run.KindStart, Time: begin}, {Kind: run.KindSetup, Time: begin, Setup: setupOf(steps)}}
	for step := 10; step <= done; step += 10 {
		events = append(events, reported(step, steps))
		if step%250 == 0 {
			events = append(events, evaluated(step, steps))
		}
		if step%500 == 0 {
			events = append(events, run.Event{Kind: run.KindCheckpoint, Step: step, Time: begin.Add(time.Duration(step) * 50 * time.Millisecond)})
		}
	}
	return events
}

// newRun makes a run of events, which this process holds open.
func newRun(t *testing.T, name string, events []run.Event) *run.Run {
	t.Helper()
	r, err := run.CreateAt(filepath.Join(t.TempDir(), "run"), []byte("[model]\n"), run.Info{Name: name, Backend: "cpu", Device: "Processor", Parameters: 602368})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	for _, e := range events {
		if err := r.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// clock is a time that does not pass.
func clock() time.Time { return begin.Add(time.Hour) }

// open is a dashboard of w×h cells that has read all of its runs.
func open(t *testing.T, o Options, w, h int) *model {
	t.Helper()
	m := newModel(o, clock)
	t.Cleanup(m.close)
	m.width, m.height = w, h
	if o.Experiment != nil {
		m.followCells()
	}
	for _, r := range m.runs {
		for more := true; more; more = r.more {
			r.poll(clock())
		}
	}
	m.draw()
	return m
}

// style is that of the tests.
func style() Style { return Style{Theme: canvas.Themes()[0], Depth: canvas.Color256} }
