package experiment

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"coil/backend"
	"coil/config"
	"coil/eval"
	"coil/model"
	"coil/run"
	"coil/theory"
	"coil/train"
)

// Keeping asks whether gradient descent keeps the weights of a construction: it adds noise to them and trains, at each learning rate
// and for each seed.
type Keeping struct {
	Noise []float64 // standard deviations of the normal numbers that are added to all weights
	Rates []float64 // peak learning rates of AdamW
	Seeds []uint64  // of noise and data
	Steps int
	Batch int
}

// Kept is what was found at one noise and rate: how well the model does on held-out examples before and after training, in the order
// of the seeds.
type Kept struct {
	Noise  float64      `json:"noise"`
	Rate   float64      `json:"rate"`
	Before []eval.Score `json:"before"`
	After  []eval.Score `json:"after"`
}

// keptExamples is the number of examples that a model is judged by.
const keptExamples = 512

// mostKeeping only keeps a slip of the pen from asking for the impossible.
const mostKeeping = 1000

// Check returns an error unless there is something to train.
func (k Keeping) Check() error {
	switch n := len(k.Noise) * len(k.Rates) * len(k.Seeds); {
	case n == 0:
		return fmt.Errorf("no noise, rate or seed, want at least one of each")
	case n > mostKeeping:
		return fmt.Errorf("%d trainings, want at most %d", n, mostKeeping)
	case k.Steps < 1 || k.Batch < 1:
		return fmt.Errorf("%d steps of %d sequences, want at least 1 of each", k.Steps, k.Batch)
	}
	for _, v := range k.Noise {
		if !(v >= 0) || v > 1e6 {
			return fmt.Errorf("noise %g, want 0 to 1e6", v)
		}
	}
	for _, v := range k.Rates {
		if !(v >= 0) || v > 1e6 {
			return fmt.Errorf("rate %g, want 0 to 1e6", v)
		}
	}
	return nil
}

// Run trains them all, the rates varying first, and calls report after each with the number that is done. No run is kept.
func (k Keeping) Run(w *theory.Trainable, b backend.Backend, report func(done int)) ([]Kept, error) {
	if err := k.Check(); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "coil-keeping-")
	if err != nil {
		return nil, fmt.Errorf("a folder for the runs: %w", err)
	}
	defer os.RemoveAll(folder)
	var all []Kept
	done := 0
	for _, noise := range k.Noise {
		first := len(all)
		for _, rate := range k.Rates {
			all = append(all, Kept{Noise: noise, Rate: rate})
		}
		for _, seed := range k.Seeds {
			var before eval.Score
			for i, rate := range k.Rates {
				t, err := k.trainer(w, b, noise, rate, seed)
				if err != nil {
					return nil, err
				}
				if i == 0 {
					before, err = k.measure(t, b, w, noise, seed)
				}
				var after eval.Score
				if err == nil {
					after, err = t.run(filepath.Join(folder, fmt.Sprint(done)))
				}
				t.Close()
				if err != nil {
					return nil, fmt.Errorf("noise %g, rate %g, seed %d: %w", noise, rate, seed, err)
				}
				at := &all[first+i]
				at.Before, at.After = append(at.Before, before), append(at.After, after)
				done++
				report(done)
			}
		}
	}
	return all, nil
}

// keeper is a trainer whose last evaluation is kept.
type keeper struct {
	*train.Trainer
	backend backend.Backend
	last    eval.Score
}

func (k Keeping) trainer(w *theory.Trainable, b backend.Backend, noise, rate float64, seed uint64) (*keeper, error) {
	c := config.Default()
	c.Model, c.Task = w.Config, w.Task
	c.Train.Steps, c.Train.Batch, c.Train.Seed = k.Steps, k.Batch, seed
	c.Train.Rate, c.Train.Warmup, c.Train.Report = rate, k.Steps/10, max(1, k.Steps/10)
	c.Evaluate.Every, c.Evaluate.Final, c.Checkpoint.Every = 0, keptExamples, 0
	t := &keeper{backend: b}
	var err error
	t.Trainer, err = train.New(c, b, func(r train.Report) {
		if r.Result != nil {
			t.last = r.Result.Score
		}
	})
	if err != nil {
		return nil, err
	}
	if err := t.BeginWith(noisy(w, t.Model, noise, seed), "begins with the weights of a construction and noise"); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// noisy are the construction's weights with normal numbers added.
func noisy(w *theory.Trainable, m *model.Model, noise float64, seed uint64) []float32 {
	arena := w.Arena(m)
	if noise == 0 {
		return arena
	}
	rng := rand.New(rand.NewPCG(seed, 4))
	for i := range arena {
		arena[i] += float32(noise * rng.NormFloat64())
	}
	return arena
}

// measure is how well the weights do before training.
func (k Keeping) measure(t *keeper, b backend.Backend, w *theory.Trainable, noise float64, seed uint64) (eval.Score, error) {
	weights, err := b.NewBuffer(t.Model.Size)
	if err != nil {
		return eval.Score{}, err
	}
	defer weights.Free()
	if err := weights.Write(0, noisy(w, t.Model, noise, seed)); err != nil {
		return eval.Score{}, err
	}
	e, err := eval.New(eval.Trained{Backend: b, Model: t.Model, Task: t.Task, Weights: weights}, k.Batch, []int{t.Model.Architecture.Count()})
	if err != nil {
		return eval.Score{}, err
	}
	defer e.Close()
	results, err := e.Run(train.HeldOutSeed, keptExamples, nil)
	if err != nil {
		return eval.Score{}, err
	}
	return results[0].Score, nil
}

// run trains to the end in a folder.
func (t *keeper) run(folder string) (eval.Score, error) {
	first, err := t.First()
	if err != nil {
		return eval.Score{}, err
	}
	i := t.backend.Info()
	r, err := run.CreateAt(folder, t.Config.Encode(), run.Info{Seed: t.Config.Train.Seed, Backend: i.Name, Device: i.Device, Parameters: int64(t.Model.Size)}, first...)
	if err != nil {
		return eval.Score{}, err
	}
	defer r.Close()
	err = t.Run(r, nil)
	var diverged *train.DivergedError
	if errors.As(err, &diverged) {
		return eval.Score{Loss: run.Number(math.NaN())}, nil
	}
	return t.last, err
}

// Mean is the mean accuracy over the seeds, before or after training.
func (k Kept) Mean(before bool) float64 {
	scores := k.After
	if before {
		scores = k.Before
	}
	var sum float64
	for _, s := range scores {
		sum += s.Accuracy
	}
	return sum / float64(len(scores))
}
