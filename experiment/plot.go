package experiment

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"coil/report"
)

// Plots returns the plots that have data, by the name of their files.
func (r *Results) Plots() map[string]report.Plot {
	plots := map[string]report.Plot{}
	add := func(name string, p report.Plot) {
		if len(p.Lines) > 0 {
			plots[name] = p
		}
	}
	for i, column := range r.Columns {
		name := "depth"
		if i > 0 {
			name += "-" + fileName(column)
		}
		add(name, r.depthPlot(i))
	}
	add("loops", r.loopPlot())
	if r.grid.Measure.Curve {
		add("curve", r.curvePlot())
	}
	return plots
}

// fileName is a name of small letters, digits and hyphens.
func fileName(s string) string {
	parts := strings.FieldsFunc(strings.ToLower(s), func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') })
	return strings.Join(parts, "-")
}

// depthPlot plots a column against depth: a line for the unlooped models, and one for each number of looped layers, which
// starts at its model with one loop. Every cell is a mark.
func (r *Results) depthPlot(column int) report.Plot {
	p := report.Plot{Title: r.title(column), X: "effective depth, layers", Whole: true, Share: true}
	if !slices.ContainsFunc(r.Rows, func(a Row) bool { return a.Depth != r.Rows[0].Depth }) {
		return p
	}
	line := func(label string, color int, in func(Row) bool) {
		var rows []Row
		for _, row := range r.Rows {
			if in(row) && row.key == r.Rows[0].key {
				rows = append(rows, row)
			}
		}
		slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(a.Depth, b.Depth) })
		if len(rows) < 2 {
			return
		}
		mean := report.Line{Label: label, Color: color}
		cells := report.Line{Color: color, Style: report.Marks}
		for _, row := range rows {
			mean.X, mean.Y = append(mean.X, float64(row.Depth)), append(mean.Y, float64(row.Stats[column].Mean))
			for _, v := range row.Stats[column].Values {
				cells.X, cells.Y = append(cells.X, float64(row.Depth)), append(cells.Y, v)
			}
		}
		p.Lines = append(p.Lines, mean, cells)
	}
	line("unlooped layers", 0, func(row Row) bool { return row.Layers == row.Depth })
	var looped []int
	for _, row := range r.Rows {
		if row.Layers < row.Depth && !slices.Contains(looped, row.Layers) {
			looped = append(looped, row.Layers)
		}
	}
	slices.Sort(looped)
	for i, k := range looped {
		label := fmt.Sprintf("%d layers, looped", k)
		if k == 1 {
			label = "1 layer, looped"
		}
		line(label, i+1, func(row Row) bool { return row.Layers == k })
	}
	for _, f := range r.Fits {
		if f.Column != r.Columns[column] {
			continue
		}
		color := 0
		if f.Series == loopedSeries {
			color = 1
		}
		fit := report.Line{Label: fmt.Sprintf("%s: α = %.1f", f.Series, 100*f.Alpha), Color: color, Style: report.Faint}
		for x := 1.0; x <= r.deepest(); x += 0.25 {
			fit.X, fit.Y = append(fit.X, x), append(fit.Y, float64(f.Alpha)*math.Log(x)+float64(f.Beta))
		}
		p.Lines = append(p.Lines, fit)
	}
	return p
}

func (r *Results) deepest() float64 {
	most := 1
	for _, row := range r.Rows {
		most = max(most, row.Depth)
	}
	return float64(most)
}

func (r *Results) title(column int) string {
	title := r.Title
	if c := r.Columns[column]; c != "" {
		title += ": " + c
	}
	return title + " · " + r.Metric
}

// loopPlot is the metric of looped models against the loops that they are run with, a line for each row, with a mark where they
// were trained.
func (r *Results) loopPlot() report.Plot {
	p := report.Plot{Title: r.Title + " · " + r.Metric, X: "loops", Whole: true, Share: true}
	counts := map[int]bool{}
	for _, c := range r.finished {
		for _, l := range c.m.Loops {
			counts[l.Loops] = true
		}
	}
	for i, row := range r.Rows {
		l := report.Line{Label: strings.Join(row.Labels, ", "), Color: i}
		mark := report.Line{Color: i, Style: report.Marks}
		for _, n := range slices.Sorted(maps.Keys(counts)) {
			v, trained := r.atLoops(row, n)
			if math.IsNaN(v) {
				continue
			}
			l.X, l.Y = append(l.X, float64(n)), append(l.Y, v)
			if trained {
				mark.X, mark.Y = append(mark.X, float64(n)), append(mark.Y, v)
			}
		}
		if len(l.X) > 1 {
			p.Lines = append(p.Lines, l, mark)
		}
	}
	return p
}

// curvePlot plots held-out accuracy against held-out loss along training: of two models with equal loss, the one with the higher
// accuracy reasons better (the iso-plots of Saunshi et al., arXiv 2502.17416).
func (r *Results) curvePlot() report.Plot {
	p := report.Plot{Title: r.Title + " · " + r.Metric + " at equal loss", X: "held-out loss", Share: true}
	for i, row := range r.Rows {
		l := report.Line{Label: strings.Join(row.Labels, ", "), Color: i, Style: report.Marks}
		for _, c := range r.finished {
			if !slices.Equal(c.row, row.Labels) {
				continue
			}
			for _, m := range c.m.History {
				l.X, l.Y = append(l.X, float64(m.Loss)), append(l.Y, m.Metric)
			}
		}
		if len(l.X) > 0 {
			p.Lines = append(p.Lines, l)
		}
	}
	return p
}
