package train

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"coil/backend/cpu"
	"coil/config"
	"coil/run"
	"coil/thorough"
)

// scheduled is a run of 12 steps: 4 with one loop, 4 with two, 4 with three.
func scheduled() config.Config {
	c := tiny()
	c.Model.Layers, c.Loops.Schedule, c.Train.Report = "1x3", "1@0, 2@0.3, 3@0.6", 1
	c.Model.LoopEmbedding = true
	return c
}

// With a schedule, each step has the loops of its share of training, and so has the evaluation after it; the last evaluation has the
// model's own. A run that is stopped right before or after a switch goes on exactly as if it had not been.
func TestLoopSchedule(t *testing.T) {
	t.Parallel()
	c := scheduled()
	whole := newRun(t, c)
	if err := newTrainer(t, c, 2).Run(whole, nil); err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, step := range slices.Sorted(maps.Keys(reports(t, whole, run.KindTrain))) {
		steps = append(steps, fmt.Sprint(reports(t, whole, run.KindTrain)[step]["loops"]))
	}
	if want := []string{"1", "1", "1", "1", "2", "2", "2", "2", "3", "3", "3", "3"}; !slices.Equal(steps, want) {
		t.Errorf("the steps had %v loops, want %v", steps, want)
	}
	for step, want := range map[int]int{4: 1, 8: 2, 12: 3} {
		v := reports(t, whole, run.KindEval)[step]
		most := 0
		for n := range 9 {
			if _, ok := v[fmt.Sprintf("loss_loop_%d", n)]; ok {
				most = n
			}
		}
		if most != want || v["loss"] != v[fmt.Sprintf("loss_loop_%d", want)] {
			t.Errorf("the evaluation after step %d is of %d loops, want %d: %v", step, most, want, v)
		}
	}
	for _, at := range thorough.Cases(t, 2, "steps", []int{3, 4, 5, 8}) {
		r := newRun(t, c)
		tr := newTrainer(t, c, 1)
		if err := tr.Run(r, stopWhen(func() bool { return tr.Done() == at })); !errors.Is(err, ErrStopped) {
			t.Fatal(err)
		}
		if err := resume(t, c, r, 2).Run(r, nil); err != nil {
			t.Fatal(err)
		}
		wantSame(t, latest(t, r), latest(t, whole))
	}
}

// A step by a schedule is the one that a model of that many loops takes, and the switch makes the program that comes next only then,
// within the memory that there is.
func TestLoopSchedulePrograms(t *testing.T) {
	t.Parallel()
	c := scheduled()
	tr := newTrainer(t, c, 1)
	if tr.cached != 3 || len(tr.steps) != 1 || tr.steps[3] == nil {
		t.Fatalf("at the start, the programs %v of %d", slices.Sorted(maps.Keys(tr.steps)), tr.cached)
	}
	want := newRun(t, c)
	if err := tr.Run(want, nil); err != nil {
		t.Fatal(err)
	}
	memory := tr.Memory.Total() - 2*another(tr, 3)
	small, err := New(c, newBackend(t, cpu.Options{Workers: 1, Memory: memory}), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	r := newRun(t, c)
	if err := small.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	if small.cached != 1 {
		t.Errorf("%d programs are kept", small.cached)
	}
	wantSame(t, latest(t, r), latest(t, want))

	// The first four steps of 1x1 and of the schedule have the same losses: neither has more than one loop.
	one := c
	one.Model.Layers, one.Loops.Schedule = "1x1", ""
	one.Model.LoopEmbedding, c.Model.LoopEmbedding = false, false
	losses := func(c config.Config) (got []run.Number) {
		r := newRun(t, c)
		if err := newTrainer(t, c, 1).Run(r, nil); err != nil {
			t.Fatal(err)
		}
		for step := 1; step <= 4; step++ {
			got = append(got, reports(t, r, run.KindTrain)[step]["loss"])
		}
		return got
	}
	if got, want := losses(c), losses(one); !slices.Equal(got, want) {
		t.Errorf("with one loop by the schedule, the losses are %v; of one layer %v", got, want)
	}
}
