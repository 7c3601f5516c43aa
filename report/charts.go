package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"coil/format"
	"coil/plot"
	"coil/run"
)

// named is how a value of training is called, and drawn.
type named struct {
	of          run.Key
	file, title string
	unit        plot.Unit
	zero        bool // the axis holds 0
	log         bool // and is logarithmic if the values span many orders
	noisy       bool // it is shown smoothed too
}

// trained are the values of training with a separate plot, besides loss and accuracy, in order.
var trained = []named{
	{of: run.Rate.Key(), file: "learning-rate", title: "Learning rate", zero: true},
	{of: run.GradNorm.Key(), file: "gradient-norm", title: "Gradient norm", log: true, noisy: true},
	{of: run.TokensPerSecond.Key(), file: "tokens-per-second", title: "Tokens per second of training", zero: true, noisy: true},
	{of: run.Memory.Key(), file: "memory", title: "Memory in use", unit: plot.Byte, zero: true},
	{of: run.Regularizer.Key(), file: "regularizer", title: "Regularizer"},
	{of: run.LoopCount.Key(), file: "loops", title: "Loops of a step", zero: true, noisy: true},
	{of: run.DataWait.Key(), file: "data-wait", title: "Share of the time spent waiting for data", unit: plot.Share, zero: true, noisy: true},
	{of: run.Temperature.Key(), file: "temperature", title: "Temperature, °C"},
}

// shown reports whether a value of training is in a plot or a table, or says nothing as a curve.
func shown(k run.Key) bool {
	switch {
	case k.Quantity == run.Loss && k.Part == "", k.Quantity == run.Time && k.Part != "", k.Quantity == run.Cosine && k.Part != "":
		return true
	case k != k.Quantity.Key():
		return false
	}
	switch k.Quantity {
	case run.Accuracy, run.Tokens, run.Epoch, run.Seconds, run.MemoryPeak, run.Thermal, run.LowPower, run.OnBattery:
		return true
	}
	return slices.ContainsFunc(trained, func(n named) bool { return n.of == k })
}

// shownHeldOut reports the same of a value of evaluations.
func shownHeldOut(k run.Key) bool {
	switch k.Quantity {
	case run.Loss, run.Accuracy, run.Exact, run.BitsPerByte, run.Examples:
		return true
	}
	return k.Quantity == run.Change && k.Loop > 0
}

// mostExtra is how many values that this version does not know get a plot.
const mostExtra = 12

// overlays are the plots with all runs in them: of what the runs have learnt, and of how their training went.
func overlays(records []*Record, labels []string) (results, training []chart) {
	o := overlay{records, labels}
	results = []chart{o.loss(), o.accuracy()}
	if slices.ContainsFunc(records, func(r *Record) bool { return r.judged() == run.Exact }) {
		results = append(results, o.heldOut(bySteps("exact-match", "Held-out exact match", shares), run.Exact.Key()))
	}
	if slices.ContainsFunc(records, func(r *Record) bool { return r.judged() == run.BitsPerByte }) {
		results = append(results, o.heldOut(bySteps("bits-per-byte", "Held-out bits per byte", plot.Axis{}), run.BitsPerByte.Key()))
	}
	if len(records) > 1 {
		results = append(results, o.lens())
	}
	for _, n := range trained {
		training = append(training, o.trained(n))
	}
	training = append(training, o.extra()...)
	return drawn(results), drawn(training)
}

// chart is a chart of a page, and of files of that name.
type chart struct {
	plot.Chart
	name, caption string
	log           bool // the y axis is logarithmic if the values span many orders
}

// shares are an axis from nothing to all.
var shares = plot.Axis{Unit: plot.Share, Zero: true, One: true}

// bySteps is a chart against steps.
func bySteps(name, title string, y plot.Axis) chart {
	return chart{name: name, Chart: plot.Chart{Title: title, X: plot.Axis{Label: "step", Unit: plot.Whole, Zero: true}, Y: y}}
}

// logged is a chart of positive values, whose axis is logarithmic if they span many orders.
func logged(c chart) chart {
	c.log = true
	return c
}

// drawn are the charts that have something to draw.
func drawn(charts []chart) []chart {
	charts = slices.DeleteFunc(charts, func(c chart) bool { return c.Empty() })
	for i := range charts {
		c := &charts[i]
		c.Y.Log = c.log && c.Wide()
	}
	return charts
}

