// Package bench measures how much of a machine's peak the CPU backend uses: in matmuls, in the operations of a training
// step, and in whole steps.
//
// Machines drift and are shared. So everything that will be compared is measured in turn, round after round, and each round
// measures the peak as well. The result is the median over the rounds, with the least and the greatest.
package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"coil/backend"
	"coil/backend/cpu"
	"coil/config"
	"coil/graph"
	"coil/train"
)

// Spread is a figure over the rounds.
type Spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

func spread(x []float64) Spread {
	if len(x) == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN()}
	}
	x = slices.Sorted(slices.Values(x))
	return Spread{(x[(len(x)-1)/2] + x[len(x)/2]) / 2, x[0], x[len(x)-1]}
}

// Machine is what the processor can do.
type Machine struct {
	Device    string  `json:"device"`
	Kernels   string  `json:"kernels"`
	Workers   int     `json:"workers"`
	FLOPs     Spread  `json:"fma_flops"`      // multiply-adds from registers on all workers, FLOP/s
	Bandwidth Spread  `json:"bandwidth"`      // a + b over long vectors, byte/s
	Balance   float64 `json:"flops_per_byte"` // of the two
}

// MeasureMachine measures the limits in the given number of rounds.
func MeasureMachine(b *cpu.CPU, rounds int) Machine {
	i := b.Info()
	m := Machine{Device: i.Device, Kernels: i.Kernels, Workers: i.Workers}
	var flops, bandwidth []float64
	for range rounds {
		l := b.Limits(200 * time.Millisecond)
		flops, bandwidth = append(flops, l.FLOPs), append(bandwidth, l.Bandwidth)
	}
	m.FLOPs, m.Bandwidth = spread(flops), spread(bandwidth)
	m.Balance = m.FLOPs.Median / m.Bandwidth.Median
	return m
}

// peakTime is how long a peak is measured before each round.
const peakTime = 100 * time.Millisecond

// Subject is a training step to measure.
type Subject struct {
	Name string
	m    *train.Measure
	t    *train.Trainer
}

// NewSubject prepares the training step of a configuration.
func NewSubject(name string, c config.Config, b backend.Backend) (*Subject, error) {
	t, err := train.New(c, b, nil)
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
	Name    string `json:"name"`
	Model   string `json:"model"`
	Tokens  int    `json:"tokens"`  // of a step
	FLOPs   int64  `json:"flops"`   // of a step, in matmuls: three forward passes
	Seconds Spread `json:"seconds"` // of a step
	Rate    Spread `json:"tokens_per_second"`
	Speed   Spread `json:"flops_per_second"`
	Share   Spread `json:"share_of_peak"` // of the peak of the same round
	Memory  int64  `json:"memory_bytes"`  // as planned, weights and evaluation included
}

// MeasureSteps measures the subjects in turn, each for about d a round.
func MeasureSteps(b *cpu.CPU, subjects []*Subject, rounds int, d time.Duration) ([]Step, error) {
	seconds := make([][]float64, len(subjects))
	shares := make([][]float64, len(subjects))
	for round := -1; round < rounds; round++ { // the first is to warm up
		for i, s := range subjects {
			peak := b.FMA(peakTime)
			per, err := s.time(d)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
			if round >= 0 {
				seconds[i] = append(seconds[i], per)
				shares[i] = append(shares[i], float64(s.m.FLOPs())/per/peak)
			}
		}
	}
	var steps []Step
	for i, s := range subjects {
		t := spread(seconds[i])
		over := func(x float64) Spread { return Spread{x / t.Median, x / t.Most, x / t.Least} }
		steps = append(steps, Step{Name: s.Name, Model: s.t.Model.Architecture.String(), Tokens: s.m.Tokens(), FLOPs: s.m.FLOPs(),
			Seconds: t, Rate: over(float64(s.m.Tokens())), Speed: over(float64(s.m.FLOPs())), Share: spread(shares[i]),
			Memory: s.t.Memory.Total()})
	}
	return steps, nil
}

// time returns the mean seconds of a step, over enough steps to take about d.
func (s *Subject) time(d time.Duration) (float64, error) {
	begin := time.Now()
	for n := 1; ; n++ {
		if err := s.m.Step(); err != nil {
			return 0, err
		}
		if took := time.Since(begin); took > d {
			return took.Seconds() / float64(n), nil
		}
	}
}

// Operation is one kind of operation of a training step.
type Operation struct {
	Name    string  `json:"name"`
	Update  bool    `json:"update"`        // it is one of the update of the weights
	Calls   int     `json:"calls"`         // in a step, on all workers
	Seconds float64 `json:"seconds"`       // of a step, on all workers together, median over the rounds
	Share   float64 `json:"share_of_time"` // of the step's time
	Peak    float64 `json:"share_of_peak"` // of the processor's multiply-adds; 0 unless it is a matmul
}

// MeasureOperations measures where the time of a subject's step goes, with a line for each layout of matmuls.
func MeasureOperations(b *cpu.CPU, s *Subject, rounds int, d time.Duration) ([]Operation, error) {
	p, ok := s.m.Program().(backend.Profiler)
	if !ok {
		return nil, fmt.Errorf("%s: the backend does not measure operations", s.Name)
	}
	defer p.Profile(false)
	type sums struct {
		update  bool
		calls   int
		seconds []float64
		peak    []float64
	}
	found := map[string]*sums{}
	var names []string
	for range rounds {
		peak := b.FMA(peakTime)
		p.Profile(true)
		steps := 0
		for begin := time.Now(); time.Since(begin) < d; steps++ {
			if err := s.m.Step(); err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
		}
		round := map[string]backend.OpTime{}
		flops := map[string]float64{}
		for _, t := range p.Times() {
			name := kind(t)
			o := round[name]
			o.Calls += t.Calls
			o.Seconds += t.Seconds
			round[name] = o
			if t.Op != nil {
				flops[name] += float64(graph.Describe(t.Op).FLOPs) * float64(t.Calls)
			}
			if found[name] == nil {
				found[name] = &sums{update: t.Update}
				names = append(names, name)
			}
		}
		for name, o := range round {
			f := found[name]
			f.calls = o.Calls / steps
			f.seconds = append(f.seconds, o.Seconds/float64(steps))
			f.peak = append(f.peak, flops[name]/o.Seconds/(peak/float64(b.Info().Workers)))
		}
	}
	var ops []Operation
	total := 0.0
	for _, name := range names {
		f := found[name]
		o := Operation{Name: name, Update: f.update, Calls: f.calls, Seconds: spread(f.seconds).Median, Peak: spread(f.peak).Median}
		total += o.Seconds
		ops = append(ops, o)
	}
	for i := range ops {
		ops[i].Share = ops[i].Seconds / total
	}
	slices.SortStableFunc(ops, func(a, b Operation) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return ops, nil
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
