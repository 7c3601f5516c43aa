// Package curve remembers a quantity over a run of any length in bounded memory.
package curve

import "math"

// Point is a value at a moment, which is told on three axes.
type Point struct {
	Step, Seconds, Tokens float64
	Y                     float64 // may be NaN or infinite, which is a gap
}

// Curve keeps at most a fixed number of points. Those it has to give up are thinned where they are oldest: of each two
// neighbouring pairs the lowest and the highest point stay, so that no peak is lost.
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

// Add adds a point. One of an earlier step than the last, which no run that is whole has, takes the later ones back.
func (c *Curve) Add(p Point) {
	if math.IsNaN(p.Step) {
		return
	}
	if last, ok := c.Last(); ok && p.Step <= last.Step {
		c.Rewind(p.Step - 1)
		if last, ok := c.Last(); ok && p.Step <= last.Step { // a step of no whole number
			return
		}
	}
	if len(c.points) == c.limit {
		c.thin()
	}
	c.points = append(c.points, p)
}

// Rewind forgets the points of later steps.
func (c *Curve) Rewind(step float64) {
	for len(c.points) > 0 && c.points[len(c.points)-1].Step > step {
		c.points = c.points[:len(c.points)-1]
	}
}

// thin halves the older half.
func (c *Curve) thin() {
	const four = 4
	old := len(c.points) / 2 / four * four
	kept := c.points[:0]
	for i := 0; i < old; i += four {
		a, b := extremes(c.points[i : i+four])
		kept = append(kept, a, b) // these overwrite what was read before
	}
	c.points = append(kept, c.points[old:]...)
}

// extremes are the lowest and the highest of the points, in their order. A gap is lower and higher than anything.
func extremes(points []Point) (first, second Point) {
	lo, hi := 0, 0
	for i, p := range points {
		switch {
		case gap(p.Y):
			if !gap(points[lo].Y) {
				lo = i
			}
		case !gap(points[lo].Y) && p.Y < points[lo].Y:
			lo = i
		}
		if gap(points[hi].Y) && hi != lo || !gap(p.Y) && (gap(points[hi].Y) || p.Y > points[hi].Y) {
			hi = i
		}
	}
	if lo == hi { // all the same: keep the ends
		lo, hi = 0, len(points)-1
	}
	return points[min(lo, hi)], points[max(lo, hi)]
}

func gap(y float64) bool { return math.IsNaN(y) || math.IsInf(y, 0) }

// Bounds are the least and the greatest value that is a number; ok is false if there is none.
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

// Smooth appends to dst the exponential moving average of the points, without the bias towards its beginning:
//
//	m ← w·m + (1−w)·y,   n ← w·n + (1−w),   m/n
//
// with w = past^(Δstep/d), d being the distance of the newest points, so that thinned points count as what they stand for.
// Gaps stay gaps and change nothing.
func Smooth(points []Point, past float64, dst []Point) []Point {
	spacing := 1.0
	if n := len(points); n > 1 {
		spacing = points[n-1].Step - points[max(0, n-1-leastPoints/2)].Step
		spacing /= float64(min(n-1, leastPoints/2))
	}
	var m, n, before, distance float64
	power := past
	for _, p := range points {
		if gap(p.Y) {
			dst = append(dst, p)
			continue
		}
		w := past
		if n > 0 && spacing > 0 {
			if d := p.Step - before; d != distance { // most are the same
				distance, power = d, math.Pow(past, d/spacing)
			}
			w = power
		}
		m, n = w*m+(1-w)*p.Y, w*n+(1-w)
		before = p.Step
		if n > 0 {
			p.Y = m / n
		}
		dst = append(dst, p)
	}
	return dst
}
