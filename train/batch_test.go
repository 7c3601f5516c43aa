package train

import (
	"slices"
	"testing"

	"coil/task"
)

// A batch is a function of the seed and the step, whatever was drawn before.
func TestFill(t *testing.T) {
	c := tiny()
	for _, name := range TaskNames() {
		c.Task.Name = name
		tk, err := c.Task.New()
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
	tk, err := Task{Name: "addition", Addition: task.Addition{Digits: 2, Operands: []int{2}, Order: "most"}}.New()
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
