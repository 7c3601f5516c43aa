package curve

import (
	"math"

	"testing"

	"pgregory.net/rapid"
)

var value = rapid.OneOf(rapid.Float64Range(-1e3, 1e3), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0}))

func TestCurveIsBoundedAndSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 200).Draw(t, "limit")
		c := New(limit)
		step := 0.0
		for range rapid.IntRange(0, 2000).Draw(t, "points") {
			step += float64(rapid.IntRange(-1, 3).Draw(t, "by"))
			c.Add(Point{Step: step, Y: value.Draw(t, "y")})
			if c.Len() > max(leastPoints, limit) {
				t.Fatalf("%d points of %d", c.Len(), limit)
			}
		}
		points := c.Points()
		for i := 1; i < len(points); i++ {
			if points[i].Step <= points[i-1].Step {
				t.Fatalf("step %g after %g", points[i].Step, points[i-1].Step)
			}
		}
	})
}

func TestCurveKeepsExtremesAndTheNewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New(64)
		var all []Point
		lo, hi := math.Inf(1), math.Inf(-1)
		for i := range rapid.IntRange(1, 3000).Draw(t, "points") {
			p := Point{Step: float64(i), Y: value.Draw(t, "y")}
			c.Add(p)
			all = append(all, p)
			if !gap(p.Y) {
				lo, hi = min(lo, p.Y), max(hi, p.Y)
			}
		}
		if a, b, ok := c.Bounds(); ok != (lo <= hi) || ok && (a != lo || b != hi) {
			t.Fatalf("bounds %g %g %t, want %g %g", a, b, ok, lo, hi)
		}
		newest := c.Points()[max(0, c.Len()-24):]
		for i, p := range newest {
			if want := all[len(all)-len(newest)+i]; p.Step != want.Step {
				t.Fatalf("the %d newest hold step %g for %g", len(newest), p.Step, want.Step)
			}
		}
	})
}

// However many points are given up, a gap between them is still there.
func TestCurveKeepsGaps(t *testing.T) {
	c := New(64)
	for i := range 10000 {
		p := Point{Step: float64(i), Y: math.Sin(float64(i))}
		if i >= 4000 && i < 6000 {
			p.Y = math.NaN()
		}
		c.Add(p)
	}
	gaps := 0
	for _, p := range c.Points() {
		if gap(p.Y) {
			gaps++
		} else if p.Step >= 4000 && p.Step < 6000 {
			t.Errorf("step %g is %g", p.Step, p.Y)
		}
	}
	if gaps == 0 {
		t.Error("the gap is gone")
	}
}

func TestAddDropsStepsThatAreNone(t *testing.T) {
	c := New(64)
	c.Add(Point{Step: 1})
	for _, step := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		c.Add(Point{Step: step})
	}
	if c.Len() != 1 {
		t.Errorf("%d points", c.Len())
	}
}

func TestRewind(t *testing.T) {
	c := New(100)
	for i := range 50 {
		c.Add(Point{Step: float64(i)})
	}
	c.Rewind(20)
	if p, ok := c.Last(); !ok || p.Step != 20 || c.Len() != 21 {
		t.Errorf("last %v of %d", p, c.Len())
	}
	c.Add(Point{Step: 10, Y: 3}) // out of order
	if p, _ := c.Last(); p.Step != 10 || p.Y != 3 || c.Len() != 11 {
		t.Errorf("last %v of %d", p, c.Len())
	}
	c.Rewind(-1)
	if _, ok := c.Last(); ok {
		t.Error("something is left")
	}
}
