package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"coil/format"
)

// named is how a value of training is called, and drawn.
type named struct {
	value, file, title string
	scale              scale
	zero, log          bool
	noisy              bool // it is shown smoothed too
}

// trained are the values of training that have a plot of their own, besides loss and accuracy, in order.
var trained = []named{
	{value: "lr", file: "learning-rate", title: "Learning rate", zero: true},
	{value: "grad_norm", file: "gradient-norm", title: "Gradient norm", log: true, noisy: true},
	{value: "tokens_per_second", file: "tokens-per-second", title: "Tokens per second of training", zero: true, noisy: true},
	{value: "memory", file: "memory", title: "Memory in use", scale: memory, zero: true},
	{value: "regularizer", file: "regularizer", title: "Regularizer"},
	{value: "loops", file: "loops", title: "Loops drawn", zero: true, noisy: true},
	{value: "data_wait", file: "data-wait", title: "Share of the time spent waiting for data", scale: shares, zero: true, noisy: true},
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

// loopsOf are the loops of which there is a value with that prefix, in order.
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
		results = append(results, o.heldOut(chart{name: "exact-match", title: "Held-out exact match", scale: shares, zero: true, one: true}, "exact"))
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

// drawn are the charts that have something to draw.
func drawn(charts []chart) []chart {
	return slices.DeleteFunc(charts, func(c chart) bool {
		_, _, ok := c.bounds()
		return !ok
	})
}

// overlay makes plots with all runs in them.
type overlay struct {
	records []*Record
	labels  []string
}

// curve are the lines of a value of training: as it is, and if it is noisy that faint, and smoothed.
func (o overlay) curve(i int, name, label string, noisy bool) []line {
	l := line{label: label, points: o.records[i].train[name], color: series(i), row: i / len(palette)}
	if !noisy || len(l.points) < leastSmoothed {
		return []line{l}
	}
	raw := line{points: l.points, color: l.color, kind: faint}
	l.points = smooth(l.points)
	if len(o.records) > 3 { // as they are, they would hide each other
		return []line{l}
	}
	return []line{raw, l}
}

func (o overlay) trained(n named) chart {
	c := chart{name: n.file, title: n.title, x: bySteps, scale: n.scale, zero: n.zero, log: n.log}
	for i, r := range o.records {
		c.lines = append(c.lines, o.curve(i, n.value, o.label(i), n.noisy)...)
		c.gaps += gaps(r.train[n.value])
	}
	return c
}

// both are the lines of a value of training and of its like on held-out examples.
func (o overlay) both(c chart, name string) chart {
	for i, r := range o.records {
		label, held, color, kind := o.labels[i], "", series(i), marks
		if len(o.records) == 1 {
			label, held, color, kind = "training", "held-out", series(i+1), marked
		} else if len(r.train[name]) == 0 {
			held = label
		}
		c.lines = append(c.lines, o.curve(i, name, label, true)...)
		evals := r.heldOut(name)
		c.lines = append(c.lines, line{label: held, points: evals, color: color, kind: kind})
		c.gaps += gaps(r.train[name]) + gaps(evals)
	}
	if len(o.records) > 1 {
		c.caption = "Marks are of held-out examples."
	}
	return c
}

func (o overlay) loss() chart {
	return o.both(chart{name: "loss", title: "Loss", x: bySteps, log: true}, "loss")
}

func (o overlay) accuracy() chart {
	return o.both(chart{name: "accuracy", title: "Accuracy", x: bySteps, scale: shares, zero: true, one: true}, "accuracy")
}

// heldOut are the lines of a value of evaluations.
func (o overlay) heldOut(c chart, name string) chart {
	c.x = bySteps
	for i, r := range o.records {
		points := r.heldOut(name)
		c.lines = append(c.lines, line{label: o.label(i), points: points, color: series(i), row: i / len(palette), kind: marked})
		c.gaps += gaps(points)
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

// lens is what the last evaluation of each run tells of each loop.
func (o overlay) lens() chart {
	c := chart{name: "last-by-loop", title: "After each loop, at the end", x: byLoops, scale: shares, zero: true, one: true}
	for i, r := range o.records {
		l := line{label: o.labels[i], color: series(i), row: i / len(palette), kind: marked}
		values := r.evaluation().Values()
		for _, n := range loopsOf(values, r.metric()) {
			l.points = append(l.points, point{float64(n), float64(values[atLoop(r.metric(), n)])})
		}
		c.lines = append(c.lines, l)
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
			charts = append(charts, o.heldOut(chart{title: "Held-out " + printable(name, 40)}, name))
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
	charts := []chart{
		byLoop(chart{name: "metric-by-loop", title: "Held-out " + metric + " after each loop", scale: shares, zero: true, one: true}, heldOutValues(r), r.metric(), marked),
		byLoop(chart{name: "change-by-loop", title: "Change of the state in each loop", zero: true, log: true,
			caption: "The norm of the change relative to the norm of the state before."}, heldOutValues(r), "change", marked),
		byLoop(chart{name: "training-loss-by-loop", title: "Training loss after each loop", log: true}, r.train, "loss", solid),
		byName(chart{name: "kinds", title: "Held-out " + metric + " by kind", scale: shares, zero: true, one: true}, heldOutValues(r), r.metric()+" ", marked),
		byName(chart{name: "cosine", title: "Cosine between neighbouring layers"}, r.train, "cosine_", solid),
	}
	charts = slices.DeleteFunc(drawn(charts), func(c chart) bool { return len(c.lines) < 2 }) // what one line shows is in another plot
	for i := range charts {
		charts[i].name = prefix + charts[i].name
		charts[i].x = bySteps
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
func byLoop(c chart, curves map[string][]point, prefix string, kind lineKind) chart {
	loops := loopsOf(curves, prefix)
	for i, n := range loops {
		c.lines = append(c.lines, line{label: fmt.Sprint("loop ", n), points: calm(curves[atLoop(prefix, n)], kind), color: shade(i, len(loops)), kind: kind})
	}
	return c
}

// byName has a line for each value whose name begins with prefix, called by the rest of it.
func byName(c chart, curves map[string][]point, prefix string, kind lineKind) chart {
	for _, name := range slices.Sorted(maps.Keys(curves)) {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			c.lines = append(c.lines, line{label: rest, points: calm(curves[name], kind), color: series(len(c.lines)), kind: kind})
		}
	}
	return c
}

// calm smooths what has no marks, the reports of training, where it is many.
func calm(points []point, kind lineKind) []point {
	if kind == marked || len(points) < leastSmoothed {
		return points
	}
	return smooth(points)
}
