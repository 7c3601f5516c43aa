package theory

import (
	"math"
	"slices"
	"strings"
	"testing"

	"coil/loop"
	"coil/model"
	"coil/model/reference"
	"coil/task"
	"coil/thorough"
)

// saved makes the model that a construction's run has, in float64, and its task.
func saved(t *testing.T, c *Construction) (*Trainable, task.Task, *reference.Model) {
	t.Helper()
	w, err := c.Trainable()
	if err != nil {
		t.Fatalf("%s: %v", c.About, err)
	}
	of, err := w.Task.New()
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(w.Config, model.Loops{}, len(of.Vocabulary()), of.Length())
	if err != nil {
		t.Fatal(err)
	}
	return w, of, reference.New(m, m.Architecture, w.Arena(m))
}

// As models of the package model, on examples of their tasks, the constructions answer every question.
func TestTrainable(t *testing.T) {
	s3, err := NamedGroup("S3")
	if err != nil {
		t.Fatal(err)
	}
	group := func(n int) (*Construction, error) {
		return NewComposition(CompositionConfig{Group: s3, Length: n, Sharpness: 200, Examples: 1})
	}
	hops := func(p, n int) (*Construction, error) {
		return NewHops(HopsConfig{Hops: p, Length: n, Letters: 4, Sharpness: 50, Examples: 1})
	}
	shape := Shape{Layers: 3, Width: 6, Heads: 2, HeadWidth: 3, Hidden: 8}
	for _, c := range []struct {
		layers string
		build  func() (*Construction, error)
		lead   float64 // of the right answer's logit
	}{
		{"1x4", func() (*Construction, error) { return group(16) }, certain},
		{"1x3", func() (*Construction, error) { return group(6) }, certain},
		{"1x3", func() (*Construction, error) { return group(7) }, certain},
		{"1x2", func() (*Construction, error) { return hops(1, 20) }, certain},
		{"1x5", func() (*Construction, error) { return hops(8, 60) }, certain},
		{"1x5", func() (*Construction, error) { return hops(5, 40) }, certain},
		{"6x5", func() (*Construction, error) {
			return NewThought(ThoughtConfig{Shape: Shape{2, 6, 2, 3, 8}, Vocabulary: 6, Prompt: 5, Tokens: 5, Scale: 1, Gap: 1e-6, Sharpness: 200, Examples: 1, Seed: 1})
		}, certain},
		{"1x6", func() (*Construction, error) {
			return NewLooped(LoopedConfig{Shape: shape, Schedule: []int{0, 2, 1, 1, 0, 2}, Vocabulary: 6, Length: 12, Scale: 1, Examples: 2, Seed: 2})
		}, 0},
		{"1x(1,3,1)", func() (*Construction, error) {
			return NewUnrolled(UnrolledConfig{Architecture: loop.Equal(1, 1, 3, 1), Shape: shape, Vocabulary: 6, Length: 6, Scale: 1, Examples: 1, Seed: 1})
		}, 0},
	} {
		built, err := c.build()
		if err != nil {
			t.Fatal(err)
		}
		w, of, r := saved(t, built)
		if w.Config.Layers != c.layers {
			t.Errorf("%s is saved as %s, want %s", built.About, w.Config.Layers, c.layers)
		}
		sampler, ex := of.NewSampler(), task.NewExample(of)
		answers := 0
		for index := range uint64(8) {
			sampler.Sample(1, index, task.HeldOut, &ex)
			tokens := make([]int, len(ex.Tokens))
			for i, token := range ex.Tokens {
				tokens[i] = int(token)
			}
			all := r.Logits(tokens)
			for i, target := range ex.Targets {
				if target == task.Ignore {
					continue
				}
				answers++
				logits := all[len(all)-1][i]
				for k, logit := range logits { // # too
					if k != int(target) && !(logit < logits[target]-c.lead+1e-9) {
						t.Errorf("%s: token %d has the logit %g at position %d, the right one %g", built.About, k, logit, i, logits[target])
					}
				}
			}
		}
		if answers == 0 {
			t.Errorf("%s: no answers", built.About)
		}
	}
}

