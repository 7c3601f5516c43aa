package eval

import (
	"errors"
	"math"
	"strings"
	"testing"

	"coil/model"
	"coil/task"
	"coil/thorough"
	"coil/tokenizer"
)

// The chosen number is the one whose text is likeliest in passes over the whole of it, at each loop count, whether
// or not a batch is full.
func TestPrimitives(t *testing.T) {
	const length, each, seed = 260, 3, 4
	for _, layers := range thorough.Cases(t, 2, "models", []string{"1x(1,3,1)", "1x2"}) {
		s := newSetting(t, layers, newText(t, length), func(c *model.Config) { c.Width, c.Hidden = 8, 16 })
		p, err := NewPrimitives(s.t.(task.Language), length, seed, each)
		if err != nil {
			t.Fatal(err)
		}
		counts := []int{1, s.m.Architecture.Count()}
		results, err := p.Run(s.trained(), 5, counts, nil)
		if err != nil {
			t.Fatal(err)
		}
		source, err := task.NewPrimitives(MostShots)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if r.Loops != counts[i] || r.Questions != each*4 {
				t.Fatalf("%+v, want %d loops and %d questions", r, counts[i], each*4)
			}
			mean := 0.0
			for kind, k := range r.Kinds {
				right, chance := 0.0, 0.0
				for n := range uint64(each) {
					q := source.Question(seed, n, kind)
					best, least := -1, math.Inf(1)
					for c, choice := range q.Choices {
						if nats := s.nats(t, counts[i], shotsThatFit(q, length)+q.Question, choice); nats < least {
							best, least = c, nats
						}
					}
					if best == q.Right {
						right++
					}
					chance += 1 / float64(len(q.Choices)) / each
				}
				if k.Accuracy != right/each || math.Abs(k.Chance-chance) > 1e-12 || k.Questions != each {
					t.Errorf("%s at %d loops: %+v, want an accuracy of %g and a chance of %g", layers, counts[i], k, right/each, chance)
				}
				mean += right / each / 4
			}
			if math.Abs(mean-r.Accuracy) > 1e-12 {
				t.Errorf("%g in all, want %g", r.Accuracy, mean)
			}
		}
	}
}

// shotsThatFit is the last shots of q that leave it and an answer of two digits within length bytes.
func shotsThatFit(q task.Primitive, length int) string {
	before := ""
	for i := len(q.Shots) - 1; i >= 0 && len(q.Shots[i]+before+q.Question)+len(" 25\n") <= length; i-- {
		before = q.Shots[i] + before
	}
	return before
}

// nats is how unlikely the text is after the prompt, byte by byte, by a pass over all of it.
func (s *setting) nats(t *testing.T, loops int, prompt, text string) (nats float64) {
	t.Helper()
	tokens := make([]int32, 0, len(prompt+text))
	for _, b := range []byte(prompt + text) {
		tokens = append(tokens, int32(b))
	}
	end := len(tokens)
	tokens = append(tokens, make([]int32, s.m.Length-end)...) // later tokens change nothing
	rows := s.logits(t, s.m.Architecture.WithCount(loops), tokens)
	for i := len(prompt); i < end; i++ {
		sum := 0.0
		for _, x := range rows[i-1] {
			sum += math.Exp(float64(x))
		}
		nats += math.Log(sum) - float64(rows[i-1][tokens[i]])
	}
	return nats
}

// A model that finds all bytes equally likely takes the first of the shortest numbers.
func TestPrimitivesOfUniformModel(t *testing.T) {
	const length, each = 1600, 10
	s := newSetting(t, "1x1", newText(t, length), func(c *model.Config) { c.Width, c.Heads, c.Hidden, c.InitStd = 4, 1, 4, 1e-20 })
	p, err := NewPrimitives(s.t.(task.Language), length, 1, each)
	if err != nil {
		t.Fatal(err)
	}
	results, err := p.Run(s.trained(), 16, []int{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	source, err := task.NewPrimitives(MostShots)
	if err != nil {
		t.Fatal(err)
	}
	for kind, k := range results[0].Kinds {
		right := 0
		for n := range uint64(each) {
			q := source.Question(1, n, kind)
			best := 0
			for c, choice := range q.Choices {
				if len(choice) < len(q.Choices[best]) {
					best = c
				}
			}
			if best == q.Right {
				right++
			}
		}
		if k.Shots != MostShots || k.Accuracy != float64(right)/each {
			t.Errorf("%+v, want 5 shots and an accuracy of %g", k, float64(right)/each)
		}
	}
	if _, err := p.Run(s.trained(), 16, []int{1}, func() bool { return true }); !errors.Is(err, ErrStopped) {
		t.Errorf("asked to stop: %v", err)
	}
}

// As many whole shots stand before a question as there is room for; without room for the question, the error says how much it takes.
func TestRoomForPrimitives(t *testing.T) {
	l := language{newText(t, 300).(task.Language)}
	source, err := task.NewPrimitives(MostShots)
	if err != nil {
		t.Fatal(err)
	}
	for _, length := range []int{260, 300, 700} {
		p, err := NewPrimitives(l, length, 2, 10)
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range p.questions {
			text := source.Question(2, uint64(i%10), i/10)
			want := shotsThatFit(text, length) + text.Question
			got, err := tokenizer.Bytes{}.Decode(nil, q.prompt)
			if err != nil || string(got) != want || q.shots != strings.Count(want, "Answer:")-1 {
				t.Fatalf("%d shots: %q, want %q (%v)", q.shots, got, want, err)
			}
		}
	}
	_, err = NewPrimitives(l, 200, 2, 10)
	if err == nil || !strings.Contains(err.Error(), `"depth 1 code" has 2`) || !strings.Contains(err.Error(), "task.text.length = 2") {
		t.Errorf("%v", err)
	}
}
