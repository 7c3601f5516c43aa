package train

import (
	"fmt"

	"coil/autodiff"
	"coil/backend"
	"coil/config"
	"coil/graph"
	"coil/loop"
	"coil/model"
	"coil/optim"
	"coil/regularize"
	"coil/run"
)

// compiledStep is a compiled training compiledStep at one loop count.
type compiledStep struct {
	program   backend.Program
	memory    backend.Memory
	scalars   []float32
	slots     slots
	results   []float32
	optimizer optim.Optimizer
	numbers   []float32 // of the optimizer
	marks     []graph.Mark
	ops       int // in the part that runs for each group
	losses    int // how many states have a loss
	exits     bool
	groups    int // of the regularizer
}

// slots are the numbers of the step's scalars, 0 for those that it lacks.
type slots struct {
	scale, rate, average graph.Scalar
	optimizer            []graph.Scalar
}

// recordStep records forward, loss, backward, regularizer, clipping, optimizer and average, for groups of g sequences.
//
// Results: the sum of losses after each state, the number of right answers after the last, those of [recordExit] with a
// learned exit, the gradient's norm, and R_G of each group.
func recordStep(m *model.Model, c config.Config, g int, s *state, a loop.Architecture) (*graph.Recorder, *compiledStep) {
	o := c.Train
	r := graph.NewRecorder(g, o.Batch/g)
	weights := r.Parameter(s.weights)
	tokens, targets := r.Input(m.Length), r.Input(m.Length)
	grads := r.Accumulator(1, m.Size)
	st := &compiledStep{optimizer: s.optimizer, slots: slots{scale: r.Scalar(), rate: r.Scalar()}}

	t := autodiff.NewTape(r, true)
	t.Recompute = m.Loops.Recompute
	t.Watch(weights, grads)
	pass := m.Pass(t, weights)
	pass.Architecture = a
	var sums graph.Tensor
	if m.Loops.LearnedExit() {
		sums = st.recordExit(t, pass, tokens, targets)
	} else {
		states := []graph.Tensor{}
		if m.Loops.EveryLoop {
			states = pass.LoopStates(tokens)
		} else {
			states = append(states, pass.FinalState(tokens))
		}
		st.losses = len(states)
		sums = r.Accumulator(1, st.losses+1)
		for i, x := range states {
			loss, correct := r.Temporary(g*m.Length, 1), graph.Tensor{}
			if i == len(states)-1 {
				correct = r.Temporary(g*m.Length, 1)
			}
			pass.Loss(x, autodiff.CrossEntropy{Targets: targets, Loss: loss, Correct: correct, Scale: st.slots.scale, Weight: 1 / float32(len(states))})
			r.Record(&graph.Sum{X: loss, Y: sums.Columns(i, i+1), Alpha: 1, Accumulate: true})
			if correct.Exists() {
				r.Record(&graph.Sum{X: correct, Y: sums.Columns(i+1, i+2), Alpha: 1, Accumulate: true})
			}
		}
	}
	t.Backward()

	r.BeginUpdate()
	r.Result(sums)
	var similarity graph.Tensor
	if c.Regularize.Active() {
		var groups []regularize.Group
		for _, wg := range m.WeightGroups() {
			groups = append(groups, regularize.Group{Name: wg.Name, Weights: wg.Views(weights), Gradients: wg.Views(grads)})
		}
		similarity = regularize.Record(r, c.Regularize, groups)
		st.groups = len(groups)
	}
	squares, norm, factor := r.Temporary(1, 1), r.Temporary(1, 1), r.Temporary(1, 1)
	r.Record(&graph.Sum{X: grads, Y: squares, Alpha: 1, Squares: true})
	r.Record(&graph.ClipFactor{Squares: squares, Norm: norm, Factor: factor, Max: float32(o.Clip)})
	r.Result(norm)
	if similarity.Exists() {
		r.Result(similarity)
	}
	for range s.optimizer.AppendScalars(nil, 1) {
		st.slots.optimizer = append(st.slots.optimizer, r.Scalar())
	}
	s.optimizer.Record(r, optim.Update{Weights: s.weightsOf(r, m, weights, grads), Factor: factor, Rate: st.slots.rate, Scalars: st.slots.optimizer})
	if s.average != nil {
		st.slots.average = r.Scalar()
		r.Record(&graph.EMA{X: weights, Mean: r.Parameter(s.average), Factor: factor, Decay: st.slots.average})
	}
	st.scalars = make([]float32, r.Scalars())
	st.results = make([]float32, r.ResultLen())
	return r, st
}

