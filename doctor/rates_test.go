package doctor

import (
	"math"
	"slices"
	"testing"

	"coil/graph"
	"coil/metal"
)

// named is a GPU that says that it is an M1.
type named struct{ metal.Device }

func (n named) Description() metal.Description {
	d := n.Device.Description()
	d.Name = "Apple M1"
	return d
}

// measuresAll checks that a report has each rate that a prediction assumes, and nothing else.
func measuresAll(t *testing.T, r *Report) {
	t.Helper()
	var got, want []string
	for _, x := range r.Rates {
		got = append(got, x.Name)
		if x.By == "" || math.IsNaN(x.Measured) || math.IsInf(x.Measured, 0) {
			t.Errorf("%s: %g, measured by %q", x.Name, x.Measured, x.By)
		}
	}
	for _, a := range metal.Assumptions {
		want = append(want, a.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the rates %q are measured, want %q", got, want)
	}
}

// With Speed the examination measures, and does not run the suite.
func TestSpeed(t *testing.T) {
	r, err := Examine(open(t), Options{Speed: true, Stop: func() bool { return true }, less: &less{sizes: small}})
	if err != nil || len(r.Problems) > 0 || len(r.Kernels) > 0 || len(r.Speeds) != 1 {
		t.Errorf("%v, problems %q, %d findings, %d speeds", err, r.Problems, len(r.Kernels), len(r.Speeds))
	}
}

// TestRates: from measurements of a GPU with known rates follow those rates.
func TestRates(t *testing.T) {
	m1, _ := metal.ChipNamed("M1")
	assumed := metal.AssumedRates()
	slow := metal.Rates{Matmul: 0.6, Attention: 0.3, Bandwidth: 0.7, Overlap: 0.25, Clock: 0.8, Sum: 0.9, Launch: 3e-6, CommandBuffer: 50e-6}
	for _, rates := range []metal.Rates{assumed, slow} {
		r := &Report{}
		r.GPU.Chip = m1
		cold := rates
		cold.Clock, cold.CommandBuffer, cold.Sum = 1, 0, 1
		speed := func(name string, op graph.Op, flops, moved int64, better float64) {
			x := Speed{Name: name, cost: metal.Cost{Op: op, Kernels: []string{"a"}, FLOPs: flops, Moved: moved}}
			x.Seconds = (metal.Predict([]metal.Cost{x.cost}, m1, cold)-cold.Launch)/better + cold.Launch
			x.FLOPs = float64(flops) / x.Seconds
			x.Share = x.FLOPs / (m1.TFLOPS * 1e12)
			r.Speeds = append(r.Speeds, x)
		}
		matmul := &graph.Matmul{}
		speed("matmul NN", matmul, 1e13, 0, 1.1)
		speed("matmul NT", matmul, 1e13, 0, 1) // the worst one counts
		speed(smallMatmul, matmul, 1e9, 0, 0.1)
		speed("attention, heads of 64", &graph.Attention{}, 1e13, 0, 1)
		speed("attention, heads of 16", &graph.Attention{}, 1e13, 0, 0.1)
		speed("add", &graph.Add{}, 0, 1e12, 1)
		speed("adamw", &graph.AdamW{}, 0, 1e12, 1.1)
		speed(headPrefix+"logits", matmul, 1e10, 3e8, 1)
		speed(oneLaunch, &graph.Add{}, 0, 0, 1)
		r.Speeds = append(r.Speeds, r.speedOf("matmul NN"))
		last := &r.Speeds[len(r.Speeds)-1]
		last.Name, last.Seconds = last.Name+warmSuffix, last.Seconds/rates.Clock
		step := StepTime{Preset: "default", costs: []metal.Cost{{Op: matmul, Kernels: []string{"a", "b"}, FLOPs: 1e10, Moved: 1e8}}, Commands: 3}
		step.GPU = metal.Predict(step.costs, m1, cold) / rates.Sum
		step.Seconds = step.GPU + 3*rates.CommandBuffer
		r.Steps = []StepTime{step, {Preset: "gpt-2", Skipped: "too large"}}
		r.compareRates(func(any) {})
		if len(r.Rates) != len(metal.Assumptions) {
			t.Fatalf("%d rates", len(r.Rates))
		}
		for i, a := range metal.Assumptions {
			want := *a.Of(&rates)
			if x := r.Rates[i]; math.Abs(x.Measured-want) > 1e-3*want || x.Assumed != *a.Of(&assumed) || x.Holds != (rates == assumed) {
				t.Errorf("%s: %+v, want %g", a.Name, x, want)
			}
		}
	}
	r := &Report{}
	if r.compareRates(func(any) {}); r.Rates != nil {
		t.Errorf("rates %v of an unknown chip", r.Rates)
	}
}
