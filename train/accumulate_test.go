package train

import (
	"testing"

	"coil/metal"
)

// Gradients of micro-batches add up to those of the batch: bit for bit, as long as a group of the backend fits into one.
func TestAccumulate(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Train.Batch, c.Task.PHop.Length = 32, 16
	c.Loops.RandomMean, c.Loops.RandomMax = 2, 3 // drawn once a step
	c.Evaluate.Every, c.Checkpoint.Every = 0, 0
	whole := newRun(t, c)
	if err := newTrainer(t, c, 2).Run(whole, nil); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{2, 8, 32} {
		c.Train.Accumulate = n
		r := newRun(t, c)
		tr := newTrainer(t, c, 2)
		if err := tr.Run(r, nil); err != nil {
			t.Fatal(err)
		}
		if tr.sequences != min(4, 32/n) {
			t.Errorf("%d micro-batches run in groups of %d sequences", n, tr.sequences)
		}
		if n == 32 { // no longer the same groups, so in another order, but the same gradients
			norms, want := reports(t, r, "train"), reports(t, whole, "train")
			for step, v := range norms {
				if a, b := float64(v["grad_norm"]), float64(want[step]["grad_norm"]); !(a > 0.999*b && a < 1.001*b) || v["loops"] != want[step]["loops"] {
					t.Errorf("step %d: the gradient's norm is %g, that of the whole batch %g", step, a, b)
				}
			}
			continue
		}
		wantSame(t, latest(t, r), latest(t, whole))
	}
}

// On a GPU, which takes the whole batch at once, the activations of a micro-batch need less memory.
func TestAccumulateSavesMemory(t *testing.T) {
	c := tiny()
	c.Train.Batch, c.Model.Width, c.Model.Hidden = 64, 64, 256
	b, err := metal.New(metal.NewDryRun(metal.Chip{Name: "paper"}), metal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	activations := map[int]int64{}
	for _, n := range []int{1, 8} {
		c.Train.Accumulate = n
		tr, err := New(c, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		activations[n] = tr.steps[2].memory.Activations
		tr.Close()
	}
	if part := float64(activations[8]) / float64(activations[1]); part < 0.1 || part > 0.15 {
		t.Errorf("activations take %d bytes, and %d of an eighth of the batch", activations[1], activations[8])
	}
}
