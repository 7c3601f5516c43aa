// Package bench measures how much of a machine's peak the CPU backend uses: in matmuls, in the operations of a training
// step, and in whole steps.
//
// Machines drift and are shared. So everything that will be compared is measured in turn, round after round, each between two
// measurements of the peak; speeds are shares of that peak. A round is discarded if either of its peaks is below [Quiet]
// times the upper quartile of all peaks of the run: others used the cores. Figures are medians of the rounds that are left, with intervals.
package bench

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"coil/backend"
	"coil/config"
	"coil/graph"
	"coil/run"
	"coil/train"
)

// Machine is what the processor can do.
type Machine struct {
	Rounds    Rounds     `json:"rounds"`         // of a byte of a + b over long vectors
	FLOPs     *Figure    `json:"fma_flops"`      // multiply-adds from registers on all workers, FLOP/s
	Bandwidth *Figure    `json:"bandwidth"`      // a + b over long vectors, byte/s
	Balance   run.Number `json:"flops_per_byte"` // of the two
	Count
}

// Machine measures the limits.
func (m *Meter) Machine(rounds int, d time.Duration) (Machine, error) {
	rows := make([]Rounds, 1)
	err := m.collect(rounds, d, rows, func(int, bool) (float64, error) { return 1 / m.cpu.Bandwidth(d), nil })
	return Machine{Rounds: rows[0]}, err
}

func (x *Machine) finish(usual float64) {
	quiet := x.Rounds.quiet(usual)
	x.Count = x.Rounds.count(usual)
	x.FLOPs = figure(quiet.of(Round.peak))
	x.Bandwidth = figure(quiet.of(Round.rate))
	x.Balance = run.Number(x.FLOPs.Value() / x.Bandwidth.Value())
}

// Subject is a training step to measure.
type Subject struct {
	Name string
	m    *train.Measure
	t    *train.Trainer
}

// NewSubject prepares the training step of a configuration.
func NewSubject(name string, c config.Config, b backend.Backend) (*Subject, error) {
	t, err := train.New(c, b, nil)
	return newSubject(name, t, err)
}

// newSubject prepares the step of a trainer, unless err says why there is none.
func newSubject(name string, t *train.Trainer, err error) (*Subject, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m, err := t.Measure()
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &Subject{name, m, t}, nil
}

// Close frees the subject's memory.
func (s *Subject) Close() { s.t.Close() }

// Step is how fast a whole training step runs.
type Step struct {
	Name    string  `json:"name"`
	Model   string  `json:"model"`
	Tokens  int     `json:"tokens"`       // of a step
	FLOPs   int64   `json:"flops"`        // of a step, in matmuls: three forward passes
	Memory  int64   `json:"memory_bytes"` // as planned, weights and evaluation included
	Rounds  Rounds  `json:"rounds"`
	Seconds *Figure `json:"seconds"` // of a step
	Rate    *Figure `json:"tokens_per_second"`
	Speed   *Figure `json:"flops_per_second"`
	Share   *Figure `json:"share_of_peak"` // of the peak of the same round
	Count
}

// Steps measures the subjects in turn, each for about d a round.
func (m *Meter) Steps(subjects []*Subject, rounds int, d time.Duration) ([]Step, error) {
	rows := make([]Rounds, len(subjects))
	err := m.collect(rounds, d, rows, func(i int, _ bool) (float64, error) { return subjects[i].time(d) })
	if err != nil {
		return nil, err
	}
	var steps []Step
	for i, s := range subjects {
		steps = append(steps, Step{Name: s.Name, Model: s.t.Model.Architecture.String(), Tokens: s.m.Tokens(), FLOPs: s.m.FLOPs(),
			Memory: s.t.Memory.Total(), Rounds: rows[i]})
	}
	return steps, nil
}

func (s *Step) finish(usual float64) {
	quiet := s.Rounds.quiet(usual)
	s.Count = s.Rounds.count(usual)
	s.Seconds = figure(quiet.of(func(r Round) float64 { return r.Seconds }))
	s.Rate = figure(quiet.of(func(r Round) float64 { return float64(s.Tokens) / r.Seconds }))
	s.Speed = figure(quiet.of(func(r Round) float64 { return float64(s.FLOPs) / r.Seconds }))
	s.Share = figure(quiet.shares(float64(s.FLOPs)))
}

// time returns the mean seconds of a step, over enough steps to take about d.
func (s *Subject) time(d time.Duration) (float64, error) {
	begin := time.Now()
	for n := 1; ; n++ {
		if err := s.m.Step(); err != nil {
			return 0, fmt.Errorf("%s: %w", s.Name, err)
		}
		if took := time.Since(begin); took > d {
			return took.Seconds() / float64(n), nil
		}
	}
}

