package optim_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"coil/backend"
	"coil/backend/cpu"
	"coil/graph"
	"coil/optim"
)

// reference is testdata/muon.json, which testdata/muon.py has computed with PyTorch.
type reference struct {
	Cases []struct {
		Optimizer, Rule string
		Cautious        bool
		Rates, Factors  []float32
		Parameters      []struct {
			Inputs                           int
			Parts                            []int
			Before, After, Momentum, Neurons []float32
			Gradients                        [][]float32
		}
	}
	Polar struct {
		Matrix, Factor []float32
		Rows           int
		Off            float64
	}
}

func readReference(t *testing.T) (x reference) {
	t.Helper()
	text, err := os.ReadFile("testdata/muon.json")
	if err == nil {
		err = json.Unmarshal(text, &x)
	}
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// weights are parameters to update.
type weights struct {
	parameters []optim.Parameter
	values     []float32     // of all parameters
	gradients  [][]float32   // in each step
	rates      []float32     // in each step
	factors    []float32     // in each step
	kept       []([]float32) // states of all parameters, when the steps are done
}

// update runs the steps on the CPU backend. The gradient comes from the weights g of a sum that the body records.
func (w *weights) update(t *testing.T, o optim.Optimizer, options cpu.Options) {
	t.Helper()
	b, err := cpu.New(options)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	buffer := func(n int) graph.Buffer {
		x, err := b.NewBuffer(n)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	r := graph.NewRecorder(1, 1)
	arena, gradient := buffer(len(w.values)), buffer(len(w.values))
	x, g := r.Parameter(arena), r.Parameter(gradient)
	r.BeginUpdate()
	u := optim.Update{Rate: r.Scalar(), Factor: r.Parameter(buffer(1))}
	for range o.AppendScalars(nil, 1) {
		u.Scalars = append(u.Scalars, r.Scalar())
	}
	var states []graph.Buffer
	offset := 0
	for _, p := range w.parameters {
		view := func(x graph.Tensor) graph.Tensor {
			x.Offset, x.Rows, x.Cols, x.Stride = offset, p.Rows, p.Cols, p.Cols
			return x
		}
		weight := optim.Weight{Parameter: p, X: view(x), Grad: view(g)}
		for _, s := range o.States(p) {
			states = append(states, buffer(s.Len()))
			weight.States = append(weight.States, r.Parameter(states[len(states)-1]))
		}
		u.Weights = append(u.Weights, weight)
		offset += p.Rows * p.Cols
	}
	o.Record(r, u)
	program, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	factor := r.Storages()[u.Factor.Storage-1].Buffer
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(arena.Write(0, w.values))
	for k, grad := range w.gradients {
		must(gradient.Write(0, grad))
		must(factor.Write(0, w.factors[k:k+1]))
		must(program.Run(backend.Args{Scalars: o.AppendScalars([]float32{w.rates[k]}, k+1)}))
		must(program.Results(nil))
	}
	must(arena.Read(0, w.values))
	for _, s := range states {
		kept := make([]float32, s.Len())
		must(s.Read(0, kept))
		w.kept = append(w.kept, kept)
	}
}

// wantNear checks that values are those of PyTorch, up to a share of the largest.
func wantNear(t *testing.T, what string, got, want []float32, within float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	var most, worst float64
	for i := range want {
		most, worst = max(most, math.Abs(float64(want[i]))), max(worst, math.Abs(float64(got[i])-float64(want[i])))
	}
	if !(worst <= within*most) {
		t.Errorf("%s differs by %.2g from PyTorch, of values up to %.2g", what, worst, most)
	}
}

// Muon and NorMuon come to the weights and moments of PyTorch, and to the same bits with any number of workers.
func TestMuonIsThatOfPyTorch(t *testing.T) {
	for _, c := range readReference(t).Cases {
		name := fmt.Sprintf("%s, %s, cautious %v", c.Optimizer, c.Rule, c.Cautious)
		o, err := optim.New(optim.Name(c.Optimizer), optim.Settings{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1, Momentum: 0.95, NeuronDecay: 0.9,
			Rule: optim.Rule(c.Rule), MuonRate: 1, Cautious: c.Cautious})
		if err != nil {
			t.Fatal(err)
		}
		var begin weights
		begin.rates, begin.factors = c.Rates, c.Factors
		begin.gradients = make([][]float32, len(c.Rates))
		for _, p := range c.Parameters {
			outputs := len(p.Before) / p.Inputs
			begin.parameters = append(begin.parameters, optim.Parameter{Rows: p.Inputs, Cols: outputs, Decay: true, Parts: p.Parts})
			begin.values = append(begin.values, p.Before...)
			for k, g := range p.Gradients {
				begin.gradients[k] = append(begin.gradients[k], g...)
			}
		}
		var first weights
		for _, workers := range []int{1, 3} {
			w := begin
			w.values = slices.Clone(begin.values)
			w.update(t, o, cpu.Options{Workers: workers})
			if workers > 1 {
				if !slices.Equal(w.values, first.values) {
					t.Errorf("%s: %d workers have other bits than one", name, workers)
				}
				continue
			}
			first = w
			from, kept := 0, w.kept
			for i, p := range c.Parameters {
				of := fmt.Sprintf("%s: parameter %d", name, i)
				wantNear(t, of, w.values[from:from+len(p.After)], p.After, 2e-6)
				from += len(p.After)
				wantNear(t, of+": momentum", kept[0], p.Momentum, 1e-6)
				if kept = kept[1:]; p.Neurons != nil {
					wantNear(t, of+": moments of neurons", kept[0], p.Neurons, 1e-5)
					kept = kept[1:]
				}
			}
		}
	}
}

// The update of a first step is the polar factor of the gradient, as a singular value decomposition has it, as nearly as five
// polynomials come to it.
func TestMuonIsOrthogonal(t *testing.T) {
	p := readReference(t).Polar
	cols := len(p.Matrix) / p.Rows
	o, err := optim.New("muon", optim.Settings{Momentum: 0.95, Rule: optim.Keller, MuonRate: 1})
	if err != nil {
		t.Fatal(err)
	}
	w := weights{parameters: []optim.Parameter{{Rows: p.Rows, Cols: cols, Parts: []int{cols}}}, values: make([]float32, len(p.Matrix)),
		gradients: [][]float32{p.Matrix}, rates: []float32{-1}, factors: []float32{1}}
	w.update(t, o, cpu.Options{})
	rule := math.Sqrt(float64(cols) / float64(p.Rows))
	for i, v := range w.values {
		w.values[i] = float32(float64(v) / rule)
	}
	if p.Off > 0.15 {
		t.Fatalf("the polynomials leave a singular value off by %g", p.Off)
	}
	for i, want := range p.Factor {
		if d := math.Abs(float64(w.values[i] - want)); !(d <= p.Off) {
			t.Errorf("element %d is off by %g, and no singular value by more than %g", i, d, p.Off)
		}
	}
}
