package tui

import (
	"fmt"

	"coil/run"
	"coil/tui/canvas"

	"github.com/mattn/go-runewidth"
)

// traceLines draw an example that is followed loop by loop, the row of the running loop marked, below a heading, each in an area of
// one line. Of a table that is too wide they show the last columns, where the answer is.
func traceLines(width int, t *run.Trace, step, running int) []func(canvas.Area) {
	labels, widths := 0, make([]int, max(0, len(t.Columns)-1))
	for i, c := range t.Columns {
		if i == 0 {
			labels = runewidth.StringWidth(c)
		} else {
			widths[i-1] = runewidth.StringWidth(c)
		}
	}
	for _, r := range t.Rows {
		labels = max(labels, runewidth.StringWidth(r.Label))
		for i, c := range r.Cells[:min(len(r.Cells), len(widths))] {
			widths[i] = max(widths[i], runewidth.StringWidth(c.Text), runewidth.StringWidth(c.Below))
		}
	}
	const mark, gap = 1, 2
	first, need := len(widths), mark+labels
	for first > 0 && need+gap+widths[first-1] <= width {
		first--
		need += gap + widths[first]
	}
	// row draws a label and the cells of the columns that are shown.
	row := func(a canvas.Area, label string, labelStyle canvas.Style, cell func(i int) (string, canvas.Style)) {
		a.Text(mark, 0, label, labelStyle)
		x := mark + labels
		for i := first; i < len(widths); i++ {
			text, style := cell(i)
			a.Text(x+gap+widths[i]-runewidth.StringWidth(text), 0, text, style)
			x += gap + widths[i]
		}
	}
	lines := []func(canvas.Area){
		func(a canvas.Area) {
			a.Text(0, 0, fmt.Sprintf("an example, loop by loop · step %d", step), canvas.Dim)
		},
		func(a canvas.Area) {
			label := ""
			if len(t.Columns) > 0 {
				label = t.Columns[0]
			}
			row(a, label, canvas.Dim, func(i int) (string, canvas.Style) { return t.Columns[i+1], canvas.Dim })
		},
	}
	for _, r := range t.Rows {
		at := func(i int) (c run.TraceCell) {
			if i < len(r.Cells) {
				c = r.Cells[i]
			}
			return c
		}
		below := false
		for i := range r.Cells {
			below = below || r.Cells[i].Below != ""
		}
		lines = append(lines, func(a canvas.Area) {
			style := canvas.Plain
			if r.Loop > 0 && r.Loop == running {
				style = canvas.Accent
				a.Text(0, 0, "▶", style)
			}
			row(a, r.Label, style, func(i int) (string, canvas.Style) { return at(i).Text, toneStyle(at(i).Tone) })
		})
		if below {
			lines = append(lines, func(a canvas.Area) {
				row(a, "", canvas.Plain, func(i int) (string, canvas.Style) { return at(i).Below, toneStyle(min(0, at(i).Tone)) })
			})
		}
	}
	for _, text := range []string{t.About, t.Note} {
		if text != "" {
			lines = append(lines, func(a canvas.Area) { a.Text(0, 0, text, canvas.Dim) })
		}
	}
	return append(lines, func(canvas.Area) {})
}

// toneStyle is the style of a cell of a trace.
func toneStyle(tone int) canvas.Style {
	switch {
	case tone < 0:
		return canvas.Dim
	case tone == 0:
		return canvas.Plain
	case tone == 1:
		return canvas.Accent
	}
	return canvas.Series(tone)
}
