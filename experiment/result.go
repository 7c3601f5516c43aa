package experiment

import (
	"bytes"
	"encoding/csv"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"coil/encode"
	"coil/eval"
	"coil/metric"
	"coil/run"
	"coil/text"

	"gonum.org/v1/gonum/stat"
)

// Results is what a folder's cells have come to.
type Results struct {
	Name     string        `json:"name"`
	Title    string        `json:"title"`
	Question string        `json:"question"`
	Metric   metric.Metric `json:"metric"`
	Finished int           `json:"finished"` // cells
	Cells    int           `json:"cells"`
	Axes     []string      `json:"axes"` // titles of the labels of rows
	// Columns are the measured quantities: a kind of held-out examples, or the reasoning primitives, at a point of the axes that go
	// across; "" if there is only one.
	Columns []string        `json:"columns"`
	Metrics []metric.Metric `json:"metrics"` // what each column is judged by
	Rows    []Row           `json:"rows"`
	Gaps    []GapInterval   `json:"gaps,omitempty"`
	Fits    []Fit           `json:"fits,omitempty"`
	Ratios  []Ratio         `json:"ratios,omitempty"`
	Phis    []Phi           `json:"phis,omitempty"`
	Failed  []Failure       `json:"failed,omitempty"`
	Damaged []Failure       `json:"damaged,omitempty"` // run.json of a cell's run; the cell counts all the same

	finished  []finished
	grid      Grid
	questions map[string]int // that all models answer, by the column of primitives
}

// Failure describes the failure of a cell. Paths in the folder of the experiment are relative to it, because results are copied to
// other places.
type Failure struct {
	Cell string `json:"cell"`
	Why  string `json:"why"`
}

func (f *Folder) failure(c Cell, why string) Failure {
	paths := []string{f.Path}
	if resolved, err := filepath.EvalSymlinks(f.Path); err == nil { // as run.View does
		paths = append(paths, resolved)
	}
	for _, path := range paths {
		begins := regexp.MustCompile(`(^|[^/\pL\d])` + regexp.QuoteMeta(path+string(filepath.Separator)))
		why = begins.ReplaceAllString(why, "$1")
	}
	return Failure{c.Title(), why}
}

// Row is the cells of one combination, of all seeds.
type Row struct {
	Labels []string `json:"labels"`
	Layers int      `json:"layers"` // parameters relative to one layer
	Depth  int      `json:"depth"`  // FLOPs relative to one layer
	Stats  []Stat   `json:"stats"`  // a value for each column
	// Gap is, for a looped model and by column, how much of the way its mean goes from the model of equal parameters to the model of
	// equal FLOPs: [Gap]. It is empty if the grid lacks one of them.
	Gap []run.Number `json:"gap,omitempty"`
	// Similarity is the mean over seeds of the cosine between neighbouring blocks, by kind of weight.
	Similarity map[string]run.Number `json:"similarity,omitempty"`
	// Seconds is the mean time of training over seeds.
	Seconds run.Number `json:"seconds"`

	key string // the labels except that of the model
}

// Stat is a metric over seeds.
type Stat struct {
	Values []float64  `json:"values"` // by seed, as far as cells are finished
	Mean   run.Number `json:"mean"`
	Spread run.Number `json:"spread"` // the sample standard deviation, NaN for a single seed
	Best   run.Number `json:"best"`   // the largest, or the smallest if that is better
}

func newStat(values []float64, m metric.Metric) Stat {
	s := Stat{Values: values, Mean: run.Number(math.NaN()), Spread: run.Number(math.NaN()), Best: run.Number(math.NaN())}
	if len(values) > 0 {
		s.Mean, s.Best = run.Number(stat.Mean(values, nil)), run.Number(slices.Max(values))
		if m.Lower() {
			s.Best = run.Number(slices.Min(values))
		}
	}
	if len(values) > 1 {
		s.Spread = run.Number(stat.StdDev(values, nil))
	}
	return s
}

// spread is the standard deviation over seeds as far as it is known.
func (s Stat) spread() float64 {
	if math.IsNaN(float64(s.Spread)) {
		return 0
	}
	return float64(s.Spread)
}

// Gap is how much of the way from a worse value to a better one another has come, in percent (Saunshi et al., arXiv
// 2502.17416): (x − low) / (high − low). It is NaN if low and high are less than least apart: there is no way to speak of.
func Gap(x, low, high, least float64) float64 {
	if !(math.Abs(high-low) >= least) {
		return math.NaN()
	}
	return 100 * (x - low) / (high - low)
}

// leastGap is the smallest difference of accuracies for which a gap is reported: one point, or the sum of the two spreads over
// seeds, or what guesswork returns, if that is larger.
const leastGap = 0.01

// finished is a finished cell, with its position in the table.
type finished struct {
	cell   Cell
	row    []string // labels of axes that go down
	across []string // and across
	m      Measures
}

