package report

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"coil/metric"
	"coil/run"
)

// story is a run made by a test.
type story struct {
	id, config string
	setup      run.Setup
	events     []run.Event
}

// clock is when the events of stories happen.
var clock = time.Date(2026, 11, 24, 9, 30, 0, 0, time.FixedZone("", 3600))

// tell writes the events of the run.
func (s story) tell(t testing.TB) *run.Run {
	t.Helper()
	r := s.open(t)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return r
}

// open writes the run, which stays open.
func (s story) open(t testing.TB) *run.Run {
	t.Helper()
	if s.id == "" {
		s.id = "2026-11-24_09-30-00_ab12"
	}
	r, err := run.CreateAt(filepath.Join(t.TempDir(), s.id), []byte(s.config), run.Info{Args: []string{"coil", "train"}, Host: "here", Backend: "cpu",
		Device: "Some CPU", Parameters: s.setup.Parameters})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range s.events {
		if e.Time.IsZero() {
			e.Time = clock.Add(time.Duration(i) * time.Second)
		}
		if err := r.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

const config = `[model]
layers = "1x4"
width = 64
[train]
steps = 1200
rate = 1e-3
seed = 7
[task]
name = "p-hop"
`

// looped is the setup of a looped model.
func looped(k int, loops ...int) run.Setup {
	s := run.Setup{Blocks: slices.Repeat([]int{k}, len(loops)), Loops: loops, Looped: len(loops) / 2, Parameters: int64(50_000 * k * len(loops)), FLOPs: 459_321, Task: "p-hop", Kinds: []string{"4 hops"},
		Metric: metric.Accuracy, Steps: 1200, Batch: 64, Length: 64, Backend: "cpu", Device: "Some CPU", Kernels: "avx512", Workers: 2, Memory: 19 << 20, MemoryLimit: 24 << 30}
	s.Model = fmt.Sprintf("%d⊗%d", k, loops[0])
	if len(loops) > 1 {
		s.Model = fmt.Sprintf("%d⊗(%d,%d,%d)", k, loops[0], loops[1], loops[2])
	}
	return s
}

// train is a report of training, with some noise that is a function of the seed.
func train(s run.Setup, step int, seed float64) run.Event {
	x := float64(step) / float64(s.Steps)
	noise := math.Sin(float64(step)*(12.9898+seed)) * 0.04
	loss := 1.32/(1+math.Exp(24*(x-0.4-seed/10))) + 0.004 + noise/20*(1.05-x)
	return run.Event{Kind: run.KindTrain, Step: step, Train: run.TrainOf(map[string]run.Number{
		"loss": run.Number(math.Max(loss, 0.0004)), "accuracy": run.Number(math.Min(1, math.Max(0, 1-loss/2.2+noise))), "lr": run.Number(0.004 * math.Min(x*8, 1.14-x)),
		"grad_norm": run.Number(0.4 + 2*math.Exp(-100*(x-0.4)*(x-0.4)) + 3*noise*noise*100), "tokens": run.Number(step * 4096),
		"tokens_per_second": run.Number(188_000 * (1 + noise)), "mfu": run.Number(0.4 + noise/10), "data_wait": run.Number(noise * noise), "seconds": run.Number(x * 26),
		"memory": run.Number(41<<20 + step<<8), "memory_peak": run.Number(52 << 20), "temperature": run.Number(52 + 20*x + 10*noise), "thermal": 0,
	})}
}

// evaluation is one of held-out examples, with a look into each loop.
func evaluation(s run.Setup, step int, seed float64) run.Event {
	e := train(s, step, seed)
	loss := float64(*e.Train.Loss) * 1.02
	accuracy := *e.Train.Accuracy
	v := map[string]run.Number{"loss": run.Number(loss), "accuracy": accuracy, "exact": accuracy * accuracy, "examples": 2048}
	last := s.Count()
	for i := 1; i <= last; i++ {
		share := math.Pow(float64(i)/float64(last), 2)
		v[run.Loss.After(i).String()] = run.Number(loss + 2.2*(1-share))
		v[run.Accuracy.After(i).String()] = run.Number(0.25 + (float64(v["accuracy"])-0.25)*share)
		v[run.Exact.After(i).String()] = v["exact"] * run.Number(share)
		v[run.Change.After(i).String()] = run.Number(0.9 / float64(i) * (1 + float64(step)/2400))
	}
	for i, k := range s.Kinds {
		v["accuracy "+k] = v["accuracy"] * run.Number(math.Pow(0.9, float64(i)))
		v["exact "+k] = v["exact"] * run.Number(math.Pow(0.8, float64(i)))
	}
	eval := run.EvalOf(v)
	eval.Samples = []run.Sample{
		{Kind: s.Kinds[0], Question: "dbacbadcabdcabcd", Want: "a", Said: "a", Right: true},
		{Kind: s.Kinds[0], Question: "cbdacdabcdabdbca", Want: "c", Said: "b"},
	}
	return run.Event{Kind: run.KindEval, Step: step, Eval: eval}
}

// usual is a run as it mostly goes: with a crash, a pause and shares of time, up to some step.
func usual(s run.Setup, until int, seed float64) []run.Event {
	events := []run.Event{{Kind: run.KindStart}, {Kind: run.KindSetup, Setup: &s}}
	for step := 10; step <= until; step += 10 {
		e := train(s, step, seed)
		if step%50 == 0 {
			e.Train.Times = map[string]run.Number{"matmul": 0.55, "attention": 0.2, "norm": 0.05, "elementwise": 0.1, "loss": 0.04, "optimizer": 0.05, "other": 0.01}
		}
		events = append(events, e)
		switch step {
		case 350: // the process is killed, and its successor goes back
			events = append(events, run.Event{Kind: run.KindResume, Step: 300}, run.Event{Kind: run.KindSetup, Step: 300, Setup: &s})
			for again := 310; again <= 350; again += 10 {
				events = append(events, train(s, again, seed))
			}
		case 700:
			events = append(events, run.Event{Kind: run.KindNote, Step: step, Text: "pause, asked by process 123 on here"},
				run.Event{Kind: run.KindPause, Step: step}, run.Event{Kind: run.KindContinue, Step: step})
		}
		if step%100 == 0 {
			events = append(events, evaluation(s, step, seed), run.Event{Kind: run.KindCheckpoint, Step: step})
		}
	}
	if until == s.Steps {
		events = append(events, run.Event{Kind: run.KindEnd, Step: until})
	}
	return events
}
