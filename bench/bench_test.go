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
func ordered(t *testing.T, what string, s bench.Spread) {
	t.Helper()
	if !(s.Least > 0 && s.Least <= s.Median && s.Median <= s.Most && !math.IsInf(s.Most, 0)) {
		t.Errorf("%s: %+v", what, s)
	}
}

func TestMachine(t *testing.T) {
	m := bench.MeasureMachine(newCPU(t), 2)
	ordered(t, "multiply-adds", m.FLOPs)
	ordered(t, "bandwidth", m.Bandwidth)
	if m.Workers != 2 || m.Balance != m.FLOPs.Median/m.Bandwidth.Median {
		t.Errorf("%+v", m)
	}
}

func TestSteps(t *testing.T) {
	b := newCPU(t)
	steps, err := bench.MeasureSteps(b, []*bench.Subject{small(t, b, "one"), small(t, b, "other")}, 3, time.Millisecond)
	if err != nil || len(steps) != 2 || steps[0].Name != "one" || steps[1].Name != "other" {
		t.Fatalf("%+v, %v", steps, err)
	}
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
	ops, err := bench.MeasureOperations(b, small(t, b, "small"), 2, 5*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	total, calls := 0.0, map[string]int{}
	for i, o := range ops {
		total += o.Share
		calls[o.Name] = o.Calls
		if i > 0 && o.Seconds > ops[i-1].Seconds {
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
	ms, err := bench.MeasureMatmuls(b, shapes[:1], 2, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []bench.Spread{ms[0].NN, ms[0].NT, ms[0].TN} {
		ordered(t, "share", s)
	}
	nn, nt, tn := bench.Mean(append(ms, ms...))
	for i, x := range []float64{nn / ms[0].NN.Median, nt / ms[0].NT.Median, tn / ms[0].TN.Median} {
		if math.Abs(x-1) > 1e-9 {
			t.Errorf("the mean of a figure with itself, layout %d: %g of it", i, x)
		}
	}
}
