package metal_test

import (
	"math"
	"testing"
	"time"

	"coil/backend"
	"coil/graph"
	"coil/metal"
)

// TestProfile: the times of the operations are together what the GPU took, each has its part, and what is not asked for is
// not measured.
func TestProfile(t *testing.T) {
	const launch = 1e-3
	for _, target := range []time.Duration{1, time.Second} { // a command buffer for each launch, and one for all
		d := &slow{Device: metal.NewDryRun(metal.Chip{Name: "paper"}), launch: launch, ended: map[metal.Ticket]int{}}
		b := on(t, d, metal.Options{Target: target})
		defer b.Close()
		r := graph.NewRecorder(1, 2)
		x, big, sum := r.Temporary(1, 256), r.Temporary(1, 1<<22), r.Accumulator(1, 1)
		r.Record(&graph.Fill{Y: x})
		r.Record(&graph.Fill{Y: big})
		r.Record(&graph.Sum{X: x, Y: sum, Alpha: 1, Accumulate: true})
		r.BeginUpdate()
		r.Result(sum)
		y := r.Temporary(1, 256)
		r.Record(&graph.Fill{Y: y})
		r.Record(&graph.Add{A: y, Y: y, Alpha: 1})
		p, err := b.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		profiler := p.(backend.Profiler)
		step := func() {
			if err := p.Run(backend.Args{}); err != nil {
				t.Fatal(err)
			}
			if err := p.Results(make([]float32, 1)); err != nil {
				t.Fatal(err)
			}
		}
		step()
		for range 2 {
			profiler.Profile(true)
			const steps = 3
			total := 0.0
			for range steps {
				step()
				total += metal.Seconds(p)
			}
			profiler.Profile(false)
			step()
			times := profiler.Times()
			all := 0.0
			for i, op := range []graph.Op{r.Body()[0], r.Body()[1], r.Body()[2], r.Update()[0], r.Update()[1], nil} {
				calls := steps
				if i < 3 {
					calls *= 2
				}
				if len(times) != 6 || times[i].Op != op || times[i].Calls != calls || times[i].Seconds <= 0 {
					t.Fatalf("target %d: times %+v", target, times)
				}
				all += times[i].Seconds
			}
			if math.Abs(all-total) > 1e-9 || total <= 0 {
				t.Errorf("target %d: the operations took %g s, the GPU %g s", target, all, total)
			}
			switch small, large := times[0].Seconds, times[1].Seconds; {
			case target == 1 && math.Abs(large-2*steps*launch) > 1e-9:
				t.Errorf("an operation in command buffers of its own took %g s, want %g s", large, 2*steps*launch)
			case target > 1 && large < 10*small:
				t.Errorf("of one command buffer, an operation of 1 KiB has %g s, one of 16 MiB %g s", small, large)
			}
		}
	}
}
