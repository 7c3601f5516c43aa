package eval

import (
	"fmt"
	"slices"

	"coil/backend"
	"coil/run"
	"coil/task"
)

// sampleCount is how many examples are shown, mostTokens how much of a long question: its end.
const (
	sampleCount = 4
	mostTokens  = 512
)

// Samples shows the model at work on held-out examples, always the same few: the answers that it gives, or, if the task is text,
// how it continues. Not for concurrent use.
type Samples interface {
	// Run lets the model answer.
	Run() ([]run.Sample, error)
	// Close frees what the samples need.
	Close()
}

// answers shows the answers to questions.
type answers struct {
	*forward
	task      task.Task
	examples  []task.Example
	positions []int // of answers, ascending; each has a row of the logits
	logits    *output
	questions []int32
}

// NewSamples compiles the passes, with a number of loops, for the examples that the seed draws, of different kinds first.
func NewSamples(t Trained, loops int, seed uint64) (Samples, error) {
	if _, ok := t.Task.(task.Language); ok {
		c, err := newContinuations(t, loops, seed)
		if err == nil {
			if err = c.compile(t.Backend); err != nil {
				c.Close()
			}
		}
		if err != nil {
			return nil, fmt.Errorf("samples of %s: %w", t.Model.Architecture, err)
		}
		return c, nil
	}
	s := recordAnswers(t, loops, seed)
	if err := s.compile(t.Backend); err != nil {
		return nil, fmt.Errorf("samples of %s: %w", t.Model.Architecture, err)
	}
	for _, ex := range s.examples {
		s.questions = append(s.questions, ex.Tokens...)
	}
	return s, nil
}

// PlanSamples is the memory that NewSamples would take.
func PlanSamples(t Trained, loops int, seed uint64) (backend.Memory, error) {
	if _, ok := t.Task.(task.Language); ok {
		c, err := newContinuations(t, loops, seed)
		if err != nil {
			return backend.Memory{}, err
		}
		defer c.Close()
		return c.plan(t.Backend)
	}
	return t.Backend.Plan(recordAnswers(t, loops, seed).Recorder)
}

// recordAnswers keeps the logits at the positions of answers, and those only: a whole sequence of a large vocabulary would take
// much memory, as would more than one sequence at a time.
func recordAnswers(t Trained, loops int, seed uint64) *answers {
	s := &answers{task: t.Task, examples: drawSamples(t.Task, seed)}
	for _, ex := range s.examples {
		from, to := task.LastAnswer(t.Task, ex)
		for p := from; p < to; p++ {
			s.positions = append(s.positions, p)
		}
	}
	slices.Sort(s.positions)
	s.positions = slices.Compact(s.positions)

	s.forward = t.forward(len(s.examples), 1, loops)
	state := s.pass.FinalState(s.tokens)
	s.logits = s.output(len(s.positions), t.Model.Vocabulary)
	for i, p := range s.positions {
		s.pass.Logits(state.RowRange(p, p+1), s.logits.RowRange(i, i+1))
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
func (s *answers) Run() ([]run.Sample, error) {
	if err := s.run(s.questions); err != nil {
		return nil, err
	}
	samples := make([]run.Sample, len(s.examples))
	each := len(s.logits.values) / len(s.examples)
	for i, ex := range s.examples {
		samples[i] = s.sample(ex, s.logits.values[i*each:][:each])
	}
	return samples, nil
}

// sample is an example with the answer that its logits give.
func (s *answers) sample(ex task.Example, logits []float32) run.Sample {
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
