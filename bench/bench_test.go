package bench_test

import (
	"math"
	"testing"
	"time"

	"coil/backend/cpu"
	"coil/bench"
	"coil/config"
)

func newCPU(t *testing.T) *cpu.CPU {
	b, err := cpu.New(cpu.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// small is a model that runs in no time.
func small(t *testing.T, b *cpu.CPU, name string) *bench.Subject {
	c := config.Default()
	for key, value := range map[string]string{"model.width": "16", "model.heads": "2", "model.hidden": "32", "task.p-hop.length": "32",
		"train.batch": "6", "model.layers": "2x2"} {
		if err := c.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	s, err := bench.NewSubject(name, c, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// ordered checks a figure that can't be nothing. How large it is is the machine's affair.
func ordered(t *testing.T, what string, s *bench.Figure) {
	t.Helper()
	if !(s.Least > 0 && s.Least <= s.Median && s.Median <= s.Most && !math.IsInf(s.Most, 0)) {
		t.Errorf("%s: %+v", what, s)
	}
}

// result computes the figures of what was measured.
func result(m *bench.Meter, r bench.Result) *bench.Result {
	m.Finish(&r)
	return &r
}

func TestMachine(t *testing.T) {
	meter := bench.NewCalm(newCPU(t))
	m, err := meter.Machine(2, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	r := result(meter, bench.Result{Machine: &m})
	ordered(t, "multiply-adds", m.FLOPs)
	ordered(t, "bandwidth", m.Bandwidth)
	if r.Workers != 2 || float64(m.Balance) != m.FLOPs.Median/m.Bandwidth.Median {
		t.Errorf("%+v", m)
	}
}

func TestSteps(t *testing.T) {
	b := newCPU(t)
	m := bench.NewCalm(b)
	steps, err := m.Steps([]*bench.Subject{small(t, b, "one"), small(t, b, "other")}, 3, time.Millisecond)
	if err != nil || len(steps) != 2 || steps[0].Name != "one" || steps[1].Name != "other" {
		t.Fatalf("%+v, %v", steps, err)
	}
	result(m, bench.Result{Steps: steps})
	for _, s := range steps {
		ordered(t, "seconds", s.Seconds)
		ordered(t, "share", s.Share)
		// Rates are the step's work over its time.
		if r := s.Rate.Median * s.Seconds.Median; math.Abs(r-float64(s.Tokens)) > 1e-6*r || s.Tokens != 6*32 {
			t.Errorf("%d tokens, %g by rate and time", s.Tokens, r)
		}
		// 3 passes · tokens · (depth·(24d² at hidden 2d is 8d²+8d²; 4·T·d) + 2·d·V), from the formula in model.FLOPs.
		if want := int64(3 * 192 * (4*(8*16*16+4*16*32+4*32*16) + 2*16*4)); s.FLOPs != want {
			t.Errorf("%d FLOPs, want %d", s.FLOPs, want)
		}
		if s.Memory <= 0 || s.Model != "2⊗2" {
			t.Errorf("%+v", s)
		}
	}
}

// TestOperations: every operation of the step is there, as often as it runs, and the shares are of one whole.
func TestOperations(t *testing.T) {
	b := newCPU(t)
	m := bench.NewCalm(b)
	x, err := m.Operations(small(t, b, "small"), 2, 5*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	ops := result(m, bench.Result{Operations: []bench.Operations{x}}).Operations[0].Ops
	total, calls := 0.0, map[string]int{}
	for i, o := range ops {
		total += float64(o.Share)
		calls[o.Name] = o.Calls
		if i > 0 && o.Seconds.Median > ops[i-1].Seconds.Median {
			t.Errorf("%s after %s is out of order", o.Name, ops[i-1].Name)
		}
	}
	if math.Abs(total-1) > 1e-9 {
		t.Errorf("shares add up to %g", total)
	}
	// Six groups of one sequence; depth 4; four linear layers in each, and the head.
	for name, want := range map[string]int{"attention": 6 * 4, "attention backward": 6 * 4, "matmul TN": 6 * (4*4 + 1),
		"rotary": 2 * 6 * 4, "update: adamw": 2, "pack weights": 1, "cross-entropy": 6} {
		if calls[name] != want {
			t.Errorf("%s: %d calls, want %d", name, calls[name], want)
		}
	}
}

func TestMatmuls(t *testing.T) {
	b := newCPU(t)
	shapes := bench.ShapesOf(small(t, b, "small"))
	if len(shapes) != 5 || shapes[0] != (bench.Shape{M: 192, K: 16, N: 48}) {
		t.Errorf("shapes %v, want those of qkv, out, two of the feed-forward layer, and the head", shapes)
	}
	m := bench.NewCalm(b)
	x, err := m.Matmuls("small", []bench.Shape{shapes[0], shapes[0]}, 2, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	x = result(m, bench.Result{Matmuls: []bench.Matmuls{x}}).Matmuls[0]
	for i, mean := range []float64{float64(x.NN), float64(x.NT), float64(x.TN)} {
		product := 1.0
		for _, s := range x.Shapes {
			share := []*bench.Figure{s.NN.Share, s.NT.Share, s.TN.Share}[i]
			ordered(t, "share", share)
			product *= share.Median
		}
		if math.Abs(mean*mean/product-1) > 1e-9 {
			t.Errorf("the geometric mean in layout %d is %g, whose square should be %g", i, mean, product)
		}
	}
}
