package plot

import "math"

// Extremes are the places of the least and the greatest of n values, and of the first that is not finite; −1 if there is none. Of
// equal values the ends count, so that a flat piece keeps its length.
func Extremes(n int, value func(i int) float64) (least, greatest, gap int) {
	least, greatest, gap = -1, -1, -1
	for i := range n {
		v := value(i)
		switch {
		case !finite(v):
			if gap < 0 {
				gap = i
			}
			continue
		case least < 0 || v < value(least):
			least = i
		}
		if greatest < 0 || v >= value(greatest) {
			greatest = i
		}
	}
	return least, greatest, gap
}

// thin leaves of a line with very many points the least and the greatest of each of some pieces, so that no peak is lost. A
// piece without a number becomes a gap.
func thin(points []Point, pieces int) []Point {
	if len(points) <= 2*pieces {
		return points
	}
	var kept []Point
	for b := range pieces {
		piece := points[b*len(points)/pieces : (b+1)*len(points)/pieces]
		lo, hi, gap := Extremes(len(piece), func(i int) float64 { return piece[i].Y })
		switch {
		case lo < 0:
			kept = append(kept, piece[gap])
		case lo == hi:
			kept = append(kept, piece[lo])
		default:
			kept = append(kept, piece[min(lo, hi)], piece[max(lo, hi)])
		}
	}
	return kept
}

// EMA is an exponential moving average of values at uneven distances, without the bias towards its beginning:
//
//	m ← w·m + (1−w)·y,   n ← w·n + (1−w),   average m/n
//
// with w = Past^(Δx/Spacing).
type EMA struct {
	Past    float64 // the weight of what came before, over one Spacing: from 0 to below 1
	Spacing float64 // positive

	m, n, x, distance, power float64
}

// Add adds the value y at x, which is finite and not less than the x before, and returns the average.
func (e *EMA) Add(x, y float64) float64 {
	if e.Past == 0 {
		return y
	}
	w := e.Past
	if e.n > 0 && e.Spacing > 0 {
		if d := x - e.x; d != e.distance || e.power == 0 { // most are the same
			e.distance, e.power = d, math.Pow(e.Past, d/e.Spacing)
		}
		w = e.power
	}
	e.m, e.n, e.x = w*e.m+(1-w)*y, w*e.n+(1-w), x
	if e.n == 0 {
		return y
	}
	return e.m / e.n
}

// Smooth is the mean of the moving averages from either end, so that it does not lag behind the points. Past is the weight of what
// came before, over the mean distance of points. Gaps stay gaps and change nothing.
func Smooth(points []Point, past float64) []Point {
	n := len(points)
	if n < 2 {
		return points
	}
	spacing := (points[n-1].X - points[0].X) / float64(n-1)
	forward, backward := EMA{Past: past, Spacing: spacing}, EMA{Past: past, Spacing: spacing}
	smooth := make([]Point, n)
	for i, p := range points {
		if smooth[i] = p; finite(p.Y) {
			smooth[i].Y = forward.Add(p.X, p.Y) / 2
		}
	}
	for i := n - 1; i >= 0; i-- {
		if p := points[i]; finite(p.Y) {
			smooth[i].Y += backward.Add(-p.X, p.Y) / 2
		}
	}
	return smooth
}