// Gather reads the finished cells of a folder.
func (f *Folder) Gather() (*Results, error) {
	r := &Results{Name: f.Grid.Name, Title: f.Grid.Title, Question: f.Grid.Question, Cells: len(f.Cells), grid: f.Grid}
	for _, a := range f.Grid.Axes {
		if !a.Across {
			r.Axes = append(r.Axes, a.head())
		}
	}
	for _, c := range f.Cells {
		state, why, err := f.State(c)
		if err != nil {
			return nil, err
		}
		for _, err := range f.Damage(c) {
			r.Damaged = append(r.Damaged, f.failure(c, err.Error()))
		}
		if state == Failed {
			r.Failed = append(r.Failed, f.failure(c, why))
		}
		if state != Done {
			continue
		}
		m, err := readMeasures(f.RunPath(c))
		if err != nil {
			return nil, err
		}
		done := finished{cell: c, m: m}
		for i, a := range f.Grid.Axes {
			if a.Across {
				done.across = append(done.across, c.Labels[i])
			} else {
				done.row = append(done.row, c.Labels[i])
			}
		}
		r.Finished++
		r.Metric = m.Metric
		r.finished = append(r.finished, done)
	}
	r.columns()
	r.rows()
	r.gaps()
	if r.grid.Measure.Phi {
		r.phis()
	}
	if f.Grid.Measure.Fit {
		r.fits()
	}
	return r, nil
}

// head is what the axis is called.
func (a Axis) head() string {
	if a.Name != "" {
		return a.Name
	}
	return a.Key[strings.LastIndex(a.Key, ".")+1:]
}

// kindsOf are the kinds of examples that a result has, "" being all of them together.
func kindsOf(r eval.Result) []string {
	kinds := []string{""}
	for _, k := range r.Kinds {
		kinds = append(kinds, k.Kind)
	}
	return kinds
}

// value is the metric of a kind.
func value(m metric.Metric, r eval.Result, kind string) (float64, bool) {
	s := r.Score
	if kind != "" {
		i := slices.IndexFunc(r.Kinds, func(s eval.Score) bool { return s.Kind == kind })
		if i < 0 {
			return 0, false
		}
		s = r.Kinds[i]
	}
	return s.Value(m), true
}

// column is how a column is called.
func column(across []string, kind string) string {
	parts := slices.Clone(across)
	if kind != "" {
		parts = append(parts, kind)
	}
	return strings.Join(parts, " · ")
}

// quantity is a measured quantity of a cell.
type quantity struct {
	column string
	metric metric.Metric
	value  float64

	questions int // how many questions the value, a share of right answers, rests on; 0 for other quantities
}

// primitivesColumn is the name of the column of the reasoning primitives.
const primitivesColumn = "primitives"

// quantities are what was measured of a cell, a column each.
func (c finished) quantities() []quantity {
	var all []quantity
	for _, k := range kindsOf(c.m.HeldOut) {
		if v, ok := value(c.m.Metric, c.m.HeldOut, k); ok {
			all = append(all, quantity{column: column(c.across, k), metric: c.m.Metric, value: v})
		}
	}
	if p := c.m.Primitives; p != nil {
		all = append(all, quantity{column(c.across, primitivesColumn), metric.Accuracy, p.Accuracy, p.Questions})
	}
	return all
}

func (r *Results) columns() {
	for _, c := range r.finished {
		for _, q := range c.quantities() {
			if !slices.Contains(r.Columns, q.column) {
				r.Columns, r.Metrics = append(r.Columns, q.column), append(r.Metrics, q.metric)
			}
			if q.questions > 0 {
				if r.questions == nil {
					r.questions = map[string]int{}
				}
				r.questions[q.column] = q.questions
			}
		}
	}
}

func (r *Results) rows() {
	at := map[string]int{}
	values := map[string][][]float64{}
	for _, c := range r.finished {
		name := strings.Join(c.row, "\x00")
		if _, ok := at[name]; !ok {
			at[name] = len(r.Rows)
			r.Rows = append(r.Rows, Row{Labels: c.row, Layers: c.m.Layers, Depth: c.m.Depth, key: r.withoutModel(c.row)})
			values[name] = make([][]float64, len(r.Columns))
		}
		for _, q := range c.quantities() {
			i := slices.Index(r.Columns, q.column)
			values[name][i] = append(values[name][i], q.value)
		}
	}
	for name, i := range at {
		for j, v := range values[name] {
			r.Rows[i].Stats = append(r.Rows[i].Stats, newStat(v, r.Metrics[j]))
		}
		r.Rows[i].Similarity = r.similarity(r.Rows[i].Labels)
		r.Rows[i].Seconds = r.seconds(r.Rows[i].Labels)
	}
}

// withoutModel joins the labels except that of the axis of models.
func (r *Results) withoutModel(labels []string) string {
	var parts []string
	i := 0
	for _, a := range r.grid.Axes {
		if a.Across {
			continue
		}
		if !a.models() {
			parts = append(parts, labels[i])
		}
		i++
	}
	return strings.Join(parts, "\x00")
}

