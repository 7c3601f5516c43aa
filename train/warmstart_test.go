package train

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coil/autodiff"
	"coil/backend"
	"coil/config"
	"coil/graph"
	"coil/loop"
	"coil/model"
	"coil/run"
	"coil/run/runtest"
	"coil/task"
	"coil/thorough"

	"github.com/google/go-cmp/cmp"
)

// trained is a checkpoint of a run of a few steps.
func trained(t *testing.T, c config.Config) (*Trainer, run.Checkpoint) {
	t.Helper()
	c.Train.Steps, c.Evaluate.Every = 3, 0
	r, tr := newRun(t, c), newTrainer(t, c, 2)
	if err := tr.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	from, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	return tr, from
}

// begun is a trainer that begins with a checkpoint's weights.
func begun(t *testing.T, c config.Config, from run.Checkpoint, g loop.Growth) *Trainer {
	t.Helper()
	tr := newTrainer(t, c, 1)
	if err := tr.Begin(from, g); err != nil {
		t.Fatal(err)
	}
	return tr
}

func values(t *testing.T, b graph.Buffer) []float32 {
	t.Helper()
	x := make([]float32, b.Len())
	if err := b.Read(0, x); err != nil {
		t.Fatal(err)
	}
	return x
}

// logits are those of a few held-out sequences, with the loop counts of a.
func (tr *Trainer) logits(t *testing.T, a loop.Architecture) []float32 {
	t.Helper()
	const sequences = 2
	m := tr.Model
	r := graph.NewRecorder(sequences, 1)
	weights, tokens := r.Parameter(tr.state.evaluated()), r.Input(m.Length)
	tape := autodiff.NewTape(r, false)
	out := r.Output(m.Length, m.Vocabulary)
	pass := m.Pass(tape, weights)
	pass.Architecture = a
	pass.Logits(pass.FinalState(tokens), out)
	p, err := tr.backend.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var index []int32
	sampler, ex := tr.Task.NewSampler(), task.NewExample(tr.Task)
	for i := range sequences {
		sampler.SampleKind(HeldOutSeed, uint64(i), task.HeldOut, 0, &ex)
		index = append(index, ex.Tokens...)
	}
	if err := errors.Join(p.Run(backend.Args{Inputs: [][]int32{index}}), p.Results(nil)); err != nil {
		t.Fatal(err)
	}
	x := make([]float32, sequences*m.Length*m.Vocabulary)
	if err := p.Output(out, x); err != nil {
		t.Fatal(err)
	}
	return x
}

// A model that is unrolled, or run with another number of loops, computes what the old one does: the same operations on the
// same numbers, and so the same bits.
func TestBeginKeepsTheFunction(t *testing.T) {
	t.Parallel()
	unroll := loop.Growth{Method: "unroll"}
	for _, c := range thorough.Cases(t, 4, "starts", []struct {
		from, to string
		growth   loop.Growth
		change   func(*config.Config)
	}{
		{"1x1", "1x1", loop.Growth{}, nil},
		{"1x3", "3x1", unroll, nil},
		{"2x2", "4x1", unroll, func(c *config.Config) {
			c.Model.Tied, c.Model.Positions, c.Model.NormPlace = true, "learned", "sandwich"
		}},
		{"1x4", "2x2", unroll, func(c *config.Config) { c.Model.Activation, c.Model.Norm = "swiglu", "rmsnorm" }},
		{"1x(1,3,1)", "5x1", unroll, func(c *config.Config) { c.Train.Average = 0.5 }},
		{"1x(1,4,1)", "1x(1,2,2,1)", unroll, func(c *config.Config) { c.Model.Bias = false }},
		{"3x1", "1x(1,1,1)", loop.Growth{}, nil},
		{"1x2", "1x5", loop.Growth{}, nil},
		{"1x5", "1x2", loop.Growth{}, func(c *config.Config) { c.Model.Injection = "linear" }},
		{"2x2", "2x4", loop.Growth{}, func(c *config.Config) { c.Model.LoopEmbedding, c.Model.Injection = true, "add" }},
		{"1x3", "1x5", loop.Growth{}, func(c *config.Config) {
			c.Model.Injection, c.Model.LoopNorm, c.Model.QKNorm, c.Model.KVHeads, c.Model.LogitSoftcap = "decay", true, true, 1, 4
		}},
		{"1x2", "1x4", loop.Growth{}, func(c *config.Config) { c.Model.Streams, c.Model.LoopEmbedding = 3, true }},
		{"1x(1,4,1)", "1x(1,3,1)", loop.Growth{}, func(c *config.Config) { c.Model.Streams = 2 }},
		{"1x2", "1x4", loop.Growth{}, func(c *config.Config) { c.Model.Carry = "restart" }},
		{"1x3", "3x1", unroll, func(c *config.Config) { c.Model.Heads, c.Model.HeadWidth, c.Model.QKNorm = 3, 4, true }},
		{"1x(1,4,1)", "1x(1,2,1)", loop.Growth{}, func(c *config.Config) { c.Model.LoopEmbedding, c.Train.Average = true, 0.5 }},
	}) {

		config := tiny()
		config.Model.Layers = c.from
		if c.change != nil {
			c.change(&config)
		}
		old, from := trained(t, config)
		config.Model.Layers = c.to
		tr := begun(t, config, from, c.growth)
		a := tr.Model.Architecture
		same := old.Model.Architecture
		if c.growth.Method == "" {
			same = same.WithCount(a.Count())
		}
		if a.Depth() != same.Depth() {
			t.Fatalf("%s to %s: depths %d and %d", c.from, c.to, same.Depth(), a.Depth())
		}
		if !slices.Equal(tr.logits(t, a), old.logits(t, same)) {
			t.Errorf("%s to %s: other logits", c.from, c.to)
		}
		if slices.Equal(tr.logits(t, a), newTrainer(t, config, 1).logits(t, a)) {
			t.Errorf("%s to %s: the logits of fresh weights", c.from, c.to)
		}
	}
}

