//go:build standin

package bridge_test

import (
	"path/filepath"
	"slices"
	"testing"

	"coil/config"
	"coil/metal"
	"coil/metal/bridge"
	"coil/metal/bridge/standin"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/run"
	"coil/task"
	"coil/train"
)

// TestTraining: whole training steps by way of the bridge have the bits that the emulator has without it.
func TestTraining(t *testing.T) {
	want := trainOn(t, emulatortest.Open(t, emulator.Options{}))
	standin.Use(emulatortest.Open(t, emulator.Options{}))
	d, err := bridge.Open()
	if err != nil {
		t.Fatal(err)
	}
	got := trainOn(t, d)
	if len(want) != 6 || !slices.Equal(got, want) {
		t.Errorf("losses %v, want %v", got, want)
	}
}

// trainOn trains a middle-looped model for six steps on d, closes it, and returns the losses.
func trainOn(t *testing.T, d metal.Device) (losses []float64) {
	t.Helper()
	c := config.Default()
	c.Model.Layers, c.Model.Width, c.Model.Heads, c.Model.Hidden, c.Model.InitStd = "1x(1,2,1)", 32, 2, 48, 0.1
	c.Task.PHop = task.PHop{Letters: 3, Length: 16, Hops: 1, Sampler: "no-repeats", Loss: "every"}
	c.Train.Steps, c.Train.Batch, c.Train.Rate, c.Train.Warmup, c.Train.Report = 6, 4, 1e-2, 2, 1
	c.Evaluate = config.Evaluate{Every: 3, Examples: 4, Final: 4}
	c.Checkpoint = config.Checkpoint{}
	b, err := metal.New(d, metal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	tr, err := train.New(c, b, func(r train.Report) {
		if r.Event.Kind == run.KindTrain {
			losses = append(losses, r.Metrics.Loss)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	r, err := run.CreateAt(filepath.Join(t.TempDir(), "run"), c.Encode(), run.Info{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := tr.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	return losses
}
