package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"coil/format"
	"coil/plot"
)

// named is how a value of training is called, and drawn.
type named struct {
	value, file, title string
	unit               plot.Unit
	zero               bool // the axis holds 0
	log                bool // and is logarithmic if the values span many orders
	noisy              bool // it is shown smoothed too
}

// trained are the values of training with a separate plot, besides loss and accuracy, in order.
var trained = []named{
	{value: "lr", file: "learning-rate", title: "Learning rate", zero: true},
	{value: "grad_norm", file: "gradient-norm", title: "Gradient norm", log: true, noisy: true},
	{value: "tokens_per_second", file: "tokens-per-second", title: "Tokens per second of training", zero: true, noisy: true},
	{value: "memory", file: "memory", title: "Memory in use", unit: plot.Byte, zero: true},
	{value: "regularizer", file: "regularizer", title: "Regularizer"},
	{value: "loops", file: "loops", title: "Loops drawn", zero: true, noisy: true},
	{value: "data_wait", file: "data-wait", title: "Share of the time spent waiting for data", unit: plot.Share, zero: true, noisy: true},
	{value: "temperature", file: "temperature", title: "Temperature, °C"},
}

// shown reports whether a value of training is in a plot or a table, or says nothing as a curve.
func shown(name string) bool {
	for _, n := range trained {
		if n.value == name {
			return true
		}
	}
	switch name {
	case "loss", "accuracy", "tokens", "seconds", "memory_peak", "thermal", "low_power", "on_battery":
		return true
	}
	prefix, _, looped := loopOf(name)
	return looped && prefix == "loss" || strings.HasPrefix(name, "time_") || strings.HasPrefix(name, "cosine_")
}

// shownHeldOut reports the same of a value of evaluations.
func shownHeldOut(name string) bool {
	prefix, _, looped := loopOf(name)
	if !looped {
		prefix, _, _ = strings.Cut(name, " ") // of a kind
	}
	switch prefix {
	case "loss", "accuracy", "exact", "examples":
		return true
	}
	return looped && prefix == "change"
}

// loopOf takes a name such as accuracy_loop_3 apart.
func loopOf(name string) (prefix string, loop int, ok bool) {
	prefix, digits, ok := strings.Cut(name, "_loop_")
	loop, err := strconv.Atoi(digits)
	return prefix, loop, ok && err == nil && loop > 0
}

// loopsOf returns the loops that have a value with that prefix, in order.
func loopsOf[V any](values map[string]V, prefix string) []int {
	var loops []int
	for name := range values {
		if p, n, ok := loopOf(name); ok && p == prefix {
			loops = append(loops, n)
		}
	}
	slices.Sort(loops)
	return slices.Compact(loops)
}

func atLoop(prefix string, loop int) string { return fmt.Sprintf("%s_loop_%d", prefix, loop) }

// mostExtra is how many values that this version does not know get a plot.
const mostExtra = 12

