package theory

import (
	"fmt"
	"math"
	"testing"

	"coil/autodiff"
	"coil/backend"
	"coil/backend/cpu"
	"coil/graph"
	"coil/loop"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/model"
	"coil/task"
)

// statesOf are the states of a sequence before the looped block, if there are others, and after each of its loops, as a backend
// computes them.
func statesOf(t *testing.T, b backend.Backend, m *model.Model, arena []float32, tokens []int32) [][][]float32 {
	t.Helper()
	w, err := b.NewBuffer(m.Size)
	if err == nil {
		err = w.Write(0, arena)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer w.Free()
	r := graph.NewRecorder(1, 1)
	index := r.Input(m.Length)
	pass := m.Pass(autodiff.NewTape(r, false), r.Parameter(w))
	var outputs []graph.Tensor
	pass.Loops(pass.Embed(index), func(l model.Loop) {
		out := r.Output(m.Length, m.Config.Width)
		r.Record(&graph.Add{A: l.After, Y: out, Alpha: 1})
		outputs = append(outputs, out)
	})
	p, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(backend.Args{Inputs: [][]int32{tokens}}); err != nil {
		t.Fatal(err)
	}
	if err := p.Results(nil); err != nil {
		t.Fatal(err)
	}
	var states [][][]float32
	for _, out := range outputs {
		flat := make([]float32, m.Length*m.Config.Width)
		if err := p.Output(out, flat); err != nil {
			t.Fatal(err)
		}
		var rows [][]float32
		for i := range m.Length {
			rows = append(rows, flat[i*m.Config.Width:][:m.Config.Width])
		}
		states = append(states, rows)
	}
	return states
}

// Constructed weights in the architecture of the proofs compute on either backend what the executor of this package computes
// with the same numbers, float32: the same states after each loop, with softmax and with hard attention.
func TestBackendsAgreeWithTheExecutor(t *testing.T) {
	s3, err := NamedGroup("S3")
	if err != nil {
		t.Fatal(err)
	}
	shape := Shape{Layers: 2, Width: 6, Heads: 2, HeadWidth: 3, Hidden: 8}
	builds := map[string]func() (*Construction, error){
		"group": func() (*Construction, error) {
			return NewComposition(CompositionConfig{Group: s3, Length: 16, Sharpness: 200, Examples: 1})
		},
		"p-hop": func() (*Construction, error) {
			return NewHops(HopsConfig{Hops: 8, Length: 60, Letters: 4, Sharpness: 50, Examples: 1})
		},
		"cot": func() (*Construction, error) {
			return NewThought(ThoughtConfig{Shape: shape, Vocabulary: 6, Prompt: 5, Tokens: 4, Scale: 1, Gap: 1e-6, Sharpness: 200, Examples: 1, Seed: 1})
		},
		"looped": func() (*Construction, error) {
			return NewLooped(LoopedConfig{Shape: shape, Schedule: []int{1, 0, 1, 1}, Vocabulary: 6, Length: 7, Scale: 0.5, Examples: 2, Seed: 1})
		},
		"unroll": func() (*Construction, error) {
			return NewUnrolled(UnrolledConfig{Architecture: loop.Equal(2, 3), Shape: shape, Vocabulary: 6, Length: 7, Scale: 0.5, Examples: 1, Seed: 1})
		},
	}
	t.Run("cpu", func(t *testing.T) {
		b, err := cpu.New(cpu.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		agrees(t, b, builds)
	})
	t.Run("emulator", func(t *testing.T) {
		b, err := metal.New(emulatortest.Open(t, emulator.Options{}), metal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		agrees(t, b, builds)
	})
}

// agrees holds a backend to the executor.
func agrees(t *testing.T, b backend.Backend, builds map[string]func() (*Construction, error)) {
	for name, build := range builds {
		for _, hard := range []bool{false, true} {
			built, err := build()
			if err != nil {
				t.Fatal(err)
			}
			w, err := built.Trainable()
			if err != nil {
				t.Fatal(err)
			}
			if hard {
				w.Config.Attention, w.Config.AttentionScale = model.HardAttention, 0
			}
			of, err := w.Task.New()
			if err != nil {
				t.Fatal(err)
			}
			m, err := model.New(w.Config, model.Loops{}, len(of.Vocabulary()), of.Length())
			if err != nil {
				t.Fatal(err)
			}
			sampler, ex := of.NewSampler(), task.NewExample(of)
			sampler.Sample(1, 3, task.HeldOut, &ex)
			x := make([][]float64, len(ex.Tokens))
			for i, token := range ex.Tokens {
				x[i] = make([]float64, w.model.Width)
				for j := range x[i] {
					x[i][j] = w.tokens[token][j] + w.positions[i][j]
				}
			}
			var want [][][]float64
			w.model.Run(x, Arithmetic{Float32: true, Argmax: hard}, func(depth int, x [][]float64) {
				if loop := depth - (m.Architecture.Depth() - m.Architecture.Count()*m.Architecture.Sizes[m.Architecture.Looped()]); loop > 0 && loop%m.Architecture.Sizes[m.Architecture.Looped()] == 0 {
					want = append(want, convert[float64](x))
				}
			})
			limit := 0.0 // sums of whole numbers are exact in any order
			if !hard {
				limit = 1e-15 // of what softmax leaves to other positions, which the executor doesn't round to 0
			}
			if name == "looped" || name == "unroll" {
				limit = 1e-4 // of the states of random layers, whose sums depend on the order
			}
			label := fmt.Sprintf("%s, hard=%v", name, hard)
			got := statesOf(t, b, m, w.Arena(m), ex.Tokens)
			if len(got) != len(want) || len(got) < 3 {
				t.Fatalf("%s: %d loops, want %d", label, len(got), len(want))
			}
			for l := range want {
				for i, row := range want[l] {
					for j, v := range row {
						if off := math.Abs(float64(got[l][i][j]) - v); !(off <= limit) {
							t.Fatalf("%s: coordinate %d of position %d after loop %d is %v, want %v", label, j, i, l+1, got[l][i][j], v)
						}
					}
				}
			}
		}
	}
}