// Each layer of a stacked model is the layer that it was copied from, in every parameter, and all else is as it was.
func TestBeginStacks(t *testing.T) {
	for _, c := range []struct {
		from, to string
		growth   loop.Growth
		want     []int
	}{
		{"3x2", "5x2", loop.Growth{Method: "middle"}, []int{0, 1, 1, 1, 2}},
		{"4x1", "8x1", loop.Growth{Method: "middle", Block: 2}, []int{0, 1, 0, 1, 0, 1, 2, 3}},
		{"3x1", "5x1", loop.Growth{Method: "last"}, []int{0, 1, 2, 2, 2}},
		{"2x1", "6x2", loop.Growth{Method: "whole"}, []int{0, 1, 0, 1, 0, 1}},
	} {
		config := tiny()
		config.Model.Layers, config.Model.NormPlace, config.Train.Average = c.from, "sandwich", 0.5
		old, from := trained(t, config)
		config.Model.Layers = c.to
		tr := begun(t, config, from, c.growth)
		now, before := values(t, tr.state.weights), values(t, old.state.average)
		if !slices.Equal(now, values(t, tr.state.average)) {
			t.Errorf("%s to %s: the average begins as something else", c.from, c.to)
		}
		named := map[string]model.Parameter{}
		for _, p := range old.Model.Parameters {
			named[p.Name] = p
		}
		inLayers := 0
		for _, p := range tr.Model.Parameters {
			name := p.Name
			for i, layer := range c.want {
				if rest, ok := strings.CutPrefix(p.Name, "layers."+string(rune('0'+i))+"."); ok {
					name = "layers." + string(rune('0'+layer)) + "." + rest
					inLayers++
				}
			}
			q, ok := named[name]
			if !ok || !slices.Equal(now[p.Offset:p.Offset+p.Size()], before[q.Offset:q.Offset+q.Size()]) {
				t.Errorf("%s to %s: %s is not %s", c.from, c.to, p.Name, name)
			}
		}
		if inLayers == 0 || inLayers%len(c.want) != 0 {
			t.Errorf("%s to %s: %d parameters of layers", c.from, c.to, inLayers)
		}
	}
}

// A gate is taken along where there is one, begins as in a fresh run where there was none, and is left behind where none is
// wanted; the rest of the model is the same.
func TestBeginWithAnExit(t *testing.T) {
	t.Parallel()
	plain, gated := tiny(), tiny()
	gated.Loops.Exit = "learned"
	for _, c := range []struct {
		from, to config.Config
		gate     func(old, fresh *Trainer) []float32
	}{
		{gated, gated, func(old, _ *Trainer) []float32 { return old.parameter(t, "exit.weight") }},
		{plain, gated, func(_, fresh *Trainer) []float32 { return fresh.parameter(t, "exit.weight") }},
		{gated, plain, nil},
	} {
		old, from := trained(t, c.from)
		tr := begun(t, c.to, from, loop.Growth{})
		if c.gate != nil && !slices.Equal(tr.parameter(t, "exit.weight"), c.gate(old, newTrainer(t, c.to, 1))) {
			t.Errorf("exit %s to %s: another gate", c.from.Loops.Exit, c.to.Loops.Exit)
		}
		if a := tr.Model.Architecture; !slices.Equal(tr.logits(t, a), old.logits(t, a)) {
			t.Errorf("exit %s to %s: other logits", c.from.Loops.Exit, c.to.Loops.Exit)
		}
	}
}

