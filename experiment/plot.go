package experiment

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"coil/plot"
)

// Plots returns the plots that have data, by the name of their files.
func (r *Results) Plots() map[string]*plot.Chart {
	plots := map[string]*plot.Chart{}
	add := func(name string, c *plot.Chart) {
		if !c.Empty() {
			plots[name] = c
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

// chart is a chart of the metric.
func (r *Results) chart(title string, x plot.Axis) *plot.Chart {
	y := plot.Axis{Label: r.Metric.String()}
	if r.Metric.IsShare() {
		y = plot.Axis{Unit: plot.Share, Zero: true, One: true}
	}
	return &plot.Chart{Title: title, X: x, Y: y}
}

// fileName is a name of small letters, digits and hyphens.
func fileName(s string) string {
	parts := strings.FieldsFunc(strings.ToLower(s), func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') })
	return strings.Join(parts, "-")
}

// depthPlot plots a column against depth: a line for the unlooped models, and one for each number of looped layers, which
// starts at its model with one loop. Every cell is a mark.
func (r *Results) depthPlot(column int) *plot.Chart {
	p := r.chart(r.title(column), plot.Axis{Label: "effective depth, layers", Unit: plot.Whole})
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
		mean := plot.Series{Name: label, Color: color}
		cells := plot.Series{Color: color, Kind: plot.Marks}
		for _, row := range rows {
			if v := float64(row.Stats[column].Mean); !math.IsNaN(v) {
				mean.Points = append(mean.Points, plot.Point{X: float64(row.Depth), Y: v})
			}
			for _, v := range row.Stats[column].Values {
				cells.Points = append(cells.Points, plot.Point{X: float64(row.Depth), Y: v})
			}
		}
		p.Series = append(p.Series, mean, cells)
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
		fit := plot.Series{Name: fmt.Sprintf("%s: α = %s", f.Series, r.figure(f.Alpha)), Color: color, Kind: plot.Faint}
		for x := 1.0; x <= r.deepest(); x += 0.25 {
			fit.Points = append(fit.Points, plot.Point{X: x, Y: float64(f.Alpha)*math.Log(x) + float64(f.Beta)})
		}
		p.Series = append(p.Series, fit)
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
	return title + " · " + r.Metric.String()
}

// loopPlot is the metric of looped models against the loops that they are run with, a line for each row, with a mark where they
// were trained.
func (r *Results) loopPlot() *plot.Chart {
	p := r.chart(r.Title+" · "+r.Metric.String(), plot.Axis{Label: "loops", Unit: plot.Whole})
	counts := map[int]bool{}
	for _, c := range r.finished {
		for _, l := range c.m.Loops {
			counts[l.Loops] = true
		}
	}
	for i, row := range r.Rows {
		l := plot.Series{Name: strings.Join(row.Labels, ", "), Color: i}
		mark := plot.Series{Color: i, Kind: plot.Marks}
		for _, n := range slices.Sorted(maps.Keys(counts)) {
			v, trained := r.atLoops(row, n)
			if math.IsNaN(v) {
				continue
			}
			l.Points = append(l.Points, plot.Point{X: float64(n), Y: v})
			if trained {
				mark.Points = append(mark.Points, plot.Point{X: float64(n), Y: v})
			}
		}
		if len(l.Points) > 1 {
			p.Series = append(p.Series, l, mark)
		}
	}
	return p
}

// curvePlot plots held-out accuracy against held-out loss along training: of two models with equal loss, the one with the higher
// accuracy reasons better (the iso-plots of Saunshi et al., arXiv 2502.17416).
func (r *Results) curvePlot() *plot.Chart {
	p := r.chart(r.Title+" · "+r.Metric.String()+" at equal loss", plot.Axis{Label: "held-out loss"})
	for i, row := range r.Rows {
		l := plot.Series{Name: strings.Join(row.Labels, ", "), Color: i, Kind: plot.Marks}
		for _, c := range r.finished {
			if !slices.Equal(c.row, row.Labels) {
				continue
			}
			for _, m := range c.m.History {
				l.Points = append(l.Points, plot.Point{X: float64(m.Loss), Y: m.Metric})
			}
		}
		if len(l.Points) > 0 {
			p.Series = append(p.Series, l)
		}
	}
	return p
}
