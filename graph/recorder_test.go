package graph_test

import (
	"slices"
	"strings"
	"testing"

	"coil/backend"
	"coil/graph"
)

// TestRecorderRules breaks one rule of the recorder in each case.
func TestRecorderRules(t *testing.T) {
	fill := func(x graph.Tensor) graph.Op { return &graph.Fill{Y: x} }
	copied := func(x, y graph.Tensor) graph.Op { return &graph.Add{A: x, Y: y, Alpha: 1} }
	for _, c := range []struct {
		want    string
		violate func(r *graph.Recorder)
	}{
		{"fill: storage 1 is not of this recorder", func(r *graph.Recorder) { r.Record(fill(graph.Tensor{Storage: 1, Rows: 1, Cols: 1})) }},
		{"fill: storage -1 is not of this recorder", func(r *graph.Recorder) { r.Record(fill(graph.Tensor{Storage: -1, Rows: 1, Cols: 1})) }},
		{"fill: operand of shape [0,3]", func(r *graph.Recorder) { r.Record(fill(r.Temporary(2, 3).RowRange(1, 1))) }},
		{"fill: operand [2,4] at 3 does not fit its storage of 10", func(r *graph.Recorder) {
			x := r.Temporary(2, 5)
			x.Offset, x.Cols = 3, 4
			r.Record(fill(x))
		}},
		{"fill: operand of shape [2,5] with stride 4", func(r *graph.Recorder) {
			x := r.Temporary(2, 5)
			x.Stride = 4
			r.Record(fill(x))
		}},
		{"fill: operand [1,2] is an index", func(r *graph.Recorder) {
			r.Record(fill(graph.Tensor{Storage: r.Input(2).Storage, Rows: 1, Cols: 2}))
		}},
		{"fill: writes a constant", func(r *graph.Recorder) { r.Record(fill(r.Constant(1, 2, []float32{1, 2}))) }},
		{"fill: writes a parameter in the body", func(r *graph.Recorder) { r.Record(fill(r.Parameter(buffer{n: 3}))) }},
		{"fill: a temporary of the other part", func(r *graph.Recorder) {
			x := r.Temporary(1, 1)
			r.BeginUpdate()
			r.Record(fill(x))
		}},
		{"fill: state of groups has no place in the update", func(r *graph.Recorder) {
			x := r.State(&buffer{n: 3}, 3, 1)
			r.BeginUpdate()
			r.Record(fill(x))
		}},
		{"recorder: state of 6 values in a buffer of 7", func(r *graph.Recorder) { r.State(&buffer{n: 7}, 3, 2) }},
		{"recorder: the buffer of a parameter is already a state", func(r *graph.Recorder) {
			b := &buffer{n: 6}
			r.State(b, 3, 2)
			r.Parameter(b)
		}},
		{"recorder: the buffer of a state is already a state", func(r *graph.Recorder) {
			b := &buffer{n: 6}
			r.State(b, 3, 2)
			r.State(b, 2, 3)
		}},
		{"recorder: the buffer of a state is already a parameter", func(r *graph.Recorder) {
			b := &buffer{n: 6}
			r.Parameter(b)
			r.State(b, 3, 2)
		}},
		{"recorder: state of the body can't be a result", func(r *graph.Recorder) { r.Result(r.State(&buffer{n: 6}, 3, 2)) }},
		{"fill: output of groups has no place in the update", func(r *graph.Recorder) {
			x := r.Output(1, 1)
			r.BeginUpdate()
			r.Record(fill(x))
		}},
		{"add: reads temporary memory that nothing has written", func(r *graph.Recorder) {
			x, y := r.Temporary(1, 1), r.Temporary(1, 1)
			r.Record(fill(y))
			r.Record(copied(x, y))
		}},
		{"add: reads output memory that nothing has written", func(r *graph.Recorder) { r.Record(copied(r.Output(1, 1), r.Temporary(1, 1))) }},
		{"column sums: reads temporary memory", func(r *graph.Recorder) {
			x := r.Temporary(2, 3)
			r.Record(fill(x))
			r.Record(&graph.ColumnSums{X: x, Y: r.Temporary(1, 3), Accumulate: true})
		}},
		{"rotary: reads temporary memory", func(r *graph.Recorder) {
			r.Record(&graph.Rotary{X: r.Temporary(1, 2), Width: 2, Length: 1, Base: 2})
		}},
		{"embedding: index 1 is not an input", func(r *graph.Recorder) {
			table := r.Parameter(buffer{n: 3})
			r.Record(&graph.Embedding{Table: table, Index: graph.Index{Storage: table.Storage, Len: 1}, Y: r.Temporary(1, 3)})
		}},
		{"embedding: index of 2 values at 3 does not fit its input", func(r *graph.Recorder) {
			x := r.Input(2)
			x.Offset = 3
			r.Record(&graph.Embedding{Table: r.Parameter(buffer{n: 3}), Index: x, Y: r.Temporary(2, 3)})
		}},
		{"embedding: an input has no place in the update", func(r *graph.Recorder) {
			x := r.Input(1)
			r.BeginUpdate()
			r.Record(&graph.Embedding{Table: r.Parameter(buffer{n: 3}), Index: x, Y: r.Temporary(1, 3)})
		}},
		{"average: scalar 2 is not of this recorder", func(r *graph.Recorder) {
			r.Scalar()
			r.BeginUpdate()
			r.Record(&graph.EMA{X: r.Parameter(buffer{n: 3}), Mean: r.Parameter(buffer{n: 3}), Decay: 2})
		}},
		{"recorder: temporary of shape [0,3]", func(r *graph.Recorder) { r.Temporary(0, 3) }},
		{"recorder: accumulator of shape [3,-1]", func(r *graph.Recorder) { r.Accumulator(3, -1) }},
		{"recorder: constant of shape [2,2] with 3 values", func(r *graph.Recorder) { r.Constant(2, 2, make([]float32, 3)) }},
		{"recorder: input of 0 values", func(r *graph.Recorder) { r.Input(0) }},
		{"recorder: a result must be a dense tensor", func(r *graph.Recorder) { r.Result(graph.Tensor{}) }},
		{"recorder: a result must be a dense tensor", func(r *graph.Recorder) { r.Result(r.Accumulator(2, 4).Columns(0, 2)) }},
		{"recorder: temporary of the body can't be a result", func(r *graph.Recorder) { r.Result(r.Temporary(2, 4)) }},
		{"recorder: output of the body can't be a result", func(r *graph.Recorder) { r.Result(r.Output(2, 4)) }},
		{"recorder: result: storage 7 is not of this recorder", func(r *graph.Recorder) { r.Result(graph.Tensor{Storage: 7, Rows: 1, Cols: 1}) }},
		{"recorder: result: operand [1,5] at 0 does not fit its storage of 4", func(r *graph.Recorder) {
			x := r.Accumulator(1, 4)
			x.Cols = 5
			r.Result(x)
		}},
		{"recorder: result: operand [1,2] is an index", func(r *graph.Recorder) {
			r.Result(graph.Tensor{Storage: r.Input(2).Storage, Rows: 1, Cols: 2})
		}},
	} {
		r := graph.NewRecorder(1, 1)
		if c.violate(r); r.Err() == nil || !strings.HasPrefix(r.Err().Error(), c.want) {
			t.Errorf("error %v, want %s…", r.Err(), c.want)
		}
	}
	for _, size := range [][2]int{{0, 1}, {1, 0}, {-1, -1}} {
		if graph.NewRecorder(size[0], size[1]).Err() == nil {
			t.Errorf("%d sequences and %d groups: no error", size[0], size[1])
		}
	}
}

