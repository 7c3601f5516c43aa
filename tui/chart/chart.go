// Package chart draws curves in character cells: in dots of Braille, two by four a cell, or in ASCII.
package chart

import (
	"math"

	"coil/tui/canvas"
)

// XY is a point of a curve. A Y that is NaN or infinite is a gap.
type XY struct{ X, Y float64 }

// Series is one curve, its points in the order of X.
type Series struct {
	Name   string // for the legend; "" for none
	Points []XY
	Style  canvas.Style
	Marks  bool // a mark at each point instead of a line
	Faint  bool // a background to other curves
}

// Axis is one of the two axes.
type Axis struct {
	Lo, Hi float64              // the window; if they are equal it fits the data
	Log    bool                 // logarithmic; values that are not positive are gaps
	Time   bool                 // in seconds, so that round values are whole minutes and hours
	Format func(float64) string // of labels; nil for Number
	Label  string
}

// Chart is curves with their axes. Later series are drawn over earlier ones.
type Chart struct {
	Series    []Series
	X, Y      Axis
	Cursor    float64 // on the x axis
	HasCursor bool

	dots  []dots // scratch of Draw
	width int
}

// dots are those of a cell.
type dots struct {
	bits  uint8
	style canvas.Style
}

// Sizes below which a part is left out.
const (
	leastAxes   = 12 // columns, for the axes
	leastRows   = 4
	leastLegend = 24
)

// frame is where the parts of a chart are in its area, and its ranges.
type frame struct {
	plot             canvas.Area
	axes             bool
	left             int // column of the plot
	x, y             scale
	xTicks, yTicks   []float64
	xLabels, yLabels []string
	empty            bool
}

// columns and rows are the numbers of dots.
func (f *frame) columns() int { return 2 * f.plot.Width() }
func (f *frame) rows() int    { return 4 * f.plot.Height() }

// column is the column of dots of a value, −1 or the number of columns if it is beside the plot.
func (f *frame) column(x float64) int { return f.x.dot(x, f.columns()) }

// row is the row of dots of a value, counted from above.
func (f *frame) row(y float64) int { return f.rows() - 1 - f.y.dot(y, f.rows()) }

// edge is from where on values belong to the next column of dots.
func (f *frame) edge(column int) float64 {
	return f.x.value((float64(column) + 0.5) / float64(f.columns()-1))
}

// layout decides on ranges, ticks and places.
func (c *Chart) layout(a canvas.Area) frame {
	f := frame{plot: a}
	var ok bool
	if f.x, ok = c.window(); !ok {
		f.empty = true
		return f
	}
	if f.y, ok = c.height(f.x); !ok {
		f.empty = true
		return f
	}
	f.axes = a.Width() >= leastAxes && a.Height() >= leastRows
	if !f.axes {
		return f
	}
	height := a.Height() - 1 // the last row is for the labels of x
	f.plot = a.Sub(0, 0, a.Width(), height)
	f.yTicks, f.yLabels = c.yTicks(&f)
	for _, l := range f.yLabels {
		f.left = max(f.left, len([]rune(l))+1)
	}
	f.left = min(f.left, a.Width()/2)
	f.plot = a.Sub(f.left, 0, a.Width()-f.left, height)
	f.xTicks, f.xLabels = c.xTicks(&f)
	return f
}

// yTicks are round values at every third row or so, never in neighbouring rows.
func (c *Chart) yTicks(f *frame) (ticks []float64, labels []string) {
	for n := max(3, f.plot.Height()/3); n > 0; n-- {
		ticks = c.Y.ticks(f.y, n)
		room := true
		for i := 1; i < len(ticks); i++ {
			room = room && f.row(ticks[i-1])/4-f.row(ticks[i])/4 >= 2
		}
		if room {
			break
		}
	}
	return ticks, c.Y.labels(ticks)
}

// xTicks are as many round values as there is room for their labels, with two columns between them.
func (c *Chart) xTicks(f *frame) (ticks []float64, labels []string) {
	for n := max(2, f.plot.Width()/8); n > 0; n-- {
		ticks = c.X.ticks(f.x, n)
		labels = c.X.labels(ticks)
		room := true
		for i := 1; i < len(ticks); i++ {
			before := f.column(ticks[i-1])/2 + (len([]rune(labels[i-1]))+1)/2
			room = room && f.column(ticks[i])/2-len([]rune(labels[i]))/2 >= before+2
		}
		if room {
			break
		}
	}
	return ticks, labels
}

// Draw draws the chart.
func (c *Chart) Draw(a canvas.Area) {
	if a.Width() < 1 || a.Height() < 1 {
		return
	}
	f := c.layout(a)
	if f.empty {
		a.TextCenter(a.Height()/2, "no data yet", canvas.Dim)
		return
	}
	if f.axes {
		c.drawAxes(a, &f)
	}
	c.width = f.plot.Width()
	if n := c.width * f.plot.Height(); cap(c.dots) < n {
		c.dots = make([]dots, n)
	} else {
		c.dots = c.dots[:n]
		clear(c.dots)
	}
	for i := range c.Series {
		if !c.Series[i].marks() {
			c.trace(&c.Series[i], &f)
		}
	}
	c.flush(f.plot)
	for i := range c.Series {
		if c.Series[i].marks() {
			c.mark(&c.Series[i], &f)
		}
	}
	if c.HasCursor {
		c.drawCursor(&f)
	}
	c.drawLegend(&f)
}

// marks reports whether the points are marked: a single one would hardly be seen otherwise.
func (s *Series) marks() bool { return s.Marks || len(s.Points) == 1 }

