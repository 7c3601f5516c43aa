package cpu_test

import (
	"math"
	"testing"

	"coil/backend/cpu"
	"coil/graph"
)

// product is a filled matrix of 512 rows times a weight.
func product(t *testing.T, c *cpu.CPU, groups int) *graph.Recorder {
	w, err := c.NewBuffer(64 * 64)
	if err != nil {
		t.Fatal(err)
	}
	r := graph.NewRecorder(1, groups)
	x, weight := r.Temporary(512, 64), r.Parameter(w)
	weight.Rows, weight.Cols, weight.Stride = 64, 64, 64
	r.Record(&graph.Fill{Y: x, Value: 1})
	r.Record(&graph.Matmul{A: x, B: weight, C: r.Temporary(512, 64)})
	return r
}

// The balance by hand. A product of 512 rows has five parts of at most 112 rows, or as many for each worker of a lane, two at least. Work is
// 16 for each float, and two FLOPs for each multiply-add.
func TestCores(t *testing.T) {
	c := newCPU(t, cpu.Options{Workers: 1, Kernels: "portable"})
	const fill, multiply = 16 * 512 * 64, 2*512*64*64 + 16*(2*512*64+64*64)
	const work = fill + multiply
	for _, x := range []struct {
		groups, workers, lanes, team, busy, barriers int
		longest                                      float64 // of one worker
	}{
		{8, 1, 8, 1, 1, 3, 8 * work},
		{8, 2, 8, 1, 2, 3, 4 * work},
		{8, 3, 8, 1, 3, 3, 3 * work},
		{8, 8, 8, 1, 8, 3, work},
		{8, 16, 8, 2, 16, 1 + 3, fill + multiply*3./6},
		{8, 64, 8, 8, 64, 1 + 3, fill + multiply*2./16},
		{12, 8, 8, 1, 8, 3, 2 * work}, // four lanes have two groups, four have one
		{1, 64, 1, 64, 64, 1 + 3, fill + multiply*2./128},
	} {
		got, err := c.Cores(product(t, c, x.groups), x.workers)
		if err != nil {
			t.Fatal(err)
		}
		balance := float64(work*x.groups) / float64(x.workers) / x.longest
		if got.Lanes != x.lanes || got.Team != x.team || got.Busy != x.busy || got.Barriers != x.barriers || math.Abs(got.Balance-balance) > 1e-12 {
			t.Errorf("%d groups on %d workers: %+v, want %+v with balance %g", x.groups, x.workers, got, x, balance)
		}
		if shared := float64(multiply) / work; x.team > 1 && math.Abs(got.Shared-shared) > 1e-12 {
			t.Errorf("%d workers share %g of the work, want %g", x.workers, got.Shared, shared)
		}
	}
}

// Workers share lanes of long sequences whose activations are large: here they are 384 MiB, and 192 MiB for each worker is allowed.
func TestLanesOfLargeGroups(t *testing.T) {
	for _, x := range []struct{ workers, tokens, lanes, team int }{
		{1, 1024, 1, 1}, {2, 1024, 1, 2}, {3, 1024, 1, 3}, {4, 1024, 2, 2}, {9, 1024, 4, 3}, {2, 512, 4, 1},
	} {
		c := newCPU(t, cpu.Options{Workers: x.workers})
		w, err := c.NewBuffer(256 * 256)
		if err != nil {
			t.Fatal(err)
		}
		r := graph.NewRecorder(1, 4)
		r.Input(x.tokens)
		a, weight := r.Temporary(192<<10, 256), r.Parameter(w)
		weight.Rows, weight.Cols, weight.Stride = 256, 256, 256
		r.Record(&graph.Fill{Y: a, Value: 1})
		r.Record(&graph.Matmul{A: a, B: weight, C: r.Temporary(192<<10, 256)})
		memory, err := c.Plan(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Cores(r, x.workers)
		if err != nil {
			t.Fatal(err)
		}
		if got.Lanes != x.lanes || got.Team != x.team || got.Busy != x.workers || memory.Activations != int64(min(x.lanes, x.workers))*384<<20 {
			t.Errorf("%d workers: %+v with %d bytes of activations, want %d lanes with %d workers", x.workers, got, memory.Activations, x.lanes, x.team)
		}
	}
}

// However many workers there are, at most one for each replica has activations; the others have a workspace only.
func TestMemoryOfManyWorkers(t *testing.T) {
	plan := func(workers int) (activations, workspace int64) {
		c := newCPU(t, cpu.Options{Workers: workers})
		m, err := c.Plan(everything(t, c, 4, 10).Recorder)
		if err != nil {
			t.Fatal(err)
		}
		return m.Activations, m.Workspace
	}
	eight, some := plan(8)
	if many, more := plan(64); many != eight || more > 8*some {
		t.Errorf("64 workers have %d bytes of activations and a workspace of %d, 8 have %d and %d", many, more, eight, some)
	}
}