// TestFirstErrorSticks records on after an error.
func TestFirstErrorSticks(t *testing.T) {
	r := graph.NewRecorder(1, 1)
	x := r.Temporary(2, 2)
	r.Record(&graph.Fill{Y: x})
	r.Record(&graph.ColumnSums{X: x, Y: x})
	first := r.Err()
	r.Record(&graph.Fill{Y: x})
	r.Temporary(0, 0)
	r.Result(graph.Tensor{})
	if first == nil || r.Err() != first {
		t.Errorf("first error %v, then %v", first, r.Err())
	}
	if n := len(r.Body()); n != 1 {
		t.Errorf("%d operations recorded, want those before the error: 1", n)
	}
	if _, _, err := graph.PlanArenas(r, nil, nil); err != first {
		t.Errorf("plan of a broken recording: %v, want %v", err, first)
	}
}

// TestGroupsOnlyAddToAccumulators: what one group wrote over would be lost, which one depends on the workers.
func TestGroupsOnlyAddToAccumulators(t *testing.T) {
	r := graph.NewRecorder(1, 2)
	r.Record(&graph.Fill{Y: r.Accumulator(1, 4)})
	if r.Err() == nil || !strings.Contains(r.Err().Error(), "accumulator") {
		t.Errorf("error %v, want one about the accumulator", r.Err())
	}
}

