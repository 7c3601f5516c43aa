package model_test

import (
	"math"
	"testing"

	"coil/autodiff"
	"coil/backend"
	"coil/backend/cpu"
	"coil/graph"
	"coil/loop"
	"coil/model"
	"coil/model/reference"
	"coil/regularize"
)

// How the trainers of these tests cut a batch: into more groups than the CPU backend keeps sums apart.
const (
	groups    = 9
	sequences = 2 // of a group
)

// clip is the largest norm of a gradient, small enough to matter.
const clip = 0.5

// newCPU starts a backend for the length of the test; 0 workers are one for each processor.
func newCPU(t testing.TB, workers int) *cpu.CPU {
	t.Helper()
	b, err := cpu.New(cpu.Options{Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func newModel(t testing.TB, c reference.Case) *model.Model {
	t.Helper()
	m, err := model.New(c.Config, c.Loops, c.Vocabulary, c.Length)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newBuffer(t testing.TB, b backend.Backend, data []float32) graph.Buffer {
	t.Helper()
	buf, err := b.NewBuffer(len(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := buf.Write(0, data); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(buf.Free)
	return buf
}

// trainer is a compiled training step, recorded as a training run does it.
type trainer struct {
	m          *model.Model
	regularize regularize.Config
	program    backend.Program
	recorder   *graph.Recorder
	logits     graph.Tensor // after the last loop
	scalars    func(step int) []float32
	kinds      int       // of weights that are regularized
	results    []float32 // loss, gradient, similarity of each kind; with an optimizer the gradient's norm and its factor
	steps      int
}

// An optimizer records the update of the weights of m, and returns the values of the scalars that it asked for. A nil
// one leaves the weights as they are.
type optimizer func(t testing.TB, b backend.Backend, r *graph.Recorder, m *model.Model, weights, gradient, factor graph.Tensor) func(step int) []float32

func newTrainer(t testing.TB, b backend.Backend, m *model.Model, a loop.Architecture, reg regularize.Config, arena []float32, o optimizer) *trainer {
	t.Helper()
	r := graph.NewRecorder(sequences, groups)
	tr := &trainer{m: m, regularize: reg, recorder: r}
	tokens, targets, scale := r.Input(m.Length), r.Input(m.Length), r.Scalar()
	weights, gradient := r.Parameter(newBuffer(t, b, arena)), r.Accumulator(1, m.Size)
	loss := r.Accumulator(1, 1)
	tape := autodiff.NewTape(r, true)
	tape.Recompute = m.Loops.Recompute
	tape.Watch(weights, gradient)
	pass := m.Pass(tape, weights)
	pass.Architecture = a
	var last graph.Tensor
	if m.Loops.LearnedExit() {
		x := pass.ExitLoss(tokens, targets, scale)
		r.Record(&graph.Sum{X: x.Loss, Y: loss, Alpha: 1, Accumulate: true})
		r.Record(&graph.Sum{X: x.Entropy, Y: loss, Alpha: float32(-m.Loops.ExitBeta), Accumulate: true})
		last = x.State
	} else {
		states := statesOf(pass, tokens, m.Loops.EveryLoop)
		for _, s := range states {
			rows, weight := r.Temporary(s.Rows, 1), 1/float32(len(states))
			pass.Loss(s, autodiff.CrossEntropy{Targets: targets, Loss: rows, Scale: scale, Weight: weight})
			r.Record(&graph.Sum{X: rows, Y: loss, Alpha: weight, Accumulate: true})
		}
		last = states[len(states)-1]
	}
	tr.logits = r.Output(m.Length, m.Vocabulary)
	pass.Logits(last, tr.logits)
	tape.Backward()

	r.BeginUpdate()
	r.Result(loss)
	r.Result(gradient)
	if reg.Active() {
		var kinds []regularize.Group
		for _, g := range m.WeightGroups() {
			kinds = append(kinds, regularize.Group{Name: g.Name, Weights: g.Views(weights), Gradients: g.Views(gradient)})
		}
		r.Result(regularize.Record(r, reg, kinds))
		tr.kinds = len(kinds)
	}
	tr.scalars = func(int) []float32 { return nil }
	if o != nil {
		squares, norm, factor := r.Temporary(1, 1), r.Temporary(1, 1), r.Temporary(1, 1)
		r.Record(&graph.Sum{X: gradient, Y: squares, Alpha: 1, Squares: true})
		r.Record(&graph.ClipFactor{Squares: squares, Norm: norm, Factor: factor, Max: clip})
		r.Result(norm)
		r.Result(factor)
		tr.scalars = o(t, b, r, m, weights, gradient, factor)
	}
	p, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	tr.program, tr.results = p, make([]float32, r.ResultLen())
	return tr
}

// run is one step: the loss, regularizer included, and its gradient, valid until the next.
func (tr *trainer) run(t testing.TB, tokens, targets [][]int) (float64, []float32) {
	t.Helper()
	x, y := flat(tokens), flat(targets)
	count := 0
	for _, v := range y {
		if v != graph.Ignore {
			count++
		}
	}
	tr.steps++
	scalars := append([]float32{1 / float32(count)}, tr.scalars(tr.steps)...)
	if err := tr.program.Run(backend.Args{Scalars: scalars, Inputs: [][]int32{x, y}}); err != nil {
		t.Fatal(err)
	}
	if err := tr.program.Results(tr.results); err != nil {
		t.Fatal(err)
	}
	n := 1 + tr.m.Size
	return float64(tr.results[0])/float64(count) + tr.regularize.Loss(tr.results[n:n+tr.kinds]), tr.results[1:n]
}

// statesOf are the states that the head reads: the last, or with every those after each loop.
func statesOf(pass *model.Pass, tokens graph.Index, every bool) []graph.Tensor {
	if every {
		return pass.LoopStates(tokens)
	}
	return []graph.Tensor{pass.FinalState(tokens)}
}

// clipped is the last gradient's norm and the factor that clips it.
func (tr *trainer) clipped() (norm, factor float64) {
	last := tr.results[len(tr.results)-2:]
	return float64(last[0]), float64(last[1])
}

func flat(rows [][]int) []int32 {
	var x []int32
	for _, row := range rows {
		for _, v := range row {
			x = append(x, int32(v))
		}
	}
	return x
}

// adamW records the update of o.
func adamW(o reference.AdamW) optimizer {
	return func(t testing.TB, b backend.Backend, r *graph.Recorder, m *model.Model, weights, gradient, factor graph.Tensor) func(int) []float32 {
		rate, correct1, correct2 := r.Scalar(), r.Scalar(), r.Scalar()
		first := r.Parameter(newBuffer(t, b, make([]float32, m.Size)))
		second := r.Parameter(newBuffer(t, b, make([]float32, m.Size)))
		xs, gs, ms, vs := m.Views(weights), m.Views(gradient), m.Views(first), m.Views(second)
		for i, p := range m.Parameters {
			op := &graph.AdamW{X: xs[i], Grad: gs[i], M: ms[i], V: vs[i], Factor: factor, Rate: rate, BiasCorrection1: correct1, BiasCorrection2: correct2,
				Beta1: float32(o.Beta1), Beta2: float32(o.Beta2), Eps: float32(o.Eps)}
			if p.Decay {
				op.Decay = float32(o.Decay)
			}
			r.Record(op)
		}
		return func(step int) []float32 {
			n := float64(step)
			return []float32{float32(o.Rate), float32(1 - math.Pow(o.Beta1, n)), float32(1 - math.Pow(o.Beta2, n))}
		}
	}
}

// adafactor records the update of o; beta is the share of the old means that each step keeps.
func adafactor(o reference.Adafactor, beta func(step int) float64) optimizer {
	return func(t testing.TB, b backend.Backend, r *graph.Recorder, m *model.Model, weights, gradient, factor graph.Tensor) func(int) []float32 {
		rate, keep := r.Scalar(), r.Scalar()
		ws, gs := m.Views(weights), m.Views(gradient)
		for i, p := range m.Parameters {
			op := &graph.Adafactor{X: ws[i], Grad: gs[i], ColV: r.Parameter(newBuffer(t, b, make([]float32, p.Cols))), Factor: factor,
				Rate: rate, Beta: keep, Eps: float32(o.Eps), Clip: float32(o.Clip)}
			if p.Rows > 1 {
				op.RowV = r.Parameter(newBuffer(t, b, make([]float32, p.Rows)))
			}
			if p.Decay {
				op.Decay = float32(o.Decay)
			}
			r.Record(op)
		}
		return func(step int) []float32 { return []float32{float32(o.Rate), float32(beta(step))} }
	}
}
