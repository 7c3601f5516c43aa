package metal_test

import (
	"slices"
	"testing"

	"coil/autodiff"
	"coil/backend"
	"coil/graph"
	"coil/metal"
	"coil/model"
)

// Passes over chunks with a cache give the logits of a pass over whole sequences on the CPU.
func TestPassesThatContinue(t *testing.T) {
	const sequences, length, vocabulary = 2, 11, 7
	c := model.Default()
	c.Layers, c.Width, c.Heads, c.Hidden, c.Injection = "1x(1,2,1)", 32, 2, 48, "add"
	m, err := model.New(c, model.Loops{}, vocabulary, length)
	if err != nil {
		t.Fatal(err)
	}
	var tokens [sequences][]int32
	for s := range tokens {
		for i := range length {
			tokens[s] = append(tokens[s], int32((i*i+s*i+2)%vocabulary))
		}
	}
	// recorded compiles a pass over n positions, which continues from cache if there is one, and returns how to run it from
	// position at on.
	recorded := func(b backend.Backend, n int, cache *model.Cache) func(at int) []float32 {
		w, err := b.NewBuffer(m.Size)
		if err == nil {
			err = w.Write(0, m.Initialize(3))
		}
		if err != nil {
			t.Fatal(err)
		}
		r := graph.NewRecorder(1, sequences)
		index := r.Input(n)
		pass := m.Pass(autodiff.NewTape(r, false), r.Parameter(w))
		if pass.Length = n; cache != nil {
			pass.Continue(cache, r.Input(1))
		}
		out := r.Output(n, vocabulary)
		pass.Logits(pass.FinalState(index), out)
		p, err := b.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		return func(at int) []float32 {
			args := backend.Args{Inputs: [][]int32{nil}}
			for _, s := range tokens {
				args.Inputs[0] = append(args.Inputs[0], s[at:at+n]...)
			}
			if cache != nil {
				args.Inputs = append(args.Inputs, slices.Repeat([]int32{int32(at)}, sequences))
			}
			got := make([]float32, sequences*n*vocabulary)
			for _, err := range []error{p.Run(args), p.Results(nil), p.Output(out, got)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			return got
		}
	}
	want := recorded(onCPU(t), length, nil)(0)
	b := emulated(t, metal.Options{})
	t.Cleanup(func() { b.Close() })
	cache, err := m.NewCache(b, m.Architecture, sequences, length+2)
	if err != nil {
		t.Fatal(err)
	}
	runs := map[int]func(at int) []float32{}
	for at, chunks := 0, []int{5, 1, 1, 3, 1}; len(chunks) > 0; chunks = chunks[1:] {
		n := chunks[0]
		if runs[n] == nil {
			runs[n] = recorded(b, n, cache)
		}
		got := runs[n](at)
		for s := range sequences {
			if d := far(want[(s*length+at)*vocabulary:(s*length+at+n)*vocabulary], got[s*n*vocabulary:][:n*vocabulary]); !(d <= 1e-5) {
				t.Errorf("positions %d to %d of sequence %d: logits are off by %.2g", at, at+n, s, d)
			}
		}
		at += n
	}
}
