package chart

import (
	"math"

	"coil/tui/canvas"
)

// Bar is a horizontal bar, of which Value/Of is full.
type Bar struct {
	Label string
	Value float64
	Of    float64
	Text  string // after the bar
	Style canvas.Style
}

// Bars draws bars below each other, as many as there are rows.
func Bars(a canvas.Area, bars []Bar) {
	labels, texts := 0, 0
	for _, b := range bars {
		labels = max(labels, len([]rune(b.Label)))
		texts = max(texts, len([]rune(b.Text)))
	}
	if labels > 0 {
		labels++
	}
	if texts > 0 {
		texts++
	}
	for y, b := range bars {
		if y >= a.Height() {
			return
		}
		a.Text(0, y, b.Label, canvas.Plain)
		if a.Width() < labels+texts {
			continue
		}
		bar(a.Sub(labels, y, a.Width()-labels-texts, 1), b.Value/b.Of, b.Style)
		a.TextRight(y, b.Text, canvas.Plain)
	}
}

// bar fills a share of a row, in eighths of a cell.
func bar(a canvas.Area, share float64, s canvas.Style) {
	if !(share > 0) {
		return
	}
	eighths := int(math.Round(math.Min(share, 1) * float64(8*a.Width())))
	for x := range eighths / 8 {
		a.Set(x, 0, '█', s)
	}
	if rest := eighths % 8; rest > 0 {
		a.Set(eighths/8, 0, '█'+rune(8-rest), s)
	}
}

// Spark draws values as a row of columns, in eighths of a cell; more values than columns are cut at the left.
func Spark(a canvas.Area, values []float64, s canvas.Style) {
	values = values[max(0, len(values)-a.Width()):]
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	for x, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		level := 3
		if hi > lo {
			level = int((v/(hi-lo)-lo/(hi-lo))*7 + 0.5)
		}
		a.Set(x, 0, '▁'+rune(min(7, max(0, level))), s)
	}
}
