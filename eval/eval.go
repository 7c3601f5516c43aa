// Package eval measures a model on held-out examples: loss and accuracy, for each kind of example and after each loop.
package eval

import (
	"errors"
	"fmt"
	"math"

	"coil/backend"
	"coil/model"
	"coil/run"
	"coil/task"
)

// Score is how well the model did on some examples.
type Score struct {
	Kind     string     `json:"kind,omitempty"` // "" for all kinds together
	Examples int        `json:"examples"`
	Loss     run.Number `json:"loss"`     // mean over targets; weights that have diverged may make it infinite or NaN
	Accuracy float64    `json:"accuracy"` // share of targets that the model says
	Exact    float64    `json:"exact"`    // share of examples all of whose targets it says
}

// Result is the score at one loop count: of all kinds together, each with the same weight, and of each.
type Result struct {
	Loops int `json:"loops"`
	Score
	Kinds []Score `json:"kinds,omitempty"`
}

// Headline is the score by which the task is judged.
func (s Score) Headline(t task.Task) float64 {
	if t.ExactMatch() {
		return s.Exact
	}
	return s.Accuracy
}

// MetricName is what the headline is called.
func MetricName(t task.Task) string {
	if t.ExactMatch() {
		return "exact match"
	}
	return "accuracy"
}

// Evaluator runs one model's forward pass. Not for concurrent use.
type Evaluator struct {
	task    task.Task
	counts  []int // loop counts, ascending
	batch   int
	program backend.Program
	loss    []backend.Tensor // outputs, for each count
	correct []backend.Tensor

	sampler task.Sampler
	example task.Example
	tokens  []int32
	targets []int32
	out     []float32
	right   []float32
}

// New compiles the forward pass for batches of the given size, at the loop counts given in ascending order. One pass
// gives them all: the states after fewer loops are those on the way. A batch's program reads the weights of the buffer
// as they are when it runs.
func New(b backend.Backend, m *model.Model, t task.Task, weights backend.Buffer, batch int, counts []int) (*Evaluator, error) {
	before := 0
	for _, n := range counts {
		if n <= before {
			return nil, fmt.Errorf("evaluation at loop counts %v: want them ascending from 1", counts)
		}
		before = n
	}
	if before == 0 {
		return nil, errors.New("evaluation at no loop count: want at least one, ascending from 1")
	}
	r, loss, correct := record(b, m, weights, batch, counts)
	program, err := b.Compile(r)
	if err != nil {
		return nil, fmt.Errorf("evaluation of %s: %w", m.Architecture.WithCount(counts[len(counts)-1]), err)
	}
	n := batch * m.Length
	return &Evaluator{task: t, counts: counts, batch: batch, program: program, loss: loss, correct: correct,
		sampler: t.NewSampler(), example: task.NewExample(t), tokens: make([]int32, n), targets: make([]int32, n),
		out: make([]float32, n), right: make([]float32, n)}, nil
}

// record writes the loss and the correctness of every position to an output for each count.
func record(b backend.Backend, m *model.Model, weights backend.Buffer, batch int, counts []int) (r *backend.Recorder, loss, correct []backend.Tensor) {
	g := b.GroupSize(batch, m.Length)
	r = backend.NewRecorder(g, batch/g)
	w := r.Parameter(weights)
	tokens, targets := r.Input(m.Length), r.Input(m.Length)
	tape := backend.NewTape(r, false)
	most := counts[len(counts)-1]
	states := m.States(tape, w, tokens, m.Architecture.WithCount(most), len(counts) > 1)
	for _, n := range counts {
		l, c := r.Output(m.Length, 1), r.Output(m.Length, 1)
		m.Loss(tape, w, states[n-1-most+len(states)], targets, l, c, 0, 1)
		loss, correct = append(loss, l), append(correct, c)
	}
	return r, loss, correct
}

// Plan is the memory that New would take.
func Plan(b backend.Backend, m *model.Model, weights backend.Buffer, batch int, counts []int) (backend.Memory, error) {
	r, _, _ := record(b, m, weights, batch, counts)
	return b.Plan(r)
}

// Close frees the program.
func (e *Evaluator) Close() { e.program.Close() }

// Run evaluates the first examples held-out examples of each kind that the seed draws. It returns a result for each
// loop count. stop, if not nil, is asked between batches; when it returns true Run ends with ErrStopped.
func (e *Evaluator) Run(seed uint64, examples int, stop func() bool) ([]Result, error) {
	kinds := e.task.Kinds()
	results := make([]Result, len(e.counts))
	for i, n := range e.counts {
		results[i] = Result{Loops: n}
	}
	for k, name := range kinds {
		scores := make([]tally, len(e.counts))
		for first := 0; first < examples; first += e.batch {
			if stop != nil && stop() {
				return nil, ErrStopped
			}
			n := min(e.batch, examples-first)
			if err := e.runBatch(seed, first, n, k, scores); err != nil {
				return nil, err
			}
		}
		for i := range results {
			results[i].Kinds = append(results[i].Kinds, scores[i].score(name))
		}
	}
	for i := range results {
		results[i].combine()
	}
	return results, nil
}

// ErrStopped is the error of an evaluation that was asked to stop.
var ErrStopped = errors.New("evaluation stopped")

// runBatch adds examples first..first+n of one kind to the tallies. What the rest of the batch holds does not count.
func (e *Evaluator) runBatch(seed uint64, first, n, kind int, scores []tally) error {
	length := e.task.Length()
	for i := range n {
		e.sampler.SampleKind(seed, uint64(first+i), task.HeldOut, kind, &e.example)
		copy(e.tokens[i*length:], e.example.Tokens)
		copy(e.targets[i*length:], e.example.Targets)
	}
	if err := e.program.Run(backend.Step{Inputs: [][]int32{e.tokens, e.targets}}); err != nil {
		return err
	}
	if err := e.program.Results(nil); err != nil {
		return err
	}
	for c := range e.counts {
		if err := e.program.Output(e.loss[c], e.out); err != nil {
			return err
		}
		if err := e.program.Output(e.correct[c], e.right); err != nil {
			return err
		}
		for i := range n {
			lo, hi := i*length, (i+1)*length
			scores[c].add(e.targets[lo:hi], e.out[lo:hi], e.right[lo:hi])
		}
	}
	return nil
}

// tally counts examples and targets.
type tally struct {
	examples, exact, targets, right int
	loss                            float64
}

func (t *tally) add(targets []int32, loss, right []float32) {
	n, ok := 0, 0
	for i, target := range targets {
		if target == task.Ignore {
			continue
		}
		n++
		t.loss += float64(loss[i])
		if right[i] != 0 {
			ok++
		}
	}
	t.examples++
	t.targets += n
	t.right += ok
	if ok == n {
		t.exact++
	}
}

func (t *tally) score(kind string) Score {
	s := Score{Kind: kind, Examples: t.examples, Loss: run.Number(math.NaN())}
	if t.targets > 0 {
		s.Loss, s.Accuracy = run.Number(t.loss/float64(t.targets)), float64(t.right)/float64(t.targets)
	}
	if t.examples > 0 {
		s.Exact = float64(t.exact) / float64(t.examples)
	}
	return s
}

// combine takes the mean over the kinds.
func (r *Result) combine() {
	n := float64(len(r.Kinds))
	for _, k := range r.Kinds {
		r.Examples += k.Examples
		r.Loss += k.Loss / run.Number(n)
		r.Accuracy += k.Accuracy / n
		r.Exact += k.Exact / n
	}
	if len(r.Kinds) == 1 {
		r.Kinds = nil
	}
}
