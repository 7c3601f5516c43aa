package graph_test

import (
	"testing"

	"coil/graph"

	"pgregory.net/rapid"
)

// recordRandom records operations on temporaries of random sizes in both parts, each read only after it was written.
func recordRandom(t *rapid.T) *graph.Recorder {
	r := graph.NewRecorder(1, 1)
	for part := range 2 {
		if part == 1 {
			r.BeginUpdate()
		}
		var live []graph.Tensor
		operand := func() graph.Tensor { return rapid.SampledFrom(live).Draw(t, "operand") }
		for range rapid.IntRange(0, 40).Draw(t, "operations") {
			fresh := r.Temporary(1, rapid.IntRange(1, 100).Draw(t, "size"))
			switch {
			case len(live) == 0 || rapid.Bool().Draw(t, "fill"):
				r.Record(&graph.Fill{Y: fresh})
				live = append(live, fresh)
			case rapid.Bool().Draw(t, "copy"):
				from := operand()
				y := r.Temporary(1, from.Cols)
				r.Record(&graph.Add{A: from, Y: y, Alpha: 1})
				live = append(live, y)
			default:
				a, b := operand(), operand()
				n := min(a.Cols, b.Cols)
				r.Record(&graph.Add{A: a.Columns(0, n), B: b.Columns(0, n), Y: a.Columns(0, n), Alpha: 1, Beta: 1})
			}
		}
		if part == 1 {
			for _, x := range live {
				if rapid.IntRange(0, 4).Draw(t, "result") == 0 {
					r.Result(x)
				}
			}
		}
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return r
}

// TestArenas runs random recordings on an arena where each cell remembers whose value it holds: every read must find
// its own, and every result must still be there at the end.
func TestArenas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := recordRandom(t)
		group, step, err := graph.PlanArenas(r, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for part, arena := range map[string]graph.Arena{"group": group, "step": step} {
			ops := r.Body()
			if part == "step" {
				ops = r.Update()
			}
			owner, sum := make([]int, arena.Len), 0
			cells := func(x graph.Tensor) []int {
				at := arena.Offsets[x.Storage-1]
				if at < 0 || at%16 != 0 {
					t.Fatalf("%s part: storage %d is at %d", part, x.Storage, at)
				}
				return owner[at : at+r.Storages()[x.Storage-1].Len]
			}
			check := func(x graph.Tensor) {
				for i, o := range cells(x) {
					if o != x.Storage {
						t.Fatalf("%s part: value %d of storage %d was overwritten by storage %d", part, i, x.Storage, o)
					}
				}
			}
			for _, op := range ops {
				f := graph.Describe(op)
				for _, x := range f.Reads {
					check(x)
				}
				for _, x := range f.Writes {
					own := cells(x)
					for i := range own {
						own[i] = x.Storage
					}
				}
			}
			for _, x := range r.Results() {
				if part == "step" {
					check(x)
				}
			}
			for i, s := range r.Storages() {
				if arena.Offsets[i] >= 0 {
					sum += (s.Len + 15) / 16 * 16
					if s.Update != (part == "step") {
						t.Fatalf("%s part: has storage %d of the other", part, i+1)
					}
				}
			}
			if arena.Len > sum {
				t.Fatalf("%s part: %d values for %d", part, arena.Len, sum)
			}
		}
	})
}

// TestArenaIsShared checks that the memory of dead temporaries is used again.
func TestArenaIsShared(t *testing.T) {
	r := graph.NewRecorder(1, 1)
	x := r.Temporary(1, 100)
	r.Record(&graph.Fill{Y: x})
	for range 10 {
		y := r.Temporary(1, 100)
		r.Record(&graph.Add{A: x, Y: y, Alpha: 1})
		x = y
	}
	group, _, err := graph.PlanArenas(r, nil, nil)
	if err != nil || group.Len != 2*112 {
		t.Errorf("a chain of copies of 100 values takes %d (%v), want two of 112", group.Len, err)
	}
	fused := func(i int) (first, last int) { // copies 3 to 7: what they use lives together
		if i >= 3 && i <= 7 {
			return 3, 7
		}
		return i, i
	}
	if group, _, err := graph.PlanArenas(r, nil, fused); err != nil || group.Len != 6*112 {
		t.Errorf("with five of the copies run as one, it takes %d (%v), want six of 112", group.Len, err)
	}
}
