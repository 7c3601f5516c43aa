package experiment

import (
	"math"
	"testing"

	"coil/loop"
	"coil/metric"
)

// Models whose metric is a line in ln(once + r^φ·block) have that φ.
func TestPhi(t *testing.T) {
	const want = 0.46 // arXiv 2604.21106
	worth := func(a loop.Architecture) float64 {
		once, block, loops := parts(a)
		return float64(once) + math.Pow(float64(loops), want)*float64(block)
	}
	r := &Results{Metric: metric.BitsPerByte, Axes: []string{"model"}, Columns: []string{""}, Metrics: []metric.Metric{metric.BitsPerByte}}
	add := func(layers string, noise float64) {
		a, err := loop.Parse(layers)
		if err != nil {
			t.Fatal(err)
		}
		v := 3 - 0.4*math.Log(worth(a))
		r.Rows = append(r.Rows, Row{Labels: []string{layers}, Layers: a.Layers(), Depth: a.Depth(), Stats: []Stat{newStat([][]float64{{v - noise, v, v + noise}, {v, v + noise, v - noise}, {v + noise, v - noise, v}}[len(r.Rows)%3], r.Metric)}})
		r.finished = append(r.finished, finished{row: []string{layers}, m: Measures{Model: layers}})
	}
	for _, layers := range []string{"2x1", "4x1", "6x1", "8x1"} {
		add(layers, 0.01)
	}
	add("2x3", 0.01)
	add("1/2x4/1", 0)
	add("1x(2,3)", 0.01) // two blocks loop
	r.phis()
	if len(r.Phis) != 2 {
		t.Fatalf("%+v", r.Phis)
	}
	for i, p := range r.Phis {
		if d := math.Abs(float64(p.Phi) - want); d > 1e-9 {
			t.Errorf("%s: φ = %v, want %v", p.Labels[0], p.Phi, want)
		}
		if !(p.Low < want && want < p.High) || p.High-p.Low > 0.2 {
			t.Errorf("%s: φ is in %v to %v", p.Labels[0], p.Low, p.High)
		}
		if n := []float64{2 * math.Pow(3, want), 2 + 2*math.Pow(4, want)}[i]; math.Abs(float64(p.Layers)-n) > 1e-9 {
			t.Errorf("%s is worth %v layers, want %v", p.Labels[0], p.Layers, n)
		}
	}
	// A model that is worth less than the layers that it runs once has no φ.
	r.Phis, r.Rows[5].Stats[0] = nil, newStat([]float64{3}, r.Metric)
	if r.phis(); !math.IsNaN(float64(r.Phis[1].Phi)) || !math.IsNaN(float64(r.Phis[1].Low)) {
		t.Errorf("%+v", r.Phis[1])
	}
	if got := r.PhiTable()[2]; got[1] != "4" || got[3] != "–" || got[4] != "–" {
		t.Errorf("its row is %q", got)
	}
}
