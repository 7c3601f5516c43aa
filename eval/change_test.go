package eval

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"coil/model"
	"coil/model/reference"
	"coil/task"
	"coil/thorough"

	"pgregory.net/rapid"
)

// slowChange is the change of the last of a number of loops, from the definition of the model in float64.
func (s *setting) slowChange(t *testing.T, examples, count int) float64 {
	t.Helper()
	arena := make([]float32, s.m.Size)
	if err := s.weights.Read(0, arena); err != nil {
		t.Fatal(err)
	}
	m := reference.New(s.m, s.m.Architecture.WithCount(count), arena)
	var moved, state float64
	sampler, ex := s.t.NewSampler(), task.NewExample(s.t)
	for kind := range s.t.Kinds() {
		for i := range examples {
			sampler.SampleKind(5, uint64(i), task.HeldOut, kind, &ex)
			tokens := make([]int, len(ex.Tokens))
			for j, k := range ex.Tokens {
				tokens[j] = int(k)
			}
			states := m.States(tokens)
			before, after := states[count-1], states[count]
			for j := range before {
				if ex.Targets[j] == task.Ignore {
					continue
				}
				for c, x := range before[j] {
					moved += (after[j][c] - x) * (after[j][c] - x)
					state += x * x
				}
			}
		}
	}
	return math.Sqrt(moved / state)
}

// The change of each loop agrees with the model's definition, for any batch size and any number of examples in the last batch.
func TestChange(t *testing.T) {
	for _, c := range thorough.Cases(t, 2, "models", []struct {
		layers string
		task   task.Task
		change func(*model.Config)
	}{
		{"1x3", newPHop(t), nil},
		{"2x(1,2,1)", newAddition(t), func(c *model.Config) { c.Injection = "linear" }},
		{"1x(2,3,2)", newAddition(t), func(c *model.Config) { c.NormPlace, c.Injection, c.LoopEmbedding = "post", "add", true }},
	}) {
		s := newSetting(t, c.layers, c.task, c.change)
		const examples = 7
		slow := map[int]float64{} // by loops
		for _, counts := range [][]int{{1, 2, 3, 4}, {3}, {2, 5}} {
			for _, batch := range []int{1, 5, 16} {
				for _, r := range s.evaluate(t, batch, examples, counts...) {
					want, ok := slow[r.Loops]
					if !ok {
						want = s.slowChange(t, examples, r.Loops)
						slow[r.Loops] = want
					}
					if d := math.Abs(float64(r.Change) - want); !(d <= 1e-5*want) {
						t.Errorf("%s, batches of %d, loop %d of %v: change %g, want %g", c.layers, batch, r.Loops, counts, r.Change, want)
					}
				}
			}
		}
	}
}

// A lens shows all loops if they are few, and otherwise the first, the last, and loops between at distances that differ by at
// most one.
func TestLensCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loops := rapid.IntRange(1, 1<<14).Draw(t, "loops")
		counts := LensCounts(loops)
		if len(counts) != min(loops, 16) || counts[0] != 1 || counts[len(counts)-1] != loops {
			t.Fatalf("%d loops: %v", loops, counts)
		}
		var steps []int
		for i := range counts[1:] {
			steps = append(steps, counts[i+1]-counts[i])
		}
		if len(steps) > 0 && (slices.Min(steps) < 1 || slices.Max(steps)-slices.Min(steps) > 1) {
			t.Fatalf("%d loops: %v", loops, counts)
		}
	})
	if got := fmt.Sprint(LensCounts(4)); got != "[1 2 3 4]" {
		t.Errorf("4 loops: %s", got)
	}
}
