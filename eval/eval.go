// Package eval measures a model on held-out examples: loss and accuracy, for each kind of example and after each loop.
package eval

import (
	"errors"
	"fmt"
	"math"

	"coil/backend"
	"coil/metric"
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

	// BitsPerByte, of text, is that of [metric.BitsPerByte]. Targets that stand for no text, such as ends of documents, do not
	// count.
	BitsPerByte run.Number `json:"bits_per_byte,omitempty"`
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
	Parts  []Part     `json:"parts,omitempty"` // those with targets, if they were asked for
}

// Part is the score on the targets that belong to one of [task.Parted]'s parts, of all kinds together.
type Part struct {
	Name     string     `json:"part"`
	Targets  int        `json:"targets"`
	Loss     run.Number `json:"loss"`     // mean
	Accuracy float64    `json:"accuracy"` // share that the model says
}

// Value is the figure of a metric.
func (s Score) Value(m metric.Metric) float64 {
	switch m {
	case metric.ExactMatch:
		return s.Exact
	case metric.BitsPerByte:
		return float64(s.BitsPerByte)
	case metric.Perplexity:
		return math.Exp(float64(s.Loss))
	}
	return s.Accuracy
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

// Evaluator measures a model at some loop counts, all in one forward pass. Not for concurrent use.
type Evaluator struct {
	batches
	*forward
	counts        []int     // loop counts, ascending
	loss, correct []*output // at each count
	counted       []int32
	lengths       []int // bytes of text of each token; nil unless the task is text
	parts         *parts
}

// New compiles the forward pass for batches of the given size, at the loop counts given in ascending order. One pass gives
// them all: the states after fewer loops are those on the way.
func New(m Trained, batch int, counts []int) (*Evaluator, error) {
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
	e := record(m, batch, counts)
	if err := e.compile(m.Backend); err != nil {
		return nil, fmt.Errorf("evaluation of %s: %w", e.pass.Architecture, err)
	}
	e.batches = newBatches(m.Task, batch)
	e.counted = make([]int32, len(e.batches.tokens))
	e.lengths = textLengths(m.Task)
	return e, nil
}

// record keeps, for each count, the loss and the correctness of every position, and has the changes as results. What follows
// a loop is recorded right behind it, so that no more states are held than two.
func record(m Trained, batch int, counts []int) *Evaluator {
	length := m.Model.Length
	e := &Evaluator{counts: counts, forward: m.forward(batch, m.Backend.GroupSize(batch, length), counts[len(counts)-1])}
	targets, counted := e.Input(length), e.Input(length)
	change := newChange(e.Recorder, counted, m.Model.Config.Width, len(counts))
	e.pass.Loops(e.pass.Embed(e.forward.tokens), func(x model.Loop) {
		i := len(e.loss)
		if x.Number != counts[i] {
			return
		}
		change.record(i, x.Before, x.After)
		loss, correct := e.score(x.After, targets)
		e.loss, e.correct = append(e.loss, loss), append(e.correct, correct)
	})
	return e
}

// Plan is the memory that New would take.
func Plan(m Trained, batch int, counts []int) (backend.Memory, error) {
	return m.Backend.Plan(record(m, batch, counts).Recorder)
}

// Run evaluates the first examples of each kind that the seed draws from the held-out ones, or those of another Split. It returns a result for each
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
	if e.parts != nil {
		e.parts.clear()
	}
	err := e.eachBatch(seed, examples, stop, func(kind, _, n int) error { return e.runBatch(kind, n, scores[kind], changes) })
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
		if e.parts != nil {
			results[i].Parts = e.parts.scores(i)
		}
	}
	return results, nil
}

// runBatch adds the first n examples of the batch to the tallies.
func (e *Evaluator) runBatch(kind, n int, scores []tally, changes []squares) error {
	length := e.task.Length()
	clear(e.counted)
	for i, target := range e.targets[:n*length] {
		if target != task.Ignore {
			e.counted[i] = 1
		}
	}
	if err := e.run(e.batches.tokens, e.targets, e.counted); err != nil {
		return err
	}
	for c := range e.counts {
		changes[c].moved += float64(e.results[2*c])
		changes[c].state += float64(e.results[2*c+1])
		for i := range n {
			lo, hi := i*length, (i+1)*length
			scores[c].add(e.targets[lo:hi], e.loss[c].values[lo:hi], e.correct[c].values[lo:hi])
			scores[c].addText(e.targets[lo:hi], e.loss[c].values[lo:hi], e.lengths)
		}
	}
	if e.parts == nil {
		return nil
	}
	for i := range n {
		lo, hi := i*length, (i+1)*length
		if err := e.parts.read(task.Example{Tokens: e.batches.tokens[lo:hi], Targets: e.targets[lo:hi], Kind: kind}); err != nil {
			return err
		}
		for c := range e.counts {
			e.parts.add(c, e.targets[lo:hi], e.loss[c].values[lo:hi], e.correct[c].values[lo:hi])
		}
	}
	return nil
}

// tally counts examples and targets.
type tally struct {
	examples, exact, targets, right int
	loss                            float64

	nats  float64 // the loss of targets that stand for text
	bytes int     // of the text
}

// textLengths are the bytes of text of each token of a task of text, or nil.
func textLengths(t task.Task) []int {
	l, ok := t.(task.Language)
	if !ok {
		return nil
	}
	lengths := make([]int, l.Tokenizer().VocabularySize())
	for i := range lengths {
		lengths[i] = l.Tokenizer().Length(int32(i))
	}
	return lengths
}

// addText adds the targets that stand for text.
func (t *tally) addText(targets []int32, loss []float32, lengths []int) {
	if lengths == nil {
		return
	}
	for i, target := range targets {
		if target != task.Ignore && lengths[target] > 0 {
			t.nats += float64(loss[i])
			t.bytes += lengths[target]
		}
	}
}

func (t *tally) add(targets []int32, loss, right []float32) {
	wrong := t.targets - t.right
	for i, target := range targets {
		if target != task.Ignore {
			t.addTarget(loss[i], right[i])
		}
	}
	t.examples++
	if t.targets-t.right == wrong {
		t.exact++
	}
}

func (t *tally) addTarget(loss, right float32) {
	t.targets++
	t.loss += float64(loss)
	if right != 0 {
		t.right++
	}
}

func (t *tally) score(kind string) Score {
	s := Score{Kind: kind, Examples: t.examples, Loss: run.Number(math.NaN())}
	if t.targets > 0 {
		s.Loss, s.Accuracy = run.Number(t.loss/float64(t.targets)), float64(t.right)/float64(t.targets)
	}
	if t.bytes > 0 {
		s.BitsPerByte = run.Number(t.nats / math.Ln2 / float64(t.bytes))
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
		r.BitsPerByte += k.BitsPerByte / run.Number(n)
	}
	if len(r.Kinds) == 1 {
		r.Kinds = nil
	}
}
