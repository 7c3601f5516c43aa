package metal_test

import (
	"math"
	"reflect"
	"testing"

	"coil/graph"
	"coil/metal"
)

// Times that were worked out by hand, on a chip of 10 TFLOP/s and 100 GB/s.
func TestPredict(t *testing.T) {
	chip := metal.Chip{TFLOPS: 10, Bandwidth: 100}
	r := metal.Rates{Matmul: 0.5, Attention: 0.25, Bandwidth: 0.8, Overlap: 1, Clock: 1, Sum: 1, Launch: 1e-3, CommandBuffer: 2e-3}
	matmul := metal.Cost{Op: &graph.Matmul{}, Kernels: []string{"a", "b"}, FLOPs: 5e10, Moved: 4e8} // 10 ms and 5 ms
	attention := metal.Cost{Op: &graph.Attention{}, Kernels: []string{"a"}, FLOPs: 5e10}            // 20 ms
	other := metal.Cost{Kernels: []string{"a"}, Moved: 16e8}                                        // 20 ms
	with := func(change func(*metal.Rates)) metal.Rates {
		r := r
		change(&r)
		return r
	}
	for _, x := range []struct {
		name  string
		costs []metal.Cost
		rates metal.Rates
		want  float64
	}{
		{"nothing", nil, r, 0},
		{"a matmul of two launches", []metal.Cost{matmul}, r, 0.012 + 0.002},
		{"attention", []metal.Cost{attention}, r, 0.021 + 0.002},
		{"memory", []metal.Cost{other}, r, 0.021 + 0.002},
		{"all, in two command buffers", []metal.Cost{matmul, attention, other}, r, 0.054 + 0.004},
		{"no overlap", []metal.Cost{matmul}, with(func(r *metal.Rates) { r.Overlap = 0 }), 0.017 + 0.002},
		{"half of the clock", []metal.Cost{matmul}, with(func(r *metal.Rates) { r.Clock = 0.5 }), 0.022 + 0.002},
		{"half of the time between launches", []metal.Cost{matmul}, with(func(r *metal.Rates) { r.Sum = 0.5 }), 0.024 + 0.002},
	} {
		if got := metal.Predict(x.costs, chip, x.rates); math.Abs(got-x.want) > 1e-12 {
			t.Errorf("%s: %g s, want %g", x.name, got, x.want)
		}
	}
	for _, overlap := range []float64{1, 0.4, 0} {
		r := with(func(r *metal.Rates) { r.Overlap, r.CommandBuffer = overlap, 0 })
		if got := matmul.OverlapOf(chip, r, metal.Predict([]metal.Cost{matmul}, chip, r)); math.Abs(got-overlap) > 1e-12 {
			t.Errorf("overlap %g, want %g", got, overlap)
		}
	}
}

// Each rate is described once, and a worse one makes a step slower.
func TestAssumptions(t *testing.T) {
	costs := []metal.Cost{{Op: &graph.Matmul{}, Kernels: []string{"a"}, FLOPs: 1e12, Moved: 1e10}, {Op: &graph.Attention{}, Kernels: []string{"a"}, FLOPs: 1e12},
		{Kernels: []string{"a"}, Moved: 1e11}}
	chip, _ := metal.ChipNamed("M1")
	assumed := metal.AssumedRates()
	best := metal.Predict(costs, chip, assumed)
	seen := map[*float64]bool{}
	for _, a := range metal.Assumptions {
		seen[a.Of(&assumed)] = true
		worse := assumed
		if a.Seconds {
			*a.Of(&worse) *= 2
		} else {
			*a.Of(&worse) /= 2
		}
		if got := metal.Predict(costs, chip, worse); got <= best {
			t.Errorf("with a worse rate of %s a step takes %g s, with the assumed one %g", a.Name, got, best)
		}
	}
	if n := reflect.TypeFor[metal.Rates]().NumField(); len(seen) != n || len(metal.Assumptions) != n {
		t.Errorf("%d descriptions of %d rates, want %d", len(metal.Assumptions), len(seen), n)
	}
}
