package model_test

import (
	"testing"

	"coil/graph"
	"coil/model/reference"

	"github.com/google/go-cmp/cmp"
)

// The operations of each loop are marked: the loops in their order, what follows them, and the same backward as far as
// gradients go.
func TestPlacesOfLoops(t *testing.T) {
	forEachCase(t, func(t *testing.T, c reference.Case) {
		for _, recompute := range []bool{false, true} {
			c.Loops.Recompute = recompute
			m := newModel(t, c)
			a := c.Architecture(m)
			loops := a.Loops[m.Architecture.Looped()]
			r := newTrainer(t, newCPU(t, 1), m, a, c.Regularize, reference.Arena(m, 1), nil).recorder

			var want []graph.Scope
			for i := 1; i <= loops; i++ {
				want = append(want, graph.Scope{Loop: i})
			}
			want = append(want, graph.Scope{})
			// Else the head's gradient is the state's.
			if c.Config.NormPlace != "post" || m.Architecture.Looped() < len(a.Loops)-1 || c.Loops.LearnedExit() {
				want = append(want, graph.Scope{Backward: true})
			}
			last := 1
			if k := c.Loops.Truncate; k > 0 {
				last = max(1, loops-k+1)
			}
			for i := loops; i >= last; i-- {
				want = append(want, graph.Scope{Loop: i, Backward: true})
			}
			want = append(want, graph.Scope{Backward: true})
			var got []graph.Scope
			for _, mark := range r.Marks() {
				got = append(got, mark.Scope)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("recompute %v: %s", recompute, d)
			}
		}
	})
}

// Each operation has the place of the part of the model that it computes: of a model with one layer, the attention of a
// loop is in that loop, and its backward pass too.
func TestPlaceOfAttention(t *testing.T) {
	for _, recompute := range []bool{false, true} {
		c := reference.Cases()[0] // 1x4
		c.Loops.Recompute = recompute
		m := newModel(t, c)
		r := newTrainer(t, newCPU(t, 1), m, m.Architecture, c.Regularize, reference.Arena(m, 1), nil).recorder
		var forward, backward []graph.Scope
		for i, op := range r.Body() {
			switch op.(type) {
			case *graph.Attention:
				forward = append(forward, graph.ScopeAt(r.Marks(), i))
			case *graph.AttentionBackward:
				backward = append(backward, graph.ScopeAt(r.Marks(), i))
			}
		}
		var want, back []graph.Scope
		for i := range 4 {
			want, back = append(want, graph.Scope{Loop: i + 1}), append(back, graph.Scope{Loop: 4 - i, Backward: true})
		}
		if recompute { // each is run again right before its backward pass
			want = append(want, back...)
		}
		if d := cmp.Diff(want, forward) + cmp.Diff(back, backward); d != "" {
			t.Errorf("recompute %v: %s", recompute, d)
		}
	}
}