// gaps is how many values of training and of evaluations are not finite.
func (c *chart) gaps() int {
	n := 0
	for _, s := range c.Series {
		if s.Kind == plot.Faint { // it is in the chart as a smooth line too
			continue
		}
		for _, p := range s.Points {
			if math.IsNaN(p.Y) || math.IsInf(p.Y, 0) {
				n++
			}
		}
	}
	return n
}

// leastSmoothed is how many points a line has that is worth smoothing.
const leastSmoothed = 50

// smooth is the moving average of points with the noise of the mean of a thirtieth of them.
func smooth(points []plot.Point) []plot.Point {
	return plot.Smooth(points, 1-2/(float64(len(points))/30+1))
}

// overlay makes plots with all runs in them.
type overlay struct {
	records []*Record
	labels  []string
}

// curve are the lines of a value of training: as it is, and if it is noisy that faint, and smoothed.
func (o overlay) curve(i int, key run.Key, label string, noisy bool) []plot.Series {
	l := plot.Series{Name: label, Points: o.records[i].trained(key), Color: i}
	if !noisy || len(l.Points) < leastSmoothed {
		return []plot.Series{l}
	}
	raw := plot.Series{Points: l.Points, Color: i, Kind: plot.Faint}
	l.Points = smooth(o.records[i].means(key))
	if len(o.records) > 3 { // as they are, they would hide each other
		return []plot.Series{l}
	}
	return []plot.Series{raw, l}
}

func (o overlay) trained(n named) chart {
	c := bySteps(n.file, n.title, plot.Axis{Unit: n.unit, Zero: n.zero})
	c.log = n.log
	for i := range o.records {
		c.Series = append(c.Series, o.curve(i, n.of, o.label(i), n.noisy)...)
	}
	return c
}

// both are the lines of a value of training and of its like on held-out examples.
func (o overlay) both(c chart, key run.Key) chart {
	for i, r := range o.records {
		label, held, color, kind := o.labels[i], "", i, plot.Marks
		if len(o.records) == 1 {
			label, held, color, kind = "training", "held-out", i+1, plot.Marked
		} else if len(r.trained(key)) == 0 {
			held = label
		}
		c.Series = append(c.Series, o.curve(i, key, label, true)...)
		c.Series = append(c.Series, plot.Series{Name: held, Points: r.heldOut(key), Color: color, Kind: kind})
	}
	if len(o.records) > 1 {
		c.caption = "Marks are of held-out examples."
	}
	return c
}

func (o overlay) loss() chart {
	return o.both(logged(bySteps("loss", "Loss", plot.Axis{})), run.Loss.Key())
}

func (o overlay) accuracy() chart {
	return o.both(bySteps("accuracy", "Accuracy", shares), run.Accuracy.Key())
}

// heldOut are the lines of a value of evaluations.
func (o overlay) heldOut(c chart, key run.Key) chart {
	for i, r := range o.records {
		c.Series = append(c.Series, plot.Series{Name: o.label(i), Points: r.heldOut(key), Color: i, Kind: plot.Marked})
	}
	return c
}

// label is what a run's line is called, where it is the only line of the run.
func (o overlay) label(i int) string {
	if len(o.records) == 1 {
		return ""
	}
	return o.labels[i]
}

// lens shows what the last evaluation of each run says about each loop.
func (o overlay) lens() chart {
	c := chart{name: "last-by-loop", Chart: plot.Chart{Title: "After each loop, at the end", X: plot.Axis{Label: "loop", Unit: plot.Whole}, Y: axisOf(o.records...)}}
	for i, r := range o.records {
		l := plot.Series{Name: o.labels[i], Color: i, Kind: plot.Marked}
		held, judged := &r.history.HeldOut, r.judged()
		for _, n := range run.Loops(held.CurrentKeys(), judged) {
			y, _ := held.Current(judged.After(n))
			l.Points = append(l.Points, plot.Point{X: float64(n), Y: y})
		}
		c.Series = append(c.Series, l)
	}
	c.caption = "What the model predicts if the looped block ends after that loop: " + metrics(o.records) + "."
	return c
}

