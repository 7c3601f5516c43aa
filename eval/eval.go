// Package eval measures a model on held-out examples: loss and accuracy, for each kind of example and after each loop.
package eval

import (
	"errors"
	"fmt"
	"math"

	"coil/autodiff"
	"coil/backend"
	"coil/graph"
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
	// Change is how far the last of these loops moved the residual stream: ‖s_i − s_{i−1}‖ / ‖s_{i−1}‖, where s_i is the
	// looped block's state after loop i, s_0 the one before the first, and ‖·‖ the root of the sum of squares over all
	// positions with a target of all examples. It is NaN or infinite if s_{i−1} is 0 everywhere.
	Change run.Number `json:"change"`
	Kinds  []Score    `json:"kinds,omitempty"`
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

// mostLens is the largest number of loop counts that LensCounts returns.
const mostLens = 16

// LensCounts returns the loop counts at which to look into a model of that many loops: all, or 16 of them spread evenly, the
// first and the last included.
func LensCounts(loops int) []int {
	n := min(loops, mostLens)
	counts := make([]int, n)
	for i := range counts {
		counts[i] = loops
		if i < n-1 {
			counts[i] = 1 + i*(loops-1)/(n-1)
		}
	}
	return counts
}

// Evaluator runs one model's forward pass. Not for concurrent use.
type Evaluator struct {
	batches
	counts  []int // loop counts, ascending
	program backend.Program
	outputs

	counted []int32
	out     []float32
	right   []float32
	sums    []float32 // of the changes
}

// outputs are, for each count, the loss and the correctness of every position.
type outputs struct{ loss, correct []graph.Tensor }

// New compiles the forward pass for batches of the given size, at the loop counts given in ascending order. One pass
// gives them all: the states after fewer loops are those on the way. A batch's program reads the weights of the buffer
// as they are when it runs.
func New(b backend.Backend, m *model.Model, t task.Task, weights graph.Buffer, batch int, counts []int) (*Evaluator, error) {
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
	r, outputs := record(b, m, weights, batch, counts)
	program, err := b.Compile(r)
	if err != nil {
		return nil, fmt.Errorf("evaluation of %s: %w", m.Architecture.WithCount(counts[len(counts)-1]), err)
	}
	n := batch * m.Length
	return &Evaluator{batches: newBatches(t, batch), counts: counts, program: program, outputs: outputs, counted: make([]int32, n),
		out: make([]float32, n), right: make([]float32, n), sums: make([]float32, r.ResultLen())}, nil
}

// record writes, for each count, the loss and the correctness of every position to outputs and the change to the results.
// What follows a loop is recorded right behind it, so that no more states are held than two.
func record(b backend.Backend, m *model.Model, weights graph.Buffer, batch int, counts []int) (*graph.Recorder, outputs) {
	g := b.GroupSize(batch, m.Length)
	r := graph.NewRecorder(g, batch/g)
	w := r.Parameter(weights)
	tokens, targets, counted := r.Input(m.Length), r.Input(m.Length), r.Input(m.Length)
	tape := autodiff.NewTape(r, false)
	c := newChange(r, counted, m.Config.Width, len(counts))
	var o outputs
	pass := m.Pass(tape, w)
	pass.Architecture = m.Architecture.WithCount(counts[len(counts)-1])
	pass.Loops(pass.Embed(tokens), func(x model.Loop) {
		i := len(o.loss)
		if x.Number != counts[i] {
			return
		}
		c.record(i, x.Before, x.After)
		o.loss, o.correct = append(o.loss, r.Output(m.Length, 1)), append(o.correct, r.Output(m.Length, 1))
		pass.Loss(pass.Ending(x.After), autodiff.CrossEntropy{Targets: targets, Loss: o.loss[i], Correct: o.correct[i]})
	})
	return r, o
}

// Plan is the memory that New would take.
func Plan(b backend.Backend, m *model.Model, weights graph.Buffer, batch int, counts []int) (backend.Memory, error) {
	r, _ := record(b, m, weights, batch, counts)
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
	changes := make([]squares, len(e.counts))
	scores := make([][]tally, len(kinds)) // [kind][count]
	for k := range scores {
		scores[k] = make([]tally, len(e.counts))
	}
	err := e.eachBatch(seed, examples, stop, func(kind, _, n int) error { return e.runBatch(n, scores[kind], changes) })
	if err != nil {
		return nil, err
	}
	for k, name := range kinds {
		for i := range results {
			results[i].Kinds = append(results[i].Kinds, scores[k][i].score(name))
		}
	}
	for i := range results {
		results[i].combine()
		results[i].Change = changes[i].change()
	}
	return results, nil
}

// runBatch adds the first n examples of the batch to the tallies.
func (e *Evaluator) runBatch(n int, scores []tally, changes []squares) error {
	length := e.task.Length()
	clear(e.counted)
	for i, target := range e.targets[:n*length] {
		if target != task.Ignore {
			e.counted[i] = 1
		}
	}
	if err := e.program.Run(backend.Args{Inputs: [][]int32{e.tokens, e.targets, e.counted}}); err != nil {
		return err
	}
	if err := e.program.Results(e.sums); err != nil {
		return err
	}
	for c := range e.counts {
		changes[c].moved += float64(e.sums[2*c])
		changes[c].state += float64(e.sums[2*c+1])
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
