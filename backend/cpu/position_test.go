package cpu

import (
	"testing"

	"coil/backend"
	"coil/graph"
)

// Each operation of a group sees its own number as the position, for every group. The update sees the number after the last.
func TestPosition(t *testing.T) {
	c, err := New(Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const operations, groups = 5, 3
	r := graph.NewRecorder(1, groups)
	x, sum := r.Temporary(1, 4), r.Accumulator(1, 1)
	r.Record(&graph.Fill{Y: x, Value: 1})
	for range operations - 2 {
		r.Record(&graph.Add{A: x, Y: x, Alpha: 1})
	}
	r.Record(&graph.Sum{X: x, Y: sum, Alpha: 1, Accumulate: true})
	r.BeginUpdate()
	r.Record(&graph.Fill{Y: r.Temporary(1, 1)})
	compiled, err := c.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer compiled.Close()
	p := compiled.(*program)
	var seen []int
	asking := func(k kernel) kernel {
		run := k.run
		k.run = func(w *worker, part int) {
			seen = append(seen, p.Position())
			run(w, part)
		}
		return k
	}
	for i, k := range p.group {
		p.group[i] = asking(k)
	}
	step := p.stepPart[0]
	p.stepPart[0] = func(w, part int) {
		seen = append(seen, p.Position())
		step(w, part)
	}
	for n := range 2 {
		seen = nil
		if before := p.Position(); before >= 0 {
			t.Errorf("before step %d it is at %d", n, before)
		}
		if err := p.Run(backend.Args{}); err != nil {
			t.Fatal(err)
		}
		if after := p.Position(); after >= 0 {
			t.Errorf("after step %d it is at %d", n, after)
		}
		if err := p.Results(nil); err != nil {
			t.Fatal(err)
		}
		for i, at := range seen {
			want := i % operations
			if i == groups*operations {
				want = operations
			}
			if at != want {
				t.Errorf("step %d: operation %d is at %d", n, want, at)
			}
		}
		if len(seen) != groups*operations+1 {
			t.Errorf("step %d: %d operations ran", n, len(seen))
		}
	}
}
