package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"coil/format"
	"coil/plot"
	"coil/run"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"style": func() template.CSS { return template.CSS(pageStyle) },
	"long":  long,
}).Parse(pageText))

// long reports whether a text has a word that must be broken on a narrow page.
func long(s string) bool {
	return slices.ContainsFunc(strings.Fields(s), func(word string) bool { return len(word) > 24 })
}

// page is what the template shows.
type page struct {
	Files     string // of the folder
	Title     string
	DarkPlots template.CSS
	Tables    []table // that compare runs
	Figures   []figure
	Runs      []section
}

// section is a run of a page.
type section struct {
	Number           int
	Color            string // in plots, if there are several runs
	ID               string
	Model, Words     string
	Status           Status
	Outcome, Failure string
	Facts            []fact
	Headlines        []headline
	Figures          []figure
	Training         []figure // of how training went, if this is the only run
	Tables           []table
	Samples          *table
	Log              *table
	Omitted          []string
	Config, Info     string
}

type fact struct{ Name, Text string }

// headline is a number to see first.
type headline struct {
	Name string
	cell
	Note string
}

type figure struct {
	Name, Caption string
	SVG           template.HTML
}

type table struct {
	Title, Note string
	Head        []string
	Rows        [][]cell
}

// cell is a place of a table. Value is the exact number of what Text shows, or "".
type cell struct {
	Text, Value string
	Bar         bool // of the share that Value is
	Color, Link string
	Class       string
}

// Percent is how long the bar is.
func (c cell) Percent() string {
	x, err := strconv.ParseFloat(c.Value, 64)
	if err != nil || math.IsNaN(x) {
		x = 0
	}
	return strconv.FormatFloat(100*min(1, max(0, x)), 'f', 1, 64)
}

func words(s string) cell { return cell{Text: printable(s, mostText)} }

// mostText is how many characters of a text are shown.
const mostText = 4000

// exact is a cell for a number that is never broken across lines.
func exact(x float64, text string) cell {
	return cell{Text: format.NoBreak(text), Value: strconv.FormatFloat(x, 'g', -1, 64), Class: "number"}
}

func optional(n *run.Number, write func(float64) string) cell {
	if n == nil {
		return cell{Text: "–", Class: "number"}
	}
	return exact(float64(*n), write(float64(*n)))
}

func bar(c cell) cell {
	c.Bar = true
	return c
}

// render makes the files of a report.
func render(records []*Record) ([]file, error) {
	p, charts := newPage(records)
	var plots []*plot.Chart
	var files []file
	for i := range charts {
		c := &charts[i]
		plots = append(plots, &c.Chart)
		files = append(files, file{c.name + ".svg", c.SVG(plot.Width, plot.Height)}, file{c.name + ".png", c.PNG(plot.Width, plot.Height)})
	}
	p.DarkPlots = template.CSS(plot.DarkStyle(plots...) + darkSwatches())
	for _, f := range files {
		p.Files += f.name + " "
	}
	index, err := p.encode()
	return append(files, file{indexName, index}), err
}

func (p *page) encode() ([]byte, error) {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, p)
	return b.Bytes(), err
}

// newPage makes the page, and returns the plots in it.
func newPage(records []*Record) (*page, []chart) {
	labels := labelsOf(records)
	p := &page{Title: title(records), Tables: comparison(records, labels)}
	var all []chart
	draw := func(charts []chart) []figure {
		all = append(all, charts...)
		return figures(charts)
	}
	results, training := overlays(records, labels)
	if len(records) == 1 {
		s := sectionOf(records[0])
		s.Figures, s.Training = draw(append(results, details(records[0], "")...)), draw(training)
		p.Runs = []section{s}
		return p, all
	}
	p.Figures = draw(append(results, training...))
	for i, r := range records {
		s := sectionOf(r)
		s.Number, s.Color = i+1, plot.Hex(plot.Color(i).Light)
		s.Figures = draw(details(r, fmt.Sprintf("run-%d-", i+1)))
		p.Runs = append(p.Runs, s)
	}
	return p, all
}

// darkSwatches is a style sheet that gives the runs' samples of their inks the dark ones.
func darkSwatches() string {
	var b strings.Builder
	b.WriteString("@media screen and (prefers-color-scheme: dark) {\n")
	for i := range plot.Colors {
		fmt.Fprintf(&b, ".swatch[style*=\"%s\"] { background: %s !important }\n", plot.Hex(plot.Color(i).Light), plot.Hex(plot.Color(i).Dark))
	}
	b.WriteString("}\n")
	return b.String()
}

