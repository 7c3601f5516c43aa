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
	"coil/run"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"style": func() template.CSS { return template.CSS(pageStyle) },
}).Parse(pageText))

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

// exact is a cell for a number, at no space of which a line ends.
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
	p, charts, err := newPage(records)
	if err != nil {
		return nil, err
	}
	p.DarkPlots = template.CSS(darkStyle(charts...) + darkSwatches())
	var files []file
	for _, c := range charts {
		picture, err := c.picture()
		if err != nil {
			return nil, fmt.Errorf("plot %s: %w", c.name, err)
		}
		files = append(files, file{c.name + ".svg", svgFile(c.body, darkStyle(c))}, file{c.name + ".png", picture})
	}
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
func newPage(records []*Record) (*page, []chart, error) {
	labels := labelsOf(records)
	p := &page{Title: title(records), Tables: comparison(records, labels)}
	var all []chart
	var failed error
	draw := func(charts []chart) []figure {
		f, err := figures(charts)
		failed = cmp.Or(failed, err)
		all = append(all, charts...)
		return f
	}
	results, training := overlays(records, labels)
	if len(records) == 1 {
		s := sectionOf(records[0])
		s.Figures, s.Training = draw(append(results, details(records[0], "")...)), draw(training)
		p.Runs = []section{s}
		return p, all, failed
	}
	p.Figures = draw(append(results, training...))
	for i, r := range records {
		s := sectionOf(r)
		s.Number, s.Color = i+1, hex(series(i).light)
		s.Figures = draw(details(r, fmt.Sprintf("run-%d-", i+1)))
		p.Runs = append(p.Runs, s)
	}
	return p, all, failed
}

// figures draws charts for a page, and keeps in them what is drawn.
func figures(charts []chart) ([]figure, error) {
	var figures []figure
	for i := range charts {
		c := &charts[i]
		var err error
		if c.body, err = c.svg(); err != nil {
			return nil, fmt.Errorf("plot %s: %w", c.name, err)
		}
		caption := c.caption
		if c.gaps > 0 {
			caption = strings.TrimSpace(fmt.Sprintf("%s %s without a finite number.", caption, format.Plural(c.gaps, "gap")))
		}
		// This is markup of a library that escapes its texts.
		figures = append(figures, figure{c.name, caption, template.HTML(svgInline(c.title, c.body))})
	}
	return figures, nil
}

func title(records []*Record) string {
	if len(records) == 1 {
		r := records[0]
		return printable(cmp.Or(r.setup.Model, r.Info.ID), 100)
	}
	return format.Plural(len(records), "run")
}

// labelsOf tells runs apart shortly: by their names, else by the part of their ids that is random, else by their ids; and
// by their models, if these differ.
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
			held.Text += " " + s.Metric
		}
		run := words(labels[i])
		run.Color, run.Link = hex(series(i).light), fmt.Sprint("#run-", i+1)
		results.Rows = append(results.Rows, []cell{run, held, optional(s.Best, percent), {Text: string(s.Status), Class: string(s.Status)},
			exact(float64(s.Parameters), count(s.Parameters)), depth, exact(float64(s.Steps), count(s.Steps)),
			exact(float64(s.Seconds), format.Seconds(float64(s.Seconds))), optional(s.Loss, format.Number)})
	}
	if len(records) > len(palette) {
		results.Note = "In plots, the lines of runs with the same colour differ in their dashes."
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
