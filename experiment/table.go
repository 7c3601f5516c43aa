package experiment

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"coil/eval"
	"coil/format"
	"coil/metric"
	"coil/run"
	"coil/text"

	"gonum.org/v1/gonum/stat"
)

// Table is rows of text; the first is the header.
type Table struct {
	Title string // "" for the first
	Rows  [][]string
}

// Tables are the tables there are: [Results.Table], accuracy at other loop counts, exits, similarity by kind of weight, reasoning
// primitives, gaps, fits and φ.
func (r *Results) Tables() []Table {
	var tables []Table
	for _, t := range []Table{
		{"", r.Table()},
		{r.Metric.String() + " after each number of loops" + r.unit() + "; * as trained", r.LoopTable()},
		{"a learned exit at probability q", r.ExitTable()},
		{"training-free exits: the fewest loops with which a rule loses at most one point", r.FreeExitTable()},
		{"similarity of neighbouring blocks, by kind of weight", r.SimilarityTable()},
		{"reasoning primitives, % right", r.PrimitiveTable()},
		{"the way from the model of equal parameters to that of equal FLOPs", r.GapTable()},
		{r.Metric.String() + " = α·ln(depth) + β", r.FitTable()},
		{"what loops are worth: layers that run once + loops^φ · layers that loop", r.PhiTable()},
	} {
		if len(t.Rows) > 1 {
			tables = append(tables, t)
		}
	}
	return tables
}

// mostCounts is how many loop counts a table has.
const mostCounts = 16

// LoopTable is the mean metric over seeds of looped models at other loop counts than trained, which are marked.
func (r *Results) LoopTable() [][]string {
	counts := map[int]bool{}
	for _, c := range r.finished {
		for _, l := range c.m.Loops {
			counts[l.Loops] = true
		}
	}
	columns := thin(slices.Sorted(maps.Keys(counts)), mostCounts)
	if len(columns) == 0 {
		return nil
	}
	head := slices.Clone(r.Axes)
	for _, n := range columns {
		head = append(head, strconv.Itoa(n))
	}
	rows := [][]string{head}
	for _, row := range r.Rows {
		cells := slices.Clone(row.Labels)
		any := false
		for _, n := range columns {
			mean, trained := r.atLoops(row, n)
			text := r.figure(run.Number(mean))
			if trained {
				text += "*"
			}
			any = any || !math.IsNaN(mean)
			cells = append(cells, text)
		}
		if any {
			rows = append(rows, cells)
		}
	}
	return rows
}

// ExitTable is, for models with a learned exit, what each threshold costs and saves: the mean over seeds of the loops that a
// position runs, and of the metric there.
func (r *Results) ExitTable() [][]string {
	var rows [][]string
	for _, row := range r.Rows {
		sums := map[float64][3]float64{} // loops, metric, cells
		full := 0
		for _, c := range r.finished {
			if !slices.Equal(c.row, row.Labels) {
				continue
			}
			for _, x := range c.m.Exits {
				v, _ := value(c.m.Metric, eval.Result{Score: x.Score}, "")
				s := sums[x.Threshold]
				sums[x.Threshold] = [3]float64{s[0] + x.Loops, s[1] + v, s[2] + 1}
				full = c.m.HeldOut.Loops
			}
		}
		for _, q := range slices.Sorted(maps.Keys(sums)) {
			s := sums[q]
			loops := s[0] / s[2]
			rows = append(rows, append(slices.Clone(row.Labels), fmt.Sprint(q), fmt.Sprintf("%s of %d", format.Fixed(loops, 2), full),
				format.Percent(1-loops/float64(full), 0), r.figure(run.Number(s[1]/s[2]))))
		}
	}
	if rows == nil {
		return nil
	}
	head := append(slices.Clone(r.Axes), "q", "loops", "saved", r.Metric.String()+r.unit())
	return append([][]string{head}, rows...)
}

// mostCost is by how much of the metric an exit in [Results.FreeExitTable] is worse than all loops, at most: a point.
const mostCost = 0.01