// drawAxes draws grid lines and labels. A label that would touch one before is left out.
func (c *Chart) drawAxes(a canvas.Area, f *frame) {
	free := f.plot.Height()
	for i, t := range f.yTicks { // from below
		y := f.row(t) / 4
		if y >= free {
			continue
		}
		free = y
		a.Sub(0, y, f.left-1, 1).TextRight(0, f.yLabels[i], canvas.Dim)
		for x := 0; x < f.plot.Width(); x += 4 {
			f.plot.Set(x, y, '·', canvas.Border)
		}
	}
	bottom, next := a.Sub(0, a.Height()-1, a.Width(), 1), 0
	end := a.Width()
	if name := []rune(c.X.Label); len(name) > 0 && f.plot.Width() > 3*len(name)+12 {
		bottom.TextRight(0, c.X.Label, canvas.Dim)
		end -= len(name) + 1
	}
	for i, t := range f.xTicks {
		n := len([]rune(f.xLabels[i]))
		at := f.left + f.column(t)/2 - n/2
		if at >= next && at+n <= end {
			next = bottom.Text(at, 0, f.xLabels[i], canvas.Dim) + 2
		}
	}
}

// trace sets the dots of a line: of each column of dots all from the least to the greatest value in it, and the way from
// the column before.
func (c *Chart) trace(s *Series, f *frame) {
	var last XY // of the line, if connected
	connected := false
	column, lo, hi := -1, 0.0, 0.0 // what is gathered, if column is not negative
	edge := 0.0
	finish := func() {
		if column >= 0 {
			c.vertical(column, f.row(hi), f.row(lo), s.Style)
			column = -1
		}
	}
	for _, p := range s.Points {
		if !f.y.shows(p.Y) || !f.x.shows(p.X) {
			finish()
			connected = false
			continue
		}
		if column >= 0 && p.X < edge {
			lo, hi = widen(lo, hi, p.Y)
			last = p
			continue
		}
		finish()
		if connected && last.X <= f.x.hi && p.X >= f.x.lo {
			c.slope(last, p, f, s.Style)
		}
		if p.X > f.x.hi {
			return
		}
		if p.X >= f.x.lo {
			column, lo, hi = f.column(p.X), p.Y, p.Y
			edge = f.edge(column)
		}
		last, connected = p, true
	}
	finish()
}

// place is where a point is, in dots from the left and from below, if need be far away.
func (f *frame) place(p XY) (x, y float64) {
	const far = 1e9
	return min(far, max(-far, f.x.at(p.X)*float64(f.columns()-1))), min(far, max(-far, f.y.at(p.Y)*float64(f.rows()-1)))
}

// slope sets the dots of a straight line: in each column of dots a piece that goes straight up or down.
func (c *Chart) slope(from, to XY, f *frame, s canvas.Style) {
	x0, y0 := f.place(from)
	x1, y1 := f.place(to)
	if x1 <= x0 {
		return
	}
	row := func(x float64) int { // of dots from above
		part := min(1, max(0, (x-x0)/(x1-x0)))
		return f.rows() - 1 - int(math.Floor(y0*(1-part)+y1*part+0.5))
	}
	end := min(f.columns()-1, int(x1+0.5))
	for x := max(0, int(x0+0.5)); x <= end; x++ {
		y, next := row(float64(x)-0.5), row(float64(x)+0.5)
		c.vertical(x, min(y, next), max(y, next), s)
	}
}

// brailleBits are the bits of the dots of a cell, by row and column.
var brailleBits = [4][2]uint8{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// vertical sets the dots of a column from row lo to row hi.
func (c *Chart) vertical(x, lo, hi int, s canvas.Style) {
	rows := len(c.dots) / c.width * 4
	for y := max(lo, 0); y <= min(hi, rows-1); y++ {
		d := &c.dots[y/4*c.width+x/2]
		if d.style != s && d.bits != 0 { // the colour of a cell is that of the last curve in it
			d.bits = 0
		}
		d.bits |= brailleBits[y%4][x%2]
		d.style = s
	}
}

// flush draws the dots.
func (c *Chart) flush(a canvas.Area) {
	for i, d := range c.dots {
		if d.bits == 0 {
			continue
		}
		r := 0x2800 + rune(d.bits)
		if a.ASCII() {
			r = asciiDots(d.bits)
		}
		a.Set(i%c.width, i/c.width, r, d.style)
	}
}

// asciiDots is the character most like some dots.
func asciiDots(bits uint8) rune {
	upper, lower := bits&0x1b, bits&0xe4
	switch {
	case upper != 0 && lower != 0:
		return '|'
	case upper != 0:
		return '\''
	}
	return '.'
}

// mark draws a mark at each point.
func (c *Chart) mark(s *Series, f *frame) {
	for _, p := range s.Points {
		if !f.y.shows(p.Y) || !(p.X >= f.x.lo && p.X <= f.x.hi) {
			continue
		}
		x, y := f.column(p.X)/2, f.row(p.Y)
		if y < 0 || y >= f.rows() {
			continue
		}
		f.plot.Set(x, y/4, '●', s.Style)
		c.dots[y/4*c.width+x].bits = 0xff // for the legend
	}
}

// XAt is the value on the x axis at a column of the area that the chart is drawn on; ok is false beside the plot.
func (c *Chart) XAt(a canvas.Area, column int) (x float64, ok bool) {
	f := c.layout(a)
	column -= f.left
	if f.empty || column < 0 || column >= f.plot.Width() {
		return 0, false
	}
	return f.x.value((2*float64(column) + 0.5) / float64(f.columns()-1)), true
}
