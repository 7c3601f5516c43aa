package eval

import (
	"math"
	"testing"

	"coil/model"
	"coil/model/reference"
	"coil/run"
	"coil/task"
)

// lens is what the lens shows of a setting.
func (s *setting) lens(t *testing.T, batch, examples, loops int, exits []ExitRule) *LensStats {
	t.Helper()
	k, err := NewProbe(s.trained(), batch, loops)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	l := NewLensStats(loops, len(s.t.Kinds()), exits)
	if err := k.Each(5, examples, nil, l.Add); err != nil {
		t.Fatal(err)
	}
	return l
}

// The lens agrees with the second implementation of the model, in float64, on the same examples.
func TestLensAgainstReference(t *testing.T) {
	const loops, examples = 5, 6
	for name, k := range map[string]struct {
		layers string
		tk     task.Task
		change func(*model.Config)
	}{
		"looped":    {"1x3", newPHop(t), nil},
		"middle":    {"1x(1,3,1)", newPHop(t), nil},
		"injection": {"2x2", newAddition(t), func(c *model.Config) { c.Injection, c.LoopEmbedding = "linear", true }},
		"post":      {"1x3", newAddition(t), func(c *model.Config) { c.NormPlace, c.Norm, c.Bias = "post", "rmsnorm", false }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting(t, k.layers, k.tk, k.change)
			got := s.lens(t, 4, examples, loops, nil).Views()
			want := s.slowViews(t, examples, loops)
			for i := range got {
				for field, pair := range map[string][2]float64{"loss": {got[i].Loss, want[i].Loss}, "accuracy": {got[i].Accuracy, want[i].Accuracy},
					"exact": {got[i].Exact, want[i].Exact}, "entropy": {got[i].Entropy, want[i].Entropy}, "kl to last": {got[i].ToLast, want[i].ToLast},
					"kl": {got[i].KL, want[i].KL}, "flips": {got[i].Flips, want[i].Flips}, "to right": {got[i].ToRight, want[i].ToRight},
					"to wrong": {got[i].ToWrong, want[i].ToWrong}, "change": {float64(got[i].Change), float64(want[i].Change)}, "cosine": {got[i].Cosine, want[i].Cosine}} {
					// Float32 through up to ten layers: some hundred roundings of 6e-8, on logits of order one.
					if math.Abs(pair[0]-pair[1]) > 2e-4*(1+math.Abs(pair[1])) {
						t.Errorf("%s after loop %d is %g, want %g", field, i+1, pair[0], pair[1])
					}
				}
			}
		})
	}
}

