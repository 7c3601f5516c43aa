package experiment

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"coil/format"
	"coil/run"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Fit is accuracy = α·ln(depth) + β, fitted by least squares to the cells of a series of models, each seed a point (Saunshi
// et al., arXiv 2502.17416, section 3.3: D is the effective depth k·L).
type Fit struct {
	Series string     `json:"series"` // looped or unlooped
	Column string     `json:"column"`
	Points int        `json:"points"`
	Alpha  run.Number `json:"alpha"`
	Beta   run.Number `json:"beta"`
	// The interval in which α lies with a confidence of 95 %, if the residuals are independent and normal:
	// α ± t·s_α, with Student's t for Points − 2 degrees of freedom.
	Low  run.Number `json:"low"`
	High run.Number `json:"high"`
	R2   run.Number `json:"r2"`
}

// LogFit fits accuracy = α·ln(depth) + β. It needs three points, and two different depths.
func LogFit(depth, accuracy []float64) (Fit, error) {
	n := len(depth)
	if n < 3 || slices.Min(depth) == slices.Max(depth) {
		return Fit{}, fmt.Errorf("a fit needs at least three cells and two different depths")
	}
	x := make([]float64, n)
	for i, d := range depth {
		x[i] = math.Log(d)
	}
	beta, alpha := stat.LinearRegression(x, accuracy, nil, false)
	var residual, spread float64
	mean := stat.Mean(x, nil)
	for i := range x {
		e := accuracy[i] - alpha*x[i] - beta
		residual += e * e
		spread += (x[i] - mean) * (x[i] - mean)
	}
	freedom := float64(n - 2)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: freedom}.Quantile(0.975)
	half := t * math.Sqrt(residual/freedom/spread)
	r2 := stat.RSquared(x, accuracy, nil, beta, alpha)
	return Fit{Points: n, Alpha: run.Number(alpha), Beta: run.Number(beta), Low: run.Number(alpha - half), High: run.Number(alpha + half), R2: run.Number(r2)}, nil
}

// The series of models that are fitted.
const (
	loopedSeries   = "looped"
	unloopedSeries = "unlooped"
)

// Ratio is the α of the looped models relative to that of the unlooped ones: 1 if a loop is worth a layer.
type Ratio struct {
	Column string     `json:"column"`
	Ratio  run.Number `json:"ratio"`
	// Low and High hold it with 95 %, from resampled seeds; NaN for a single seed.
	Low  run.Number `json:"low"`
	High run.Number `json:"high"`
}

// fits fits, for each column, the unlooped models, and the looped ones of the fewest layers with their model of one loop. Of models
// of equal layers and depth, which differ in how they are trained, the first counts.
func (r *Results) fits() {
	var unlooped, looped []Row
	least := math.MaxInt
	for _, row := range r.Rows {
		if row.Layers < row.Depth {
			least = min(least, row.Layers)
		}
	}
	for i, row := range r.Rows {
		if slices.ContainsFunc(r.Rows[:i], func(b Row) bool { return b.key == row.key && b.Layers == row.Layers && b.Depth == row.Depth }) {
			continue
		}
		if row.Layers == row.Depth {
			unlooped = append(unlooped, row)
		}
		if row.Layers == least {
			looped = append(looped, row)
		}
	}
	for j, name := range r.Columns {
		values := func(row Row) []float64 { return row.Stats[j].Values }
		loop, err1 := LogFit(points(looped, values))
		base, err2 := LogFit(points(unlooped, values))
		loop.Series, loop.Column, base.Series, base.Column = loopedSeries, name, unloopedSeries, name
		if err1 == nil {
			r.Fits = append(r.Fits, loop)
		}
		if err2 == nil {
			r.Fits = append(r.Fits, base)
		}
		if err1 != nil || err2 != nil || base.Alpha == 0 {
			continue
		}
		ratio := Ratio{Column: name, Ratio: loop.Alpha / base.Alpha, Low: run.Number(math.NaN()), High: run.Number(math.NaN())}
		if !slices.ContainsFunc(slices.Concat(looped, unlooped), func(row Row) bool { return len(values(row)) < 2 }) {
			low, high := resample(uint64(len(r.Ratios)), func(again func([]float64) []float64) float64 {
				drawn := func(row Row) []float64 { return again(values(row)) }
				loop, _ := LogFit(points(looped, drawn))
				base, _ := LogFit(points(unlooped, drawn))
				return float64(loop.Alpha / base.Alpha)
			})
			ratio.Low, ratio.High = run.Number(low), run.Number(high)
		}
		r.Ratios = append(r.Ratios, ratio)
	}
}

// points are the depths and the values of the cells of rows.
func points(rows []Row, values func(Row) []float64) (depth, value []float64) {
	for _, row := range rows {
		for _, v := range values(row) {
			depth, value = append(depth, float64(row.Depth)), append(value, v)
		}
	}
	return depth, value
}

// FitTable shows the fits as text, with the ratio of the α of looped models to that of unlooped ones.
func (r *Results) FitTable() [][]string {
	if len(r.Fits) == 0 {
		return nil
	}
	slope := "α per e-fold of depth"
	if r.Metric.IsShare() {
		slope = "α, points per e-fold of depth"
	}
	rows := [][]string{{"fit", slope, "95 %", "β" + unit(r.Metric), "R²", "cells"}}
	for _, f := range r.Fits {
		m := r.judgedBy(f.Column)
		rows = append(rows, []string{strings.TrimSpace(f.Series + " " + f.Column), figure(m, f.Alpha), fmt.Sprintf("%s to %s", figure(m, f.Low), figure(m, f.High)),
			figure(m, f.Beta), format.Fixed(float64(f.R2), 2), fmt.Sprint(f.Points)})
	}
	for _, x := range r.Ratios {
		rows = append(rows, []string{strings.TrimSpace("looped / unlooped " + x.Column), format.Fixed(float64(x.Ratio), 2), interval(x.Low, x.High), "", "", ""})
	}
	return rows
}
