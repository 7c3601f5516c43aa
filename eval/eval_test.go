package eval

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"coil/autodiff"
	"coil/backend"
	"coil/backend/cpu"
	"coil/graph"
	"coil/loop"
	"coil/metric"
	"coil/model"
	"coil/run"
	"coil/task"
)

// setting is a model with weights, and a task for it.
type setting struct {
	b       backend.Backend
	m       *model.Model
	t       task.Task
	weights graph.Buffer
}

func (s *setting) trained() Trained { return Trained{s.b, s.m, s.t, s.weights} }

// newSetting makes a model of random weights, large enough that its answers differ from loop to loop.
func newSetting(t *testing.T, layers string, tk task.Task, change func(*model.Config)) *setting {
	t.Helper()
	c := model.Default()
	c.Layers, c.Width, c.Heads, c.Hidden, c.InitStd = layers, 16, 2, 32, 0.5
	if change != nil {
		change(&c)
	}
	m, err := model.New(c, model.Loops{}, len(tk.Vocabulary()), tk.Length())
	if err != nil {
		t.Fatal(err)
	}
	b, err := cpu.New(cpu.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	weights, err := b.NewBuffer(m.Size)
	if err != nil {
		t.Fatal(err)
	}
	if err := weights.Write(0, m.Initialize(3)); err != nil {
		t.Fatal(err)
	}
	return &setting{b, m, tk, weights}
}

func newPHop(t *testing.T) task.Task {
	t.Helper()
	tk, err := task.PHop{Letters: 4, Length: 20, Hops: 2, Sampler: "no-repeats", Loss: "every"}.New()
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

func newAddition(t *testing.T) task.Task {
	t.Helper()
	tk, err := task.Addition{Digits: 2, Operands: []int{2, 3}, Evaluate: []int{4}, Order: "least"}.New()
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

func (s *setting) evaluate(t *testing.T, batch, examples int, counts ...int) []Result {
	t.Helper()
	e, err := New(s.trained(), batch, counts)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	r, err := e.Run(5, examples, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// logits returns the logits of one sequence, from a separate recording.
func (s *setting) logits(t *testing.T, a loop.Architecture, tokens []int32) [][]float64 {
	t.Helper()
	r := graph.NewRecorder(1, 1)
	w, index := r.Parameter(s.weights), r.Input(s.m.Length)
	out := r.Output(s.m.Length, s.m.Vocabulary)
	tape := autodiff.NewTape(r, false)
	pass := s.m.Pass(tape, w)
	pass.Architecture = a
	pass.Logits(pass.FinalState(index), out)
	p, err := s.b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	flat := make([]float32, s.m.Length*s.m.Vocabulary)
	if err := errors.Join(p.Run(backend.Args{Inputs: [][]int32{tokens}}), p.Results(nil), p.Output(out, flat)); err != nil {
		t.Fatal(err)
	}
	rows := make([][]float64, s.m.Length)
	for i := range rows {
		for _, x := range flat[i*s.m.Vocabulary : (i+1)*s.m.Vocabulary] {
			rows[i] = append(rows[i], float64(x))
		}
	}
	return rows
}

// eachTarget calls f with the loss of each target of an example, and whether the model says it, from logits. number counts the example's targets.
func (s *setting) eachTarget(t *testing.T, ex task.Example, count int, f func(number int, loss float64, right bool)) {
	t.Helper()
	number := 0
	for at, row := range s.logits(t, s.m.Architecture.WithCount(count), ex.Tokens) {
		target := ex.Targets[at]
		if target == task.Ignore {
			continue
		}
		sum, best := 0.0, 0
		for class, x := range row {
			sum += math.Exp(x)
			if x > row[best] {
				best = class
			}
		}
		f(number, math.Log(sum)-row[target], best == int(target))
		number++
	}
}

// slowly scores examples one by one.
func (s *setting) slowly(t *testing.T, kind, examples, count int) Score {
	t.Helper()
	var loss float64
	var targets, right, exact int
	sampler, ex := s.t.NewSampler(), task.NewExample(s.t)
	for i := range examples {
		sampler.SampleKind(5, uint64(i), task.HeldOut, kind, &ex)
		all := true
		s.eachTarget(t, ex, count, func(_ int, l float64, ok bool) {
			loss += l
			targets++
			if ok {
				right++
			}
			all = all && ok
		})
		if all {
			exact++
		}
	}
	return Score{Kind: s.t.Kinds()[kind], Examples: examples, Loss: run.Number(loss / float64(targets)), Accuracy: float64(right) / float64(targets), Exact: float64(exact) / float64(examples)}
}

func wantScore(t *testing.T, what string, got, want Score) {
	t.Helper()
	if d := math.Abs(float64(got.Loss - want.Loss)); !(d <= 1e-4*math.Abs(float64(want.Loss))) {
		t.Errorf("%s: loss %v, want %v", what, got.Loss, want.Loss)
	}
	got.Loss = want.Loss
	if got != want {
		t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

// The scores are those computed example by example from the logits.
func TestAgainstLogits(t *testing.T) {
	for _, c := range []struct {
		layers string
		task   task.Task
		change func(*model.Config)
	}{
		{"1x3", newPHop(t), nil},
		{"1x(1,2,1)", newAddition(t), func(c *model.Config) { c.Positions, c.Tied, c.Injection = "learned", true, "linear" }},
		{"2x2", newAddition(t), func(c *model.Config) { c.NormPlace, c.LoopEmbedding = "post", true }},
	} {
		s := newSetting(t, c.layers, c.task, c.change)
		const examples = 12
		got := s.evaluate(t, 5, examples, 1, 2, 4)
		for _, r := range got {
			kinds := r.Kinds
			if len(s.t.Kinds()) == 1 {
				if kinds != nil {
					t.Errorf("one kind is listed: %v", kinds)
				}
				r.Kind = s.t.Kinds()[0]
				kinds = []Score{r.Score}
			}
			for k, score := range kinds {
				wantScore(t, fmt.Sprintf("%s %s %d loops", c.layers, score.Kind, r.Loops), score, s.slowly(t, k, examples, r.Loops))
			}
		}
	}
}

// The score of a digit is that of its targets in examples of the split, one by one. A second run does not add to the first.
func TestParts(t *testing.T) {
	s := newSetting(t, "1x2", newAddition(t), nil)
	const examples = 12
	counts := []int{1, 2}
	e, err := New(s.trained(), 5, counts)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.ByPart(); err != nil {
		t.Fatal(err)
	}
	for _, split := range []task.Split{task.HeldOut, task.Train} {
		e.Split = split
		results, err := e.Run(5, examples, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			want := []Part{{Name: "digit 1"}, {Name: "digit 2"}, {Name: "digit 3"}} // the ones come first
			sampler, ex := s.t.NewSampler(), task.NewExample(s.t)
			for kind := range s.t.Kinds() {
				for k := range uint64(examples) {
					sampler.SampleKind(5, k, split, kind, &ex)
					s.eachTarget(t, ex, counts[i], func(number int, loss float64, right bool) {
						p := &want[number]
						p.Targets++
						p.Loss += run.Number(loss)
						if right {
							p.Accuracy++
						}
					})
				}
			}
			if len(r.Parts) != len(want) {
				t.Fatalf("parts %v", r.Parts)
			}
			for k, p := range want {
				n := float64(p.Targets)
				got := r.Parts[k]
				if d := float64(got.Loss)*n - float64(p.Loss); got.Name != p.Name || got.Targets != p.Targets || got.Accuracy != p.Accuracy/n || math.Abs(d) > 1e-4*float64(p.Loss) {
					t.Errorf("%s, %d loops: %+v, want %+v, loss and accuracy times %g", split, counts[i], got, p, n)
				}
			}
		}
	}
}

// Where all targets are alike there are no parts.
func TestNoParts(t *testing.T) {
	s := newSetting(t, "1x2", newPHop(t), nil)
	e, err := New(s.trained(), 5, []int{2})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.ByPart(); err == nil || !strings.Contains(err.Error(), "p-hop") {
		t.Errorf("error %v", err)
	}
	if r, err := e.Run(5, 4, nil); err != nil || r[0].Parts != nil {
		t.Errorf("%v, %v", r, err)
	}
}

// One pass gives at every count what an evaluator of that count alone gives.
func TestAllCountsInOnePass(t *testing.T) {
	for _, layers := range []string{"1x2", "1x(1,3,2)"} {
		s := newSetting(t, layers, newPHop(t), func(c *model.Config) { c.Injection = "add" })
		counts := []int{1, 2, 3, 4, 5, 6, 7, 8}
		together := s.evaluate(t, 8, 24, counts...)
		different := false
		for i, n := range counts {
			alone := s.evaluate(t, 8, 24, n)
			if len(alone) != 1 || alone[0].Loops != n || together[i].Loops != n {
				t.Fatalf("%d loops: %v and %v", n, alone, together[i])
			}
			wantScore(t, fmt.Sprintf("%s, %d loops", layers, n), together[i].Score, alone[0].Score)
			different = different || alone[0].Accuracy != together[0].Accuracy
		}
		if !different {
			t.Errorf("%s: all counts have one accuracy, %g", layers, together[0].Accuracy)
		}
	}
}

// The size of the batch changes nothing but rounding.
func TestBatchSize(t *testing.T) {
	s := newSetting(t, "1x2", newAddition(t), nil)
	want := s.evaluate(t, 1, 13, 1, 3)
	for _, batch := range []int{2, 5, 13, 32} {
		for i, r := range s.evaluate(t, batch, 13, 1, 3) {
			wantScore(t, fmt.Sprintf("batches of %d, %d loops", batch, r.Loops), r.Score, want[i].Score)
			for k := range r.Kinds {
				wantScore(t, fmt.Sprintf("batches of %d, %s", batch, r.Kinds[k].Kind), r.Kinds[k], want[i].Kinds[k])
			}
		}
	}
}

// All kinds together are the mean of the kinds, each with the same weight.
func TestMeanOverKinds(t *testing.T) {
	s := newSetting(t, "1x2", newAddition(t), nil)
	r := s.evaluate(t, 8, 20, 2)[0]
	if len(r.Kinds) != 3 || r.Kinds[0].Kind != "n=2" || r.Kinds[2].Kind != "n=4" {
		t.Fatalf("kinds %v", r.Kinds)
	}
	var want Score
	for _, k := range r.Kinds {
		want.Examples += k.Examples
		want.Loss += k.Loss / 3
		want.Accuracy += k.Accuracy / 3
		want.Exact += k.Exact / 3
	}
	if math.Abs(r.Accuracy-want.Accuracy) > 1e-12 || r.Examples != 60 {
		t.Errorf("%+v, want %+v", r.Score, want)
	}
	r.Accuracy, want.Accuracy = 0, 0
	wantScore(t, "all kinds", r.Score, want)
	if s.t.Kinds()[0] != r.Kinds[0].Kind || r.Value(s.t.Metric()) != r.Exact || s.t.Metric() != metric.ExactMatch {
		t.Errorf("addition is judged by %s, %g", s.t.Metric(), r.Value(s.t.Metric()))
	}
	p := Score{Accuracy: 0.5, Exact: 0.25}
	if tk := newPHop(t); p.Value(tk.Metric()) != 0.5 || tk.Metric() != metric.Accuracy {
		t.Errorf("p-hop is judged by %s, %g", tk.Metric(), p.Value(tk.Metric()))
	}
}

// A perfect answer on some examples, a wrong one on others.
func TestTally(t *testing.T) {
	var c tally
	c.add([]int32{task.Ignore, 3, 4}, []float32{9, 1, 2}, []float32{0, 1, 1})
	c.add([]int32{1, 3, task.Ignore}, []float32{3, 4, 9}, []float32{1, 0, 0})
	if got, want := c.score("x"), (Score{Kind: "x", Examples: 2, Loss: 2.5, Accuracy: 0.75, Exact: 0.5}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestCounts(t *testing.T) {
	s := newSetting(t, "1x2", newPHop(t), nil)
	for _, counts := range [][]int{{0}, {-1, 2}, {2, 1}, {3, 3}, {}, nil} {
		if _, err := New(s.trained(), 4, counts); err == nil || !strings.Contains(err.Error(), "ascending from 1") {
			t.Errorf("counts %v: %v", counts, err)
		}
	}
}

// A stop ends an evaluation between batches; the next evaluation starts over.
func TestStop(t *testing.T) {
	s := newSetting(t, "1x2", newPHop(t), nil)
	e, err := New(s.trained(), 4, []int{2})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	asked := 0
	if r, err := e.Run(5, 12, func() bool { asked++; return asked == 3 }); !errors.Is(err, ErrStopped) || r != nil || asked != 3 {
		t.Errorf("%v, %v after %d", r, err, asked)
	}
	r, err := e.Run(5, 12, func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	wantScore(t, "after a stop", r[0].Score, s.evaluate(t, 4, 12, 2)[0].Score)
}

// Plan returns the memory that New needs.
func TestPlan(t *testing.T) {
	s := newSetting(t, "1x2", newPHop(t), nil)
	plan, err := Plan(s.trained(), 8, []int{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(s.trained(), 8, []int{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := e.program.Memory(); got != plan {
		t.Errorf("%+v was planned, %+v taken", plan, got)
	}
}

// A result whose loss is not a number can be written, and read.
func TestJSON(t *testing.T) {
	for _, loss := range []float64{0.5, math.NaN(), math.Inf(1)} {
		r := Result{Loops: 3, Score: Score{Examples: 7, Loss: run.Number(loss), Accuracy: 0.25}}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var again Result
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(again) != fmt.Sprint(r) || !strings.HasPrefix(string(b), `{"loops":3,"examples":7,"loss":`) {
			t.Errorf("%v written as %s and read as %v", r, b, again)
		}
	}
}
