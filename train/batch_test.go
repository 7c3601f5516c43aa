package train

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"coil/backend"
	"coil/backend/cpu"
	"coil/graph"
	"coil/run"
	"coil/task"
)

// A batch is a function of the seed and the step, whatever was drawn before.
func TestFill(t *testing.T) {
	c := tiny()
	for _, name := range task.Names() {
		c.Task.Name = task.Name(name)
		tk, err := c.Task.New()
		if err == nil {
			err = task.Prepare(tk, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		first, again := newBatch(tk, 6), newBatch(tk, 6)
		again.fill(9, 9)
		seen := map[string]bool{}
		for _, step := range []int{0, 1, 2, 1000} {
			first.fill(7, step)
			again.fill(8, step)
			if slices.Equal(first.inputs[0], again.inputs[0]) {
				t.Errorf("%s: seeds 7 and 8 have the same step %d", name, step)
			}
			again.fill(7, step)
			if !slices.Equal(first.inputs[0], again.inputs[0]) || !slices.Equal(first.inputs[1], again.inputs[1]) || first.count != again.count {
				t.Errorf("%s: step %d is not always the same", name, step)
			}
			seen[task.Render(tk, first.inputs[0])] = true

			count := 0
			s, ex := tk.NewSampler(), task.NewExample(tk)
			for i := range 6 {
				s.Sample(7, uint64(step*6+i), task.Train, &ex)
				at := i * tk.Length()
				if !slices.Equal(first.inputs[0][at:at+tk.Length()], ex.Tokens) || !slices.Equal(first.inputs[1][at:at+tk.Length()], ex.Targets) {
					t.Errorf("%s: sequence %d of step %d is another", name, i, step)
				}
				for _, target := range ex.Targets {
					if target != task.Ignore {
						count++
					}
				}
			}
			if first.count != count {
				t.Errorf("%s: %d targets, want %d", name, first.count, count)
			}
		}
		if len(seen) != 4 {
			t.Errorf("%s: of 4 steps only %d differ", name, len(seen))
		}
	}
}

// In a space so small that training sees nearly all of it, no held-out sum is ever trained on, in any order of its
// operands.
func TestHeldOutIsNotTrained(t *testing.T) {
	tk, err := task.Config{Name: "addition", Addition: task.Addition{Digits: 2, Operands: []int{2}, Order: "most"}}.New()
	if err != nil {
		t.Fatal(err)
	}
	question := func(tokens []int32) [2]int32 {
		a, b := tokens[0]*10+tokens[1], tokens[3]*10+tokens[4]
		return [2]int32{min(a, b), max(a, b)}
	}
	trained := map[[2]int32]bool{}
	b := newBatch(tk, 64)
	for step := range 500 {
		b.fill(1, step)
		for i := range 64 {
			trained[question(b.inputs[0][i*tk.Length():])] = true
		}
	}
	held := map[[2]int32]bool{}
	s, ex := tk.NewSampler(), task.NewExample(tk)
	for i := range 5000 {
		s.SampleKind(HeldOutSeed, uint64(i), task.HeldOut, 0, &ex)
		q := question(ex.Tokens)
		if held[q] = true; trained[q] {
			t.Fatalf("%d + %d is trained on and held out", q[0], q[1])
		}
	}
	if len(trained)+len(held) < 5000 { // of 100·101/2 pairs
		t.Errorf("only %d pairs are trained on and %d held out", len(trained), len(held))
	}
}

// The batches come in the order of the steps, whichever step is the first, and none is made beyond the last.
func TestFeedOrder(t *testing.T) {
	tk, err := tiny().Task.New()
	if err != nil {
		t.Fatal(err)
	}
	want := newBatch(tk, 6)
	for _, rotation := range []int{1, 3} {
		for _, from := range []int{0, 7, 19, 20} {
			batches := make([]*batch, rotation)
			for i := range batches {
				batches[i] = newBatch(tk, 6)
			}
			f := startFeed(batches, 5, from, 20)
			for step := from; step < 20; step++ {
				b, _ := f.next()
				want.fill(5, step)
				if !slices.Equal(b.inputs[0], want.inputs[0]) || !slices.Equal(b.inputs[1], want.inputs[1]) || b.count != want.count {
					t.Fatalf("%d in rotation, from step %d: step %d has another batch", rotation, from, step)
				}
				f.empty <- b
			}
			<-f.ended
			if len(f.full) != 0 {
				t.Errorf("%d in rotation, from step %d: there are batches of steps beyond the last", rotation, from)
			}
			f.stop()
		}
	}
}

// watching shows what the programs of a backend are run on, and may fail them.
type watching struct {
	backend.Backend
	see func(backend.Args) error
}

func (w watching) Compile(r *graph.Recorder) (backend.Program, error) {
	p, err := w.Backend.Compile(r)
	return watched{p, w.see}, err
}

type watched struct {
	backend.Program
	see func(backend.Args) error
}

func (p watched) Run(s backend.Args) error {
	if err := p.see(s); err != nil {
		return err
	}
	return p.Program.Run(s)
}

// A resumed run starts with the batch of the step after the last.
func TestResumeContinuesTheData(t *testing.T) {
	c := tiny()
	c.Evaluate.Every = 0 // so that all runs of programs before the last evaluation are steps
	var tokens [][]int32
	b := watching{newBackend(t, cpu.Options{Workers: 2}), func(s backend.Args) error {
		tokens = append(tokens, slices.Clone(s.Inputs[0]))
		return nil
	}}
	r := newRun(t, c)
	for _, steps := range []int{5, 2, c.Train.Steps} {
		tr, err := New(c, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		if from, err := r.Latest(); err == nil {
			if err := errors.Join(tr.Resume(from), r.Rewind(from.Step)); err != nil {
				t.Fatal(err)
			}
		} else if !errors.Is(err, run.ErrNoCheckpoint) {
			t.Fatal(err)
		}
		if err := tr.Run(r, after(steps)); err != nil && !errors.Is(err, ErrStopped) {
			t.Fatal(err)
		}
	}
	tk, err := c.Task.New()
	if err != nil {
		t.Fatal(err)
	}
	want := newBatch(tk, c.Train.Batch)
	for step := range c.Train.Steps {
		if want.fill(c.Train.Seed, step); !slices.Equal(tokens[step], want.inputs[0]) {
			t.Errorf("step %d was trained on another batch", step)
		}
	}
}

// However a run ends, its feed leaves nothing behind.
func TestFeedEnds(t *testing.T) {
	c := tiny()
	c.Train.Steps, c.Evaluate.Every = 30, 0
	failed := errors.New("failed")
	for _, end := range []struct {
		name string
		want error
		see  func(steps int) error // is called with the number of steps that have begun
		next func() run.Command
	}{
		{"success", nil, func(int) error { return nil }, func() run.Command { return "" }},
		{"stop", ErrStopped, func(int) error { return nil }, after(4)},
		{"error", failed, func(steps int) error {
			if steps == 5 {
				return failed
			}
			return nil
		}, nil},
		{"error in the first step", failed, func(int) error { return failed }, nil},
		{"panic", failed, func(int) error { return nil }, func() run.Command { panic(failed) }},
	} {
		t.Run(end.name, func(t *testing.T) {
			steps, before := 0, 0
			b := watching{newBackend(t, cpu.Options{Workers: 2}), func(backend.Args) error {
				if steps++; steps == 1 && runtime.NumGoroutine() != before+1 {
					t.Errorf("in the first step there are %d goroutines, before there were %d", runtime.NumGoroutine(), before)
				}
				return end.see(steps)
			}}
			tr, err := New(c, b, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			r := newRun(t, c)
			before = runtime.NumGoroutine()
			func() {
				defer func() {
					if p := recover(); p != nil {
						err = p.(error)
					}
				}()
				err = tr.Run(r, end.next)
			}()
			if !errors.Is(err, end.want) {
				t.Fatal(err)
			}
			deadline := time.Now().Add(5 * time.Second)
			for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond)
			}
			if n := runtime.NumGoroutine(); n > before {
				t.Errorf("%d goroutines are left, before there were %d", n, before)
			}
		})
	}
}

// slow takes its time.
type slow struct{ task.Sampler }

func (s slow) Sample(seed, index uint64, split task.Split, ex *task.Example) {
	time.Sleep(2 * time.Millisecond)
	s.Sampler.Sample(seed, index, split, ex)
}

// The share of the time spent waiting for batches is reported, and is large where they are slow.
func TestDataWait(t *testing.T) {
	t.Parallel()
	for _, isSlow := range []bool{false, true} {
		c := tiny()
		tr := newTrainer(t, c, 2)
		if isSlow {
			for _, b := range tr.batches {
				b.sampler = slow{b.sampler}
			}
		}
		r := newRun(t, c)
		if err := tr.Run(r, nil); err != nil {
			t.Fatal(err)
		}
		told := reports(t, r, run.KindTrain)
		if len(told) != c.Train.Steps/c.Train.Report {
			t.Errorf("%d reports", len(told))
		}
		for step, values := range told {
			if w, ok := values["data_wait"]; !ok || !(w >= 0 && w <= 1) || isSlow && w < 0.2 {
				t.Errorf("slow batches %v: up to step %d, data_wait is %v", isSlow, step, w)
			}
		}
	}
}

// What Batch returns is what a trainer puts before the model, step by step, for a task with several kinds too.
func TestBatchIsWhatTrainingSees(t *testing.T) {
	for _, name := range []string{"p-hop", "addition", "assignment"} {
		c := tiny()
		c.Task.Name, c.Task.Addition = task.Name(name), task.Addition{Digits: 2, Operands: []int{2, 3}, Order: "most"}
		c.Train.Steps, c.Train.Batch, c.Train.Seed, c.Evaluate.Every = 3, 16, 5, 0
		var seen [][][]int32
		b := watching{newBackend(t, cpu.Options{Workers: 1}), func(s backend.Args) error {
			if len(s.Inputs) == 2 && len(s.Inputs[0]) == len(s.Inputs[1]) {
				seen = append(seen, [][]int32{slices.Clone(s.Inputs[0]), slices.Clone(s.Inputs[1])})
			}
			return nil
		}}
		tr, err := New(c, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		if err := tr.Run(newRun(t, c), nil); err != nil {
			t.Fatal(err)
		}
		for step := range c.Train.Steps {
			var tokens, targets []int32
			kinds := map[int]bool{}
			for _, ex := range Batch(tr.Task, c.Train.Batch, c.Train.Seed, step) {
				tokens, targets = append(tokens, ex.Tokens...), append(targets, ex.Targets...)
				kinds[ex.Kind] = true
			}
			if in := seen[step]; !slices.Equal(in[0], tokens) || !slices.Equal(in[1], targets) {
				t.Errorf("%s: step %d saw another batch", name, step)
			}
			if name == "addition" && len(kinds) < 2 {
				t.Errorf("%s: a batch has the kinds %v", name, kinds)
			}
		}
	}
}
