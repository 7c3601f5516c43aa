package canvas

import (
	"math"

	"coil/plot"
)

// Bar is a horizontal bar that is filled to Value/Of; it is empty if that is not a positive number.
type Bar struct {
	Label string
	Value float64
	Of    float64 // positive
	Text  string  // after the bar
	Style Style
}

// Bars draws bars below each other, as many as fit.
func Bars(a Area, bars []Bar) {
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
		a.Text(0, y, b.Label, Plain)
		if a.Width() < labels+texts {
			continue
		}
		bar(a.Sub(labels, y, a.Width()-labels-texts, 1), b.Value/b.Of, b.Style)
		a.TextRight(y, b.Text, Plain)
	}
}

// bar fills a share of a row, in eighths of a cell, and at least one if the share is not zero.
func bar(a Area, share float64, s Style) {
	if !(share > 0) || math.IsInf(share, 0) {
		return
	}
	eighths := int(math.Round(math.Min(share, 1) * float64(8*a.Width())))
	eighths = max(1, eighths)
	for x := range eighths / 8 {
		a.Set(x, 0, '█', s)
	}
	if rest := eighths % 8; rest > 0 {
		a.Set(eighths/8, 0, '█'+rune(8-rest), s)
	}
}

// Spark draws values as a row of columns, in eighths of a cell, from the least to the greatest; more values than columns
// are cut at the left. One that is NaN or infinite is a cross.
func Spark(a Area, values []float64, s Style) {
	values = values[max(0, len(values)-a.Width()):]
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if finite(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	height := plot.Linear(lo, hi)
	for x, v := range values {
		if finite(v) {
			a.Set(x, 0, '▁'+rune(height.At(v)*7+0.5), s)
		} else {
			a.Set(x, 0, '×', Bad)
		}
	}
}

func finite(v float64) bool { return math.Abs(v) <= math.MaxFloat64 }
