package train

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"coil/config"
	"coil/loop"
	"coil/run"
	"coil/run/safetensors"
	"coil/thorough"

	"github.com/google/go-cmp/cmp"
)

// A run that stops, and continues in another process with another number of workers, ends with the bits and the events of one
// that never stopped.
func TestResumeIsExact(t *testing.T) {
	for _, name := range thorough.Cases(t, 5, "configurations", slices.Sorted(maps.Keys(variants))) {
		change := variants[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := tiny()
			change(&c)
			whole := newRun(t, c)
			if err := newTrainer(t, c, 2).Run(whole, nil); err != nil {
				t.Fatal(err)
			}
			want := latest(t, whole)

			// stop is asked after each step, and before each batch of an evaluation.
			r := newRun(t, c)
			tr := newTrainer(t, c, 1)
			if err := tr.Run(r, after(7)); !errors.Is(err, ErrStopped) {
				t.Fatal(err)
			}
			if done := tr.Done(); done < 1 || done >= c.Train.Steps {
				t.Fatalf("it stopped at step %d of %d", done, c.Train.Steps)
			}
			tr = resume(t, c, r, 3)
			if err := tr.Run(r, after(2)); !errors.Is(err, ErrStopped) {
				t.Fatal(err)
			}
			if err := resume(t, c, r, 2).Run(r, nil); err != nil {
				t.Fatal(err)
			}
			wantSame(t, latest(t, r), want)

			reports(t, r, run.KindTrain)
			final := c.Train.Steps
			if d := cmp.Diff(reports(t, whole, run.KindEval)[final], reports(t, r, run.KindEval)[final]); d != "" {
				t.Errorf("the last evaluation differs: %s", d)
			}
		})
	}
}

// A run that is killed continues from its last checkpoint, and its history is that of one that was not.
func TestResumeAfterKill(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Train.Steps, c.Checkpoint.Every, c.Evaluate.Every, c.Train.Report = 20, 6, 3, 2
	whole := newRun(t, c)
	if err := newTrainer(t, c, 2).Run(whole, nil); err != nil {
		t.Fatal(err)
	}
	r := newRun(t, c)
	tr := newTrainer(t, c, 2)
	killed := errors.New("killed")
	func() {
		defer func() {
			if p := recover(); p != killed {
				panic(p)
			}
		}()
		tr.Run(r, stopWhen(func() bool { // in the evaluation of step 15, with a checkpoint of step 12
			if tr.Done() == 15 {
				panic(killed)
			}
			return false
		}))
	}()
	tr = resume(t, c, r, 2)
	if tr.Done() != 12 {
		t.Fatalf("it goes on from step %d", tr.Done())
	}
	if err := tr.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	wantSame(t, latest(t, r), latest(t, whole))
	for _, kind := range []string{run.KindTrain, run.KindEval} {
		got, want := reports(t, r, kind), reports(t, whole, kind)
		for _, values := range [](map[int]map[string]run.Number){got, want} {
			for _, v := range values {
				maps.DeleteFunc(v, func(name string, _ run.Number) bool { return strings.HasPrefix(name, "time_") })
				for _, name := range []string{"tokens_per_second", "mfu", "data_wait", "seconds", "memory", "memory_peak", "temperature", "on_battery"} {
					delete(v, name) // of this machine
				}
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("the events of kind %s differ: %s", kind, d)
		}
	}
}

// A checkpoint that does not fit the configuration is refused with what does not fit.
func TestOtherModel(t *testing.T) {
	c := tiny()
	c.Train.Average = 0.5
	r := newRun(t, c)
	if err := newTrainer(t, c, 2).Run(r, after(1)); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	from, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct {
		change func(*config.Config)
		want   []string
	}{
		{func(c *config.Config) { c.Model.Width = 32 }, []string{"model.safetensors", `tensor "embedding.weight"`, "[3 16]", "[3 32]"}},
		{func(c *config.Config) { c.Task.PHop.Letters = 5 }, []string{"model.safetensors", `tensor "embedding.weight"`, "[3 16]", "[5 16]"}},
		{func(c *config.Config) { c.Model.Layers = "2x1" }, []string{"model.safetensors", `no tensor "layers.1.`}},
		{func(c *config.Config) { c.Model.Bias = false }, []string{"model.safetensors", "tensors, the configuration's model"}},
		{func(c *config.Config) { c.Train.Seed = 2 }, []string{"train.seed = 1", "says 2"}},
		{func(c *config.Config) { c.Train.Optimizer = "adafactor" }, []string{`train.optimizer = "adamw"`, `"adafactor"`}},
		// These fit every tensor.
		{func(c *config.Config) { c.Task.PHop.Hops++ }, []string{"task.p-hop.hops = 1", "says 2"}},
		{func(c *config.Config) { c.Model.RotaryBase = 100 }, []string{"model.rotary_base = 10000", "says 100"}},
		{func(c *config.Config) { c.Model.Activation = "relu" }, []string{`model.activation = "gelu"`, `says "relu"`}},
		{func(c *config.Config) { c.Train.Batch++ }, []string{"train.batch = "}},
	} {
		other := c
		o.change(&other)
		err := newTrainer(t, other, 1).Resume(from)
		if !errors.Is(err, ErrOtherModel) {
			t.Errorf("%v: %v", o.want, err)
			continue
		}
		for _, want := range o.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %s", err, want)
			}
		}
	}
	// The number of steps, the rate and an average may change.
	c.Train.Steps, c.Train.Rate, c.Train.Average = 14, 1e-3, 0
	if err := newTrainer(t, c, 1).Resume(from); err != nil {
		t.Error(err)
	}
}

