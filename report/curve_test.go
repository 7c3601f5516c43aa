package report

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// curves draws lines of any length, with gaps.
var curves = rapid.Custom(func(t *rapid.T) []point {
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	gaps := rapid.SampledFrom([]float64{0, 0.1, 0.999}).Draw(t, "gaps")
	points := make([]point, rapid.OneOf(rapid.IntRange(0, 2000), rapid.SampledFrom([]int{2 * buckets, 2*buckets + 1, 4321})).Draw(t, "points"))
	for i := range points {
		points[i] = point{float64(10 * i), 1e6 * random.NormFloat64()}
		if random.Float64() < gaps {
			points[i].y = math.NaN()
		}
	}
	return points
})

// Thinning keeps points of the line in their order, few of them, and the extremes.
func TestThin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := curves.Draw(t, "points")
		kept := thin(points)
		if len(kept) > 2*buckets {
			t.Errorf("%d points", len(kept))
		}
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, p := range points {
			if drawable(p.y) {
				lo, hi = min(lo, p.y), max(hi, p.y)
			}
		}
		keptLo, keptHi := math.Inf(1), math.Inf(-1)
		at := 0
		for _, p := range kept {
			for at < len(points) && points[at].x != p.x {
				at++
			}
			if at == len(points) || points[at].y != p.y && drawable(p.y) {
				t.Fatalf("%v is no point of the line, or out of order", p)
			}
			if drawable(p.y) {
				keptLo, keptHi = min(keptLo, p.y), max(keptHi, p.y)
			}
		}
		if lo != keptLo || hi != keptHi {
			t.Errorf("from %v to %v, but kept from %v to %v", lo, hi, keptLo, keptHi)
		}
	})
}

// A smoothed line lies within the line, begins and ends with it, and of a constant is that.
func TestSmooth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := curves.Draw(t, "points")
		means := smooth(points)
		if len(means) != min(len(points), buckets) {
			t.Fatalf("%d means of %d points", len(means), len(points))
		}
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, p := range points {
			if drawable(p.y) {
				lo, hi = min(lo, p.y), max(hi, p.y)
			}
		}
		const rounding = 1e-6
		for _, m := range means {
			if drawable(m.y) && (m.y < lo-rounding || m.y > hi+rounding) {
				t.Errorf("mean %v of values from %v to %v", m.y, lo, hi)
			}
		}
		if n := len(means); n > 1 && (means[0].x != points[0].x || means[n-1].x != points[len(points)-1].x) {
			t.Errorf("means from %v to %v", means[0].x, means[n-1].x)
		}
	})
	flat := make([]point, 1000)
	for i := range flat {
		flat[i] = point{float64(i), 3}
	}
	for _, m := range smooth(flat) {
		if m.y != 3 {
			t.Fatalf("the mean of 3 is %v", m.y)
		}
	}
}

// Ticks are few, in order, on the axis, and at least two.
func TestTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Float64Range(-largest, largest).Draw(t, "lo")
		hi := rapid.Float64Range(lo, largest).Draw(t, "hi")
		ends := widen([2]float64{lo, hi})
		a := axis{lo: ends[0], hi: ends[1], scale: rapid.SampledFrom([]scale{plain, shares}).Draw(t, "scale")}
		ticks := a.ticks(yTicks)
		if len(ticks) < 2 || len(ticks) > yTicks+1 || !slices.IsSorted(ticks) {
			t.Errorf("from %v to %v: %v", a.lo, a.hi, ticks)
		}
		for _, v := range ticks {
			if n := a.norm(v); !(n > -1e-9 && n < 1+1e-9) {
				t.Errorf("tick %v on an axis from %v to %v", v, a.lo, a.hi)
			}
		}
	})
	for _, c := range []struct {
		a    axis
		want []float64
	}{
		{axis{lo: 0, hi: 1.02, scale: shares}, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
		{axis{lo: 1, hi: 3, scale: whole}, []float64{1, 2, 3}},
		{axis{lo: 0, hi: 1200, scale: whole}, []float64{0, 200, 400, 600, 800, 1000, 1200}},
		{axis{lo: 0, hi: 45 << 20, scale: memory}, []float64{0, 10 << 20, 20 << 20, 30 << 20, 40 << 20}},
		{axis{lo: 0.0009, hi: 2, log: true}, []float64{0.001, 0.01, 0.1, 1}},
		{axis{lo: 0.11, hi: 6, log: true}, []float64{0.2, 0.5, 1, 2, 5}},
		{axis{lo: 1e-9, hi: 2e9, log: true}, []float64{1e-9, 1e-5, 1e-1, 1e3, 1e7}},
	} {
		got := c.a.ticks(yTicks)
		if len(got) != len(c.want) {
			t.Errorf("%+v has ticks %v, want %v", c.a, got, c.want)
			continue
		}
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-12*math.Abs(c.want[i]) {
				t.Errorf("%+v has ticks %v, want %v", c.a, got, c.want)
			}
		}
	}
}
