package tui

import (
	"coil/format"
	"coil/run"
	"coil/tui/canvas"
)

// drawValues lists everything that is reported, with a small curve of each.
func (m *model) drawValues(a canvas.Area) {
	w := m.shown()
	type row struct {
		key run.Key
		of  *run.Series
	}
	var rows []row
	for _, of := range []*run.Series{&w.Train, &w.HeldOut} {
		for _, key := range of.Keys() {
			if key.Quantity == run.Time || !m.matches(key.String()) {
				continue
			}
			rows = append(rows, row{key, of})
		}
	}
	if len(rows) == 0 {
		a.TextCenter(a.Height()/2, "no data yet", canvas.Dim)
		return
	}
	names := 8
	for _, r := range rows {
		names = max(names, min(len([]rune(r.key.String()))+2, a.Width()/2))
	}
	first := m.held(valuesID, len(rows), a.Height())
	for y, r := range rows[first:] {
		if y == a.Height() {
			break
		}
		style := canvas.Plain
		label := r.key.String()
		if r.of == &w.HeldOut {
			style, label = canvas.Accent, "● "+label
		}
		a.Sub(0, y, names, 1).Text(0, 0, label, style)
		v, _ := r.of.Value(r.key)
		a.Sub(names, y, 10, 1).TextRight(0, format.Number(v), canvas.Strong)
		canvas.Spark(a.Sub(names+11, y, a.Width()-names-11, 1), thin(r.of.Points(r.key), a.Width()-names-11), canvas.Dim)
	}
}

// thin is a curve in n values.
func thin(points []run.Point, n int) []float64 {
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
