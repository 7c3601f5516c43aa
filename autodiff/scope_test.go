package autodiff_test

import (
	"testing"

	"coil/autodiff"
	"coil/graph"

	"pgregory.net/rapid"
)

// The place of an operation is the one in which it was recorded, whatever was recorded when.
func TestPlaceAt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := graph.NewRecorder(1, 1)
		tape := autodiff.NewTape(r, true)
		x := r.Temporary(1, 1)
		var want []graph.Scope
		var record func(depth int)
		record = func(depth int) {
			for range rapid.IntRange(0, 4).Draw(t, "operations") {
				r.Record(&graph.Fill{Y: x})
				want = append(want, r.Scope())
			}
			if depth > 0 {
				for range rapid.IntRange(0, 3).Draw(t, "loops") {
					tape.Loop(rapid.IntRange(0, 3).Draw(t, "loop"), func() { record(depth - 1) })
					record(0)
				}
			}
		}
		record(2)
		r.BeginUpdate()
		tape.Loop(7, func() { r.Record(&graph.Fill{Y: r.Temporary(1, 1)}) })
		for i, p := range want {
			if got := graph.ScopeAt(r.Marks(), i); got != p {
				t.Fatalf("operation %d of %v: %v, want %v", i, r.Marks(), got, p)
			}
		}
		for i, m := range r.Marks() {
			if m.Op >= len(want) || i > 0 && m.Op <= r.Marks()[i-1].Op {
				t.Fatalf("marks %v of %d operations", r.Marks(), len(want))
			}
		}
	})
}
