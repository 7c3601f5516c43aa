package tui

import (
	"fmt"

	"coil/format"
	"coil/run"
	"coil/tui/canvas"
)

// parts of a step's time, as events name them.
var timeParts = []string{"matmul", "attention", "norm", "elementwise", "loss", "optimizer", "other"}

// drawSpeed draws the tokens a second, against the best, and what a step's time went to.
func (m *model) drawSpeed(a canvas.Area) {
	w := m.shown()
	now, ok := w.Train.Value(run.TokensPerSecond.Key())
	if !ok {
		a.TextCenter(a.Height()/2, "no data yet", canvas.Dim)
		return
	}
	x := a.Text(0, 0, format.Number(now), canvas.Strong)
	x = a.Text(x, 0, " tokens/s", canvas.Plain)
	best, peak := "", ""
	if w.Fastest > 0 {
		best = fmt.Sprintf("  %s of the best %s", format.Percent(now/w.Fastest, 0), format.Number(w.Fastest))
	}
	if used, ok := w.Train.Value(run.Utilization.Key()); ok {
		peak = fmt.Sprintf("  %s of peak", format.Percent(used, 0))
		if short := fmt.Sprintf("  %s of best", format.Percent(now/w.Fastest, 0)); best != "" && x+len([]rune(best+peak)) > a.Width() && x+len([]rune(short+peak)) <= a.Width() {
			best = short
		}
	}
	style := canvas.Dim
	if now < 0.8*w.Fastest { // heat, or others on the machine
		style = canvas.Warn
	}
	x = a.Text(x, 0, best, style)
	if x+len([]rune(peak)) <= a.Width() {
		x = a.Text(x, 0, peak, canvas.Dim)
	}
	if wait, ok := w.Train.Value(run.DataWait.Key()); ok && wait > 0.005 {
		a.Text(x, 0, "  "+format.Percent(wait, 1)+" waiting for data", canvas.Warn)
	}
	points := w.Train.Points(run.TokensPerSecond.Key())
	var recent []float64
	for _, p := range points[max(0, len(points)-a.Width()):] {
		recent = append(recent, p.Y)
	}
	canvas.Spark(a.Sub(0, 1, a.Width(), 1), recent, canvas.Series(0))
	var bars []canvas.Bar
	for i, part := range timeParts {
		if v, ok := w.Train.Value(run.Time.Of(part)); ok && v >= 0.005 {
			bars = append(bars, canvas.Bar{Label: part, Value: v, Of: 1, Text: format.Percent(v, 0), Style: canvas.Series(i)})
		}
	}
	canvas.Bars(a.Sub(0, 2, a.Width(), a.Height()-2), bars)
}
