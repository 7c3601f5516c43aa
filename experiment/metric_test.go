package experiment

import (
	"slices"
	"testing"

	"coil/metric"
)

// Bits per byte are no shares, and fewer are better.
func TestTableOfBitsPerByte(t *testing.T) {
	r := &Results{Metric: metric.BitsPerByte, Axes: []string{"model"}, Columns: []string{""}}
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
