package report

import "math"

// buckets is how many pieces of a long line are told apart: a plot has about as many dots beside each other.
const buckets = 300

// thin leaves of a line with very many points the least and the greatest of each piece, so that no peak is lost. A piece
// without a number becomes a gap.
func thin(points []point) []point {
	if len(points) <= 2*buckets {
		return points
	}
	var kept []point
	for b := range buckets {
		piece := points[b*len(points)/buckets : (b+1)*len(points)/buckets]
		lo, hi := -1, -1
		for i, p := range piece {
			if !drawable(p.y) {
				continue
			}
			if lo < 0 || p.y < piece[lo].y {
				lo = i
			}
			if hi < 0 || p.y > piece[hi].y {
				hi = i
			}
		}
		switch {
		case lo < 0:
			kept = append(kept, piece[0])
		case lo == hi:
			kept = append(kept, piece[lo])
		default:
			kept = append(kept, piece[min(lo, hi)], piece[max(lo, hi)])
		}
	}
	return kept
}

// leastSmoothed is how many points a line has that is worth smoothing.
const leastSmoothed = 50

// smooth is the mean of the points around each, a sixtieth of the line to either side; at no more places than a plot can
// show. Gaps do not count, and stay where there is nothing else.
func smooth(points []point) []point {
	reach := max(1, len(points)/60)
	n := min(len(points), buckets)
	means := make([]point, n)
	for k := range means {
		i := k * (len(points) - 1) / max(1, n-1)
		sum, m := 0.0, 0
		for _, p := range points[max(0, i-reach):min(len(points), i+reach+1)] {
			if drawable(p.y) {
				sum += p.y
				m++
			}
		}
		means[k] = point{points[i].x, math.NaN()}
		if m > 0 {
			means[k].y = sum / float64(m)
		}
	}
	return means
}