// overlays are the plots with all runs in them: of what the runs have learnt, and of how their training went.
func overlays(records []*Record, labels []string) (results, training []chart) {
	o := overlay{records, labels}
	results = []chart{o.loss(), o.accuracy()}
	if slices.ContainsFunc(records, func(r *Record) bool { return r.metric() == "exact" }) {
		results = append(results, o.heldOut(bySteps("exact-match", "Held-out exact match", shares), "exact"))
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

// xy are points of a chart.
func xy(points []point) []plot.Point {
	out := make([]plot.Point, len(points))
	for i, p := range points {
		out[i] = plot.Point{X: p.x, Y: p.y}
	}
	return out
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
func (o overlay) curve(i int, name, label string, noisy bool) []plot.Series {
	l := plot.Series{Name: label, Points: xy(o.records[i].train[name]), Color: i}
	if !noisy || len(l.Points) < leastSmoothed {
		return []plot.Series{l}
	}
	raw := plot.Series{Points: l.Points, Color: i, Kind: plot.Faint}
	l.Points = smooth(l.Points)
	if len(o.records) > 3 { // as they are, they would hide each other
		return []plot.Series{l}
	}
	return []plot.Series{raw, l}
}

func (o overlay) trained(n named) chart {
	c := bySteps(n.file, n.title, plot.Axis{Unit: n.unit, Zero: n.zero})
	c.log = n.log
	for i := range o.records {
		c.Series = append(c.Series, o.curve(i, n.value, o.label(i), n.noisy)...)
	}
	return c
}

// both are the lines of a value of training and of its like on held-out examples.
func (o overlay) both(c chart, name string) chart {
	for i, r := range o.records {
		label, held, color, kind := o.labels[i], "", i, plot.Marks
		if len(o.records) == 1 {
			label, held, color, kind = "training", "held-out", i+1, plot.Marked
		} else if len(r.train[name]) == 0 {
			held = label
		}
		c.Series = append(c.Series, o.curve(i, name, label, true)...)
		c.Series = append(c.Series, plot.Series{Name: held, Points: xy(r.heldOut(name)), Color: color, Kind: kind})
	}
	if len(o.records) > 1 {
		c.caption = "Marks are of held-out examples."
	}
	return c
}

func (o overlay) loss() chart {
	return o.both(logged(bySteps("loss", "Loss", plot.Axis{})), "loss")
}

func (o overlay) accuracy() chart {
	return o.both(bySteps("accuracy", "Accuracy", shares), "accuracy")
}

// heldOut are the lines of a value of evaluations.
func (o overlay) heldOut(c chart, name string) chart {
	for i, r := range o.records {
		c.Series = append(c.Series, plot.Series{Name: o.label(i), Points: xy(r.heldOut(name)), Color: i, Kind: plot.Marked})
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
	c := chart{name: "last-by-loop", Chart: plot.Chart{Title: "After each loop, at the end", X: plot.Axis{Label: "loop", Unit: plot.Whole}, Y: shares}}
	for i, r := range o.records {
		l := plot.Series{Name: o.labels[i], Color: i, Kind: plot.Marked}
		values := r.evaluation().Values()
		for _, n := range loopsOf(values, r.metric()) {
			l.Points = append(l.Points, plot.Point{X: float64(n), Y: float64(values[atLoop(r.metric(), n)])})
		}
		c.Series = append(c.Series, l)
	}
	c.caption = "What the model predicts if the looped block ends after that loop: " + metrics(o.records) + "."
	return c
}

// metrics names what the runs' tasks are judged by.
func metrics(records []*Record) string {
	names := map[string]bool{}
	for _, r := range records {
		names[r.setup.Metric] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), " or ")
}

// extra are plots of the values that this version does not know.
func (o overlay) extra() []chart {
	train, heldOut := map[string]bool{}, map[string]bool{}
	for _, r := range o.records {
		for name := range r.train {
			train[name] = !shown(name)
		}
		for _, e := range r.evals {
			for name := range e.Values() {
				heldOut[name] = !shownHeldOut(name)
			}
		}
	}
	var charts []chart
	for _, name := range slices.Sorted(maps.Keys(train)) {
		if train[name] {
			charts = append(charts, o.trained(named{value: name, title: printable(name, 40)}))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(heldOut)) {
		if heldOut[name] {
			charts = append(charts, o.heldOut(bySteps("", "Held-out "+printable(name, 40), plot.Axis{}), name))
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
	metric := r.setup.Metric
	change := logged(bySteps("change-by-loop", "Change of the state in each loop", plot.Axis{Zero: true}))
	change.caption = "The norm of the change relative to the norm of the state before."
	charts := []chart{
		byLoop(bySteps("metric-by-loop", "Held-out "+metric+" after each loop", shares), heldOutValues(r), r.metric(), plot.Marked),
		byLoop(change, heldOutValues(r), "change", plot.Marked),
		byLoop(logged(bySteps("training-loss-by-loop", "Training loss after each loop", plot.Axis{})), r.train, "loss", plot.Line),
		byName(bySteps("kinds", "Held-out "+metric+" by kind", shares), heldOutValues(r), r.metric()+" ", plot.Marked),
		byName(bySteps("cosine", "Cosine between neighbouring layers", plot.Axis{}), r.train, "cosine_", plot.Line),
	}
	charts = slices.DeleteFunc(drawn(charts), func(c chart) bool { return len(c.Series) < 2 }) // what one line shows is in another plot
	for i := range charts {
		charts[i].name = prefix + charts[i].name
	}
	return charts
}

// heldOutValues are the curves of all values of evaluations.
func heldOutValues(r *Record) map[string][]point {
	curves := map[string][]point{}
	for _, e := range r.evals {
		for name, y := range e.Values() {
			curves[name] = append(curves[name], point{float64(e.Step), float64(y)})
		}
	}
	return curves
}

// byLoop has a line for each loop, the later the darker.
func byLoop(c chart, curves map[string][]point, prefix string, kind plot.Kind) chart {
	loops := loopsOf(curves, prefix)
	for i, n := range loops {
		c.Series = append(c.Series, plot.Series{Name: fmt.Sprint("loop ", n), Points: calm(curves[atLoop(prefix, n)], kind), Color: i, Of: len(loops), Kind: kind})
	}
	return c
}

// byName has a line for each value whose name starts with prefix, named by the rest.
func byName(c chart, curves map[string][]point, prefix string, kind plot.Kind) chart {
	for _, name := range slices.Sorted(maps.Keys(curves)) {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			c.Series = append(c.Series, plot.Series{Name: rest, Points: calm(curves[name], kind), Color: len(c.Series), Kind: kind})
		}
	}
	return c
}

// calm smooths what has no marks, the reports of training, where it is many.
func calm(points []point, kind plot.Kind) []plot.Point {
	if kind == plot.Marked || len(points) < leastSmoothed {
		return xy(points)
	}
	return smooth(xy(points))
}
