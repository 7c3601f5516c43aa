package model_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"coil/autodiff"
	"coil/backend"
	"coil/graph"
	"coil/loop"
	"coil/model"
	"coil/model/reference"
)

// continuing runs passes over chunks of sequences with one cache, by programs that share it.
type continuing struct {
	t        *testing.T
	b        backend.Backend
	m        *model.Model
	cache    *model.Cache
	weights  graph.Buffer
	programs map[int]backend.Program // by the length of the chunk
	outputs  map[int]graph.Tensor
}

func newContinuing(t *testing.T, m *model.Model, a loop.Architecture, context int, arena []float32) *continuing {
	t.Helper()
	b := newCPU(t, 1)
	cache, err := m.NewCache(b, a, groups*sequences, context)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Free)
	return &continuing{t, b, m, cache, newBuffer(t, b, arena), map[int]backend.Program{}, map[int]graph.Tensor{}}
}

// compile makes the program for chunks of n positions. That for single ones divides the batch in another way.
func (c *continuing) compile(n int) {
	c.t.Helper()
	r := graph.NewRecorder(sequences, groups)
	if n == 1 {
		r = graph.NewRecorder(groups, sequences)
	}
	tokens, at := r.Input(n), r.Input(1)
	pass := c.m.Pass(autodiff.NewTape(r, false), r.Parameter(c.weights))
	pass.Architecture, pass.Length = c.cache.Architecture, n
	pass.Continue(c.cache, at)
	out := r.Output(n, c.m.Vocabulary)
	pass.Logits(pass.FinalState(tokens), out)
	p, err := c.b.Compile(r)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(p.Close)
	c.programs[n], c.outputs[n] = p, out
}

// run runs positions at[i] to at[i]+n of sequence i and returns the logits of each.
func (c *continuing) run(tokens [][]int, at []int, n int) [][]float32 {
	c.t.Helper()
	if c.programs[n] == nil {
		c.compile(n)
	}
	var ids, starts []int32
	for i, p := range at {
		starts = append(starts, int32(p))
		ids = append(ids, flat([][]int{tokens[i][p : p+n]})...)
	}
	p := c.programs[n]
	if err := p.Run(backend.Args{Inputs: [][]int32{ids, starts}}); err != nil {
		c.t.Fatal(err)
	}
	if err := p.Results(nil); err != nil {
		c.t.Fatal(err)
	}
	size := n * c.m.Vocabulary
	all := make([]float32, len(at)*size)
	if err := p.Output(c.outputs[n], all); err != nil {
		c.t.Fatal(err)
	}
	return slices.Collect(slices.Chunk(all, size))
}

// Passes over consecutive chunks, which attend to the cached positions of earlier chunks, give the logits of one pass over the
// whole sequences.
func TestPassesThatContinue(t *testing.T) {
	forEachCase(t, func(t *testing.T, c reference.Case) {
		m := newModel(t, c)
		a, arena := c.Architecture(m), reference.Arena(m, 27)
		tokens, _ := reference.Batch(c, groups*sequences, 28)
		var want []reference.Matrix
		for _, s := range tokens {
			all := reference.New(m, a, arena).Logits(s)
			want = append(want, all[len(all)-1])
		}
		context := m.Length
		if c.Config.Positions != model.LearnedPositions {
			context += 3
		}
		limit := tolerance(m, a)
		run := newContinuing(t, m, a, context, arena)
		check := func(at []int, n int) {
			t.Helper()
			for i, logits := range run.run(tokens, at, n) {
				if d := distance(logits, want[i][at[i]:at[i]+n]); !(d <= limit) {
					t.Errorf("positions %d to %d of sequence %d: logits are off by %.2g, limit %.2g", at[i], at[i]+n, i, d, limit)
				}
			}
		}
		for _, chunks := range [][]int{{m.Length}, {1}, {3, 1, 1}, {2, 4}} { // over and over, as far as they fit; then one by one
			for at, i := 0, 0; at < m.Length; i++ {
				n := chunks[i%len(chunks)]
				if at+n > m.Length {
					n = 1
				}
				check(slices.Repeat([]int{at}, len(tokens)), n)
				at += n
			}
		}
		if m.Length < 2 {
			return
		}
		var apart []int // sequences that are not equally far
		for i := range tokens {
			apart = append(apart, i%(m.Length-1))
		}
		check(apart, 2)
		check(apart, 1)
	})
}

// What can't be cached is an error that says so.
func TestWhatCannotContinue(t *testing.T) {
	config := model.Default()
	config.Layers = "1x(1,3,1)"
	newModel := func(positions model.Positions) *model.Model {
		c := config
		c.Positions = positions
		m, err := model.New(c, model.Loops{}, 5, 4)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	b := newCPU(t, 1)
	m := newModel("learned")
	if _, err := m.NewCache(b, m.Architecture, 2, 5); err == nil || !strings.Contains(err.Error(), "has learned 4") {
		t.Errorf("a cache of 5 positions where 4 were learned: %v", err)
	}
	if _, err := m.NewCache(b, m.Architecture, 0, 4); err == nil {
		t.Error("a cache of no sequences: no error")
	}
	m = newModel("rotary")
	cache, err := m.NewCache(b, m.Architecture, 2, 6)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Free()
	for _, c := range []struct {
		want     string
		train    bool
		loops    int
		length   int
		sequence int // of a group
		states   bool
	}{
		{want: "", loops: 3, length: 2, sequence: 2},
		{want: "", loops: 3, length: 6, sequence: 2}, // more positions than the model was made for
		{want: "has no gradients", train: true, loops: 3, length: 2, sequence: 2},
		{want: "a pass of 1⊗(1,4,1) continues from a cache of 1⊗(1,3,1)", loops: 4, length: 2, sequence: 2},
		{want: "a pass over 7 positions continues from a cache of 6", loops: 3, length: 7, sequence: 2},
		{want: "in a buffer of", loops: 3, length: 2, sequence: 3},
		{want: "blocks after the looped one run once", loops: 3, length: 2, sequence: 2, states: true},
	} {
		r := graph.NewRecorder(c.sequence, 1)
		tape := autodiff.NewTape(r, c.train)
		pass := m.Pass(tape, r.Parameter(newBuffer(t, b, make([]float32, m.Size))))
		pass.Architecture, pass.Length = m.Architecture.WithCount(c.loops), c.length
		tokens := r.Input(c.length)
		pass.Continue(cache, r.Input(1))
		if c.states {
			pass.LoopStates(tokens)
		} else {
			pass.FinalState(tokens)
		}
		if got := fmt.Sprint(r.Err()); c.want == "" && r.Err() != nil || !strings.Contains(got, c.want) {
			t.Errorf("%+v: error %v", c, got)
		}
	}
	r := graph.NewRecorder(1, 1)
	pass := newModel("learned").Pass(autodiff.NewTape(r, false), r.Parameter(newBuffer(t, b, make([]float32, m.Size+4*m.Config.Width))))
	pass.Length = 5
	if pass.FinalState(r.Input(5)); r.Err() == nil || !strings.Contains(r.Err().Error(), "but only 4 were learned") {
		t.Errorf("a pass over 5 positions where 4 were learned: %v", r.Err())
	}
}
