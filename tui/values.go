package tui

import (
	"strings"

	"coil/format"
	"coil/tui/canvas"
)

// drawValues lists everything that is reported, with a small curve of each.
func (m *model) drawValues(a canvas.Area) {
	w := m.shown()
	type row struct {
		name string
		of   *curves
	}
	var rows []row
	for _, of := range []*curves{&w.train, &w.held} {
		for _, name := range of.names() {
			if strings.HasPrefix(name, "time_") || !m.matches(name) {
				continue
			}
			rows = append(rows, row{name, of})
		}
	}
	if len(rows) == 0 {
		a.TextCenter(a.Height()/2, "no data yet", canvas.Dim)
		return
	}
	names := 8
	for _, r := range rows {
		names = max(names, min(len([]rune(r.name))+2, a.Width()/2))
	}
	first := m.held(valuesID, len(rows), a.Height())
	for y, r := range rows[first:] {
		if y == a.Height() {
			break
		}
		style := canvas.Plain
		label := r.name
		if r.of == &w.held {
			style, label = canvas.Accent, "● "+label
		}
		a.Sub(0, y, names, 1).Text(0, 0, label, style)
		v, _ := r.of.value(r.name)
		a.Sub(names, y, 10, 1).TextRight(0, format.Number(v), canvas.Strong)
		canvas.Spark(a.Sub(names+11, y, a.Width()-names-11, 1), thin(r.of, r.name, a.Width()-names-11), canvas.Dim)
	}
}

// thin is a curve in n values.
func thin(of *curves, name string, n int) []float64 {
	points := of.byName[name].Points()
	if n < 1 || len(points) == 0 {
		return nil
	}
	if len(points) <= n {
		n = len(points)
	}
	values := make([]float64, n)
	for i := range values {
		values[i] = points[(i+1)*len(points)/n-1].Y
	}
	return values
}