// parameter is the values of one parameter.
func (tr *Trainer) parameter(t *testing.T, name string) []float32 {
	t.Helper()
	for _, p := range tr.Model.Parameters {
		if p.Name == name {
			return values(t, tr.state.weights)[p.Offset : p.Offset+p.Size()]
		}
	}
	t.Fatalf("no parameter %s", name)
	return nil
}

// What does not fit is refused with the first tensor and both shapes, and the trainer keeps its weights.
func TestBeginErrors(t *testing.T) {
	c := tiny()
	c.Model.Layers = "2x2"
	_, from := trained(t, c)
	injected := c
	injected.Model.Injection = "linear"
	_, linear := trained(t, injected)
	for _, x := range []struct {
		from   run.Checkpoint
		growth loop.Growth
		change func(*config.Config)
		kind   error
		want   []string
	}{
		{from, loop.Growth{}, func(c *config.Config) { c.Model.Width = 32 }, ErrOtherModel, []string{"model.safetensors", `tensor "embedding.weight"`, "[3 16]", "[3 32]"}},
		{from, loop.Growth{}, func(c *config.Config) { c.Model.Hidden = 33 }, ErrOtherModel, []string{`tensor "layers.0.feedforward.in.weight"`, "[16 32]", "[16 33]"}},
		{from, loop.Growth{Method: "middle"}, func(c *config.Config) { c.Model.Layers, c.Model.Hidden = "3x1", 33 }, ErrOtherModel, []string{`tensor "layers.0.feedforward.in.weight"`}},
		{from, loop.Growth{}, func(c *config.Config) { c.Model.Positions = "learned" }, ErrOtherModel, []string{`no tensor "positions.weight"`}},
		{from, loop.Growth{}, func(c *config.Config) { c.Model.LoopEmbedding = true }, ErrOtherModel, []string{`no tensor "loop_embedding.weight"`}},
		{linear, loop.Growth{}, nil, ErrOtherModel, []string{`tensor "injection.state.weight" of the shape [16 16] is not in the configuration's`}},
		{from, loop.Growth{}, func(c *config.Config) { c.Model.Layers = "4x1" }, ErrOtherModel,
			[]string{"step-000003 is of 2⊗2, the configuration of 4⊗1 (layers: 4, not 2); layers can be added by middle, last, whole, unroll"}},
		{from, loop.Growth{}, func(c *config.Config) { c.Model.Layers = "1x1" }, ErrOtherModel, []string{"the configuration of 1⊗1 (layers: 1, not 2)"}},
		{from, loop.Growth{Method: "middle", Block: 2}, func(c *config.Config) { c.Model.Layers = "5x1" }, loop.ErrGrowth, []string{"2, 4, 6, 8, 10, …", "not the 5 of 5⊗1"}},
		{from, loop.Growth{Method: "unroll"}, func(c *config.Config) { c.Model.Layers = "5x1" }, loop.ErrGrowth, []string{"2⊗2 unrolled is 4⊗1"}},
		{from, loop.Growth{Method: "up"}, nil, loop.ErrGrowth, []string{`no method "up"`}},
		{linear, loop.Growth{Method: "unroll"}, func(c *config.Config) { c.Model.Layers = "4x1" }, loop.ErrGrowth, []string{`model.injection = "linear"`}},
		{from, loop.Growth{Method: "unroll"}, func(c *config.Config) { c.Model.Layers, c.Model.LoopNorm = "4x1", true }, loop.ErrGrowth, []string{"model.loop_norm = true"}},
		{from, loop.Growth{Method: "unroll"}, func(c *config.Config) { c.Model.Layers, c.Model.ResidualScale = "4x1", "loops" }, loop.ErrGrowth, []string{`model.residual_scale = "loops"`}},
		{from, loop.Growth{Method: "unroll"}, func(c *config.Config) { c.Model.Layers, c.Model.Streams = "4x1", 2 }, loop.ErrGrowth, []string{"model.hyper_connections = 2"}},
		{from, loop.Growth{Method: "unroll"}, func(c *config.Config) { c.Model.Layers, c.Model.Carry = "4x1", "restart" }, loop.ErrGrowth, []string{`model.carry = "restart"`}},
		{from, loop.Growth{}, func(c *config.Config) { c.Model.Carry = "restart" }, ErrOtherModel, []string{`no tensor "layers.0.message.query.down.weight"`}},
		{from, loop.Growth{}, func(c *config.Config) { c.Model.QKNorm = true }, ErrOtherModel, []string{`no tensor "layers.0.attention.q_norm.gain"`}},
		{from, loop.Growth{Method: "unroll"}, func(c *config.Config) { c.Model.Layers, c.Model.LoopEmbedding = "4x1", true }, loop.ErrGrowth, []string{"model.loop_embedding = true"}},
	} {
		config := c
		if x.change != nil {
			x.change(&config)
		}
		tr := newTrainer(t, config, 1)
		err := tr.Begin(x.from, x.growth)
		if !errors.Is(err, x.kind) {
			t.Errorf("%v: %v", x.want, err)
			continue
		}
		for _, want := range x.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %s", err, want)
			}
		}
		if tr.WarmStart != nil || !slices.Equal(values(t, tr.state.weights), tr.Model.Initialize(config.Train.Seed)) {
			t.Errorf("%v: the weights are others now", x.want)
		}
	}
}

