package model_test

import (
	"fmt"
	"slices"
	"testing"

	"coil/autodiff"
	"coil/backend"
	"coil/graph"
	"coil/loop"
	"coil/model"
	"coil/model/reference"
)

// evaluate runs the model without gradients on one batch, and returns the logits of each state.
func evaluate(t *testing.T, m *model.Model, a loop.Architecture, every bool, arena []float32, tokens [][]int) [][]float32 {
	t.Helper()
	b := newCPU(t, 1)
	r := graph.NewRecorder(sequences, groups)
	weights, index := r.Parameter(newBuffer(t, b, arena)), r.Input(m.Length)
	tape := autodiff.NewTape(r, false)
	var outputs []graph.Tensor
	pass := m.Pass(tape, weights)
	pass.Architecture = a
	for _, s := range statesOf(pass, index, every) {
		o := r.Output(m.Length, m.Vocabulary)
		pass.Logits(s, o)
		outputs = append(outputs, o)
	}
	p, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(backend.Args{Inputs: [][]int32{flat(tokens)}}); err != nil {
		t.Fatal(err)
	}
	if err := p.Results(nil); err != nil {
		t.Fatal(err)
	}
	all := make([][]float32, len(outputs))
	for i, o := range outputs {
		all[i] = make([]float32, groups*sequences*m.Length*m.Vocabulary)
		if err := p.Output(o, all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// A model may be run with more or fewer loops than it was trained with, and one run gives what each of the counts on
// the way would.
func TestEvaluationAtOtherLoopCounts(t *testing.T) {
	forEachCase(t, func(t *testing.T, c reference.Case) {
		m := newModel(t, c)
		arena := reference.Arena(m, 17)
		tokens, _ := reference.Batch(c, groups*sequences, 18)
		most := m.Architecture.Count() + 2
		every := evaluate(t, m, m.Architecture.WithCount(most), true, arena, tokens)
		if len(every) != most {
			t.Fatalf("%d states for %d loops", len(every), most)
		}
		a := m.Architecture.WithCount(most)
		r := reference.New(m, a, arena)
		for i, seq := range tokens {
			n := m.Length * m.Vocabulary
			for l, want := range r.Logits(seq) {
				if d := distance(every[l][i*n:(i+1)*n], want); !(d <= tolerance(m, a)) {
					t.Errorf("sequence %d after %d loops: logits are off by %.2g, limit %.2g", i, l+1, d, tolerance(m, a))
				}
			}
		}
		for loops := 1; loops <= most; loops++ {
			alone := evaluate(t, m, m.Architecture.WithCount(loops), false, arena, tokens)
			if len(alone) != 1 || !slices.Equal(alone[0], every[loops-1]) {
				t.Errorf("%d loops alone give other bits than on the way to %d", loops, most)
			}
		}
	})
}

// matmulFLOPs counts the FLOPs of matmuls in the body of a recording, with attention's whole square as two products of d·T for
// each row, or four in its gradient.
func matmulFLOPs(r *graph.Recorder) int64 {
	var n int64
	for _, op := range r.Body() {
		switch o := op.(type) {
		case *graph.Matmul:
			m, cols, k := o.Shape()
			n += 2 * int64(m) * int64(cols) * int64(k)
		case *graph.Attention:
			n += 2 * 2 * int64(o.Out.Size()) * int64(o.Length)
		case *graph.AttentionBackward:
			n += 4 * 2 * int64(o.Out.Size()) * int64(o.Length)
		case *graph.HardAttention, *graph.HardAttentionBackward: // as if its weights were not 0 and 1
			n += graph.Describe(op).FLOPs
		}
	}
	return n
}

// FLOPs is what the recorded operations do: once in a forward pass, three times in a training step that computes every
// gradient and nothing twice.
func TestFLOPs(t *testing.T) {
	forEachCase(t, func(t *testing.T, c reference.Case) {
		c.Loops = model.Loops{}
		m := newModel(t, c)
		b := newCPU(t, 1)
		if m.FLOPs() != m.FLOPsAt(m.Architecture.Count()) {
			t.Errorf("%d FLOPs, and %d at the model's own loops", m.FLOPs(), m.FLOPsAt(m.Architecture.Count()))
		}
		for i := range 4 {
			train, loops := i%2 == 1, m.Architecture.Count()-i/2
			if loops == 0 {
				continue
			}
			r := graph.NewRecorder(sequences, groups)
			weights, tokens, targets := r.Parameter(newBuffer(t, b, make([]float32, m.Size))), r.Input(m.Length), r.Input(m.Length)
			tape := autodiff.NewTape(r, train)
			if train {
				tape.Watch(weights, r.Accumulator(1, m.Size))
			}
			pass := m.Pass(tape, weights)
			pass.Architecture = m.Architecture.WithCount(loops)
			state := pass.FinalState(tokens)
			pass.Loss(state, autodiff.CrossEntropy{Targets: targets, Loss: r.Temporary(state.Rows, 1), Weight: 1})
			tape.Backward()
			if r.Err() != nil {
				t.Fatal(r.Err())
			}
			want := m.FLOPsAt(loops) * int64(sequences*m.Length)
			if train {
				want *= 3
			}
			if got := matmulFLOPs(r); got != want {
				t.Errorf("%d loops, training %v: recorded %d, FLOPs say %d", loops, train, got, want)
			}
		}
	})
}

// A loop's number has a vector for each loop that is trained.
func TestLoopEmbeddingHasARowForEachTrainedLoop(t *testing.T) {
	for _, c := range []struct {
		loops model.Loops
		rows  int
	}{
		{model.Loops{}, 3},
		{model.Loops{RandomMean: 2, RandomMax: 7}, 7},
		{model.Loops{RandomMean: 1, RandomMax: 2}, 3},
	} {
		config := model.Default()
		config.Layers, config.LoopEmbedding = "1x3", true
		m, err := model.New(config, c.loops, 10, 4)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(m.Parameters, func(p model.Parameter) bool { return p.Name == "loop_embedding.weight" })
		if got := m.Parameters[i].Rows; got != c.rows {
			t.Errorf("%s: %d rows, want %d", fmt.Sprintf("%+v", c.loops), got, c.rows)
		}
	}
}
