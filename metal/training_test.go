package metal_test

import (
	"errors"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"coil/backend"
	"coil/backend/cpu"
	"coil/config"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/run"
	"coil/task"
	"coil/thorough"
	"coil/train"
)

// tiny is ten steps of a small looped model.
func tiny() config.Config {
	c := config.Default()
	c.Model.Layers, c.Model.Width, c.Model.Heads, c.Model.Hidden, c.Model.InitStd = "2x2", 32, 2, 48, 0.1
	c.Task.PHop = task.PHop{Letters: 3, Length: 16, Hops: 1, Sampler: "no-repeats", Loss: "every"}
	c.Train.Steps, c.Train.Batch, c.Train.Rate, c.Train.Warmup, c.Train.Report, c.Train.Eps = 10, 4, 1e-2, 2, 1, 1e-6
	if !thorough.On() {
		c.Train.Steps = 6
	}
	c.Evaluate = config.Evaluate{Every: 4, Examples: 8, Final: 8}
	c.Checkpoint = config.Checkpoint{Every: 3, Keep: 0}
	return c
}

func on(t *testing.T, d metal.Device, o metal.Options) *metal.Metal {
	t.Helper()
	b, err := metal.New(d, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func emulated(t *testing.T, o metal.Options) *metal.Metal {
	return on(t, emulatortest.Open(t, emulator.Options{}), o)
}

// trained is what a run left: the loss of each step and the weights.
type trained struct {
	losses  []float64
	weights []float32
}

// trainOn trains c on b in a run directory; the error is that of training.
func trainOn(t *testing.T, c config.Config, b backend.Backend, next func() run.Command) (trained, error) {
	t.Helper()
	r, err := run.CreateAt(filepath.Join(t.TempDir(), "run"), c.Encode(), run.Info{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return trainIn(t, r, c, b, next)
}

// trainIn continues r from its newest checkpoint, if it has one.
func trainIn(t *testing.T, r *run.Run, c config.Config, b backend.Backend, next func() run.Command) (trained, error) {
	t.Helper()
	var out trained
	tr, err := train.New(c, b, func(e train.Report) {
		if e.Event.Kind == run.KindTrain {
			out.losses = append(out.losses, e.Metrics.Loss)
		}
	})
	if err != nil {
		return out, err
	}
	defer tr.Close()
	if from, err := r.Latest(); err == nil {
		if err := tr.Resume(from); err != nil {
			t.Fatal(err)
		}
		if err := r.Rewind(from.Step); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Run(r, next); err != nil {
		return out, err
	}
	last, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	host, err := cpu.New(cpu.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	buffer, err := host.NewBuffer(tr.Model.Size)
	if err != nil {
		t.Fatal(err)
	}
	if err := train.LoadWeights(last, tr.Model, buffer, false); err != nil {
		t.Fatal(err)
	}
	out.weights = make([]float32, tr.Model.Size)
	if err := buffer.Read(0, out.weights); err != nil {
		t.Fatal(err)
	}
	return out, nil
}

func onCPU(t *testing.T) backend.Backend {
	b, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// far is the distance between two vectors, against the length of the first.
func far(a, b []float32) float64 {
	var d, n float64
	for i := range a {
		d += math.Pow(float64(a[i])-float64(b[i]), 2)
		n += math.Pow(float64(a[i]), 2)
	}
	return math.Sqrt(d / n)
}

// configurations are those whose training is compared.
func configurations() map[string]config.Config {
	looped := tiny()

	middle := tiny()
	middle.Model.Layers, middle.Model.Norm, middle.Model.Activation, middle.Model.Bias = "1x(1,3,1)", "rmsnorm", "swiglu", false
	middle.Model.Positions, middle.Model.Injection, middle.Model.Heads = "learned", "add", 4
	middle.Loops.EveryLoop, middle.Loops.Recompute = true, true

	regularized := tiny()
	regularized.Model.Layers, regularized.Model.Activation, regularized.Model.NormPlace = "4x1", "relu", "sandwich"
	regularized.Model.Tied, regularized.Model.Positions = true, "sinusoidal"
	regularized.Regularize.Block, regularized.Regularize.Lambda = 1, 1
	regularized.Train.Average = 0.9

	factored := tiny()
	factored.Train.Optimizer, factored.Train.Rate = "adafactor", 1e-2

	muon := tiny()
	muon.Train.Optimizer, muon.Train.Cautious, muon.Train.Average, muon.Model.Activation = "normuon", true, 0.9, "swiglu"

	plain := tiny()
	plain.Model.Norm, plain.Model.Activation, plain.Model.Positions = "none", "relu", "learned"

	exit := tiny()
	exit.Model.Layers, exit.Loops.Exit, exit.Loops.ExitBeta = "1x3", "learned", 0.1

	restart := tiny()
	restart.Model.Carry, restart.Model.CarryRank, restart.Loops.Recompute = "restart", 6, true

	streams := tiny()
	streams.Model.Streams, streams.Loops.EveryLoop = 3, true
	return map[string]config.Config{"restart": restart, "streams": streams, "looped": looped, "middle-looped": middle, "regularized": regularized, "adafactor": factored, "normuon": muon, "learned exit": exit,
		"no norms": plain}
}

// TestTraining: ten steps on the emulated GPU equal ten steps on the CPU, up to rounding.
func TestTraining(t *testing.T) {
	all := configurations()
	for _, name := range thorough.Cases(t, 9, "kinds of models", slices.Sorted(maps.Keys(all))) {
		c := all[name]
		t.Run(name, func(t *testing.T) {
			want, err := trainOn(t, c, onCPU(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := trainOn(t, c, emulated(t, metal.Options{}), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(want.losses) != c.Train.Steps || len(got.losses) != len(want.losses) {
				t.Fatalf("%d losses, want %d", len(got.losses), c.Train.Steps)
			}
			for i, l := range want.losses {
				if d := math.Abs(got.losses[i]-l) / l; !(d < 2e-5) {
					t.Errorf("step %d: loss %.8g, want %.8g", i+1, got.losses[i], l)
				}
			}
			if d := far(want.weights, got.weights); !(d < 1e-4) {
				t.Errorf("weights are %.2g away", d)
			}
		})
	}
}

// TestSmallMemory: where the whole batch does not fit, smaller groups do the same.
func TestSmallMemory(t *testing.T) {
	thorough.Skip(t)
	c := tiny()
	c.Train.Steps, c.Evaluate.Every = 3, 0
	want, err := trainOn(t, c, emulated(t, metal.Options{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := train.New(c, emulated(t, metal.Options{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	need := tr.Memory.Total()
	tr.Close()
	if _, err := train.New(c, emulated(t, metal.Options{Memory: need / 2}), nil); !errors.Is(err, backend.ErrMemory) {
		t.Errorf("with half the memory: %v", err)
	}
	got, err := trainOn(t, c, emulated(t, metal.Options{Memory: need - 1}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(got.weights, want.weights) || !(far(want.weights, got.weights) < 1e-4) {
		t.Errorf("weights are %.2g away, want little, but more than nothing", far(want.weights, got.weights))
	}
}

// TestTrainingInBFloat: with activations in bfloat, training goes the same way to about their 8 bits.
func TestTrainingInBFloat(t *testing.T) {
	thorough.Skip(t)
	c := configurations()["looped"]
	want, err := trainOn(t, c, onCPU(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := trainOn(t, c, emulated(t, metal.Options{BFloat16: true}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(got.losses, want.losses) || len(got.losses) != len(want.losses) {
		t.Errorf("losses %v, want others than %v", got.losses, want.losses)
	}
	for i, l := range want.losses {
		if d := math.Abs(got.losses[i]-l) / l; !(d < 1e-2) {
			t.Errorf("step %d: loss %.6g, want about %.6g", i+1, got.losses[i], l)
		}
	}
}

// TestTrainingBits: neither the order in which threads, threadgroups and launches run, nor where command buffers are cut,
// nor a stop in the middle changes a bit.
func TestTrainingBits(t *testing.T) {
	c := tiny()
	c.Train.Steps /= thorough.Every(t, 2, "steps")
	want, err := trainOn(t, c, emulated(t, metal.Options{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	same := func(t *testing.T, got trained, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if n := len(got.losses); !slices.Equal(got.losses, want.losses[len(want.losses)-n:]) || !slices.Equal(got.weights, want.weights) {
			t.Errorf("losses %v, want %v; weights %.2g away", got.losses, want.losses, far(want.weights, got.weights))
		}
	}
	for _, order := range thorough.Cases(t, 2, "orders", []emulator.Order{emulator.Random, emulator.Reverse}) {
		t.Run(order.String(), func(t *testing.T) {
			got, err := trainOn(t, c, on(t, emulatortest.Open(t, emulator.Options{Order: order, Seed: 5, Workers: 2}), metal.Options{}), nil)
			same(t, got, err)
		})
	}
	t.Run("short command buffers", func(t *testing.T) {
		thorough.Skip(t)
		got, err := trainOn(t, c, emulated(t, metal.Options{Target: 1}), nil)
		same(t, got, err)
	})
	t.Run("stopped and resumed", func(t *testing.T) {
		thorough.Skip(t)
		r, err := run.CreateAt(filepath.Join(t.TempDir(), "run"), c.Encode(), run.Info{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		n := 0
		stop := func() run.Command {
			if n++; n < 5 {
				return ""
			}
			return run.Stop
		}
		if _, err := trainIn(t, r, c, emulated(t, metal.Options{}), stop); err == nil {
			t.Fatal("not stopped")
		}
		got, err := trainIn(t, r, c, emulated(t, metal.Options{}), nil)
		same(t, got, err)
	})
}