// FreeExitTable is, for looped models, what training-free exits save: of each rule the threshold at which a position runs the
// fewest loops while the metric is at most mostCost below that after all loops, all of them means over seeds. What each
// threshold costs is in the cells' measures.
func (r *Results) FreeExitTable() [][]string {
	if !r.Metric.IsShare() { // the rules are judged by right answers
		return nil
	}
	head := append(slices.Clone(r.Axes), "exit", "threshold", "loops", "saved", r.Metric.String()+", %", "after all")
	rows := [][]string{head}
	for _, row := range r.Rows {
		var cells []finished
		for _, c := range r.finished {
			rules := len(c.m.FreeExits)
			if slices.Equal(c.row, row.Labels) && rules > 1 && (cells == nil || rules == len(cells[0].m.FreeExits)) {
				cells = append(cells, c)
			}
		}
		if len(cells) == 0 {
			continue
		}
		means := make([]eval.ExitView, len(cells[0].m.FreeExits))
		for i := range means {
			means[i].ExitRule = cells[0].m.FreeExits[i].ExitRule
			for _, c := range cells {
				x := c.m.FreeExits[i]
				v, _ := value(c.m.Metric, eval.Result{Score: eval.Score{Accuracy: x.Accuracy, Exact: x.Exact}}, "")
				means[i].Loops += x.Loops / float64(len(cells))
				means[i].Accuracy += v / float64(len(cells))
			}
		}
		loops := cells[0].m.HeldOut.Loops
		all := means[len(means)-2] // the last fixed count
		for len(means) > 0 {
			n := 1
			for n < len(means) && means[n].Rule == means[0].Rule {
				n++
			}
			best, threshold := all, "none"
			for _, x := range means[:n] {
				if x.Loops < best.Loops && x.Accuracy >= all.Accuracy-mostCost {
					best, threshold = x, fmt.Sprint(x.Threshold)
				}
			}
			if means[0].Rule == "oracle" {
				threshold = ""
			}
			rows = append(rows, append(slices.Clone(row.Labels), means[0].Rule, threshold, fmt.Sprintf("%s of %d", format.Fixed(best.Loops, 2), loops),
				format.Percent(1-best.Loops/float64(loops), 0), r.figure(run.Number(best.Accuracy)), r.figure(run.Number(all.Accuracy))))
			means = means[n:]
		}
	}
	if len(rows) == 1 {
		return nil
	}
	return rows
}

// thin reduces a list evenly to at most n items, and keeps the first and the last.
func thin(list []int, n int) []int {
	if len(list) <= n {
		return list
	}
	var few []int
	for i := range n {
		few = append(few, list[i*(len(list)-1)/(n-1)])
	}
	return few
}

// atLoops returns the mean metric of a row's cells at a loop count, over all columns, or NaN if there is none; trained reports
// whether they were trained with it.
func (r *Results) atLoops(row Row, count int) (mean float64, trained bool) {
	var values []float64
	for _, c := range r.finished {
		if !slices.Equal(c.row, row.Labels) {
			continue
		}
		for _, l := range c.m.Loops {
			if v, _ := value(c.m.Metric, l, ""); l.Loops == count {
				values = append(values, v)
				trained = trained || count == c.m.HeldOut.Loops
			}
		}
	}
	if len(values) == 0 {
		return math.NaN(), false
	}
	return stat.Mean(values, nil), trained
}

// SimilarityTable is the mean cosine between neighbouring blocks over seeds, by kind of weight.
func (r *Results) SimilarityTable() [][]string {
	groups := map[string]bool{}
	for _, row := range r.Rows {
		for g := range row.Similarity {
			groups[g] = g != meanSimilarity
		}
	}
	if len(groups) == 0 {
		return nil
	}
	delete(groups, meanSimilarity)
	names := slices.Sorted(maps.Keys(groups))
	rows := [][]string{append(slices.Clone(r.Axes), names...)}
	for _, row := range r.Rows {
		if row.Similarity == nil {
			continue
		}
		cells := slices.Clone(row.Labels)
		for _, g := range names {
			cells = append(cells, format.Fixed(float64(row.Similarity[g]), 3))
		}
		rows = append(rows, cells)
	}
	return rows
}

// Table is the rows as text: the poster's columns, then for each column the mean and spread over seeds, and the maximum; the
// gap, if there is any, and the similarity.
func (r *Results) Table() [][]string {
	head := append(slices.Clone(r.Axes), "params/FLOPs")
	gaps := slices.ContainsFunc(r.Rows, func(row Row) bool { return row.Gap != nil })
	alike := slices.ContainsFunc(r.Rows, func(row Row) bool { return row.Similarity != nil })
	for j := range r.Columns {
		best := "max"
		if r.Metrics[j].Lower() {
			best = "min"
		}
		head = append(head, r.heading(j)+unit(r.Metrics[j]), best)
		if gaps {
			head = append(head, "gap %")
		}
	}
	if alike {
		head = append(head, "similarity")
	}
	if r.grid.Measure.Time {
		head = append(head, "time")
	}
	rows := [][]string{head}
	for _, row := range r.Rows {
		cells := append(slices.Clone(row.Labels), fmt.Sprintf("%dx/%dx", row.Layers, row.Depth))
		for j, s := range row.Stats {
			cells = append(cells, stated(r.Metrics[j], s), figure(r.Metrics[j], s.Best))
			if gaps {
				gap := ""
				if row.Gap != nil && !math.IsNaN(float64(row.Gap[j])) {
					gap = format.Points(float64(row.Gap[j])/100, 0)
				}
				cells = append(cells, gap)
			}
		}
		if alike {
			text := ""
			if v, ok := row.Similarity[meanSimilarity]; ok {
				text = format.Fixed(float64(v), 3)
			}
			cells = append(cells, text)
		}
		if r.grid.Measure.Time {
			cells = append(cells, format.Seconds(float64(row.Seconds)))
		}
		rows = append(rows, cells)
	}
	return rows
}