// slowViews are the views from plain loops over the reference's states.
func (s *setting) slowViews(t *testing.T, examples, loops int) []LoopStats {
	t.Helper()
	arena := make([]float32, s.m.Size)
	if err := s.weights.Read(0, arena); err != nil {
		t.Fatal(err)
	}
	r := reference.New(s.m, s.m.Architecture.WithCount(loops), arena)
	views := make([]LoopStats, loops)
	movedAll, beforeAll := make([]float64, loops), make([]float64, loops)
	kinds := len(s.t.Kinds())
	sampler, ex := s.t.NewSampler(), task.NewExample(s.t)
	for kind := range kinds {
		n := 0.0
		sums := make([]LoopStats, loops)
		for i := range examples {
			sampler.SampleKind(5, uint64(i), task.HeldOut, kind, &ex)
			tokens := make([]int, len(ex.Tokens))
			for j, k := range ex.Tokens {
				tokens[j] = int(k)
			}
			states := r.States(tokens)
			var outputs [][][]float64
			for _, logits := range r.Logits(tokens) {
				var rows [][]float64
				for _, row := range logits {
					rows = append(rows, softmax64(row))
				}
				outputs = append(outputs, rows)
			}
			for c := range loops {
				all := true
				for at, target := range ex.Targets {
					if target == task.Ignore {
						continue
					}
					v, p := &sums[c], outputs[c][at]
					if c == 0 {
						n++
					}
					v.Loss -= math.Log(p[target])
					before := make([]float64, len(p))
					for j := range before {
						before[j] = 1 / float64(len(p))
					}
					if c > 0 {
						before = outputs[c-1][at]
					}
					now, was := argmax(p), argmax(before)
					for j := range p {
						v.Entropy -= p[j] * math.Log(p[j])
						v.ToLast += p[j] * math.Log(p[j]/outputs[loops-1][at][j])
						v.KL += before[j] * math.Log(before[j]/p[j])
					}
					if now == int(target) {
						v.Accuracy++
					} else {
						all = false
					}
					if c > 0 && now != was {
						v.Flips++
						if now == int(target) {
							v.ToRight++
						}
						if was == int(target) {
							v.ToWrong++
						}
					}
					a, b := states[c][at], states[c+1][at]
					var moved, aa, bb, ab float64
					for j := range a {
						moved += (b[j] - a[j]) * (b[j] - a[j])
						aa, bb, ab = aa+a[j]*a[j], bb+b[j]*b[j], ab+a[j]*b[j]
					}
					movedAll[c] += moved
					beforeAll[c] += aa
					v.Cosine += ab / math.Sqrt(aa*bb)
				}
				if all {
					sums[c].Exact++
				}
			}
		}
		share := 1 / float64(kinds)
		for c, v := range sums {
			w := &views[c]
			w.Loss += share * v.Loss / n
			w.Accuracy += share * v.Accuracy / n
			w.Exact += share * v.Exact / float64(examples)
			w.Entropy += share * v.Entropy / n
			w.ToLast += share * v.ToLast / n
			w.KL += share * v.KL / n
			w.Flips += share * v.Flips / n
			w.ToRight += share * v.ToRight / n
			w.ToWrong += share * v.ToWrong / n
			w.Change = run.Number(math.Sqrt(movedAll[c] / beforeAll[c])) // of all kinds so far
			w.Cosine += share * v.Cosine / n
		}
	}
	return views
}