// axisOf is the axis of what the runs' tasks are judged by.
func axisOf(records ...*Record) plot.Axis {
	if slices.ContainsFunc(records, func(r *Record) bool { return !r.setup.Metric.IsShare() }) {
		return plot.Axis{}
	}
	return shares
}

// metrics names what the runs' tasks are judged by.
func metrics(records []*Record) string {
	names := map[string]bool{}
	for _, r := range records {
		names[r.setup.Metric.String()] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), " or ")
}

// extra are plots of the values that this version does not know.
func (o overlay) extra() []chart {
	train, heldOut := map[run.Key]bool{}, map[run.Key]bool{}
	for _, r := range o.records {
		for _, k := range r.history.Train.Keys() {
			train[k] = !shown(k)
		}
		for _, k := range r.history.HeldOut.Keys() {
			heldOut[k] = !shownHeldOut(k)
		}
	}
	byName := func(a, b run.Key) int { return cmp.Compare(a.String(), b.String()) }
	var charts []chart
	for _, k := range slices.SortedFunc(maps.Keys(train), byName) {
		if train[k] {
			charts = append(charts, o.trained(named{of: k, title: printable(k.String(), 40)}))
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(heldOut), byName) {
		if heldOut[k] {
			charts = append(charts, o.heldOut(bySteps("", "Held-out "+printable(k.String(), 40), plot.Axis{}), k))
		}
	}
	charts = drawn(charts)
	if left := len(charts) - mostExtra; left > 0 {
		charts = charts[:mostExtra]
		charts[mostExtra-1].caption = fmt.Sprintf("There are %s without a plot.", format.Plural(left, "more value"))
	}
	for i := range charts {
		charts[i].name = fmt.Sprintf("value-%d", i+1)
	}
	return charts
}

// details are the plots of a run for itself. Their files' names begin with prefix.
func details(r *Record, prefix string) []chart {
	metric, judged := r.setup.Metric.String(), r.judged()
	training, heldOut := drawnSeries{&r.history.Train, plot.Line}, drawnSeries{&r.history.HeldOut, plot.Marked}
	change := logged(bySteps("change-by-loop", "Change of the state in each loop", plot.Axis{Zero: true}))
	change.caption = "The norm of the change relative to the norm of the state before."
	charts := []chart{
		heldOut.byLoop(bySteps("metric-by-loop", "Held-out "+metric+" after each loop", axisOf(r)), judged),
		heldOut.byLoop(change, run.Change),
		training.byLoop(logged(bySteps("training-loss-by-loop", "Training loss after each loop", plot.Axis{})), run.Loss),
		heldOut.byPart(bySteps("kinds", "Held-out "+metric+" by kind", axisOf(r)), judged),
		training.byPart(bySteps("cosine", "Cosine between neighbouring layers", plot.Axis{}), run.Cosine),
	}
	charts = slices.DeleteFunc(drawn(charts), func(c chart) bool { return len(c.Series) < 2 }) // what one line shows is in another plot
	for i := range charts {
		charts[i].name = prefix + charts[i].name
	}
	return charts
}

// drawnSeries is the curves of one kind of event, and how they are drawn.
type drawnSeries struct {
	of   *run.Series
	kind plot.Kind
}

// byLoop has a line for each loop, the later the darker.
func (d drawnSeries) byLoop(c chart, q run.Quantity) chart {
	loops := run.Loops(d.of.Keys(), q)
	for i, n := range loops {
		c.Series = append(c.Series, plot.Series{Name: fmt.Sprint("loop ", n), Points: d.points(q.After(n)), Color: i, Of: len(loops), Kind: d.kind})
	}
	return c
}

// byPart has a line for each part that has a value, labelled with the part's name.
func (d drawnSeries) byPart(c chart, q run.Quantity) chart {
	for _, part := range run.Parts(d.of.Keys(), q) {
		c.Series = append(c.Series, plot.Series{Name: part, Points: d.points(q.Of(part)), Color: len(c.Series), Kind: d.kind})
	}
	return c
}

// points are those of a curve, smoothed if it is one of the reports of training, without marks, and they are many.
func (d drawnSeries) points(k run.Key) []plot.Point {
	all := points(d.of, k)
	if d.kind == plot.Marked || len(all) < leastSmoothed {
		return all
	}
	return smooth(means(d.of, k))
}
