package theory

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"coil/plot"
	"coil/run"
)

// The tones of a trace's cells.
const (
	faint  = -1 // nothing, or replaced later
	strong = 1
)

// Trace follows the first example, a step at a time.
func (c *Construction) Trace(a Arithmetic, snap bool) *run.Trace {
	e := c.Examples[0]
	var states [][][]float64
	c.eachLoop(e, a, snap, len(e.Exact(a)), func(x [][]float64) { states = append(states, convert[float64](x)) })
	return e.Trace(states)
}

// WriteTrace writes a trace as text.
func WriteTrace(w io.Writer, t *run.Trace) {
	rows := [][]string{t.Columns}
	for _, r := range t.Rows {
		line, below, more := []string{r.Label}, []string{""}, false
		for _, c := range r.Cells {
			line, below = append(line, c.Text), append(below, c.Below)
			more = more || c.Below != ""
		}
		rows = append(rows, line)
		if more {
			rows = append(rows, below)
		}
	}
	fmt.Fprintf(w, "%s\n\n", t.About)
	writeColumns(w, rows)
	if t.Note != "" {
		fmt.Fprintf(w, "\n%s\n", t.Note)
	}
}

// Picture is a trace as a picture with a title.
func Picture(t *run.Trace, title string) *plot.Grid {
	g := &plot.Grid{Title: title, Columns: t.Columns, Note: t.Note}
	for _, r := range t.Rows {
		row := plot.GridRow{Label: r.Label}
		for _, c := range r.Cells {
			row.Cells = append(row.Cells, plot.GridCell{Text: c.Text, Below: c.Below, Tone: c.Tone, From: c.From})
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

// writeColumns writes rows, the first column to the left and the others to the right.
func writeColumns(w io.Writer, rows [][]string) {
	var widths []int
	for _, r := range rows {
		for i, s := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(s))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for i, s := range r {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(s))
			if i == 0 {
				line.WriteString(s + gap)
			} else {
				line.WriteString("  " + gap + s)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// window is the last columns that a trace shows.
type window struct{ first int }

// from are the columns of positions in the row above, without those that aren't shown.
func (w window) from(positions ...int) (columns []int) {
	for _, p := range positions {
		if p >= w.first {
			columns = append(columns, p-w.first)
		}
	}
	return columns
}
