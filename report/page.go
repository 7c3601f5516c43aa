package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

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
	Files   string // of the folder
	Title   string
	Tables  []table // that compare runs
	Figures []figure
	Runs    []section
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

// exact is a cell for a number.
func exact(x float64, text string) cell {
	return cell{Text: text, Value: strconv.FormatFloat(x, 'g', -1, 64), Class: "number"}
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
	labels := labelsOf(records)
	p := page{Title: title(records), Tables: comparison(records, labels)}
	var files []file
	add := func(charts []chart) ([]figure, error) {
		var figures []figure
		for i := range charts {
			f, plots, err := charts[i].render()
			if err != nil {
				return nil, fmt.Errorf("plot %s: %w", charts[i].name, err)
			}
			figures, files = append(figures, f), append(files, plots...)
		}
		return figures, nil
	}
	var err error
	if p.Figures, err = add(overlays(records, labels)); err != nil {
		return nil, err
	}
	for i, r := range records {
		s := sectionOf(r)
		s.Number = i + 1
		prefix := ""
		if len(records) > 1 {
			s.Color, prefix = hex(series(i)), fmt.Sprintf("run-%d-", i+1)
		}
		if s.Figures, err = add(details(r, prefix)); err != nil {
			return nil, err
		}
		p.Runs = append(p.Runs, s)
	}
	for _, f := range files {
		p.Files += f.name + " "
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, err
	}
	return append(files, file{indexName, b.Bytes()}), nil
}

// render makes the chart's files, and its place in the page.
func (c *chart) render() (figure, []file, error) {
	body, err := c.svg()
	if err != nil {
		return figure{}, nil, err
	}
	png, err := c.picture()
	if err != nil {
		return figure{}, nil, err
	}
	caption := c.caption
	if n := c.gaps(); n > 0 {
		caption = strings.TrimSpace(fmt.Sprintf("%s %s of no finite number.", caption, plural(n, "gap")))
	}
	// What svgInline makes is markup by a library that escapes its texts.
	return figure{c.name, caption, template.HTML(svgInline(c.title, body))},
		[]file{{c.name + ".svg", svgFile(body)}, {c.name + ".png", png}}, nil
}

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func title(records []*Record) string {
	if len(records) == 1 {
		r := records[0]
		return printable(cmp.Or(r.setup.Model, r.Info.ID), 100)
	}
	return plural(len(records), "run")
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
	results := table{Title: "Results", Head: []string{"run", "status", "parameters", "depth", "steps", "time", "loss", "held-out", "best"}}
	for i, r := range records {
		s := r.Summary()
		depth := cell{Text: "–", Class: "number"}
		if d := r.setup.Depth(); d > 0 {
			depth = exact(float64(d), count(int64(d)))
		}
		held := optional(s.HeldOut, percent)
		if s.HeldOut != nil {
			held.Text += " " + s.Metric
		}
		run := words(labels[i])
		run.Color, run.Link = hex(series(i)), fmt.Sprint("#run-", i+1)
		results.Rows = append(results.Rows, []cell{run, {Text: string(s.Status), Class: string(s.Status)},
			exact(float64(s.Parameters), count(s.Parameters)), depth, exact(float64(s.Steps), count(int64(s.Steps))),
			exact(float64(s.Seconds), duration(float64(s.Seconds))), optional(s.Loss, decimal), held, optional(s.Best, percent)})
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
