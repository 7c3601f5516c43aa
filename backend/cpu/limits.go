package cpu

import (
	"sync"
	"time"

	"coil/backend/cpu/peak"
)

// Bandwidth measures a + b over long vectors on all workers at the same time, each for about d, in byte/s.
func (c *CPU) Bandwidth(d time.Duration) float64 {
	add := func(y, a, b []float32) { c.vec.Add(y, a, b, 1, 1) }
	return c.together(func() float64 { return peak.Triad(add, d) })
}

// FMA measures multiply-adds from registers on all workers at the same time, each for about d, in FLOP/s.
func (c *CPU) FMA(d time.Duration) float64 {
	return c.together(func() float64 { return peak.FMA(c.info.Kernels, d) })
}

// peakTime is how long each of the peakTries of Peak takes at most.
const (
	peakTime  = 2 * time.Millisecond
	peakTries = 4
)

// Peak implements [backend.Rated]: the best of a few short measurements on all workers together, some milliseconds in all. What else
// runs on the machine can only lower them. A process measures once for a number of workers, so that its runs can be compared.
func (c *CPU) Peak() float64 {
	of := rated{c.info.Kernels, c.info.Workers}
	if p, ok := peaks.Load(of); ok {
		return p.(float64)
	}
	best := 0.0
	for range peakTries {
		best = max(best, c.FMA(peakTime))
	}
	p, _ := peaks.LoadOrStore(of, best)
	return p.(float64)
}

// rated is what a peak depends on, in one machine.
type rated struct {
	kernels string
	workers int
}

// peaks has what Peak has measured: float64 by rated.
var peaks sync.Map

// together runs f on all workers and adds up what they return.
func (c *CPU) together(f func() float64) float64 {
	rates := make([]float64, c.info.Workers)
	c.pool.run(len(rates), func(_, part int) { rates[part] = f() })
	var sum float64
	for _, r := range rates {
		sum += r
	}
	return sum
}