// heading is what a column is called: the metric's name, or "all" beside the kinds of examples, if it has no name of its own.
func (r *Results) heading(column int) string {
	switch {
	case r.Columns[column] != "":
		return r.Columns[column]
	case len(r.Columns) > 1 && r.Metrics[1] == r.Metric:
		return "all"
	}
	return r.Metric.String()
}

// judgedBy is the metric of a column.
func (r *Results) judgedBy(column string) metric.Metric {
	return r.Metrics[slices.Index(r.Columns, column)]
}

// PrimitiveTable is the share of right answers by primitive: the mean over seeds and their spread, and what blind choices reach.
func (r *Results) PrimitiveTable() [][]string {
	var rows [][]string
	var blind []string
	for _, row := range r.Rows {
		var scores []eval.PrimitiveResult
		for _, c := range r.finished {
			if slices.Equal(c.row, row.Labels) && c.m.Primitives != nil {
				scores = append(scores, *c.m.Primitives)
			}
		}
		if len(scores) == 0 {
			continue
		}
		cells := slices.Clone(row.Labels)
		if rows == nil {
			rows = [][]string{slices.Clone(r.Axes)}
			blind = append(append(blind, "blind choice"), make([]string, len(r.Axes)-1)...)
		}
		for i := range scores[0].Kinds {
			var values []float64
			for _, s := range scores {
				values = append(values, s.Kinds[i].Accuracy)
			}
			cells = append(cells, stated(metric.Accuracy, newStat(values, metric.Accuracy)))
			if len(rows) == 1 {
				k := scores[0].Kinds[i]
				rows[0] = append(rows[0], k.Kind)
				blind = append(blind, percent(run.Number(k.Chance)))
			}
		}
		rows = append(rows, cells)
	}
	if rows == nil {
		return nil
	}
	return append(rows, blind)
}

// GapTable shows the gaps that have an interval.
func (r *Results) GapTable() [][]string {
	rows := [][]string{append(slices.Clone(r.Axes), "gap %", "95 %")}
	for _, g := range r.Gaps {
		labels := slices.Clone(g.Labels)
		labels[len(labels)-1] = strings.TrimSpace(labels[len(labels)-1] + " " + g.Column)
		points := func(x run.Number) string { return format.Points(float64(x)/100, 0) }
		rows = append(rows, append(labels, points(g.Gap), points(g.Low)+" to "+points(g.High)))
	}
	return rows
}

// stated is the mean and the spread.
func stated(m metric.Metric, s Stat) string {
	if len(s.Values) < 2 {
		return figure(m, s.Mean)
	}
	return fmt.Sprintf("%s ± %s", figure(m, s.Mean), figure(m, s.Spread))
}

// figure is a value of the task's metric.
func (r *Results) figure(x run.Number) string { return figure(r.Metric, x) }

// figure is a value of a metric: a share in percent, any other to the third digit, and "–" if there is none.
func figure(m metric.Metric, x run.Number) string {
	if m.IsShare() || math.IsNaN(float64(x)) {
		return percent(x)
	}
	return format.Fixed(float64(x), 3)
}

// unit is what stands behind the task's metric in a header.
func (r *Results) unit() string { return unit(r.Metric) }

// unit is what stands behind a metric's name in a header.
func unit(m metric.Metric) string {
	if m.IsShare() {
		return ", %"
	}
	return ""
}

// percent is a share in percent, or "" if there is none.
func percent(x run.Number) string {
	if math.IsNaN(float64(x)) {
		return "–"
	}
	return format.Points(float64(x), 1)
}

// Markdown is a table for a page.
func Markdown(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		cells := make([]string, len(row))
		for j, cell := range row {
			cells[j] = text.Cell(cell)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(row)) + "\n")
		}
	}
	return b.String()
}
