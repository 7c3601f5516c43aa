package cpu

import (
	"time"

	"coil/backend/cpu/peak"
)

// Limits is what the processor can do at most, on all workers together.
type Limits struct {
	FLOPs     float64 // multiply-adds from registers, in FLOP/s
	Bandwidth float64 // a + b over long vectors, in byte/s
}

// Limits measures the workers at the same time, each for about d for either.
func (c *CPU) Limits(d time.Duration) Limits {
	add := func(y, a, b []float32) { c.vec.Add(y, a, b, 1, 1) }
	return Limits{c.FMA(d), c.together(func() float64 { return peak.Triad(add, d) })}
}

// FMA measures only the multiply-adds.
func (c *CPU) FMA(d time.Duration) float64 {
	return c.together(func() float64 { return peak.FMA(c.info.Kernels, d) })
}

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
