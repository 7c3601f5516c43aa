package report

import (
	"errors"
	"strings"
)

// Plot is a plot of something else than a run: of an experiment, say.
type Plot struct {
	Title string
	X     string // what the x axis is
	Whole bool   // x values are whole numbers: depth, loops
	Share bool   // y values are shares, written in percent
	Lines []Line
}

// Line is a line of a plot. Lines of the same Color are of one thing.
type Line struct {
	Label string // in the legend; "" for none
	Color int    // which of the palette
	Style LineStyle
	X, Y  []float64
}

// LineStyle is how a line is drawn.
type LineStyle int

const (
	Solid  LineStyle = LineStyle(solid)
	Faint  LineStyle = LineStyle(faint)  // behind the others
	Marked LineStyle = LineStyle(marked) // thin, with a mark at each point
	Marks  LineStyle = LineStyle(marks)  // marks alone
)

// ErrNoPoint is the error of a plot without a finite point.
var ErrNoPoint = errors.New("there is nothing to plot")

// SVG draws the plot.
func (p Plot) SVG() ([]byte, error) {
	c, err := p.chart()
	if err != nil {
		return nil, err
	}
	body, err := c.svg()
	return svgFile(body, darkStyle(*c)), err
}

// PNG draws the plot.
func (p Plot) PNG() ([]byte, error) {
	c, err := p.chart()
	if err != nil {
		return nil, err
	}
	return c.picture()
}

func (p Plot) chart() (*chart, error) {
	c := &chart{title: strings.ReplaceAll(p.Title, "⊗", "x"), x: p.X, xPlain: !p.Whole} // the font has no ⊗
	if p.Share {
		c.scale, c.zero, c.one = shares, true, true
	}
	for _, l := range p.Lines {
		if len(l.X) != len(l.Y) {
			panic("report: a line with as many x as y")
		}
		points := make([]point, len(l.X))
		for i := range points {
			points[i] = point{l.X[i], l.Y[i]}
		}
		c.lines = append(c.lines, line{label: l.Label, points: points, color: series(l.Color), row: l.Color, kind: lineKind(l.Style)})
	}
	if _, _, ok := c.bounds(); !ok {
		return nil, ErrNoPoint
	}
	return c, nil
}