// A run records where its weights came from, and which keys of the model were different there.
func TestOrigin(t *testing.T) {
	c := tiny()
	_, from := trained(t, c)
	c.Model.Layers, c.Model.Activation, c.Model.RotaryBase = "2x2", "relu", 50
	tr := begun(t, c, from, loop.Growth{Method: "middle"})
	want := &run.WarmStart{Run: filepath.Dir(filepath.Dir(from.Path)), Step: 3, Model: "1⊗2", Grown: "middle",
		Changed: []string{"model.activation = gelu", "model.rotary_base = 10000"}}
	if d := cmp.Diff(want, tr.WarmStart); d != "" {
		t.Error(d)
	}
	r := newRun(t, c)
	if err := tr.Run(r, after(1)); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	h, err := runtest.Events(r)
	if err != nil {
		t.Fatal(err)
	}
	said := "starts with the weights of step 3 of " + want.Run + ", 1⊗2, grown by middle, which had model.activation = gelu, model.rotary_base = 10000"
	if !slices.ContainsFunc(h, func(e run.Event) bool { return e.Kind == run.KindNote && e.Text == said }) {
		t.Errorf("no event says %q: %v", said, h)
	}
}

// A grown run that stops and goes on, from wherever, ends with the bits of one that never stopped. What it began with is
// its checkpoint of step 0, however few are kept.
func TestResumeOfAGrownRun(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Train.Average = 0.9
	_, from := trained(t, c)
	c.Model.Layers, c.Checkpoint.Keep = "3x2", 1
	begin := func() *Trainer { return begun(t, c, from, loop.Growth{Method: "middle"}) }
	whole, tr := newRun(t, c), begin()
	first := values(t, tr.state.weights)
	if err := tr.Run(whole, nil); err != nil {
		t.Fatal(err)
	}
	want := latest(t, whole)

	r := newRun(t, c)
	if err := begin().Run(r, after(4)); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	if err := resume(t, c, r, 2).Run(r, nil); err != nil {
		t.Fatal(err)
	}
	wantSame(t, latest(t, r), want)

	zero, err := r.Checkpoint(0)
	if err != nil {
		t.Fatal(err)
	}
	tr = newTrainer(t, c, 2)
	if err := tr.Resume(zero); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(values(t, tr.state.weights), first) || !slices.Equal(values(t, tr.state.average), first) {
		t.Error("the checkpoint of step 0 has other weights than the run began with")
	}
	if err := r.Rewind(0); err != nil {
		t.Fatal(err)
	}
	if err := tr.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	wantSame(t, latest(t, r), want)
}

// Weights that are given are those of the first checkpoint, and a learning rate of 0 leaves them as they are.
func TestBeginWith(t *testing.T) {
	c := tiny()
	c.Train.Steps, c.Train.Rate, c.Evaluate.Every = 3, 0, 0
	tr := newTrainer(t, c, 1)
	if first, err := tr.First(); err != nil || len(first) != 0 {
		t.Errorf("with the weights of the seed there are %d first checkpoints, %v", len(first), err)
	}
	weights := tr.Model.Initialize(c.Train.Seed + 1)
	if err := tr.BeginWith(weights, "made by hand"); err != nil {
		t.Fatal(err)
	}
	if first, err := tr.First(); err != nil || len(first) != 1 {
		t.Errorf("with given weights there are %d first checkpoints, %v", len(first), err)
	}
	r := newRun(t, c)
	if err := tr.Run(r, nil); err != nil {
		t.Fatal(err)
	}
	if got := values(t, tr.state.weights); !slices.Equal(got, weights) {
		t.Error("the weights after the run are not those that were given")
	}
	if h, err := runtest.Events(r); err != nil || !slices.ContainsFunc(h, func(e run.Event) bool { return e.Kind == run.KindNote && e.Text == "made by hand" }) {
		t.Errorf("the events are %v, %v", h, err)
	}
}
