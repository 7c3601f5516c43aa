package eval

import (
	"fmt"
	"slices"

	"coil/autodiff"
	"coil/backend"
	"coil/graph"
	"coil/model"
	"coil/run"
	"coil/task"
)

// sampleCount is how many examples are shown, mostTokens how much of a long question: its end.
const (
	sampleCount = 4
	mostTokens  = 512
)

// Samples shows the model at work: always the same few held-out examples, each with the answer that the model gives.
// Not for concurrent use.
type Samples struct {
	task    task.Task
	program backend.Program
	sampleRecording
	inputs [][]int32
	out    []float32
}

// sampleRecording is the pass for examples with the logits at the positions of their answers, and those only: a whole
// sequence of a large vocabulary would take much memory.
type sampleRecording struct {
	recorder  *graph.Recorder
	examples  []task.Example
	positions []int // ascending; each has a row of the logits
	logits    graph.Tensor
}

// NewSamples compiles the pass for the examples that the seed draws, of different kinds first, at the model's own loop
// count. It reads the weights of the buffer as they are when it runs.
func NewSamples(b backend.Backend, m *model.Model, t task.Task, weights graph.Buffer, seed uint64) (*Samples, error) {
	r := recordSamples(m, t, weights, seed)
	program, err := b.Compile(r.recorder)
	if err != nil {
		return nil, fmt.Errorf("samples of %s: %w", m.Architecture, err)
	}
	s := &Samples{task: t, program: program, sampleRecording: r, out: make([]float32, len(r.examples)*len(r.positions)*m.Vocabulary)}
	s.inputs = make([][]int32, 1)
	for _, ex := range r.examples {
		s.inputs[0] = append(s.inputs[0], ex.Tokens...)
	}
	return s, nil
}

// PlanSamples is the memory that NewSamples would take.
func PlanSamples(b backend.Backend, m *model.Model, t task.Task, weights graph.Buffer, seed uint64) (backend.Memory, error) {
	return b.Plan(recordSamples(m, t, weights, seed).recorder)
}

// Close frees the program.
func (s *Samples) Close() { s.program.Close() }

func recordSamples(m *model.Model, t task.Task, weights graph.Buffer, seed uint64) sampleRecording {
	s := sampleRecording{examples: drawSamples(t, seed)}
	for _, ex := range s.examples {
		from, to := task.LastAnswer(t, ex)
		for p := from; p < to; p++ {
			s.positions = append(s.positions, p)
		}
	}
	slices.Sort(s.positions)
	s.positions = slices.Compact(s.positions)

	r := graph.NewRecorder(1, len(s.examples)) // one sequence at a time takes the least memory
	w, tokens := r.Parameter(weights), r.Input(m.Length)
	tape := autodiff.NewTape(r, false)
	pass := m.Pass(tape, w)
	state := pass.FinalState(tokens)
	s.recorder, s.logits = r, r.Output(len(s.positions), m.Vocabulary)
	for i, p := range s.positions {
		pass.Logits(state.RowRange(p, p+1), s.logits.RowRange(i, i+1))
	}
	return s
}

// drawSamples draws the examples: one of each of several kinds, spread over all kinds, or the first of each kind, then the second.
func drawSamples(t task.Task, seed uint64) []task.Example {
	sampler, kinds := t.NewSampler(), len(t.Kinds())
	examples := make([]task.Example, sampleCount)
	for i := range examples {
		kind, index := i%kinds, i/kinds
		if kinds >= sampleCount {
			kind, index = i*(kinds-1)/(sampleCount-1), 0
		}
		examples[i] = task.NewExample(t)
		sampler.SampleKind(seed, uint64(index), task.HeldOut, kind, &examples[i])
	}
	return examples
}

// Run lets the model answer: at each position, the most likely token after the right tokens before it. For an answer of several
// tokens, that is what the model would generate, as long as its tokens are right.
func (s *Samples) Run() ([]run.Sample, error) {
	if err := s.program.Run(backend.Args{Inputs: s.inputs}); err != nil {
		return nil, err
	}
	if err := s.program.Results(nil); err != nil {
		return nil, err
	}
	if err := s.program.Output(s.logits, s.out); err != nil {
		return nil, err
	}
	samples := make([]run.Sample, len(s.examples))
	each := len(s.out) / len(s.examples)
	for i, ex := range s.examples {
		samples[i] = s.sample(ex, s.out[i*each:][:each])
	}
	return samples, nil
}

// sample is an example with the answer that its logits give.
func (s *Samples) sample(ex task.Example, logits []float32) run.Sample {
	from, to := task.LastAnswer(s.task, ex)
	classes := len(logits) / len(s.positions)
	var said []int32
	for p := from; p < to; p++ {
		row, _ := slices.BinarySearch(s.positions, p)
		said = append(said, largest(logits[row*classes:][:classes]))
	}
	begin, mark := max(0, from+1-mostTokens), ""
	if begin > 0 {
		mark = "…"
	}
	want := ex.Targets[from:to]
	return run.Sample{Kind: s.task.Kinds()[ex.Kind], Question: mark + task.Render(s.task, ex.Tokens[begin:from+1]),
		Want: task.Render(s.task, want), Said: task.Render(s.task, said), Right: slices.Equal(said, want)}
}

// largest is the first of the largest values' indices.
func largest(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}
