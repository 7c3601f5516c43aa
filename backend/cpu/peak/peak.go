// Package peak measures the limits of a processor: multiply-adds from registers, and memory traffic. The speed of kernels is
// reported as a share of these.
package peak

import (
	"slices"
	"time"
)

// loop runs multiply-adds in registers only; flops is the number of floating-point operations of an iteration.
type loop struct {
	name  string // of the kernels that use such registers
	flops float64
	run   func(turns int)
}

// FMA returns the rate of multiply-adds in FLOP/s on the calling goroutine, with the widest registers of the named kernels
// ("avx512", "avx2", "neon"; anything else is plain Go). It takes about d.
func FMA(kernels string, d time.Duration) float64 {
	l := portable
	for _, n := range native {
		if n.name == kernels {
			l = n
		}
	}
	turns := 1 << 10
	for {
		begin := time.Now()
		l.run(turns)
		if took := time.Since(begin); took > d/4 {
			return l.flops * float64(turns) / took.Seconds()
		}
		turns *= 2
	}
}

var portable = loop{"portable", 16, func(turns int) {
	var sums [8]float32
	scalar(turns, &sums)
}}

// scalar keeps eight sums, as many as hide the latency of an addition.
//
//go:noinline
func scalar(turns int, sums *[8]float32) {
	var a, b, c, d, e, f, g, h float32
	const x, y = 0.999, 1e-3
	for range turns {
		a = a*x + y
		b = b*x + y
		c = c*x + y
		d = d*x + y
		e = e*x + y
		f = f*x + y
		g = g*x + y
		h = h*x + y
	}
	*sums = [8]float32{a, b, c, d, e, f, g, h}
}

// Triad returns the rate of y = a + b over vectors far larger than any cache, in byte/s, counting 12 bytes an element.
// add is the kernel that does it.
func Triad(add func(y, a, b []float32), d time.Duration) float64 {
	const n = 8 << 20
	y, a, b := make([]float32, n), make([]float32, n), make([]float32, n)
	add(y, a, b) // the pages
	var rates []float64
	for begin := time.Now(); time.Since(begin) < d || len(rates) < 3; {
		t := time.Now()
		add(y, a, b)
		rates = append(rates, 12*n/time.Since(t).Seconds())
	}
	slices.Sort(rates)
	return rates[len(rates)/2]
}