// A chain of thought appears token by token: after loop t its first t tokens are there, and they stay when there are more
// loops than tokens.
func TestThoughtAfterEachLoop(t *testing.T) {
	c, err := NewThought(ThoughtConfig{Shape: Shape{1, 6, 1, 3, 8}, Vocabulary: 6, Prompt: 5, Tokens: 4, Scale: 1, Gap: 1e-6, Sharpness: 200, Examples: 1, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Trainable()
	if err != nil {
		t.Fatal(err)
	}
	of, err := w.Task.New()
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(w.Config, model.Loops{}, len(of.Vocabulary()), of.Length())
	if err != nil {
		t.Fatal(err)
	}
	more := m.Architecture.WithCount(7)
	r := reference.New(m, more, w.Arena(m))
	sampler, ex := of.NewSampler(), task.NewExample(of)
	for index := range uint64(4) {
		sampler.Sample(1, index, task.HeldOut, &ex)
		tokens := make([]int, len(ex.Tokens))
		for i, token := range ex.Tokens {
			tokens[i] = int(token)
		}
		for n, logits := range r.Logits(tokens) {
			for i := 5; i < min(5+n+1, len(ex.Tokens)); i++ {
				if target := ex.Targets[i]; target != task.Ignore && slices.Max(logits[i]) != logits[i][target] {
					t.Errorf("after loop %d the logits of position %d are %v, want most for %d", n+1, i, logits[i], target)
				}
			}
		}
	}
}

// What the task teacher asks for is what the decoder of this package says, which runs the same weights with code of its own.
func TestTeacherIsTheDecoder(t *testing.T) {
	c := task.Teacher{Vocabulary: 6, Prompt: 5, Write: 6, Layers: 3, Schedule: []int{0, 2, 1, 1}, Width: 7, Heads: 2, HeadWidth: 3, Hidden: 9, Scale: 0, Weights: 4}
	of, err := c.New()
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder(c.Network())
	sampler, ex := of.NewSampler(), task.NewExample(of)
	compared := 0
	for index := range uint64(20) {
		sampler.Sample(2, index, task.Train, &ex)
		prompt := make([]int, c.Prompt)
		for i := range prompt {
			prompt[i] = int(ex.Tokens[i])
		}
		said, _ := d.Decode(prompt, c.Write, Arithmetic{})
		for i, target := range ex.Targets {
			if target == task.Ignore {
				continue
			}
			if compared++; said[i] != int(target) {
				t.Fatalf("the target at position %d is %d, the decoder says %v", i, target, said)
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d targets", compared)
	}
}

// What a run can't have is refused.
func TestNotTrainable(t *testing.T) {
	for _, x := range thorough.Cases(t, 2, "groups", []struct {
		group  string
		length int
		want   string
	}{
		{"Z2", 3, "questions"},
		{"S7", 4, "group S7 has 5040 elements, and so the layer 25401678 hidden units"},
	}) {
		g, err := NamedGroup(x.group)
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewComposition(CompositionConfig{Group: g, Length: x.length, Sharpness: 200, Examples: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Trainable(); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%v, want %q", err, x.want)
		}
	}
}

// A trained model that is compiled and saved is as right on its task as it was: its logits are the same.
func TestTrainableFromTrained(t *testing.T) {
	for name, change := range map[string]func(*model.Config){
		"learned": func(*model.Config) {}, "biases": func(c *model.Config) { c.Bias = true }, "tied": func(c *model.Config) { c.Tied = true }, "no positions": func(c *model.Config) { c.Positions = "none" },
	} {
		of := task.Default()
		of.PHop.Length, of.PHop.Hops = 16, 2
		made, err := of.New()
		if err != nil {
			t.Fatal(err)
		}
		cfg := model.Default()
		cfg.Layers, cfg.Width, cfg.Heads, cfg.Hidden = "2x2", 12, 3, 10
		cfg.Norm, cfg.Activation, cfg.Positions, cfg.Bias = "none", "relu", "learned", false
		change(&cfg)
		m, err := model.New(cfg, model.Loops{}, len(made.Vocabulary()), made.Length())
		if err != nil {
			t.Fatal(err)
		}
		arena := reference.Arena(m, 1)
		sequence := []int32{3, 1, 0, 2, 0, 1, 2, 3, 0, 1, 3, 2, 1, 0, 3, 1}
		c, err := NewLoopedModel(m, arena, of, [][]int32{sequence})
		if err != nil {
			t.Fatal(err)
		}
		_, _, looped := saved(t, c)
		tokens := make([]int, len(sequence))
		for i, token := range sequence {
			tokens[i] = int(token)
		}
		want := reference.New(m, m.Architecture, arena).Logits(tokens)
		got := looped.Logits(append([]int{4}, tokens...))
		for i, row := range want[len(want)-1] {
			if v := got[len(got)-1][i+1]; !(v[len(row)] < slices.Min(row)) {
				t.Errorf("%s: # has the logit %v of %v", name, v[len(row)], v)
			}
			for k, v := range row {
				if d := math.Abs(got[len(got)-1][i+1][k] - v); !(d <= 1e-6*max(1, math.Abs(v))) {
					t.Fatalf("%s: logit %d of position %d is %v, want %v", name, k, i, got[len(got)-1][i+1][k], v)
				}
			}
		}
	}
}

// A tracer finds the construction that a run has from its configuration, and follows the same example with the run's weights.
func TestTracer(t *testing.T) {
	g, err := NamedGroup("S3")
	if err != nil {
		t.Fatal(err)
	}
	shape := Shape{Layers: 2, Width: 4, Heads: 2, HeadWidth: 3, Hidden: 5}
	for _, build := range []func() (*Construction, error){
		func() (*Construction, error) {
			return NewComposition(CompositionConfig{Group: g, Length: 6, Sharpness: 200, Examples: 1})
		},
		func() (*Construction, error) {
			return NewHops(HopsConfig{Hops: 3, Length: 24, Letters: 4, Sharpness: 50, Examples: 1})
		},
		func() (*Construction, error) {
			return NewThought(ThoughtConfig{Shape: shape, Vocabulary: 6, Prompt: 5, Tokens: 3, Scale: 1, Gap: 1e-6, Sharpness: 200, Examples: 1, Seed: 3})
		},
		func() (*Construction, error) {
			return NewLooped(LoopedConfig{Shape: shape, Schedule: []int{1, 0, 0}, Vocabulary: 6, Length: 5, Scale: 1, Examples: 1, Seed: 3})
		},
		func() (*Construction, error) {
			return NewUnrolled(UnrolledConfig{Architecture: loop.Equal(1, 1, 3), Shape: shape, Vocabulary: 6, Length: 5, Scale: 1, Examples: 1, Seed: 3})
		},
	} {
		c, err := build()
		if err != nil {
			t.Fatal(err)
		}
		w, of, _ := saved(t, c)
		m, err := model.New(w.Config, model.Loops{}, len(of.Vocabulary()), of.Length())
		if err != nil {
			t.Fatal(err)
		}
		arena := w.Arena(m)
		tracer := NewTracer(w.Task, m)
		if tracer == nil {
			t.Errorf("%s isn't recognized", c.About)
			continue
		}
		// The example is a construction's first, whatever its seed.
		same, err := constructionOf(w.Task, m)
		if err != nil {
			t.Fatal(err)
		}
		var want, got strings.Builder
		WriteTrace(&want, same.Trace(Arithmetic{}, false))
		WriteTrace(&got, tracer.Trace(arena))
		if got.String() != want.String() {
			t.Errorf("%s: the trace is\n%s, want\n%s", c.About, got.String(), want.String())
		}
		arena[0] += 0.25 // trained on a little
		if tracer.Trace(arena) == nil {
			t.Errorf("%s: no trace of a weight that has hardly moved", c.About)
		}
		arena[0] += 0.75
		if tracer.Trace(arena) != nil {
			t.Errorf("%s: a trace of weights that are something else", c.About)
		}
		other := w.Config
		other.Hidden++
		if m, err = model.New(other, model.Loops{}, len(of.Vocabulary()), of.Length()); err != nil || NewTracer(w.Task, m) != nil {
			t.Errorf("%s: another model is recognized, %v", c.About, err)
		}
	}
	if m, err := model.New(model.Default(), model.Loops{}, 4, 64); err != nil || NewTracer(task.Default(), m) != nil {
		t.Errorf("an ordinary run is recognized as a construction, %v", err)
	}
}
