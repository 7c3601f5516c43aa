package eval

import (
	"errors"
	"fmt"

	"coil/graph"
	"coil/model"
	"coil/task"
)

// GateEvaluator runs a model with a learned exit on held-out examples. One pass gives the model's prediction after each loop,
// and the probability that each position leaves there. All positions run all loops, so a position that leaves late has seen the
// later states of those that left early. It is not for concurrent use.
type GateEvaluator struct {
	batches
	*forward
	exits []Exits // of the examples of a batch: views of the outputs
}

// Exits is the result of the gate for one example. P, Loss and Correct are indexed [loop][position]; where the
// target is task.Ignore, they are 0.
type Exits struct {
	Kind    int // index of the task's Kinds
	Targets []int32
	P       [][]float32 // probability of leaving after the loop
	Loss    [][]float32
	Correct [][]float32 // 1 if the model says the target after the loop
}

// NewGateEvaluator compiles the pass for batches of the given size, at the model's own loop count.
func NewGateEvaluator(t Trained, batch int) (*GateEvaluator, error) {
	m := t.Model
	if !m.Loops.LearnedExit() {
		return nil, errors.New("the model has no learned exit: loops.exit is none")
	}
	loops, sequences := m.Architecture.Count(), t.Backend.GroupSize(batch, m.Length)
	g := &GateEvaluator{batches: newBatches(t.Task, batch), forward: t.forward(batch, sequences, loops), exits: make([]Exits, batch)}
	targets := g.Input(m.Length)
	var states []graph.Tensor
	var loss, correct []*output
	g.pass.Loops(g.pass.Embed(g.forward.tokens), func(x model.Loop) {
		states = append(states, x.After)
		l, c := g.score(x.After, targets)
		loss, correct = append(loss, l), append(correct, c)
	})
	p := g.keep(g.pass.Exits(states, targets).P) // of each group, those of all its positions loop after loop
	if err := g.compile(t.Backend); err != nil {
		return nil, fmt.Errorf("exits of %s: %w", m.Architecture, err)
	}
	for i := range g.exits {
		x, lo, hi := &g.exits[i], i*m.Length, (i+1)*m.Length
		x.Targets = g.targets[lo:hi]
		for l := range loops {
			at := (i/sequences*loops+l)*sequences*m.Length + i%sequences*m.Length
			x.P = append(x.P, p.values[at:at+m.Length])
			x.Loss, x.Correct = append(x.Loss, loss[l].values[lo:hi]), append(x.Correct, correct[l].values[lo:hi])
		}
	}
	return g, nil
}

// Each calls f with the first examples held-out examples of each kind that the seed draws; what it is given is valid until it
// returns. stop, if not nil, is asked between batches; when it returns true Each ends with ErrStopped.
func (g *GateEvaluator) Each(seed uint64, examples int, stop func() bool, f func(x *Exits)) error {
	return g.eachBatch(seed, examples, stop, func(kind, _, n int) error {
		if err := g.run(g.batches.tokens, g.targets); err != nil {
			return err
		}
		for i := range n {
			g.exits[i].Kind = kind
			f(&g.exits[i])
		}
		return nil
	})
}

// ExitScore is how well a model did whose positions leave on their own, and after how many loops.
type ExitScore struct {
	Loops float64 `json:"loops"` // mean over targets
	Score
}

// Exit is the score at a threshold: of all kinds together, each with the same weight, and of each.
type Exit struct {
	Threshold float64 `json:"threshold"`
	ExitScore
	Kinds []ExitScore `json:"kinds,omitempty"`
}

// Sweep measures Q-exit (arXiv 2510.25741): with threshold q, a position leaves after the first loop t with
// p_1 + … + p_t ≥ q, with the prediction that the model would make if t were the last loop. The examples are those of Each.
func (g *GateEvaluator) Sweep(seed uint64, examples int, thresholds []float64, stop func() bool) ([]Exit, error) {
	for _, q := range thresholds {
		if !(q > 0 && q <= 1) {
			return nil, fmt.Errorf("exit at a probability of %g: want more than 0, and at most 1", q)
		}
	}
	kinds, length := g.task.Kinds(), g.task.Length()
	type count struct {
		tally
		loops int
	}
	counts := make([][]count, len(thresholds)) // [threshold][kind]
	for i := range counts {
		counts[i] = make([]count, len(kinds))
	}
	loss, right, lengths := make([]float32, length), make([]float32, length), textLengths(g.task)
	err := g.Each(seed, examples, stop, func(x *Exits) {
		for i, q := range thresholds {
			c := &counts[i][x.Kind]
			for at, target := range x.Targets {
				if target == task.Ignore {
					continue
				}
				l := x.leaves(at, q)
				loss[at], right[at] = x.Loss[l][at], x.Correct[l][at]
				c.loops += l + 1
			}
			c.add(x.Targets, loss, right)
			c.addText(x.Targets, loss, lengths)
		}
	})
	if err != nil {
		return nil, err
	}
	exits := make([]Exit, len(thresholds))
	for i, q := range thresholds {
		var all Result // its mean over the kinds
		var loops float64
		exits[i].Threshold = q
		for k, name := range kinds {
			c := counts[i][k]
			s := ExitScore{float64(c.loops) / max(1, float64(c.targets)), c.score(name)}
			exits[i].Kinds = append(exits[i].Kinds, s)
			all.Kinds = append(all.Kinds, s.Score)
			loops += s.Loops / float64(len(kinds))
		}
		all.combine()
		exits[i].ExitScore = ExitScore{loops, all.Score}
		if len(kinds) == 1 {
			exits[i].Kinds = nil
		}
	}
	return exits, nil
}

// leaves is the loop, counted from 0, after which a position leaves: the last one too if rounding keeps the sum below q.
func (x *Exits) leaves(at int, q float64) int {
	var sum float64
	for l := range x.P[:len(x.P)-1] {
		if sum += float64(x.P[l][at]); sum >= q {
			return l
		}
	}
	return len(x.P) - 1
}
