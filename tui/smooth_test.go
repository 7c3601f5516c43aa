package tui

import (
	"math"
	"math/rand/v2"
	"testing"

	"coil/run/curve"
)

func TestSmooth(t *testing.T) {
	points := []curve.Point{{Step: 1, Y: 2}, {Step: 2, Y: 4}, {Step: 3, Y: math.NaN()}, {Step: 4, Y: 4}}
	got := smooth(points, 0.5, nil)
	// 2; (0.5·1 + 0.5·4)/(0.25 + 0.5); a gap; then two steps later, w = ¼.
	m := 0.25*2.5 + 0.75*4
	n := 0.25*0.75 + 0.75
	want := []float64{2, 2.5 / 0.75, math.NaN(), m / n}
	for i, w := range want {
		if g := got[i].Y; math.Abs(g-w) > 1e-12 || math.IsNaN(g) != math.IsNaN(w) {
			t.Errorf("point %d is %g, want %g", i, g, w)
		}
	}
	for _, p := range smooth(points, 1, nil) {
		if p.Step == 4 && p.Y != 4 {
			t.Errorf("without smoothing %v", p)
		}
	}
	alone := smooth(points[:1], 0.01, nil)
	if y := alone[0].Y; math.Abs(y-2) > 1e-12 {
		t.Errorf("the first point is smoothed to %g", y)
	}
}

// alpha is the weight of the newest point.
func TestSmoothForgetsSlowlyWithALittleAlpha(t *testing.T) {
	var step []curve.Point
	for i := range 2000 {
		step = append(step, curve.Point{Step: float64(i), Y: float64(i / 1000)})
	}
	for _, alpha := range []float64{0.5, 0.1, 0.01} {
		got := smooth(step, alpha, nil)[999+20].Y
		if want := 1 - math.Pow(1-alpha, 20); math.Abs(got-want) > 1e-3 {
			t.Errorf("20 steps after a step, with alpha %g: %g, want %g", alpha, got, want)
		}
	}
}

// A curve that has given most of its points up is smoothed to where the whole one is, also if its noise is lopsided: the
// middle between extremes is far above the mean then.
func TestSmoothOfThinnedPoints(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c, whole := curve.New(512), curve.New(1<<16)
	for i := range 1 << 15 {
		y := 3*math.Exp(-float64(i)/8000) + 0.3*random.ExpFloat64()
		p := curve.Point{Step: float64(i), Y: y}
		c.Add(p)
		whole.Add(p)
	}
	want := map[float64]float64{}
	for _, p := range smooth(whole.Points(), 0.005, nil) {
		want[p.Step] = p.Y
	}
	thinned := smooth(c.Points(), 0.005, nil)
	for _, p := range thinned[len(thinned)/8:] {
		if w := want[p.Step]; math.Abs(p.Y-w) > 0.15 {
			t.Errorf("step %g: %g, want %g", p.Step, p.Y, w)
		}
	}
}
