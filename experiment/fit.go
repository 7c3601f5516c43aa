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

// fits fits, for each column, the unlooped models, and the looped ones of the fewest layers with their model of one loop.
func (r *Results) fits() {
	least := math.MaxInt
	for _, c := range r.finished {
		if c.m.Layers < c.m.Depth {
			least = min(least, c.m.Layers)
		}
	}
	for _, name := range r.Columns {
		for _, series := range []string{loopedSeries, unloopedSeries} {
			var depth, accuracy []float64
			for _, c := range r.finished {
				for _, k := range kindsOf(c.m.HeldOut) {
					in := series == unloopedSeries && c.m.Layers == c.m.Depth || series == loopedSeries && c.m.Layers == least
					if v, ok := value(c.m.Metric, c.m.HeldOut, k); ok && in && column(c.across, k) == name {
						depth, accuracy = append(depth, float64(c.m.Depth)), append(accuracy, v)
					}
				}
			}
			if f, err := LogFit(depth, accuracy); err == nil {
				f.Series, f.Column = series, name
				r.Fits = append(r.Fits, f)
			}
		}
	}
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
	rows := [][]string{{"fit", slope, "95 %", "β" + r.unit(), "R²", "cells"}}
	alphas := map[string]Fit{}
	for _, f := range r.Fits {
		rows = append(rows, []string{strings.TrimSpace(f.Series + " " + f.Column), r.figure(f.Alpha), fmt.Sprintf("%s to %s", r.figure(f.Low), r.figure(f.High)),
			r.figure(f.Beta), format.Fixed(float64(f.R2), 2), fmt.Sprint(f.Points)})
		alphas[f.Series+"\x00"+f.Column] = f
	}
	for _, c := range r.Columns {
		loop, ok1 := alphas[loopedSeries+"\x00"+c]
		base, ok2 := alphas[unloopedSeries+"\x00"+c]
		if ok1 && ok2 && base.Alpha != 0 {
			rows = append(rows, []string{strings.TrimSpace("looped / unlooped " + c), format.Fixed(float64(loop.Alpha/base.Alpha), 2), "", "", "", ""})
		}
	}
	return rows
}
