package bench

import (
	"fmt"

	"coil/backend/cpu"
	"coil/train"
)

// WorkerCounts are the numbers of workers over which the work of a step is counted.
var WorkerCounts = []int{1, 2, 4, 8, 16, 32, 64}

// Cores is how a training step would spread over more and more cores. It is counted, not measured.
type Cores struct {
	Name   string      `json:"name"`
	Groups int         `json:"groups"` // of sequences in a batch
	Counts []cpu.Cores `json:"counts"`
}

// counter is a program of the CPU backend.
type counter interface {
	Groups() int
	Cores(workers int) (cpu.Cores, error)
}

// MostCores counts for a step and the largest of [WorkerCounts]. Without the CPU backend, ok is false.
func MostCores(m *train.Measure) (c cpu.Cores, ok bool, err error) {
	p, ok := m.Program().(counter)
	if !ok {
		return c, false, nil
	}
	c, err = p.Cores(WorkerCounts[len(WorkerCounts)-1])
	return c, true, err
}

// CoresOf counts for a subject, whose backend may have any number of workers.
func CoresOf(s *Subject) (Cores, error) {
	p, ok := s.m.Program().(counter)
	if !ok {
		return Cores{}, fmt.Errorf("%s: the backend does not count cores", s.Name)
	}
	x := Cores{Name: s.Name, Groups: p.Groups()}
	for _, n := range WorkerCounts {
		c, err := p.Cores(n)
		if err != nil {
			return x, fmt.Errorf("%s on %d workers: %w", s.Name, n, err)
		}
		x.Counts = append(x.Counts, c)
	}
	return x, nil
}
