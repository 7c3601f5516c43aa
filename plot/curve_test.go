package plot

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

const pieces = 300

// curves draws lines of any length, with gaps.
var curves = rapid.Custom(func(t *rapid.T) []Point {
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	gaps := rapid.SampledFrom([]float64{0, 0.1, 0.999}).Draw(t, "gaps")
	points := make([]Point, rapid.OneOf(rapid.IntRange(0, 2000), rapid.SampledFrom([]int{2 * pieces, 2*pieces + 1, 4321})).Draw(t, "points"))
	for i := range points {
		points[i] = Point{float64(10 * i), 1e6 * random.NormFloat64()}
		if random.Float64() < gaps {
			points[i].Y = math.NaN()
		}
	}
	return points
})

// bounds are the least and the greatest number.
func bounds(points []Point) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, p := range points {
		if finite(p.Y) {
			lo, hi = min(lo, p.Y), max(hi, p.Y)
		}
	}
	return lo, hi
}

// Thinning keeps points of the line in their order, few of them, and the extremes.
func TestThin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := curves.Draw(t, "points")
		kept := thin(points, pieces)
		if len(kept) > 2*pieces {
			t.Errorf("%d points", len(kept))
		}
		at := 0
		for _, p := range kept {
			for at < len(points) && points[at].X != p.X {
				at++
			}
			if at == len(points) || points[at].Y != p.Y && finite(p.Y) {
				t.Fatalf("%v is no point of the line, or out of order", p)
			}
		}
		lo, hi := bounds(points)
		if keptLo, keptHi := bounds(kept); lo != keptLo || hi != keptHi {
			t.Errorf("from %v to %v, but kept from %v to %v", lo, hi, keptLo, keptHi)
		}
	})
}

// A smoothed line lies within the line, keeps its gaps, follows a straight line, and of a constant is that.
func TestSmooth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := curves.Draw(t, "points")
		lo, hi := bounds(points)
		for i, p := range Smooth(points, rapid.Float64Range(0, 0.999).Draw(t, "past")) {
			if finite(p.Y) != finite(points[i].Y) || p.X != points[i].X {
				t.Fatalf("%v of %v", p, points[i])
			}
			const rounding = 1e-6
			if finite(p.Y) && (p.Y < lo-rounding || p.Y > hi+rounding) {
				t.Errorf("average %v of values from %v to %v", p.Y, lo, hi)
			}
		}
	})
	slope := make([]Point, 1000)
	for i := range slope {
		slope[i] = Point{float64(i), float64(i)}
	}
	for _, p := range Smooth(slope, 0.9)[200:800] {
		if math.Abs(p.Y-p.X) > 1e-6 {
			t.Fatalf("the average of a straight line at %g is %g: it lags", p.X, p.Y)
		}
	}
	flat := make([]Point, 1000)
	for i := range flat {
		flat[i] = Point{float64(i), 3}
	}
	for _, p := range Smooth(flat, 0.9) {
		if math.Abs(p.Y-3) > 1e-12 {
			t.Fatalf("the average of 3 is %v", p.Y)
		}
	}
}

// The average is the sum of all values, weighted by the past's weight to the power of their distance, over that of the weights.
func TestEMA(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := EMA{Past: rapid.Float64Range(0.01, 0.99).Draw(t, "past"), Spacing: 1}
		var values []float64
		for range rapid.IntRange(1, 30).Draw(t, "values") {
			values = append(values, rapid.Float64Range(-10, 10).Draw(t, "y"))
			n := len(values)
			sum, weights := 0.0, 0.0
			for i, y := range values {
				w := math.Pow(e.Past, float64(n-1-i))
				sum, weights = sum+w*y, weights+w
			}
			if got := e.Add(float64(n), values[n-1]); math.Abs(got-sum/weights) > 1e-9 {
				t.Fatalf("the average of %v is %v, want %v", values, got, sum/weights)
			}
		}
	})
}
