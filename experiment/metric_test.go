package experiment

import (
	"math"
	"slices"
	"testing"

	"coil/eval"
	"coil/metric"
	"coil/run"
)

// Bits per byte are no shares, and fewer are better.
func TestTableOfBitsPerByte(t *testing.T) {
	r := &Results{Metric: metric.BitsPerByte, Axes: []string{"model"}, Columns: []string{""}, Metrics: []metric.Metric{metric.BitsPerByte}}
	r.grid.Measure.Time = true
	for _, x := range []struct {
		label         string
		layers, depth int
		values        []float64
	}{{"6⊗1", 6, 6, []float64{2, 2.2}}, {"2⊗1", 2, 2, []float64{2.6, 2.8}}, {"2⊗3", 2, 6, []float64{2.2, 2.4}}} {
		r.Rows = append(r.Rows, Row{Labels: []string{x.label}, Layers: x.layers, Depth: x.depth, Stats: []Stat{newStat(x.values, r.Metric)}, Seconds: 90})
	}
	r.gaps()
	for i, want := range [][]string{
		{"model", "params/FLOPs", "bits per byte", "min", "gap %", "time"},
		{"6⊗1", "6x/6x", "2.100 ± 0.141", "2.000", "", "1 m 30 s"},
		{"2⊗1", "2x/2x", "2.700 ± 0.141", "2.600", "", "1 m 30 s"},
		{"2⊗3", "2x/6x", "2.300 ± 0.141", "2.200", "67", "1 m 30 s"},
	} {
		if got := r.Table()[i]; !slices.Equal(got, want) {
			t.Errorf("row %d is %q, want %q", i, got, want)
		}
	}
}

// The reasoning primitives of models of text have a column of their own, in percent, a table by kind, and a depth plot.
func TestPrimitiveColumn(t *testing.T) {
	r := &Results{Metric: metric.BitsPerByte, Axes: []string{"model"}}
	for i, label := range []string{"6⊗1", "2⊗1", "2⊗3"} {
		for seed := range 2 {
			m := Measures{Metric: metric.BitsPerByte, Layers: []int{6, 2, 2}[i], Depth: []int{6, 2, 6}[i],
				HeldOut: eval.Result{Score: eval.Score{Loss: 2, BitsPerByte: run.Number([]float64{2, 2.6, 2.2}[i])}}}
			k := func(kind string, x float64) eval.PrimitiveScore {
				return eval.PrimitiveScore{Kind: kind, Questions: 400, Accuracy: x + 0.1*float64(seed), Chance: 0.21}
			}
			m.Primitives = &eval.PrimitiveResult{PrimitiveScore: k("", []float64{0.6, 0.2, 0.5}[i]), Kinds: []eval.PrimitiveScore{k("depth 0", 0.7), k("depth 1", 0.3)}}
			r.finished = append(r.finished, finished{row: []string{label}, m: m})
		}
	}
	r.columns()
	r.rows()
	r.gaps()
	for i, want := range [][]string{
		{"model", "params/FLOPs", "bits per byte", "min", "gap %", "primitives, %", "max", "gap %"},
		{"6⊗1", "6x/6x", "2.000 ± 0.000", "2.000", "", "65.0 ± 7.1", "70.0", ""},
		{"2⊗1", "2x/2x", "2.600 ± 0.000", "2.600", "", "25.0 ± 7.1", "30.0", ""},
		{"2⊗3", "2x/6x", "2.200 ± 0.000", "2.200", "67", "55.0 ± 7.1", "60.0", "75"},
	} {
		if got := r.Table()[i]; !slices.Equal(got, want) {
			t.Errorf("row %d is %q, want %q", i, got, want)
		}
	}
	for i, want := range [][]string{
		{"model", "depth 0", "depth 1"},
		{"6⊗1", "75.0 ± 7.1", "35.0 ± 7.1"},
		{"2⊗1", "75.0 ± 7.1", "35.0 ± 7.1"},
		{"2⊗3", "75.0 ± 7.1", "35.0 ± 7.1"},
		{"blind choice", "21.0", "21.0"},
	} {
		if got := r.PrimitiveTable()[i]; !slices.Equal(got, want) {
			t.Errorf("row %d of the primitives is %q, want %q", i, got, want)
		}
	}
	// 65 and 25 % of 20 questions are 40 points apart, and two standard errors are 2·√(0.65·0.35/20 + 0.25·0.75/20) = 29; of 10, they are 41.
	for n, want := range map[int]bool{20: true, 10: false} {
		r.questions["primitives"], r.Gaps = n, nil
		r.Rows[2].Gap = nil
		r.gaps()
		if got := !math.IsNaN(float64(r.Rows[2].Gap[1])); got != want {
			t.Errorf("of %d questions, there is a gap: %t, want %t", n, got, want)
		}
	}
	r.grid.Measure.Curve = true
	plots := r.Plots()
	for _, name := range []string{"depth", "depth-primitives", "curve", "parameters"} {
		if plots[name] == nil {
			t.Errorf("no plot %q", name)
		}
	}
	if p := plots["curve"].Series[2].Points[1]; p.X != 2 || p.Y != 0.6 {
		t.Errorf("2⊗3 with its second seed is at %+v", p)
	}
}

// At equal FLOPs, a step of a model counts three forward passes of its tokens.
func TestFlopPlot(t *testing.T) {
	r := &Results{Rows: []Row{{Labels: []string{"a"}}}, finished: []finished{{row: []string{"a"},
		m: Measures{FLOPs: 2e9, Steps: 10, Tokens: 1000, History: []Moment{{Step: 5, Metric: 0.25}}}}}}
	if got := r.flopPlot().Series[0].Points; len(got) != 1 || got[0].X != 3 || got[0].Y != 0.25 {
		t.Errorf("%+v, want 3 TFLOPs", got)
	}
}

// An axis of choices varies the model if each of them does.
func TestAxisOfModels(t *testing.T) {
	with, without := map[string]any{"model.layers": "2x3", "train.steps": 5}, map[string]any{"train.steps": 5}
	for _, x := range []struct {
		axis Axis
		want bool
	}{
		{Axis{Key: "model.layers"}, true},
		{Axis{Key: "train.steps"}, false},
		{Axis{Choices: []Choice{{Set: with}, {Set: with}}}, true},
		{Axis{Choices: []Choice{{Set: with}, {Set: without}}}, false},
		{Axis{}, false},
	} {
		if got := x.axis.models(); got != x.want {
			t.Errorf("%+v: %t", x.axis, got)
		}
	}
}
