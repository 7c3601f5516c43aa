package experiment

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"coil/metric"
	"coil/run"

	"gonum.org/v1/gonum/stat"
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

// The mean of two values that are drawn again is the smaller with probability 1/4, and the larger too, so the interval spans both.
func TestResample(t *testing.T) {
	low, high := resample(0, func(again func([]float64) []float64) float64 { return stat.Mean(again([]float64{3, 5}), nil) })
	if low != 3 || high != 5 {
		t.Errorf("%g to %g", low, high)
	}
	low, high = resample(0, func(again func([]float64) []float64) float64 { // of two models, the same seeds are drawn
		return stat.Mean(again([]float64{3, 5}), nil) - stat.Mean(again([]float64{13, 15}), nil)
	})
	if low != -10 || high != -10 {
		t.Errorf("a difference of %g to %g", low, high)
	}
	draws := 0.0 // how often both are drawn
	resample(0, func(again func([]float64) []float64) float64 {
		if stat.Mean(again([]float64{3, 5}), nil) == 4 {
			draws++
		}
		return 0
	})
	if d := draws/resamples - 0.5; math.Abs(d) > 5*0.5/math.Sqrt(resamples) {
		t.Errorf("both values in %g of %d samples", draws, resamples)
	}
}

// Models that differ from others only in how they are trained are in no fit; a gap and a ratio of α of equal seeds are exact.
func TestFitsOfRows(t *testing.T) {
	r := &Results{Metric: metric.BitsPerByte, Axes: []string{"model"}, Columns: []string{""}, Metrics: []metric.Metric{metric.BitsPerByte}}
	for _, x := range []struct {
		label         string
		layers, depth int
		value         float64
	}{{"6⊗1", 6, 6, 3 - 0.5*math.Log(6)}, {"2⊗1", 2, 2, 3 - 0.5*math.Log(2)}, {"4⊗1", 4, 4, 3 - 0.5*math.Log(4)}, {"2⊗2", 2, 4, 3 - 0.3*math.Log(2) - 0.2*math.Log(4)},
		{"2⊗3", 2, 6, 3 - 0.3*math.Log(2) - 0.2*math.Log(6)}, {"2⊗3, late", 2, 6, 9}, {"6⊗1, λ", 6, 6, 9}} {
		r.Rows = append(r.Rows, Row{Labels: []string{x.label}, Layers: x.layers, Depth: x.depth, Stats: []Stat{newStat([]float64{x.value, x.value, x.value}, r.Metric)}})
	}
	r.fits()
	r.gaps()
	if len(r.Fits) != 2 || math.Abs(float64(r.Fits[0].Alpha)+0.2) > 1e-9 || math.Abs(float64(r.Fits[1].Alpha)+0.5) > 1e-9 || r.Fits[0].Points != 9 || r.Fits[1].Points != 9 {
		t.Errorf("%+v, want α = -0.2 and -0.5", r.Fits)
	}
	for _, x := range []run.Number{r.Ratios[0].Ratio, r.Ratios[0].Low, r.Ratios[0].High} {
		if math.Abs(float64(x)-0.4) > 1e-9 {
			t.Errorf("%+v, want a ratio of 0.4", r.Ratios)
		}
	}
	if rows := r.FitTable(); rows[3][0] != "looped / unlooped" || rows[3][2] != "0.40 to 0.40" {
		t.Errorf("%q", rows)
	}
	if want := []string{"2⊗3", "40", "40 to 40"}; !slices.Equal(r.GapTable()[2], want) {
		t.Errorf("%q, want %q", r.GapTable(), want)
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