func softmax64(x []float64) []float64 {
	var sum float64
	p := make([]float64, len(x))
	for i, v := range x {
		p[i] = math.Exp(v)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

func argmax(x []float64) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// The lens agrees with the evaluation.
func TestLensAgreesWithEvaluation(t *testing.T) {
	s := newSetting(t, "1x3", newAddition(t), nil)
	views := s.lens(t, 4, 10, 4, nil).Views()
	for i, r := range s.evaluate(t, 4, 10, 1, 2, 3, 4) {
		v := views[i]
		if math.Abs(float64(v.Change/r.Change)-1) > 1e-5 {
			t.Errorf("after %d loops: the change is %g, and %g", r.Loops, v.Change, r.Change)
		}
		if math.Abs(v.Loss-float64(r.Loss)) > 1e-5 || math.Abs(v.Accuracy-r.Accuracy) > 1e-12 || math.Abs(v.Exact-r.Exact) > 1e-12 {
			t.Errorf("after %d loops: %+v, and %+v", r.Loops, v, r)
		}
	}
}

// hand is an observation of a position whose target is 0, with its outputs after each loop.
func hand(diff []float64, p ...[]float64) *Observation {
	x := &Observation{Target: 0, P: [][]float64{{1. / 3, 1. / 3, 1. / 3}}, LatentDiff: append([]float64{0}, diff...), Moved: make([]float64, len(p)+1), Before: make([]float64, len(p)+1), Cosine: make([]float64, len(p)+1)}
	x.P = append(x.P, p...)
	return x
}

// The latent difference of a loop is its movement over the state after it, which is the one before the next.
func TestLatentDiff(t *testing.T) {
	s := newSetting(t, "1x3", newAddition(t), nil)
	k, err := NewProbe(s.trained(), 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	looks := 0
	if err := k.Each(5, 4, nil, func(x *Observation) {
		for i := 1; i < 3; i++ {
			if want := math.Sqrt(x.Moved[i] / x.Before[i+1]); math.Abs(x.LatentDiff[i]/want-1) > 1e-12 {
				t.Errorf("after loop %d it is %g, want %g", i, x.LatentDiff[i], want)
			}
		}
		looks++
	}); err != nil || looks == 0 {
		t.Errorf("%d looks, %v", looks, err)
	}
}

// Each rule leaves where its formula says, worked out by hand.
func TestExitRules(t *testing.T) {
	a, b, c := []float64{0.2, 0.5, 0.3}, []float64{0.7, 0.2, 0.1}, []float64{0.69, 0.21, 0.1}
	x := hand([]float64{0.9, 0.5, 0.02, 0.01, 0.001}, a, b, b, c, c)
	for _, k := range []struct {
		rule      string
		threshold float64
		want      int
	}{
		{"latent-diff", 0.6, 2}, {"latent-diff", 0.02, 4}, {"latent-diff", 0, 5},
		{"entropy-diff", 1e-9, 3}, {"entropy-diff", 0.5, 2}, {"entropy-diff", 200, 1}, {"entropy-diff", 0, 5}, // H: 1.030, 0.802, 0.802, 0.814
		{"kl", 1e-9, 3}, {"kl", 0.06, 3}, {"kl", 0.5, 1}, {"kl", 0, 5}, // uniform to a: 0.070
		{"minp-kl", 1e-9, 3}, {"minp-kl", 0, 5},
		{"argmax-stability", 1, 3}, {"argmax-stability", 2, 4}, {"argmax-stability", 3, 5}, {"argmax-stability", 9, 5},
		{"fixed", 1, 1}, {"fixed", 4, 4}, {"fixed", 9, 5},
		{"oracle", 0, 2},
	} {
		r := ExitRule{k.rule, k.threshold}
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		if got := r.leaves(x); got != k.want {
			t.Errorf("%s below %g leaves after loop %d, want %d", k.rule, k.threshold, got, k.want)
		}
	}
	// 0.7, 0.25, 0.05: what is below 0.07 becomes 1/3, and the sum 1.2833.
	for i, want := range []float64{0.7 / (0.95 + 1./3), 0.25 / (0.95 + 1./3), 1. / 3 / (0.95 + 1./3)} {
		if got := flattened([]float64{0.7, 0.25, 0.05})[i]; math.Abs(got-want) > 1e-12 {
			t.Errorf("value %d of a flattened output is %g, want %g", i, got, want)
		}
	}
	for _, bad := range []ExitRule{{"patience", 1}, {"kl", -1}} {
		if bad.Check() == nil {
			t.Errorf("%+v is allowed", bad)
		}
	}
}

// Whatever the model: fixed exits are the evaluation's accuracy, a lower threshold runs more loops, no rule is better than the
// oracle, and an exit at no threshold is the full depth.
func TestExitsAreConsistent(t *testing.T) {
	s := newSetting(t, "1x3", newPHop(t), nil)
	const loops = 4
	rules := append(ExitRules(loops), ExitRule{"kl", 0}, ExitRule{"latent-diff", 0})
	l := s.lens(t, 4, 12, loops, rules)
	views, exits := l.Views(), l.Exits()
	oracle := exits[len(exits)-3]
	if oracle.Rule != "oracle" {
		t.Fatalf("the oracle is %+v", oracle)
	}
	for i, x := range exits {
		switch {
		case x.Rule == "fixed":
			v := views[int(x.Threshold)-1]
			if x.Loops != x.Threshold || math.Abs(x.Accuracy-v.Accuracy) > 1e-12 || math.Abs(x.Exact-v.Exact) > 1e-12 {
				t.Errorf("%+v, and the lens shows %+v", x, v)
			}
		case x.Threshold == 0 && x.Rule != "oracle":
			if x.Loops != loops || math.Abs(x.Accuracy-views[loops-1].Accuracy) > 1e-12 {
				t.Errorf("%+v", x)
			}
		case i > 0 && exits[i-1].Rule == x.Rule:
			if more := exits[i-1]; (x.Rule == "argmax-stability") != (x.Loops > more.Loops) && x.Loops != more.Loops {
				t.Errorf("%+v after %+v", x, more)
			}
		}
		if x.Accuracy > oracle.Accuracy+1e-12 {
			t.Errorf("%+v is better than the oracle, %+v", x, oracle)
		}
	}
}

// Stopping, and invalid arguments.
func TestLookerStops(t *testing.T) {
	s := newSetting(t, "1x3", newPHop(t), nil)
	if _, err := NewProbe(s.trained(), 4, 0); err == nil {
		t.Error("no loop can be looked at")
	}
	k, err := NewProbe(s.trained(), 4, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.Each(5, 8, func() bool { return true }, func(*Observation) { t.Error("a look") }); err != ErrStopped {
		t.Errorf("%v", err)
	}
}