// Operation is one kind of operation of a training step.
type Operation struct {
	Name    string     `json:"name"`
	Update  bool       `json:"update"` // it is one of the update of the weights
	Calls   int        `json:"calls"`  // in a step, on all workers
	FLOPs   float64    `json:"flops"`  // in a step
	Took    []float64  `json:"took"`   // seconds of a step in each round, on all workers together
	Seconds *Figure    `json:"seconds"`
	Share   run.Number `json:"share_of_time"` // of the step's time
	Peak    *Figure    `json:"share_of_peak"` // of the processor's multiply-adds; null unless it is a matmul
}

// Operations is where the time of a training step goes.
type Operations struct {
	Name      string      `json:"name"`
	Optimizer string      `json:"optimizer"`
	Workers   int         `json:"workers"`
	Rounds    Rounds      `json:"rounds"` // of all operations together, on all workers together
	Ops       []Operation `json:"operations"`
	Update    *Figure     `json:"update_seconds"` // of the update of the weights, from its begin to its end
	Share     run.Number  `json:"update_share"`   // of the step's time
	Count
}

// Operations measures where the time of a subject's step goes, with a line for each layout of matmuls.
func (m *Meter) Operations(s *Subject, rounds int, d time.Duration) (Operations, error) {
	x := Operations{Name: s.Name, Optimizer: string(s.t.Config.Train.Optimizer), Workers: m.cpu.Info().Workers}
	p, ok := s.m.Program().(backend.Profiler)
	if !ok {
		return x, fmt.Errorf("%s: the backend does not measure operations", s.Name)
	}
	defer p.Profile(false)
	found := map[string]int{} // in x.Ops
	rows := make([]Rounds, 1)
	err := m.collect(rounds, d, rows, func(_ int, warmUp bool) (float64, error) {
		p.Profile(true)
		steps := 0
		for begin := time.Now(); time.Since(begin) < d; steps++ {
			if err := s.m.Step(); err != nil {
				return 0, fmt.Errorf("%s: %w", s.Name, err)
			}
		}
		if warmUp {
			return 0, nil
		}
		all := 0.0
		for _, t := range p.Times() {
			name := kind(t)
			i, ok := found[name]
			if !ok {
				i = len(x.Ops)
				found[name] = i
				x.Ops = append(x.Ops, Operation{Name: name, Update: t.Update})
			}
			o := &x.Ops[i]
			if n := len(rows[0]); len(o.Took) == n {
				o.Took, o.Calls, o.FLOPs = append(o.Took, 0), 0, 0
			}
			o.Calls += t.Calls / steps
			o.Took[len(o.Took)-1] += t.Seconds / float64(steps)
			o.FLOPs += float64(t.FLOPs()) * float64(t.Calls/steps)
			all += t.Seconds / float64(steps)
		}
		return all, nil
	})
	x.Rounds = rows[0]
	for _, o := range x.Ops {
		for i, t := range o.Took {
			o.Took[i] = max(t, 1e-9) // the clock's resolution, so that it has a speed
		}
	}
	return x, err
}

func (x *Operations) finish(usual float64) {
	x.Count = x.Rounds.count(usual)
	total, updates := 0.0, 0.0
	update := make([]float64, len(x.Rounds))
	for i := range x.Ops {
		o := &x.Ops[i]
		quiet := x.Rounds.with(o.Took).quiet(usual)
		o.Seconds = figure(quiet.of(func(r Round) float64 { return r.Seconds }))
		if o.FLOPs > 0 {
			o.Peak = figure(quiet.shares(o.FLOPs * float64(x.Workers)))
		}
		total += o.Seconds.Value()
		if o.Update {
			updates += o.Seconds.Value()
			for j, t := range o.Took {
				update[j] += t / float64(x.Workers)
			}
		}
	}
	x.Update = figure(x.Rounds.with(update).quiet(usual).of(func(r Round) float64 { return r.Seconds }))
	x.Share = run.Number(updates / total)
	for i := range x.Ops {
		x.Ops[i].Share = run.Number(x.Ops[i].Seconds.Value() / total)
	}
	slices.SortStableFunc(x.Ops, func(a, b Operation) int { return cmp.Compare(b.Share, a.Share) })
}

// kind is the name under which an operation's time is summed.
func kind(t backend.OpTime) string {
	name := t.Name
	if m, ok := t.Op.(*graph.Matmul); ok {
		switch {
		case m.TransA:
			name = "matmul TN"
		case m.TransB:
			name = "matmul NT"
		default:
			name = "matmul NN"
		}
	}
	if t.Update {
		name = "update: " + name
	}
	return name
}
