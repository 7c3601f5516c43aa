package train

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"coil/backend"
	"coil/backend/cpu"
	"coil/eval"
	"coil/run"
	"coil/run/runtest"
	"coil/thorough"

	"github.com/google/go-cmp/cmp"
)

// checkpointed is the model with the weights of a run's newest checkpoint, as coil eval takes them.
func checkpointed(t *testing.T, tr *Trainer, r *run.Run, b backend.Backend) eval.Trained {
	t.Helper()
	from, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Load(b, tr.Config, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Weights.Free)
	return m
}

// An event of evaluation agrees with coil eval on the same weights, after each loop.
func TestLensOfAnEvaluation(t *testing.T) {
	t.Parallel()
	for _, name := range thorough.Cases(t, 5, "configurations", slices.Sorted(maps.Keys(variants))) {
		vary := variants[name]
		t.Run(name, func(t *testing.T) {
			c := tiny()
			vary(&c)
			c.Evaluate.Every, c.Evaluate.Final = 0, 13 // not whole batches
			r := newRun(t, c)
			tr := newTrainer(t, c, 2)
			if err := tr.Run(r, nil); err != nil {
				t.Fatal(err)
			}
			got := reports(t, r, run.KindEval)[c.Train.Steps]

			b := newBackend(t, cpu.Options{Workers: 1})
			loops := tr.Model.Architecture.Count()
			e, err := eval.New(checkpointed(t, tr, r, b), c.Train.Batch, eval.LensCounts(loops))
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			results, err := e.Run(HeldOutSeed, c.Evaluate.Final, nil)
			if err != nil {
				t.Fatal(err)
			}
			last := results[loops-1]
			// Text has bits per byte where other tasks have a share of examples without a mistake.
			second, value := "exact", func(s eval.Score) run.Number { return run.Number(s.Exact) }
			if c.Task.Name == "text" {
				second, value = "bits_per_byte", func(s eval.Score) run.Number { return s.BitsPerByte }
			}
			want := map[string]run.Number{"loss": last.Loss, "accuracy": run.Number(last.Accuracy), second: value(last.Score),
				"examples": run.Number(last.Examples)}
			for _, k := range last.Kinds {
				want["accuracy "+k.Kind], want[second+" "+k.Kind] = run.Number(k.Accuracy), value(k)
			}
			for i, r := range results {
				want[fmt.Sprint("loss_loop_", i+1)], want[fmt.Sprint("accuracy_loop_", i+1)] = r.Loss, run.Number(r.Accuracy)
				want[fmt.Sprint(second, "_loop_", i+1)], want[fmt.Sprint("change_loop_", i+1)] = value(r.Score), r.Change
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("the event differs from coil eval: %s", d)
			}
			if loops > 1 && got["loss_loop_1"] == got["loss"] {
				t.Errorf("the losses after the first loop and the last are both %v", got["loss"])
			}
		})
	}
}

// What an evaluation takes is part of the planned memory.
func TestLensIsPlanned(t *testing.T) {
	c := tiny()
	c.Model.Layers = "1x40"
	tr := newTrainer(t, c, 1)
	m := eval.Trained{Backend: tr.backend, Model: tr.Model, Task: tr.Task, Weights: tr.state.evaluated()}
	plan, err := eval.Plan(m, c.Train.Batch, eval.LensCounts(40))
	if err != nil {
		t.Fatal(err)
	}
	samples, err := eval.PlanSamples(m, 40, HeldOutSeed)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tr.Memory.Batch, tr.steps[40].memory.Batch+plan.Batch+samples.Batch; got != want {
		t.Errorf("%d bytes of inputs and outputs are planned, want %d", got, want)
	}
}

// An event of evaluation has samples: those of the weights that were evaluated.
func TestSamplesOfAnEvaluation(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"average", "addition, all else"} {
		c := tiny()
		variants[name](&c)
		r := newRun(t, c)
		tr := newTrainer(t, c, 2)
		if err := tr.Run(r, nil); err != nil {
			t.Fatal(err)
		}
		h, err := runtest.Events(r)
		if err != nil {
			t.Fatal(err)
		}
		var got []run.Sample
		for _, e := range h {
			if e.Kind == run.KindEval {
				got = e.Eval.Samples
				if len(got) != 4 {
					t.Errorf("%s: %d samples at step %d", name, len(got), e.Step)
				}
			}
		}
		s, err := eval.NewSamples(checkpointed(t, tr, r, tr.backend), tr.Model.Architecture.Count(), HeldOutSeed)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		want, err := s.Run()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Reports, and the profiles and evaluations that they need, leave no trace in the weights.
func TestLookingChangesNothing(t *testing.T) {
	t.Parallel()
	for _, name := range thorough.Cases(t, 5, "configurations", slices.Sorted(maps.Keys(variants))) {
		vary := variants[name]
		var want map[string][]byte
		for _, look := range []bool{false, true} {
			c := tiny()
			vary(&c)
			c.Train.Report, c.Evaluate.Every, c.Checkpoint.Every = 2*c.Train.Steps, 0, 0
			if look {
				c.Train.Report, c.Evaluate.Every = 1, 1
			}
			r := newRun(t, c)
			if err := newTrainer(t, c, 2).Run(r, nil); err != nil {
				t.Fatal(err)
			}
			got := latest(t, r)
			delete(got, "meta")
			if want == nil {
				want = got
			}
			t.Run(name, func(t *testing.T) { wantSame(t, got, want) })
		}
	}
}
