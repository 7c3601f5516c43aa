package eval

import (
	"strings"
	"testing"
	"unicode/utf8"

	"coil/model"
	"coil/run"
	"coil/task"

	"github.com/google/go-cmp/cmp"
)

func newNoise(t *testing.T, vocabulary, length int) task.Task {
	t.Helper()
	tk, err := task.Noise{Vocabulary: vocabulary, Length: length}.New()
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

func (s *setting) samples(t *testing.T, seed uint64) []run.Sample {
	t.Helper()
	x, err := NewSamples(s.trained(), s.trained().Model.Architecture.Count(), seed)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	samples, err := x.Run()
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

// slowSample is a sample with an answer from the logits of the whole sequence.
func (s *setting) slowSample(t *testing.T, seed, index uint64, kind int) run.Sample {
	t.Helper()
	ex := task.NewExample(s.t)
	s.t.NewSampler().SampleKind(seed, index, task.HeldOut, kind, &ex)
	from, to := task.LastAnswer(s.t, ex)
	var said []int32
	for _, row := range s.logits(t, s.m.Architecture, ex.Tokens)[from:to] {
		best := 0
		for class, x := range row {
			if x > row[best] {
				best = class
			}
		}
		said = append(said, int32(best))
	}
	want := task.Render(s.t, ex.Targets[from:to])
	return run.Sample{Kind: s.t.Kinds()[kind], Question: task.Render(s.t, ex.Tokens[:from+1]), Want: want,
		Said: task.Render(s.t, said), Right: task.Render(s.t, said) == want}
}

// The samples are held-out examples, of different kinds first, with the answers that the logits give.
func TestSamples(t *testing.T) {
	type drawn struct {
		kind  int
		index uint64
	}
	many, err := task.Addition{Digits: 2, Operands: []int{2, 3, 4, 5, 6, 7}, Order: "most"}.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		layers string
		task   task.Task
		change func(*model.Config)
		want   []drawn
	}{
		{"1x3", newPHop(t), nil, []drawn{{0, 0}, {0, 1}, {0, 2}, {0, 3}}},
		{"1x(1,2,1)", newAddition(t), func(c *model.Config) { c.Tied = true }, []drawn{{0, 0}, {1, 0}, {2, 0}, {0, 1}}},
		{"2x2", many, func(c *model.Config) { c.Injection = "linear" }, []drawn{{0, 0}, {1, 0}, {3, 0}, {5, 0}}},
		{"1x2", newNoise(t, 30, 9), nil, []drawn{{0, 0}, {0, 1}, {0, 2}, {0, 3}}},
	} {
		s := newSetting(t, c.layers, c.task, c.change)
		for seed := range uint64(5) { // among random answers some are right
			var want []run.Sample
			for _, d := range c.want {
				want = append(want, s.slowSample(t, seed, d.index, d.kind))
			}
			if d := cmp.Diff(want, s.samples(t, seed)); d != "" {
				t.Errorf("%s, seed %d: %s", c.task.Name(), seed, d)
			}
		}
	}
}

// What a person reads of each task.
func TestSampleOfEachTask(t *testing.T) {
	for _, c := range []struct {
		task task.Task
		ex   task.Example
		want run.Sample
	}{
		{newAddition(t), task.Example{
			Tokens:  []int32{1, 2, 10, 3, 4, 11, 6, 4, 12, 12, 12, 12, 12, 12},
			Targets: []int32{-1, -1, -1, -1, -1, 6, 4, 0, -1, -1, -1, -1, -1, -1},
		}, run.Sample{Kind: "n=2", Question: "12+34=", Want: "640", Said: "000"}},
		{newPHop(t), task.Example{
			Tokens:  []int32{0, 1, 2, 0, 1, 0},
			Targets: []int32{-1, -1, -1, 1, 2, 0},
		}, run.Sample{Kind: "2 hops", Question: "abcaba", Want: "a", Said: "a", Right: true}},
		{newNoise(t, 30, 9), task.Example{Tokens: []int32{3, 20}, Targets: []int32{20, 7}},
			run.Sample{Kind: "noise", Question: "3 20", Want: "7", Said: "0"}},
	} {
		from, to := task.LastAnswer(c.task, c.ex)
		s := &answers{task: c.task}
		for p := from; p < to; p++ {
			s.positions = append(s.positions, p)
		}
		if d := cmp.Diff(c.want, s.sample(c.ex, make([]float32, len(s.positions)*30))); d != "" {
			t.Errorf("%s: %s", c.task.Name(), d)
		}
	}
}

// Of a long question its end is shown, and however many tokens there are, only the logits of answers are held.
func TestLongSamples(t *testing.T) {
	const length, vocabulary = 700, 900
	s := newSetting(t, "1x2", newNoise(t, vocabulary, length), nil)
	x, err := NewSamples(s.trained(), s.trained().Model.Architecture.Count(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if got, want := x.(*answers).program.Memory().Batch, int64(4*4*(length+vocabulary)); got != want {
		t.Errorf("%d bytes of inputs and outputs, want %d", got, want)
	}
	samples, err := x.Run()
	if err != nil {
		t.Fatal(err)
	}
	ex := task.NewExample(s.t)
	for i, got := range samples {
		s.t.NewSampler().SampleKind(1, uint64(i), task.HeldOut, 0, &ex)
		if want := "…" + task.Render(s.t, ex.Tokens[length-mostTokens:]); got.Question != want {
			t.Errorf("question %s, want %s", got.Question, want)
		}
		if n := len(strings.Fields(got.Question)); n != mostTokens || !utf8.ValidString(got.Question) {
			t.Errorf("%d tokens", n)
		}
	}
}

// PlanSamples returns the memory that NewSamples needs.
func TestPlanSamples(t *testing.T) {
	for _, tk := range []task.Task{newPHop(t), newAddition(t)} {
		s := newSetting(t, "1x2", tk, nil)
		plan, err := PlanSamples(s.trained(), s.trained().Model.Architecture.Count(), 3)
		if err != nil {
			t.Fatal(err)
		}
		x, err := NewSamples(s.trained(), s.trained().Model.Architecture.Count(), 3)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		if got := x.(*answers).program.Memory(); got != plan {
			t.Errorf("%s: %+v was planned, %+v taken", tk.Name(), plan, got)
		}
	}
}