// figures draws charts for a page.
func figures(charts []chart) []figure {
	var figures []figure
	for i := range charts {
		c := &charts[i]
		caption := c.caption
		if n := c.gaps(); n > 0 {
			caption = strings.TrimSpace(fmt.Sprintf("%s %s %s NaN or infinite.", caption, format.Plural(n, "value"), map[bool]string{true: "is", false: "are"}[n == 1]))
		}
		figures = append(figures, figure{c.name, caption, template.HTML(c.Element(plot.Width, plot.Height))}) // its texts are escaped
	}
	return figures
}

func title(records []*Record) string {
	if len(records) == 1 {
		r := records[0]
		return printable(cmp.Or(r.setup.Model, r.Info.ID), 100)
	}
	return format.Plural(len(records), "run")
}

// labelsOf gives runs short, distinct labels: their names, or else the random part of their ids, or else their whole ids;
// and their models, if these differ.
func labelsOf(records []*Record) []string {
	var labels []string
	for _, of := range []func(*Record) string{
		func(r *Record) string { return r.Info.Name },
		func(r *Record) string { return shortID(r.Info.ID) },
		func(r *Record) string { return r.Info.ID },
	} {
		labels = labels[:0]
		for _, r := range records {
			labels = append(labels, of(r))
		}
		if !slices.Contains(labels, "") && distinct(labels) {
			break
		}
	}
	if slices.ContainsFunc(records, func(r *Record) bool { return r.setup.Model != records[0].setup.Model }) {
		for i, r := range records {
			labels[i] += " " + r.setup.Model
		}
	}
	for i := range labels {
		labels[i] = printable(labels[i], 100)
	}
	return labels
}

// shortID is the random part of an id, and a name.
func shortID(id string) string {
	const stamp = "2006-01-02_15-04-05"
	if len(id) > len(stamp)+1 {
		if _, err := time.Parse(stamp, id[:len(stamp)]); err == nil {
			return id[len(stamp)+1:]
		}
	}
	return id
}

func distinct(labels []string) bool {
	seen := map[string]bool{}
	for _, l := range labels {
		seen[l] = true
	}
	return len(seen) == len(labels)
}

// comparison are the tables that set several runs beside each other.
func comparison(records []*Record, labels []string) []table {
	if len(records) == 1 {
		return nil
	}
	// Held-out comes first: on a phone, all that does not fit is scrolled to.
	results := table{Title: "Results", Head: []string{"run", "held-out", "best", "status", "parameters", "depth", "steps", "time", "loss"}}
	for i, r := range records {
		s := r.Summary()
		depth := cell{Text: "–", Class: "number"}
		if d := r.setup.Depth(); d > 0 {
			depth = exact(float64(d), count(d))
		}
		held := optional(s.HeldOut, percent)
		if s.HeldOut != nil {
			held.Text += " " + s.Metric.String()
		}
		run := words(labels[i])
		run.Color, run.Link = plot.Hex(plot.Color(i).Light), fmt.Sprint("#run-", i+1)
		results.Rows = append(results.Rows, []cell{run, held, optional(s.Best, percent), {Text: string(s.Status), Class: string(s.Status)},
			exact(float64(s.Parameters), count(s.Parameters)), depth, exact(float64(s.Steps), count(s.Steps)),
			exact(float64(s.Seconds), format.Seconds(float64(s.Seconds))), optional(s.Loss, format.Number)})
	}
	if len(records) > plot.Colors {
		results.Note = "In plots, runs with the same colour differ in their dashes and marks."
	}
	differences := table{Title: "Configuration", Note: "The keys that differ.", Head: append([]string{"key"}, labels...)}
	for _, key := range differing(records) {
		row := []cell{words(key)}
		for _, r := range records {
			v, ok := r.keys[key]
			if !ok {
				v = "–"
			}
			row = append(row, words(v))
		}
		differences.Rows = append(differences.Rows, row)
	}
	if len(differences.Rows) == 0 {
		differences.Note, differences.Head = "No key differs.", nil
	}
	return []table{results, differences}
}

// differing are the keys of configurations that do not have the same value in all, sorted.
func differing(records []*Record) []string {
	var keys []string
	for _, r := range records {
		for key := range r.keys {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.DeleteFunc(slices.Compact(keys), func(key string) bool {
		first, ok := records[0].keys[key]
		return !slices.ContainsFunc(records, func(r *Record) bool {
			v, has := r.keys[key]
			return has != ok || v != first
		})
	})
}