// recordExit records forward and loss of a model with a learned exit, and returns sums over the positions: the losses after
// each loop, the right answers after the last, the expected loss, the entropy, and the probability of leaving after each loop.
func (st *compiledStep) recordExit(t *autodiff.Tape, pass *model.Pass, tokens, targets graph.Index) graph.Tensor {
	x := pass.ExitLoss(tokens, targets, st.slots.scale)
	st.exits, st.losses = true, x.Exits.Losses.Rows/targets.Len
	sums, n := t.Accumulator(1, 2*st.losses+3), 0
	sum := func(x graph.Tensor) {
		t.Record(&graph.Sum{X: x, Y: sums.Columns(n, n+1), Alpha: 1, Accumulate: true})
		n++
	}
	for i := range st.losses {
		sum(x.Exits.After(x.Exits.Losses, i+1))
	}
	sum(x.Correct)
	sum(x.Loss)
	sum(x.Entropy)
	for i := range st.losses {
		sum(x.Exits.After(x.Exits.P, i+1))
	}
	return sums
}

// compileStep compiles the step at the loop counts of a.
func compileStep(b backend.Backend, m *model.Model, c config.Config, g int, s *state, a loop.Architecture) (*compiledStep, error) {
	r, st := recordStep(m, c, g, s, a)
	var err error
	if st.program, err = b.Compile(r); err != nil {
		return nil, fmt.Errorf("training step of %s: %w", a, err)
	}
	st.memory = st.program.Memory()
	st.marks, st.ops = r.Marks(), len(r.Body())
	return st, nil
}

// place returns the part of the model that the step is at, as far as the backend knows. It may be called from any goroutine
// as long as the program is open.
func (st *compiledStep) scope() graph.Scope {
	if p, ok := st.program.(backend.Positioner); ok {
		if op := p.Position(); op >= 0 && op < st.ops {
			return graph.ScopeAt(st.marks, op)
		}
	}
	return graph.Scope{}
}

// start runs the step with that number, counted from 0, on a batch. used is the share of train.time that has been used.
func (st *compiledStep) start(o config.Train, number int, used float64, batch *batch) error {
	put := func(s graph.Scalar, v float64) {
		if s != 0 {
			st.scalars[s-1] = float32(v)
		}
	}
	t := float64(number + 1)
	put(st.slots.scale, 1/float64(max(1, batch.count)))
	put(st.slots.rate, o.RateAt(number, used))
	st.numbers = st.optimizer.AppendScalars(st.numbers[:0], number+1)
	for i, v := range st.numbers {
		st.scalars[st.slots.optimizer[i]-1] = v
	}
	// The average starts as the weights and lengthens its memory over time.
	put(st.slots.average, min(o.Average, t/(10+t)))
	return st.program.Run(backend.Args{Scalars: st.scalars, Inputs: batch.inputs})
}

// Metrics are the results of a step.
type Metrics struct {
	Loss     float64   // mean over targets, and over the loops with a loss; with a learned exit, the expected one
	Losses   []float64 // after each loop with a loss
	Accuracy float64   // of the last loop, on the step's own batch
	Norm     float64   // of the gradient before clipping
	Penalty  float64   // of the regularizer
	Cosines  []float64 // R_G of each weight group

	Exits   []float64 // of a learned exit: the mean probability of leaving after each loop; nil without one
	Entropy float64   // of that, the mean over positions
}

// ExitLoop is the mean number of loops after which a learned exit leaves.
func (m *Metrics) ExitLoop() float64 {
	var mean float64
	for i, p := range m.Exits {
		mean += float64(i+1) * p
	}
	return mean
}

// loops returns the results of single loops, in a step with a number of loops.
func (m *Metrics) loops(count int) []run.TrainLoop {
	all := make([]run.TrainLoop, count)
	for i := range all {
		all[i].Loop = i + 1
	}
	first := count
	if n := len(m.Losses); n > 1 {
		first = count - n
		for i, l := range m.Losses {
			all[first+i].Loss = new(run.Number(l))
		}
	}
	for i, p := range m.Exits {
		first = 0
		all[i].Exit = new(run.Number(p))
	}
	return all[first:]
}

// finish waits for the step and reads its results.
func (st *compiledStep) finish(c config.Config, count int, m *Metrics) error {
	if err := st.program.Results(st.results); err != nil {
		return err
	}
	n := float64(max(1, count))
	m.Loss, m.Losses, m.Cosines, m.Exits = 0, m.Losses[:0], m.Cosines[:0], m.Exits[:0]
	values := st.results
	next := func() float64 {
		v := values[0]
		values = values[1:]
		return float64(v)
	}
	for range st.losses {
		l := next() / n
		m.Losses = append(m.Losses, l)
		m.Loss += l / float64(st.losses)
	}
	m.Accuracy = next() / n
	if st.exits {
		m.Loss, m.Entropy = next()/n, next()/n
		for range st.losses {
			m.Exits = append(m.Exits, next()/n)
		}
	}
	m.Norm = next()
	for _, v := range values {
		m.Cosines = append(m.Cosines, float64(v))
	}
	m.Penalty = c.Regularize.Loss(values)
	return nil
}