// TestState checks what the body may do with state, and who may begin where.
func TestState(t *testing.T) {
	r := graph.NewRecorder(3, 2)
	keys, values := r.State(&buffer{n: 2 * 3 * 5 * 4}, 5, 4), r.State(&buffer{n: 2 * 3 * 5 * 4}, 5, 4)
	if keys.Rows != 15 || keys.Cols != 4 {
		t.Errorf("state of 5 rows for each of 3 sequences: %s, want [15,4]", keys.Shape())
	}
	x, y := r.Temporary(6, 12), r.Temporary(15, 4)
	r.Record(&graph.Fill{Y: x})
	at := r.Input(1)
	r.Record(&graph.Add{A: keys, Y: y, Alpha: 1}) // which nothing in the program has written
	for range 2 {
		r.Record(&graph.CachedAttention{QKV: x, Keys: keys, Values: values, Out: r.Temporary(6, 4), At: at, Heads: 1, Length: 2})
	}
	r.Record(&graph.Rotary{X: x, At: at, Width: 4, Length: 2, Context: 9, Base: 10})
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	if want := []graph.Start{{At: at, Most: 3}, {At: at, Most: 7}}; !slices.Equal(r.Starts(), want) {
		t.Errorf("sequences begin at %v, want %v", r.Starts(), want)
	}
	group, _, err := graph.PlanArenas(r, nil, nil)
	if err != nil || group.Offsets[keys.Storage-1] >= 0 {
		t.Errorf("state in the arena of temporaries at %d (%v)", group.Offsets[keys.Storage-1], err)
	}
	for _, c := range []struct {
		want string
		at   []int32
	}{
		{"", []int32{0, 3, 1, 0, 2, 3}},
		{"sequence 4 begins at position 4, want at least 0 and at most 3", []int32{0, 3, 1, 0, 4, 3}},
		{"sequence 0 begins at position -1, want at least 0 and at most 3", []int32{-1, 3, 1, 0, 0, 3}},
	} {
		err := backend.Args{Inputs: [][]int32{c.at}}.Check(r)
		if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("beginning at %v: %v, want %q", c.at, err, c.want)
		}
	}
}

// TestPartsAndResults checks the parts and results of a recording.
func TestPartsAndResults(t *testing.T) {
	r := graph.NewRecorder(3, 5)
	in, out := r.Input(4), r.Output(2, 6)
	if in.Len != 12 || out.Rows != 6 || out.Cols != 6 {
		t.Errorf("a group of 3 sequences: input of %d values, output of [%d,%d], want 12 and [6,6]", in.Len, out.Rows, out.Cols)
	}
	rate, sum := r.Scalar(), r.Accumulator(2, 2)
	r.Record(&graph.Add{A: sum, Y: sum, Alpha: 1})
	r.BeginUpdate()
	w, mean, kept := r.Parameter(buffer{n: 4}), r.Parameter(buffer{n: 4}), r.Temporary(1, 4)
	r.Record(&graph.EMA{X: w, Mean: mean, Decay: rate})
	r.Result(sum.RowRange(1, 2))
	r.Result(kept) // before it is written
	r.Result(mean)
	if _, _, err := graph.PlanArenas(r, nil, nil); err == nil {
		t.Error("a result that nothing writes: no error")
	}
	r.Record(&graph.Add{A: w, Y: kept, Alpha: 1})
	if _, step, err := graph.PlanArenas(r, nil, nil); err != nil || step.Offsets[kept.Storage-1] != 0 || step.Len != 16 {
		t.Errorf("plan: %+v, %v", step, err)
	}
	if r.Err() != nil || len(r.Body()) != 1 || len(r.Update()) != 2 || r.Scalars() != 1 || r.Inputs() != 1 || r.ResultLen() != 10 {
		t.Errorf("error %v; %d and %d operations, %d scalars, %d inputs, results of %d", r.Err(), len(r.Body()), len(r.Update()), r.Scalars(), r.Inputs(), r.ResultLen())
	}
	for _, c := range []struct {
		want string
		step backend.Args
	}{
		{"", backend.Args{Scalars: []float32{1}, Inputs: [][]int32{make([]int32, 60)}}},
		{"step with 0 scalars", backend.Args{Inputs: [][]int32{make([]int32, 60)}}},
		{"step with 2 inputs", backend.Args{Scalars: []float32{1}, Inputs: [][]int32{make([]int32, 60), nil}}},
		{"input 0 has 59 values, the program wants 60", backend.Args{Scalars: []float32{1}, Inputs: [][]int32{make([]int32, 59)}}},
	} {
		err := c.step.Check(r)
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("step: %v, want %q", err, c.want)
		}
	}
}
