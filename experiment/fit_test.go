package experiment

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestGap(t *testing.T) {
	for _, k := range []struct{ x, low, high, want float64 }{
		{34.3, 26.7, 29.3, 100 * 7.6 / 2.6}, {5, 5, 6, 0}, {6, 5, 6, 100}, {4, 5, 6, -100}, {8, 9, 7, 50},
	} {
		if got := Gap(k.x, k.low, k.high, 0.01); math.Abs(got-k.want) > 1e-9 {
			t.Errorf("Gap(%g, %g, %g) = %g, want %g", k.x, k.low, k.high, got, k.want)
		}
	}
	if g := Gap(1, 0.5, 0.505, 0.01); !math.IsNaN(g) {
		t.Errorf("a gap of %g where there is none", g)
	}
}

// Points on a line are fitted exactly.
func TestLogFitExact(t *testing.T) {
	depth := []float64{1, 2, 3, 4, 6, 12}
	var y []float64
	for _, d := range depth {
		y = append(y, 0.2*math.Log(d)+0.3)
	}
	f, err := LogFit(depth, y)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]float64{"alpha": float64(f.Alpha) - 0.2, "beta": float64(f.Beta) - 0.3, "width": float64(f.High - f.Low), "r2": float64(f.R2) - 1} {
		if math.Abs(d) > 1e-9 {
			t.Errorf("%s is %g off", name, d)
		}
	}
	for _, bad := range [][]float64{{1, 2}, {2, 2, 2}} {
		if _, err := LogFit(bad, make([]float64, len(bad))); err == nil {
			t.Errorf("%v can be fitted", bad)
		}
	}
}

// The interval contains α in 95 % of experiments. In 4000 experiments, the count is binomial: within five standard deviations,
// except one time in a million.
func TestLogFitCovers(t *testing.T) {
	const n = 4000
	rng := rand.New(rand.NewPCG(1, 2))
	depth := []float64{1, 1, 2, 2, 4, 4}
	y := make([]float64, len(depth))
	in := 0
	for range n {
		for i, d := range depth {
			y[i] = 0.2*math.Log(d) + 0.3 + 0.05*rng.NormFloat64()
		}
		f, err := LogFit(depth, y)
		if err != nil {
			t.Fatal(err)
		}
		if f.Low <= 0.2 && 0.2 <= f.High {
			in++
		}
	}
	if want, sd := 0.95*n, math.Sqrt(n*0.95*0.05); math.Abs(float64(in)-want) > 5*sd {
		t.Errorf("%d of %d, want %.0f ± %.0f", in, n, want, 5*sd)
	}
}
