package tui

import (
	"math"

	"coil/plot"
	"coil/run"
)

// newestPoints is over how many points the distance of the newest is taken.
const newestPoints = 32

// smooth appends to dst the exponential moving average ([plot.EMA]) of the points, where alpha is the weight of the newest of
// points at the distance of the newest ones, 1 for no smoothing. A point that stands for others counts with their mean, so that a
// curve that has given up points looks as before. Gaps stay gaps and change nothing.
func smooth(points []run.Point, alpha float64, dst []run.Point) []run.Point {
	past := 1 - min(1, max(0, alpha))
	if past == 0 {
		return append(dst, points...)
	}
	spacing := 1.0
	if n := len(points); n > 1 {
		first := max(0, n-1-newestPoints)
		spacing = (points[n-1].Step - points[first].Step) / float64(n-1-first)
	}
	average := plot.EMA{Past: past, Spacing: spacing}
	for _, p := range points {
		if !math.IsNaN(p.Y) && !math.IsInf(p.Y, 0) {
			p.Y = average.Add(p.Step, p.Mean())
		}
		dst = append(dst, p)
	}
	return dst
}
