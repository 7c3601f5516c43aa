package model_test

import (
	"testing"

	"coil/autodiff"
	"coil/backend"
	"coil/graph"
	"coil/model"
	"coil/model/reference"
	"coil/thorough"
)

// A vocabulary of 150,000 (of 20,000 in a plain test), whose logits are held for some rows of a sequence at a time, and a sequence of 1,300 positions: loss and
// gradient are the reference's.
func TestLargeVocabularyAndLongSequence(t *testing.T) {
	vocabulary := 20_000
	if thorough.On() {
		vocabulary = 150_000
	}
	for _, size := range []struct{ vocabulary, length, chunks int }{{vocabulary, 65, 2}, {7, 1300, 1}} {
		c := reference.Case{Config: model.Default(), Vocabulary: size.vocabulary, Length: size.length}
		c.Config.Layers, c.Config.Width, c.Config.Heads, c.Config.Hidden, c.Config.Norm, c.Config.LogitSoftcap = "1x1", 4, 1, 4, "rmsnorm", 3
		m := newModel(t, c)
		arena := reference.Arena(m, 31)
		tokens, targets := reference.Batch(c, 1, 32)

		b := newCPU(t, 1)
		r := graph.NewRecorder(1, 1)
		x, y, scale := r.Input(m.Length), r.Input(m.Length), r.Scalar()
		weights, gradient, loss := r.Parameter(newBuffer(t, b, arena)), r.Accumulator(1, m.Size), r.Accumulator(1, 1)
		tape := autodiff.NewTape(r, true)
		tape.Watch(weights, gradient)
		pass := m.Pass(tape, weights)
		state, rows := pass.FinalState(x), r.Temporary(m.Length, 1)
		pass.Loss(state, autodiff.CrossEntropy{Targets: y, Loss: rows, Scale: scale, Weight: 1})
		r.Record(&graph.Sum{X: rows, Y: loss, Alpha: 1, Accumulate: true})
		tape.Backward()
		r.BeginUpdate()
		r.Result(loss)
		r.Result(gradient)
		chunks := 0
		for _, op := range r.Body() {
			if _, ok := op.(*graph.CrossEntropy); ok {
				chunks++
			}
		}
		if chunks != size.chunks {
			t.Errorf("%d chunks of logits, want %d", chunks, size.chunks)
		}
		p, err := b.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, v := range targets[0] {
			if v != reference.Ignore {
				count++
			}
		}
		if err := p.Run(backend.Args{Scalars: []float32{1 / float32(count)}, Inputs: [][]int32{flat(tokens), flat(targets)}}); err != nil {
			t.Fatal(err)
		}
		results := make([]float32, r.ResultLen())
		if err := p.Results(results); err != nil {
			t.Fatal(err)
		}
		p.Close()
		wantLoss, want := reference.New(m, m.Architecture, arena).Gradient(tokens, targets)
		limit := tolerance(m, m.Architecture)
		check(t, "loss", float64(results[0])/float64(count), wantLoss, limit)
		checkGradient(t, m, results[1:], want, limit)
	}
}
