package experiment

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"coil/metric"
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
		add("flops", r.flopPlot())
		add("parameters", r.parameterPlot())
	}
	return plots
}

// chart is a chart of a metric.
func chart(m metric.Metric, title string, x plot.Axis) *plot.Chart {
	y := plot.Axis{Label: m.String()}
	if m.IsShare() {
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
	p := chart(r.Metrics[column], r.title(column), plot.Axis{Label: "effective depth, layers", Unit: plot.Whole})
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
		fit := plot.Series{Name: fmt.Sprintf("%s: α = %s", f.Series, figure(r.Metrics[column], f.Alpha)), Color: color, Kind: plot.Faint}
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
	return title + " · " + r.Metrics[column].String()
}

// loopPlot is the metric of looped models against the loops that they are run with, a line for each row, with a mark where they
// were trained.
func (r *Results) loopPlot() *plot.Chart {
	p := chart(r.Metric, r.Title+" · "+r.Metric.String(), plot.Axis{Label: "loops", Unit: plot.Whole})
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
// accuracy reasons better (the iso-plots of Saunshi et al., arXiv 2502.17416). Models of text have the accuracy of reasoning primitives
// instead, after training, because their loss is what they are judged by.
func (r *Results) curvePlot() *plot.Chart {
	m, title := r.Metric, r.Title
	if !m.IsShare() {
		m, title = metric.Accuracy, title+": "+primitivesColumn
	}
	p := chart(m, title+" · "+m.String()+" at equal loss", plot.Axis{Label: "held-out loss"})
	r.marks(p, func(c finished) (points []plot.Point) {
		if r.Metric.IsShare() {
			for _, m := range c.m.History {
				points = append(points, plot.Point{X: float64(m.Loss), Y: m.Metric})
			}
		} else if c.m.Primitives != nil {
			points = append(points, plot.Point{X: float64(c.m.HeldOut.Loss), Y: c.m.Primitives.Accuracy})
		}
		return points
	})
	return p
}

// flopPlot plots the metric against the FLOPs of training so far: of the marks above each other, the best is that of the model that
// uses equal FLOPs best. A step counts three forward passes, at the mean
// number of loops over training.
func (r *Results) flopPlot() *plot.Chart {
	p := chart(r.Metric, r.Title+" · "+r.Metric.String()+" at equal FLOPs", plot.Axis{Label: "TFLOPs of training"})
	r.marks(p, func(c finished) (points []plot.Point) {
		step := 3 * float64(c.m.FLOPs) * float64(c.m.Tokens) / float64(c.m.Steps) / 1e12
		for _, m := range c.m.History {
			points = append(points, plot.Point{X: float64(m.Step) * step, Y: m.Metric})
		}
		return points
	})
	return p
}

// parameterPlot plots the metric against the number of parameters: of the marks above each other, the best is that of the model that
// uses equal parameters best.
func (r *Results) parameterPlot() *plot.Chart {
	p := chart(r.Metric, r.Title+" · "+r.Metric.String()+" at equal parameters", plot.Axis{Label: "thousand parameters"})
	r.marks(p, func(c finished) []plot.Point {
		v, _ := value(c.m.Metric, c.m.HeldOut, "")
		return []plot.Point{{X: float64(c.m.Parameters) / 1000, Y: v}}
	})
	return p
}

// marks adds the points of each row's cells.
func (r *Results) marks(p *plot.Chart, of func(finished) []plot.Point) {
	for i, row := range r.Rows {
		l := plot.Series{Name: strings.Join(row.Labels, ", "), Color: i, Kind: plot.Marks}
		for _, c := range r.finished {
			if slices.Equal(c.row, row.Labels) {
				l.Points = append(l.Points, of(c)...)
			}
		}
		if len(l.Points) > 0 {
			p.Series = append(p.Series, l)
		}
	}
}
