// Package curve remembers a quantity over a run of any length in bounded memory.
package curve

import (
	"math"

	"coil/plot"
)

// Point is a value at a moment, with its position on three axes.
type Point struct {
	Step, Seconds, Tokens float64
	Y                     float64 // may be NaN or infinite, which is a gap

	mean  float64 // of the points that this one stands for since others were given up; nothing if count is 0
	count float64
}

// Mean is the mean of the points that p stands for, p itself and its part of those that were given up around it.
func (p Point) Mean() float64 {
	mean, _ := p.stands()
	return mean
}

// stands is that mean, and how many points they are.
func (p Point) stands() (mean, count float64) {
	if p.count == 0 {
		return p.Y, 1
	}
	return p.mean, p.count
}

// Curve keeps at most a fixed number of points. Where they are oldest it gives some up: of each four neighbours the lowest,
// the highest and a gap stay, so that no peak is lost.
type Curve struct {
	points []Point
	limit  int
}

// leastPoints is the smallest limit.
const leastPoints = 64

// New makes a curve of at most limit points, or 64 if that is less.
func New(limit int) *Curve { return &Curve{limit: max(leastPoints, limit)} }

// Len is the number of points that are kept.
func (c *Curve) Len() int { return len(c.points) }

// Points returns the points, by step. They are good until the next Add or Rewind, and must not be changed.
func (c *Curve) Points() []Point { return c.points }

// Last is the newest point.
func (c *Curve) Last() (Point, bool) {
	if len(c.points) == 0 {
		return Point{}, false
	}
	return c.points[len(c.points)-1], true
}

// Add adds a point. One of no later step than the last, which no run that is whole has, takes the later ones back. A step
// that is no number is dropped.
func (c *Curve) Add(p Point) {
	if gap(p.Step) {
		return
	}
	for last, ok := c.Last(); ok && last.Step >= p.Step; last, ok = c.Last() {
		c.points = c.points[:len(c.points)-1]
	}
	if len(c.points) == c.limit {
		c.thin()
	}
	p.mean, p.count = 0, 0
	c.points = append(c.points, p)
}

// Rewind forgets the points of later steps.
func (c *Curve) Rewind(step float64) {
	for len(c.points) > 0 && c.points[len(c.points)-1].Step > step {
		c.points = c.points[:len(c.points)-1]
	}
}

// thin gives up points of the older half.
func (c *Curve) thin() {
	const four = 4
	old := len(c.points) / 2 / four * four
	kept := c.points[:0] // grows more slowly than what is read
	for i := 0; i < old; i += four {
		kept = appendExtremes(kept, c.points[i:i+four])
	}
	c.points = append(kept, c.points[old:]...)
}

// appendExtremes appends the lowest, the highest and the first gap of the points, in their order. They stand for all.
func appendExtremes(kept, points []Point) []Point {
	lo, hi, none := plot.Extremes(len(points), func(i int) float64 { return points[i].Y })
	var sum, count float64
	for _, p := range points {
		if !gap(p.Y) {
			mean, n := p.stands()
			sum, count = sum+mean*n, count+n
		}
	}
	if lo != hi {
		count /= 2
		sum /= 2
	}
	for i, p := range points {
		if i == lo || i == hi {
			p.mean, p.count = sum/count, count
		}
		if i == lo || i == hi || i == none {
			kept = append(kept, p)
		}
	}
	return kept
}

func gap(y float64) bool { return math.IsNaN(y) || math.IsInf(y, 0) }

// Bounds returns the least and the greatest finite value; ok is false if there is none.
func (c *Curve) Bounds() (lo, hi float64, ok bool) {
	for _, p := range c.points {
		if gap(p.Y) {
			continue
		}
		if !ok {
			lo, hi, ok = p.Y, p.Y, true
		}
		lo, hi = min(lo, p.Y), max(hi, p.Y)
	}
	return lo, hi, ok
}
