package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coil/backend"
	"coil/backend/cpu"
	"coil/config"
	"coil/graph"
	"coil/optim"
	"coil/run"
	"coil/run/runtest"
	"coil/task"
	"coil/thorough"

	"github.com/google/go-cmp/cmp"
)

// tiny is a run of a moment.
func tiny() config.Config {
	c := config.Default()
	c.Model.Layers, c.Model.Width, c.Model.Heads, c.Model.Hidden, c.Model.InitStd = "1x2", 16, 2, 32, 0.1
	c.Task.PHop = task.PHop{Letters: 3, Length: 16, Hops: 1, Sampler: "no-repeats", Loss: "every"}
	c.Train.Steps, c.Train.Batch, c.Train.Rate, c.Train.Warmup, c.Train.Report = 12, 8, 1e-2, 4, 3
	c.Evaluate = config.Evaluate{Every: 4, Examples: 8, Final: 8}
	c.Checkpoint = config.Checkpoint{Every: 5, Keep: 0}
	return c
}

func newBackend(t *testing.T, o cpu.Options) backend.Backend {
	t.Helper()
	b, err := cpu.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func newTrainer(t *testing.T, c config.Config, workers int) *Trainer {
	t.Helper()
	tr, err := New(c, newBackend(t, cpu.Options{Workers: workers}), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

func newRun(t *testing.T, c config.Config) *run.Run {
	t.Helper()
	r, err := run.CreateAt(filepath.Join(t.TempDir(), "run"), c.Encode(), run.Info{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// after asks to stop from its n-th call on.
func after(n int) func() run.Command {
	return stopWhen(func() bool { n--; return n <= 0 })
}

// stopWhen asks to stop when a condition is true.
func stopWhen(stop func() bool) func() run.Command {
	return func() run.Command {
		if stop() {
			return run.Stop
		}
		return ""
	}
}

// resume makes a trainer that continues from the run's newest checkpoint.
func resume(t *testing.T, c config.Config, r *run.Run, workers int) *Trainer {
	t.Helper()
	from, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	tr := newTrainer(t, c, workers)
	if err := tr.Resume(from); err != nil {
		t.Fatal(err)
	}
	if err := r.Rewind(from.Step); err != nil {
		t.Fatal(err)
	}
	return tr
}

// contents are the bytes of a checkpoint: its files and its meta.
func contents(t *testing.T, c run.Checkpoint) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	var meta bytes.Buffer
	if err := json.Compact(&meta, c.Meta); err != nil {
		t.Fatal(err)
	}
	all["meta"] = meta.Bytes()
	for _, f := range c.Files {
		file, _, err := c.Open(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(file)
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		all[f.Name] = b
	}
	return all
}

func latest(t *testing.T, r *run.Run) map[string][]byte {
	t.Helper()
	c, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	return contents(t, c)
}

func wantSame(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	for name := range want {
		if !bytes.Equal(got[name], want[name]) {
			t.Errorf("%s differs from that of a run that was never stopped", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
}

// numbers are those of an event, by name.
func numbers(e run.Event) map[string]run.Number {
	values := map[string]run.Number{}
	for k, v := range e.Train.Numbers() {
		values[k.String()] = v
	}
	for k, v := range e.Eval.Numbers() {
		values[k.String()] = v
	}
	return values
}

// reports are the values of the events of a kind, by step. Each step has one.
func reports(t *testing.T, r *run.Run, kind string) map[int]map[string]run.Number {
	t.Helper()
	h, err := runtest.Events(r)
	if err != nil {
		t.Fatal(err)
	}
	values := map[int]map[string]run.Number{}
	for _, e := range h {
		if e.Kind != kind {
			continue
		}
		if values[e.Step] != nil {
			t.Errorf("step %d has two events of kind %s", e.Step, kind)
		}
		values[e.Step] = numbers(e)
	}
	return values
}

// variants are runs that differ in what a checkpoint must hold.
var variants = map[string]func(*config.Config){
	"adamw":     func(*config.Config) {},
	"adafactor": func(c *config.Config) { c.Train.Optimizer = "adafactor" },
	"average":   func(c *config.Config) { c.Train.Average = 0.9 },
	"muon, average": func(c *config.Config) {
		c.Train.Optimizer, c.Train.Average, c.Model.Activation, c.Model.Layers = "muon", 0.9, "swiglu", "2x2"
	},
	"normuon, a schedule of loops": func(c *config.Config) {
		c.Train.Optimizer, c.Train.Cautious, c.Train.Schedule = "normuon", true, "trapezoid"
		c.Loops.Schedule = "1@0..2@0.5"
	},
	"text": func(c *config.Config) {
		c.Task.Name, c.Task.Text.Length, c.Evaluate.Final = "text", 12, 24
	},
	"text in tokens, best-fit": func(c *config.Config) {
		c.Task.Name, c.Task.Text.Length, c.Evaluate.Final = "text", 12, 24
		c.Task.Text.Packing, c.Task.Text.Tokenizer = task.BestFit, "../tokenizer/testdata/gpt2.json"
	},
	"random loops": func(c *config.Config) {
		c.Loops.RandomMean, c.Loops.RandomMax, c.Model.LoopEmbedding = 2, 4, true
	},
	"regularizer": func(c *config.Config) { c.Model.Layers, c.Regularize.Lambda, c.Regularize.Block = "6x1", 1, 2 },
	"every loop":  func(c *config.Config) { c.Loops.EveryLoop, c.Model.Tied = true, true },
	"learned exit": func(c *config.Config) {
		c.Loops.Exit, c.Loops.RandomMean, c.Loops.RandomMax = "learned", 2, 4
	},
	"truncated, recomputed": func(c *config.Config) {
		c.Model.Layers, c.Model.Injection, c.Loops.Truncate, c.Loops.Recompute = "1x4", "linear", 2, true
	},
	"heads and loop ends": func(c *config.Config) {
		c.Model.Layers, c.Model.KVHeads, c.Model.HeadWidth, c.Model.QKNorm, c.Model.AttentionScale, c.Model.QKVBias = "1x(1,3,1)", 1, 6, true, 0.3, false
		c.Model.LogitSoftcap, c.Model.LoopNorm, c.Model.ResidualScale, c.Model.Injection = 5, true, "loops", "decay"
	},
	"restart, random loops": func(c *config.Config) {
		c.Model.Layers, c.Model.Carry, c.Model.CarryRank, c.Loops.RandomMean, c.Loops.RandomMax = "2x3", "restart", 4, 2, 4
		c.Train.Optimizer, c.Loops.Recompute = "muon", true
	},
	"restart, truncated": func(c *config.Config) { c.Model.Layers, c.Model.Carry, c.Loops.Truncate = "1x3", "restart", 1 },
	"streams": func(c *config.Config) {
		c.Model.Streams, c.Loops.EveryLoop, c.Train.Optimizer = 4, true, "adafactor"
	},
	"hard, adafactor": func(c *config.Config) {
		c.Model.Attention, c.Model.Injection, c.Train.Optimizer = "hard", "decay", "adafactor"
	},
	"addition, all else": func(c *config.Config) {
		c.Task.Name = "addition"
		c.Task.Addition = task.Addition{Digits: 2, Operands: []int{2, 3}, Evaluate: []int{4}, Order: "least"}
		c.Model.Layers, c.Model.NormPlace, c.Model.Activation, c.Model.Positions = "1x(1,2,1)", "sandwich", "swiglu", "learned"
		c.Train.Optimizer, c.Train.Average, c.Train.Schedule, c.Train.Clip = "adafactor", 0.5, "linear", 0
		c.Loops.RandomMean, c.Loops.RandomMax = 1.5, 3
	},
}

// What happens in a run, in its order.
func TestEvents(t *testing.T) {
	c := tiny()
	c.Train.Steps, c.Train.Report, c.Evaluate.Every, c.Checkpoint.Every, c.Checkpoint.Keep = 7, 3, 4, 2, 2
	c.Loops.EveryLoop = true
	var told []string
	b := newBackend(t, cpu.Options{})
	tr, err := New(c, b, func(r Report) { told = append(told, fmt.Sprint(r.Event.Kind, " ", r.Event.Step)) })
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	r := newRun(t, c)
	if err := tr.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"start 0", "setup 0", "checkpoint 2", "train 3", "eval 4", "checkpoint 4", "train 6", "checkpoint 6", "train 7", "checkpoint 7", "eval 7", "end 7"}
	if d := cmp.Diff(want, told); d != "" {
		t.Errorf("it told %s", d)
	}
	h, err := runtest.Events(r)
	if err != nil {
		t.Fatal(err)
	}
	var written []string
	for _, e := range h {
		written = append(written, fmt.Sprint(e.Kind, " ", e.Step))
	}
	if d := cmp.Diff(want, written); d != "" {
		t.Errorf("it wrote %s", d)
	}
	for _, name := range []string{"loss", "accuracy", "grad_norm", "lr", "tokens", "tokens_per_second", "data_wait", "seconds", "loss_loop_1", "loss_loop_2"} {
		if v, ok := numbers(h[3])[name]; !ok || notFinite(float64(v)) {
			t.Errorf("a train event has %s = %v", name, v)
		}
	}
	peak := h[1].Setup.Peak
	// Two layers of 16 columns: 8·16² for queries, keys, values and their sum, 4·16·32 for the feed-forward layer and 4·16·16 for
	// attention, two FLOPs for each multiply-add; and the head, for 3 letters and what else the vocabulary has.
	forward := 2*(8*16*16+4*16*32+4*16*16) + 2*16*tr.Model.Vocabulary
	if got := tr.Model.TrainFLOPsAt(2); got != int64(3*forward) {
		t.Errorf("%d FLOPs of a token in training, want %d", got, 3*forward)
	}
	v := numbers(h[3])
	if want := float64(3*forward) * float64(v["tokens_per_second"]) / peak; !(peak > 1e8) || !(math.Abs(float64(v["mfu"])/want-1) < 1e-9) {
		t.Errorf("mfu is %v of a peak of %g FLOP/s, want %g", v["mfu"], peak, want)
	}
	if got, want := numbers(h[3])["tokens"], run.Number(3*8*16); got != want {
		t.Errorf("after 3 steps there were %v tokens, want %v", got, want)
	}
	cs, err := r.Checkpoints()
	if err != nil || len(cs) != 2 || cs[0].Step != 6 || cs[1].Step != 7 {
		t.Errorf("kept are %v, %v", cs, err)
	}
}

// unrated is a backend whose device has no known peak.
type unrated struct{ backend.Backend }

// Without a peak there is no utilization, rather than one of 0.
func TestNoPeak(t *testing.T) {
	tr, err := New(tiny(), unrated{newBackend(t, cpu.Options{})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	r := newRun(t, tiny())
	if err := tr.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	h, err := runtest.Events(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range h {
		if e.Setup != nil && e.Setup.Peak != 0 {
			t.Errorf("a peak of %g", e.Setup.Peak)
		}
		if e.Train != nil && e.Train.Utilization != nil {
			t.Errorf("a utilization of %g", float64(*e.Train.Utilization))
		}
	}
}

// A stop during the last evaluation loses nothing: the run continues with it.
func TestStopInTheLastEvaluation(t *testing.T) {
	c := tiny()
	c.Evaluate.Every = 0
	r := newRun(t, c)
	tr := newTrainer(t, c, 2)
	if err := tr.Run(r, after(c.Train.Steps+1)); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	if tr.Done() != c.Train.Steps {
		t.Fatalf("it stopped at step %d", tr.Done())
	}
	h, err := runtest.Events(r)
	if err != nil || h[len(h)-1].Kind != run.KindStop {
		t.Errorf("the last event is %v, %v", h[len(h)-1], err)
	}
	if err := resume(t, c, r, 2).Run(r, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(reports(t, r, run.KindEval)); n != 1 {
		t.Errorf("%d evaluations", n)
	}
}

// counting records allocations.
type counting struct {
	backend.Backend
	allocated int
}

func (c *counting) NewBuffer(n int) (graph.Buffer, error) {
	c.allocated += n
	return c.Backend.NewBuffer(n)
}

// What can't fit is refused with advice before anything large is allocated, and leaves nothing allocated.
func TestMemory(t *testing.T) {
	huge := tiny()
	huge.Model.Width, huge.Model.Hidden = 65536, 262144
	moments := tiny() // where the weights alone would fit
	moments.Model.Width, moments.Model.Hidden = 256, 512
	long := tiny()
	long.Task.PHop.Length, long.Train.Batch = 2048, 64
	recomputed := long
	recomputed.Loops.Recompute = true
	b := &counting{Backend: newBackend(t, cpu.Options{Workers: 2, Memory: 4 << 20})}
	for _, c := range []struct {
		config    config.Config
		allocated bool
		want, not string
	}{
		{huge, false, "model.width or model.hidden", "recompute"},
		{moments, false, "model.width or model.hidden", "recompute"},
		{long, true, "set loops.recompute = true, or take a smaller train.batch", "model.hidden"},
		{recomputed, true, "take a smaller train.batch", "recompute"},
	} {
		b.allocated = 0
		_, err := New(c.config, b, nil)
		if !errors.Is(err, backend.ErrMemory) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.not) {
			t.Errorf("%v, want %q", err, c.want)
		}
		if (b.allocated > 0) != c.allocated {
			t.Errorf("%d values were allocated for %q", b.allocated, err)
		}
	}
	small := tiny()
	tr, err := New(small, b, nil)
	if err != nil {
		t.Fatalf("after what could not be: %v", err)
	}
	tr.Close()
}

// another is the memory that another program like that of a loop count would take.
func another(t *Trainer, loops int) int64 {
	m := t.steps[loops].memory
	return backend.Together(t.backend, m, m).Total() - m.Total()
}

// With random loop counts, as many programs as fit in memory are kept; fewer programs compute the same.
func TestProgramsWithinMemory(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Loops.RandomMean, c.Loops.RandomMax, c.Train.Steps = 3, 6, 15
	roomy := newTrainer(t, c, 1)
	if roomy.cached != 6 {
		t.Fatalf("%d programs are kept", roomy.cached)
	}
	want := newRun(t, c)
	if err := roomy.Run(want, nil); err != nil {
		t.Fatal(err)
	}
	for kept := 1; kept < 3; kept++ {
		memory := roomy.Memory.Total() - int64(roomy.cached-kept)*another(roomy, 6)
		tr, err := New(c, newBackend(t, cpu.Options{Workers: 1, Memory: memory}), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		if tr.cached != kept || tr.Memory.Total() > memory {
			t.Errorf("%d programs of %d bytes are kept in %d", tr.cached, tr.Memory.Total(), memory)
		}
		r := newRun(t, c)
		most := 0
		if err := tr.Run(r, stopWhen(func() bool { most = max(most, len(tr.steps)); return false })); err != nil {
			t.Fatal(err)
		}
		if most > kept {
			t.Errorf("%d programs at a time, want %d", most, kept)
		}
		wantSame(t, latest(t, r), latest(t, want))
	}
}

// The program that makes room for another is the one that was not used for longest, unless it is in flight.
func TestLeastRecentlyUsedMakesRoom(t *testing.T) {
	c := tiny()
	c.Loops.RandomMean, c.Loops.RandomMax = 3, 6
	tr := newTrainer(t, c, 1)
	tr.closePrograms()
	tr.cached = 3
	for i, x := range []struct {
		loops  int
		flying []int
		want   []int // that are kept then, in any order
		none   bool  // there is no room
	}{
		{1, nil, []int{1}, false},
		{2, nil, []int{1, 2}, false},
		{3, nil, []int{1, 2, 3}, false},
		{1, nil, []int{1, 2, 3}, false}, // used again
		{4, nil, []int{1, 3, 4}, false},
		{5, []int{3}, []int{3, 4, 5}, false},
		{3, nil, []int{3, 4, 5}, false},
		{6, []int{4, 5}, []int{4, 5, 6}, false},
		{2, []int{4, 5, 6}, []int{4, 5, 6}, true},
		{2, []int{6, 4}, []int{2, 4, 6}, false},
		{1, nil, []int{1, 2, 6}, false},
	} {
		var flying []inFlight
		for _, n := range x.flying {
			flying = append(flying, inFlight{step: tr.steps[n]})
		}
		room := tr.makeRoom(x.loops, flying)
		if room {
			if _, err := tr.step(x.loops); err != nil {
				t.Fatal(err)
			}
		}
		if got := slices.Sorted(maps.Keys(tr.steps)); room == x.none || !slices.Equal(got, x.want) {
			t.Errorf("use %d, %d loops: programs of %v are kept (room: %v), want %v", i, x.loops, got, room, x.want)
		}
	}
}

// A small looped model learns to look one hop back.
func TestTrainingWorks(t *testing.T) {
	t.Parallel()
	for _, optimizer := range thorough.Cases(t, 4, "optimizers", optim.Names()) {
		c := tiny()
		c.Train.Steps, c.Train.Batch, c.Train.Warmup, c.Train.Optimizer = 150, 32, 10, optim.Name(optimizer)
		c.Evaluate = config.Evaluate{Examples: 1, Final: 256}
		r := newRun(t, c)
		if err := newTrainer(t, c, 2).Run(r, nil); err != nil {
			t.Fatal(err)
		}
		h, err := runtest.Events(r)
		if err != nil {
			t.Fatal(err)
		}
		e := h[len(h)-2]
		t.Logf("%s: held-out accuracy %.3f, loss %.3f", optimizer, *e.Eval.Accuracy, *e.Eval.Loss)
		// The answer differs from the letter before it, so guessing among the other two is right half of the time.
		if e.Kind != run.KindEval || *e.Eval.Accuracy < 0.85 {
			t.Errorf("%s: %v", optimizer, e)
		}
	}
}

// In the first step the moments are the gradient's own, so each weight moves by the rate, and by its decay. (Of
// adafactor that holds for vectors, whose moment is not factored; the matrices inside blocks that Muon updates move by a fifth of
// the rate in the root mean square.)
func TestFirstStep(t *testing.T) {
	t.Parallel()
	for _, optimizer := range optim.Names() {
		c := tiny()
		c.Train.Optimizer, c.Train.Steps, c.Train.Warmup, c.Train.WeightDecay, c.Train.Average = optim.Name(optimizer), 1, 2, 0.5, 0.9
		tr := newTrainer(t, c, 2)
		if err := tr.Run(newRun(t, c), nil); err != nil {
			t.Fatal(err)
		}
		before, after, average := tr.Model.Initialize(c.Train.Seed), make([]float32, tr.Model.Size), make([]float32, tr.Model.Size)
		if err := errors.Join(tr.state.weights.Read(0, after), tr.state.average.Read(0, average)); err != nil {
			t.Fatal(err)
		}
		rate := c.Train.Rate / 2 // half of the warm-up
		for _, p := range tr.Model.Parameters {
			if p.Decay && optimizer == "adafactor" {
				continue
			}
			moved := 0
			for i := p.Offset; i < p.Offset+p.Size(); i++ {
				by := float64(after[i] - before[i])
				if p.Decay {
					by += rate * c.Train.WeightDecay * float64(before[i])
				}
				if math.Abs(math.Abs(by)-rate) < 0.01*rate {
					moved++
				}
				// The average starts with a short memory: the first step keeps 1/11 of it.
				if want := before[i]/11 + after[i]*10/11; math.Abs(float64(average[i]-want)) > 1e-6 {
					t.Fatalf("%s: %s: from %g to %g the average is %g, want %g", optimizer, p.Name, before[i], after[i], average[i], want)
				}
			}
			if p.Parts != nil && (optimizer == "muon" || optimizer == "normuon") {
				var squares float64
				for i := p.Offset; i < p.Offset+p.Size(); i++ {
					by := float64(after[i]-before[i]) + rate*c.Train.WeightDecay*float64(before[i])
					squares += by * by
				}
				if rms := math.Sqrt(squares/float64(p.Size())) / rate; rms < 0.15 || rms > 0.23 {
					t.Errorf("%s: %s moved by %g times the rate", optimizer, p.Name, rms)
				}
				continue
			}
			if moved < p.Size()/2 { // the others have hardly a gradient: a bias of keys, say
				t.Errorf("%s: %s: %d of %d values moved by the rate", optimizer, p.Name, moved, p.Size())
			}
		}
	}
}

// With a rate of 0, the weights stay as they started: only the optimizer changes them.
func TestRateZeroTrainsNothing(t *testing.T) {
	c := tiny()
	c.Train.Rate = 0
	tr := newTrainer(t, c, 2)
	if err := tr.Run(newRun(t, c), nil); err != nil {
		t.Fatal(err)
	}
	w := make([]float32, tr.Model.Size)
	if err := tr.state.weights.Read(0, w); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w, tr.Model.Initialize(c.Train.Seed)) {
		t.Error("the weights have changed")
	}
}