// seconds is the mean time of training over the seeds of a row.
func (r *Results) seconds(labels []string) run.Number {
	var values []float64
	for _, c := range r.finished {
		if slices.Equal(c.row, labels) {
			values = append(values, c.m.Seconds)
		}
	}
	return run.Number(stat.Mean(values, nil))
}

// similarity is the mean over the seeds of a row.
func (r *Results) similarity(labels []string) map[string]run.Number {
	sum, n := map[string]float64{}, map[string]float64{}
	for _, c := range r.finished {
		if slices.Equal(c.row, labels) {
			for name, v := range c.m.Similarity {
				sum[name] += float64(v)
				n[name]++
			}
		}
	}
	if len(sum) == 0 {
		return nil
	}
	mean := map[string]run.Number{}
	for name := range sum {
		mean[name] = run.Number(sum[name] / n[name])
	}
	return mean
}

// GapInterval is a [Row.Gap] with the interval that holds it with 95 %, from resampled seeds.
type GapInterval struct {
	Labels []string   `json:"labels"`
	Column string     `json:"column,omitempty"`
	Gap    run.Number `json:"gap"`
	Low    run.Number `json:"low"`
	High   run.Number `json:"high"`
}

// gaps compares each looped row with the unlooped rows of equal parameters and of equal FLOPs.
func (r *Results) gaps() {
	for i, row := range r.Rows {
		beside := r.unlooped(row)
		low, ok1 := beside[row.Layers]
		high, ok2 := beside[row.Depth]
		if row.Layers == row.Depth || !ok1 || !ok2 {
			continue
		}
		for j, s := range row.Stats {
			a, b := low.Stats[j], high.Stats[j]
			gap := Gap(float64(s.Mean), float64(a.Mean), float64(b.Mean), max(leastGap, a.spread()+b.spread(), r.guesswork(r.Columns[j], a, b)))
			r.Rows[i].Gap = append(r.Rows[i].Gap, run.Number(gap))
			if !math.IsNaN(gap) && min(len(s.Values), len(a.Values), len(b.Values)) > 1 {
				from, to := resample(uint64(len(r.Gaps)), func(again func([]float64) []float64) float64 {
					mean := func(s Stat) float64 { return stat.Mean(again(s.Values), nil) }
					return Gap(mean(s), mean(a), mean(b), 0)
				})
				r.Gaps = append(r.Gaps, GapInterval{row.Labels, r.Columns[j], run.Number(gap), run.Number(from), run.Number(to)})
			}
		}
	}
}

// guesswork is two standard errors of the difference of two models' shares of right answers, as if each answer were a throw of
// a coin; 0 for a column that is not of questions. Models that guess can differ by that much.
func (r *Results) guesswork(column string, a, b Stat) float64 {
	n := r.questions[column]
	if n == 0 {
		return 0
	}
	variance := func(p float64) float64 { return p * (1 - p) / float64(n) }
	return 2 * math.Sqrt(variance(float64(a.Mean))+variance(float64(b.Mean)))
}

// unlooped are the unlooped models beside a row by their number of layers, the first of each.
func (r *Results) unlooped(row Row) map[int]Row {
	all := map[int]Row{}
	for _, b := range r.Rows {
		if _, ok := all[b.Layers]; !ok && b.key == row.key && b.Layers == b.Depth {
			all[b.Layers] = b
		}
	}
	return all
}

// CSV has a line for each cell, loop count and kind of examples.
func (r *Results) CSV() ([]byte, error) {
	var b strings.Builder
	w := csv.NewWriter(&b)
	head := []string{"cell"}
	for _, a := range r.grid.Axes {
		head = append(head, text.Line(a.head()))
	}
	w.Write(append(head, "seed", "architecture", "layers", "depth", "parameters", "steps", "seconds", "loops", "examples_of", "examples", "loss", "accuracy", "exact"))
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	for _, c := range r.finished {
		results := c.m.Loops
		if results == nil {
			results = []eval.Result{c.m.HeldOut}
		}
		for _, res := range results {
			for _, s := range append([]eval.Score{res.Score}, res.Kinds...) {
				kind := s.Kind
				if kind == "" {
					kind = "all"
				}
				line := []string{c.cell.Name}
				for _, label := range c.cell.Labels {
					line = append(line, text.Line(label))
				}
				w.Write(append(line, strconv.FormatUint(c.cell.Seed, 10), c.m.Model, strconv.Itoa(c.m.Layers), strconv.Itoa(c.m.Depth),
					strconv.FormatInt(c.m.Parameters, 10), strconv.Itoa(c.m.Steps), number(c.m.Seconds), strconv.Itoa(res.Loops),
					kind, strconv.Itoa(s.Examples), number(float64(s.Loss)), number(s.Accuracy), number(s.Exact)))
			}
		}
	}
	w.Flush()
	return []byte(b.String()), w.Error()
}

// JSON is the results whole.
func (r *Results) JSON() ([]byte, error) {
	var b bytes.Buffer
	err := encode.JSON(&b, r)
	return b.Bytes(), err
}
