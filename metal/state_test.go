package metal_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"coil/backend"
	"coil/graph"
	"coil/metal"
)

// TestFailuresWithState: a step with a cache of keys and values that runs again after a failure gives what it gives without one,
// even if the step after it starts at an earlier position.
func TestFailuresWithState(t *testing.T) {
	const context, d, length = 6, 4, 2
	run := func(f *failing) (all []float32, launches int, err error) {
		b := on(t, f, metal.Options{Target: 1})
		defer b.Close()
		cache, err := b.NewBuffer(context * 2 * d)
		if err != nil {
			t.Fatal(err)
		}
		old := make([]float32, cache.Len())
		table := make([]float32, 10*3*d)
		for _, x := range [][]float32{old, table} {
			for i := range x {
				x[i] = float32(i*i%37)/16 - 1
			}
		}
		if err := cache.Write(0, old); err != nil {
			t.Fatal(err)
		}
		r := graph.NewRecorder(1, 1)
		qkv, out, sum := r.Temporary(length, 3*d), r.Temporary(length, d), r.Accumulator(1, d)
		r.Record(&graph.Embedding{Table: r.Constant(10, 3*d, table), Index: r.Input(length), Y: qkv})
		both := r.State(cache, context, 2*d)
		r.Record(&graph.CachedAttention{QKV: qkv, Keys: both.Columns(0, d), Values: both.Columns(d, 2*d), Out: out, At: r.Input(1), Heads: 1, Length: length})
		r.Record(&graph.ColumnSums{X: out, Y: sum, Accumulate: true})
		r.Result(sum)
		p, err := b.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		_, launches = metal.Gate(p)
		for _, s := range []backend.Args{{Inputs: [][]int32{{1, 2}, {3}}}, {Inputs: [][]int32{{5, 6}, {0}}}} {
			if err := p.Run(s); err != nil {
				return nil, launches, err
			}
		}
		for range 2 {
			got := make([]float32, d)
			if err := p.Results(got); err != nil {
				return nil, launches, err
			}
			all = append(all, got...)
		}
		kept := make([]float32, cache.Len())
		err = cache.Read(0, kept)
		return append(all, kept...), launches, err
	}
	want, launches, err := run(newFailing(t))
	if err != nil || launches < 4 {
		t.Fatalf("undisturbed: %d launches, error %v", launches, err)
	}
	for at := 1; at <= 2*launches; at++ {
		for _, ran := range []extent{half, everything} {
			f := failAt(t, at, ran)
			got, _, err := run(f)
			if err != nil || f.resets != 1 || !slices.Equal(got, want) {
				t.Errorf("launch %d of %d failed when %s had run: error %v, %d resets, %v, want %v", at, 2*launches, ran, err, f.resets, got, want)
			}
		}
	}
}

// TestUnrepeatableState: a failure of a step that computes state from the state before is an error, since part of the step may
// have run.
func TestUnrepeatableState(t *testing.T) {
	for name, ops := range map[string]func(state, keys, x, y graph.Tensor) []graph.Op{
		"added to": func(state, _, x, _ graph.Tensor) []graph.Op {
			return []graph.Op{&graph.Add{A: state, B: x, Y: state, Alpha: 1, Beta: 1}}
		},
		"written over": func(state, _, _, y graph.Tensor) []graph.Op {
			return []graph.Op{&graph.Add{A: state, Y: y, Alpha: 1}, &graph.Fill{Y: state, Value: 1}}
		},
		"read by another": func(state, keys, x, y graph.Tensor) []graph.Op {
			return []graph.Op{&graph.Add{A: state, Y: y, Alpha: 1},
				&graph.CachedAttention{QKV: x.Columns(0, 3), Keys: keys, Values: state.Columns(0, 1), Out: y.Columns(0, 1), Heads: 1, Length: 2}}
		},
	} {
		for at := range 3 {
			f := newFailing(t)
			if at > 0 {
				f = failAt(t, at, half)
			}
			b := on(t, f, metal.Options{Target: 1})
			r := graph.NewRecorder(1, 1)
			var states []graph.Tensor
			for range 2 {
				w, err := b.NewBuffer(8)
				if err != nil {
					t.Fatal(err)
				}
				states = append(states, r.State(w, 2, 4))
			}
			x := r.Temporary(2, 4)
			r.Record(&graph.Fill{Y: x, Value: 3})
			for _, op := range ops(states[0], states[1].Columns(0, 1), x, r.Temporary(2, 4)) {
				r.Record(op)
			}
			p, err := b.Compile(r)
			if err != nil {
				t.Fatal(err)
			}
			err = p.Run(backend.Args{})
			if err == nil {
				err = p.Results(nil)
			}
			if got := fmt.Sprint(err); (err != nil) != (at > 0) || at > 0 && !strings.Contains(got, "was being written") {
				t.Errorf("%s: command buffer %d failed: error %v", name, at, err)
			}
			p.Close()
			b.Close()
		}
	}
}
