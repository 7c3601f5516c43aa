package optim_test

import (
	"math"
	"slices"
	"testing"

	"coil/graph"
	"coil/optim"
)

// buffer is memory that no device has.
type buffer struct {
	graph.Buffer
	n int
}

func (b buffer) Len() int { return b.n }

var settings = optim.Settings{Beta1: 0.5, Beta2: 0.75, Eps: 1e-8, WeightDecay: 0.1, Momentum: 0.5, NeuronDecay: 0.5, Rule: optim.Match, MuonRate: 1}

// parameters lie one behind the other, those that decay first.
var parameters = []optim.Parameter{{"a", 3, 4, true, []int{2, 2}}, {"b", 2, 5, true, nil}, {"c", 1, 6, false, nil}, {"d", 1, 7, false, nil}}

// record records the update of the parameters by an optimizer.
func record(t *testing.T, o optim.Optimizer) *graph.Recorder {
	t.Helper()
	size := 0
	for _, p := range parameters {
		size += p.Rows * p.Cols
	}
	r := graph.NewRecorder(1, 1)
	weights, grads := r.Parameter(buffer{n: size}), r.Accumulator(1, size)
	states := map[string]graph.Tensor{}
	at := map[string]int{}
	r.BeginUpdate()
	u := optim.Update{Rate: r.Scalar(), Factor: r.Temporary(1, 1)}
	r.Record(&graph.Fill{Y: u.Factor, Value: 1})
	for range o.AppendScalars(nil, 1) {
		u.Scalars = append(u.Scalars, r.Scalar())
	}
	offset := 0
	for _, p := range parameters {
		view := func(x graph.Tensor) graph.Tensor {
			x.Offset, x.Rows, x.Cols, x.Stride = offset, p.Rows, p.Cols, p.Cols
			return x
		}
		w := optim.Weight{Parameter: p, X: view(weights), Grad: view(grads)}
		for _, s := range o.States(p) {
			if !states[s.Name].Exists() {
				states[s.Name] = r.Parameter(buffer{n: 100})
			}
			w.States = append(w.States, states[s.Name].Columns(at[s.Name], at[s.Name]+s.Len()))
			at[s.Name] += s.Len()
		}
		u.Weights = append(u.Weights, w)
		offset += p.Rows * p.Cols
	}
	o.Record(r, u)
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return r
}

// Every optimizer writes every weight and its whole state once, obeys the factor, and has the same number of scalars in each step.
func TestOptimizers(t *testing.T) {
	for _, name := range optim.Names() {
		o, err := optim.New(optim.Name(name), settings)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := o.AppendScalars([]float32{7}, 1), o.AppendScalars([]float32{7}, 1000); len(a) != len(b) || a[0] != 7 {
			t.Errorf("%s: numbers of steps are %v and %v", name, a, b)
		}
		written := map[int]int{} // values, by storage
		r := record(t, o)
		for _, op := range r.Update()[1:] {
			f := graph.Describe(op)
			for _, x := range f.Writes {
				if r.Storages()[x.Storage-1].Space != graph.Parameter {
					continue
				}
				written[x.Storage] += x.Size()
				if !f.Gated {
					t.Errorf("%s: %s does not obey the factor", name, op.Name())
				}
			}
		}
		want := map[string]int{}
		for _, p := range parameters {
			want["weights"] += p.Rows * p.Cols
			for _, s := range o.States(p) {
				want[s.Name] += s.Len()
			}
		}
		var got, all []int
		for _, n := range written {
			got = append(got, n)
		}
		for _, n := range want {
			all = append(all, n)
		}
		slices.Sort(got)
		slices.Sort(all)
		if !slices.Equal(got, all) {
			t.Errorf("%s: writes %v values, want %v", name, got, all)
		}
	}
	if _, err := optim.New("none", settings); err == nil {
		t.Error("an optimizer that does not exist was made")
	}
}

// AdamW takes neighbours of one kind together, and no others.
func TestAdamWJoins(t *testing.T) {
	o, _ := optim.New("adamw", settings)
	ops := record(t, o).Update()[1:]
	var sizes []int
	var decays []float32
	for _, op := range ops {
		sizes, decays = append(sizes, op.(*graph.AdamW).X.Size()), append(decays, op.(*graph.AdamW).Decay)
	}
	if !slices.Equal(sizes, []int{22, 13}) || !slices.Equal(decays, []float32{0.1, 0}) {
		t.Errorf("updates of %v values with decays %v", sizes, decays)
	}
}

// The scalars of a step are those of the papers: 1 − β^t, and 1 − t^(−0.8), which is 0 at first.
func TestScalars(t *testing.T) {
	adamw, _ := optim.New("adamw", settings)
	if got := adamw.AppendScalars(nil, 3); !slices.Equal(got, []float32{1 - 0.125, 1 - 0.421875}) {
		t.Errorf("adamw: %v", got)
	}
	adafactor, _ := optim.New("adafactor", settings)
	if got := adafactor.AppendScalars(adafactor.AppendScalars(nil, 1), 32); got[0] != 0 || math.Abs(float64(got[1])-(1-1.0/16)) > 1e-7 {
		t.Errorf("adafactor: %v", got)
	}
}
