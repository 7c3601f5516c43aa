package experiment

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"coil/format"
	"coil/loop"
	"coil/run"

	"gonum.org/v1/gonum/stat"
)

// Phi says how many layers a looped model is worth. With layers that run once and a block of layers that runs r times, it is
// worth
//
//	n = once + r^φ·block
//
// layers of an unlooped model: all that it runs if φ = 1, all that it has if φ = 0, as in the scaling law of arXiv 2604.21106.
// Here n is where the unlooped models have the same metric, by a fit of metric = α·ln(layers) + β to them.
type Phi struct {
	Labels []string   `json:"labels"`
	Column string     `json:"column,omitempty"`
	Loops  int        `json:"loops"`  // r
	Layers run.Number `json:"layers"` // n
	Phi    run.Number `json:"phi"`    // NaN if n is not more than once
	// Low and High hold φ with 95 %, from resampled seeds; NaN for a single seed.
	Low  run.Number `json:"low"`
	High run.Number `json:"high"`
}

// phis computes φ for each looped row and column of the task's metric. It needs unlooped models of at least three sizes beside it.
func (r *Results) phis() {
	for _, row := range r.Rows {
		a, err := loop.Parse(r.modelOf(row))
		if err != nil || row.Layers == row.Depth {
			continue
		}
		once, block, loops := parts(a)
		if loops == 1 {
			continue // several blocks loop
		}
		beside := r.unlooped(row)
		for j, column := range r.Columns {
			if r.Metrics[j] != r.Metric {
				continue
			}
			var sizes []int
			for _, n := range slices.Sorted(maps.Keys(beside)) {
				if len(beside[n].Stats[j].Values) > 0 {
					sizes = append(sizes, n)
				}
			}
			if len(sizes) < 3 || len(row.Stats[j].Values) == 0 {
				continue
			}
			of := func(pick func([]float64) []float64) (layers, phi float64) {
				var x, y []float64
				for _, n := range sizes {
					for _, v := range pick(beside[n].Stats[j].Values) {
						x, y = append(x, math.Log(float64(n))), append(y, v)
					}
				}
				beta, alpha := stat.LinearRegression(x, y, nil, false)
				layers = math.Exp((stat.Mean(pick(row.Stats[j].Values), nil) - beta) / alpha)
				return layers, math.Log((layers-float64(once))/float64(block)) / math.Log(float64(loops))
			}
			n, phi := of(func(v []float64) []float64 { return v })
			p := Phi{Labels: row.Labels, Column: column, Loops: loops, Layers: run.Number(n), Phi: run.Number(phi), Low: run.Number(math.NaN()), High: run.Number(math.NaN())}
			if len(row.Stats[j].Values) > 1 {
				low, high := resample(uint64(len(r.Phis)), func(again func([]float64) []float64) float64 {
					_, phi := of(again)
					if math.IsNaN(phi) { // worth less than the layers that run once
						phi = math.Inf(-1)
					}
					return phi
				})
				p.Low, p.High = run.Number(low), run.Number(high)
			}
			r.Phis = append(r.Phis, p)
		}
	}
}

// parts returns how many layers of a run once, how many are in its one block that loops, and how often that runs: 1 if no block
// loops, or several do.
func parts(a loop.Architecture) (once, block, loops int) {
	loops = 1
	for b, n := range a.Loops {
		switch {
		case n == 1:
			once += a.Sizes[b]
		case loops > 1:
			return 0, 0, 1
		default:
			block, loops = a.Sizes[b], n
		}
	}
	return once, block, loops
}

// modelOf is the architecture of a row.
func (r *Results) modelOf(row Row) string {
	for _, c := range r.finished {
		if slices.Equal(c.row, row.Labels) {
			return c.m.Model
		}
	}
	return ""
}

// PhiTable shows what loops are worth.
func (r *Results) PhiTable() [][]string {
	if len(r.Phis) == 0 {
		return nil
	}
	rows := [][]string{append(slices.Clone(r.Axes), "loops", "worth, layers", "φ", "95 %")}
	for _, p := range r.Phis {
		labels := slices.Clone(p.Labels)
		labels[len(labels)-1] = strings.TrimSpace(labels[len(labels)-1] + " " + p.Column)
		rows = append(rows, append(labels, fmt.Sprint(p.Loops), format.Fixed(float64(p.Layers), 2), exponent(p.Phi), interval(p.Low, p.High)))
	}
	return rows
}

func interval(low, high run.Number) string {
	if math.IsNaN(float64(low)) {
		return "–"
	}
	return exponent(low) + " to " + exponent(high)
}

// exponent writes φ, or that there is none: the model is worth less than its layers that run once.
func exponent(x run.Number) string {
	switch v := float64(x); {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, -1):
		return "−∞"
	}
	return format.Fixed(float64(x), 2)
}
