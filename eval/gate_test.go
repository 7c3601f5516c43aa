package eval

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"coil/model"
	"coil/model/reference"
	"coil/task"
)

// newGated is a setting whose model has a learned exit, with a gate that makes a difference.
func newGated(t *testing.T, layers string, tk task.Task, change func(*model.Config)) *setting {
	t.Helper()
	s := newSetting(t, layers, tk, change)
	m, err := model.New(s.m.Config, model.Loops{Exit: "learned"}, len(tk.Vocabulary()), tk.Length())
	if err != nil {
		t.Fatal(err)
	}
	weights, err := s.b.NewBuffer(m.Size)
	if err != nil {
		t.Fatal(err)
	}
	if err := weights.Write(0, m.Initialize(3)); err != nil {
		t.Fatal(err)
	}
	s.m, s.weights = m, weights
	return s
}

func (s *setting) gate(t *testing.T, batch int) *GateEvaluator {
	t.Helper()
	g, err := NewGateEvaluator(s.trained(), batch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// settings of every kind of model and task that matters to a gate.
func gated(t *testing.T) map[string]*setting {
	return map[string]*setting{
		"p-hop":    newGated(t, "1x4", newPHop(t), nil),
		"addition": newGated(t, "1x(1,3,1)", newAddition(t), func(c *model.Config) { c.Injection, c.Norm = "add", "rmsnorm" }),
		"post":     newGated(t, "2x2", newPHop(t), func(c *model.Config) { c.NormPlace = "post" }),
	}
}

// What a gate yields of each position is what the definition of the model says in float64, whatever the batch and however
// full the last one.
func TestGate(t *testing.T) {
	const examples = 7
	for name, s := range gated(t) {
		arena := make([]float32, s.m.Size)
		if err := s.weights.Read(0, arena); err != nil {
			t.Fatal(err)
		}
		m := reference.New(s.m, s.m.Architecture, arena)
		for _, batch := range []int{1, 5, 16} {
			sampler, ex := s.t.NewSampler(), task.NewExample(s.t)
			seen, targets := 0, 0
			err := s.gate(t, batch).Each(5, examples, nil, func(x *Exits) {
				if x.Kind != seen/examples {
					t.Fatalf("%s: example %d is of kind %d", name, seen, x.Kind)
				}
				sampler.SampleKind(5, uint64(seen%examples), task.HeldOut, x.Kind, &ex)
				seen++
				tokens := make([]int, len(ex.Tokens))
				for i, v := range ex.Tokens {
					tokens[i] = int(v)
				}
				p, logits := m.Exits(tokens), m.Logits(tokens)
				for at, target := range ex.Targets {
					if x.Targets[at] != target {
						t.Fatalf("%s: the target at %d is %d, want %d", name, at, x.Targets[at], target)
					}
					for l := range p {
						row := logits[l][at]
						var sum, loss, right, share float64
						if target != task.Ignore {
							targets++
							most := math.Inf(-1)
							for _, v := range row {
								sum, most = sum+math.Exp(v), max(most, v)
							}
							loss, share = math.Log(sum)-row[target], p[l][at]
							if row[target] == most {
								right = 1
							}
						}
						if math.Abs(float64(x.P[l][at])-share) > 1e-5 || math.Abs(float64(x.Loss[l][at])-loss) > 1e-4*(1+loss) || float64(x.Correct[l][at]) != right {
							t.Errorf("%s, batches of %d, example %d, position %d, loop %d: p %g, loss %g, correct %g, want %g, %g, %g",
								name, batch, seen, at, l+1, x.P[l][at], x.Loss[l][at], x.Correct[l][at], share, loss, right)
						}
					}
				}
			})
			if err != nil || seen != examples*len(s.t.Kinds()) || targets == 0 {
				t.Errorf("%s: %d examples, %d targets, %v", name, seen, targets, err)
			}
		}
	}
}

// A sweep is the mean over positions of the predictions where they leave. With the least threshold, all leave after the first
// loop, and with 1 after the last; both agree with evaluations at these counts.
func TestSweep(t *testing.T) {
	const examples = 20
	thresholds := []float64{1e-9, 0.3, 0.6, 0.9, 1}
	for name, s := range gated(t) {
		g := s.gate(t, 8)
		got, err := g.Sweep(5, examples, thresholds, nil)
		if err != nil {
			t.Fatal(err)
		}
		loops := s.m.Architecture.Count()
		kinds := len(s.t.Kinds())
		for i, q := range thresholds {
			type sums struct{ n, loops, loss, right, exact, examples float64 }
			all := make([]sums, kinds)
			if err := g.Each(5, examples, nil, func(x *Exits) {
				k := &all[x.Kind]
				whole := 1.0
				for at, target := range x.Targets {
					if target == task.Ignore {
						continue
					}
					l, sum := 0, 0.0
					for ; l < loops-1; l++ {
						if sum += float64(x.P[l][at]); sum >= q {
							break
						}
					}
					k.n++
					k.loops += float64(l + 1)
					k.loss += float64(x.Loss[l][at])
					k.right += float64(x.Correct[l][at])
					whole *= float64(x.Correct[l][at])
				}
				k.examples++
				k.exact += whole
			}); err != nil {
				t.Fatal(err)
			}
			var want ExitScore
			for k, c := range all {
				one := ExitScore{c.loops / c.n, Score{Kind: s.t.Kinds()[k], Examples: int(c.examples), Accuracy: c.right / c.n, Exact: c.exact / c.examples}}
				if kinds > 1 {
					wantExit(t, fmt.Sprintf("%s at %g, %s", name, q, one.Kind), got[i].Kinds[k], one)
				}
				want.Loops += one.Loops / float64(kinds)
				want.Accuracy += one.Accuracy / float64(kinds)
				want.Exact += one.Exact / float64(kinds)
				want.Examples += one.Examples
			}
			wantExit(t, fmt.Sprintf("%s at %g", name, q), got[i].ExitScore, want)
			if got[i].Threshold != q || (got[i].Kinds == nil) != (kinds == 1) {
				t.Errorf("%s at %g: %+v", name, q, got[i])
			}
		}
		ends := s.evaluate(t, 8, examples, 1, loops)
		wantScore(t, name+": the first loop", got[0].Score, ends[0].Score)
		wantScore(t, name+": the last loop", got[len(got)-1].Score, ends[1].Score)
		if a, b := got[0].Loops, got[len(got)-1].Loops; a != 1 || b != float64(loops) || !(got[2].Loops > 1 && got[2].Loops < float64(loops)) {
			t.Errorf("%s: %g loops at first, %g between, %g at last", name, a, got[2].Loops, b)
		}
	}
}

func wantExit(t *testing.T, what string, got, want ExitScore) {
	t.Helper()
	if math.Abs(got.Loops-want.Loops) > 1e-9 || math.Abs(got.Accuracy-want.Accuracy) > 1e-9 || math.Abs(got.Exact-want.Exact) > 1e-9 ||
		got.Examples != want.Examples || got.Kind != want.Kind {
		t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

func TestGateErrors(t *testing.T) {
	s := newSetting(t, "1x2", newPHop(t), nil)
	if _, err := NewGateEvaluator(s.trained(), 4); err == nil || !strings.Contains(err.Error(), "no learned exit") {
		t.Errorf("a model without a gate: %v", err)
	}
	s = newGated(t, "1x2", newPHop(t), nil)
	g := s.gate(t, 4)
	for _, q := range []float64{0, -1, 1.5, math.NaN()} {
		if _, err := g.Sweep(1, 4, []float64{0.5, q}, nil); err == nil || !strings.Contains(err.Error(), "more than 0") {
			t.Errorf("threshold %g: %v", q, err)
		}
	}
	asked := 0
	if _, err := g.Sweep(1, 12, []float64{0.5}, func() bool { asked++; return asked == 2 }); !errors.Is(err, ErrStopped) || asked != 2 {
		t.Errorf("%v after %d", err, asked)
	}
}