// The tensors of a checkpoint have the names and shapes of the model, and the weights of the buffer.
func TestCheckpointFiles(t *testing.T) {
	c := tiny()
	c.Train.Average = 0.5
	r := newRun(t, c)
	tr := newTrainer(t, c, 2)
	if err := tr.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	from, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	weights := make([]float32, tr.Model.Size)
	if err := tr.state.weights.Read(0, weights); err != nil {
		t.Fatal(err)
	}
	err = withFile(from, weightsFile, func(f *safetensors.File) error {
		for _, p := range tr.Model.Parameters {
			x := make([]float32, p.Size())
			if err := f.Read(p.Name, x); err != nil {
				return err
			}
			if !slices.Equal(x, weights[p.Offset:p.Offset+p.Size()]) {
				t.Errorf("%s has other values", p.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := tr.state.average.Read(0, weights); err != nil {
		t.Fatal(err)
	}
	b, err := tr.backend.NewBuffer(tr.Model.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	if err := LoadWeights(from, tr.Model, b, true); err != nil {
		t.Fatal(err)
	}
	loaded := make([]float32, tr.Model.Size)
	if err := b.Read(0, loaded); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(loaded, weights) {
		t.Error("the average that is evaluated is not what was loaded")
	}
}

// The first weights are saved as step 0 on request, and training from there equals training without.
func TestFirstCheckpoint(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Checkpoint.Keep = 0
	plain := newRun(t, c)
	if err := newTrainer(t, c, 1).Run(plain, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Checkpoint(0); err == nil {
		t.Error("a run that did not ask for it has a checkpoint of step 0")
	}
	c.Checkpoint.First = true
	r := newRun(t, c)
	tr := newTrainer(t, c, 1)
	if err := tr.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	first, err := r.Checkpoint(0)
	if err != nil {
		t.Fatal(err)
	}
	weights := tr.state.weights // no longer needed
	if err := LoadWeights(first, tr.Model, weights, false); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(values(t, weights), tr.Model.Initialize(c.Train.Seed)) {
		t.Error("the checkpoint of step 0 has other weights than the seed's")
	}
	got, want := latest(t, r), latest(t, plain)
	wantSame(t, map[string][]byte{weightsFile: got[weightsFile]}, map[string][]byte{weightsFile: want[weightsFile]})
}

// With a report at every step, the events have the loop count of each, as the generator of package loop draws it.
func TestLoopCountsInEvents(t *testing.T) {
	c := tiny()
	c.Loops.RandomMean, c.Loops.RandomMax, c.Train.Report = 2, 5, 1
	r := newRun(t, c)
	if err := newTrainer(t, c, 1).Run(r, nil); err != nil {
		t.Fatal(err)
	}
	got := reports(t, r, run.KindTrain)
	for step := 1; step <= c.Train.Steps; step++ {
		if want := (loop.Random{Mean: 2, Max: 5}).Draw(c.Train.Seed, uint64(step-1)); int(got[step]["loops"]) != want {
			t.Errorf("step %d: the events say %g loops, want %d", step, float64(got[step]["loops"]), want)
		}
	}
}
