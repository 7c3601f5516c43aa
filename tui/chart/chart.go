// Package chart draws curves in character cells: in dots of Braille, two by four a cell, or in ASCII.
package chart

import (
	"math"

	"coil/tui/canvas"
)

// XY is a point of a curve. A Y that is NaN or infinite is a gap in the line, with a cross at the edge of the plot.
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
	Time   bool                 // in seconds, so that round values are whole minutes and hours, all labels in one unit
	Share  bool                 // of one, shown in percent
	Format func(float64) string // of a single value; nil for Number, or for percent if Share is set
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
	xAt              []int // columns of the area where the labels begin
	yAt              []int // rows
	named            bool  // the name of the x axis is beside its labels
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
	if a.Width() < leastAxes || a.Height() < leastRows {
		return f
	}
	g, height := f, a.Height()-1 // the last row is for the labels of x
	g.plot = a.Sub(0, 0, a.Width(), height)
	c.yTicks(&g)
	for _, l := range g.yLabels {
		g.left = max(g.left, len([]rune(l))+1)
	}
	if g.left > a.Width()/2 {
		return f
	}
	g.plot = a.Sub(g.left, 0, a.Width()-g.left, height)
	if !c.xTicks(&g) {
		return f
	}
	g.axes = true
	return g
}

// yTicks are round values at every third row or so, in neighbouring rows only if there is no room for two otherwise. If
// there is no room for two round values, they are the ends of the axis.
func (c *Chart) yTicks(f *frame) {
	for _, apart := range []int{2, 1} {
		for n := max(3, f.plot.Height()/3); n > 0; n-- {
			ticks := c.Y.ticks(f.y, n)
			f.yAt = f.yAt[:0]
			room := true
			for i, t := range ticks {
				f.yAt = append(f.yAt, f.row(t)/4)
				room = room && (i == 0 || f.yAt[i-1]-f.yAt[i] >= apart)
			}
			if room {
				f.yTicks, f.yLabels = ticks, c.Y.labels(ticks)
				return
			}
		}
	}
	f.yTicks = []float64{f.y.lo, f.y.hi}
	f.yLabels, f.yAt = c.Y.labels(f.yTicks), []int{f.plot.Height() - 1, 0}
}

// xTicks are as many round values as there is room for their labels, with two columns between them, beside the name of the
// axis or, if that leaves room for less than two, without it. If there is no room for two round values, they are the ends of
// the axis. It reports whether two labels fit.
func (c *Chart) xTicks(f *frame) bool {
	width, name := f.left+f.plot.Width(), len([]rune(c.X.Label))
	if name > 0 && f.plot.Width() > 3*name+12 && c.fitX(f, width-name-1) {
		f.named = true
		return true
	}
	if c.fitX(f, width) {
		return true
	}
	f.xTicks = []float64{f.x.lo, f.x.hi}
	f.xLabels = c.X.labels(f.xTicks)
	first, second := len([]rune(f.xLabels[0])), len([]rune(f.xLabels[1]))
	f.xAt = []int{max(0, min(f.left, width-second-1-first)), width - second}
	return f.xAt[0]+first < f.xAt[1]
}

// fitX chooses the ticks whose labels end before a column. A label that would begin or end beyond the chart is left out.
func (c *Chart) fitX(f *frame, end int) bool {
	for n := max(2, f.plot.Width()/8); n > 0; n-- {
		f.xTicks, f.xLabels, f.xAt = nil, nil, nil
		ticks := c.X.ticks(f.x, n)
		next, room := 0, true
		for i, l := range c.X.labels(ticks) {
			length := len([]rune(l))
			at := f.left + f.column(ticks[i])/2 - length/2
			if at < 0 || at+length > end {
				continue
			}
			room = room && at >= next
			next = at + length + 2
			f.xTicks, f.xLabels, f.xAt = append(f.xTicks, ticks[i]), append(f.xLabels, l), append(f.xAt, at)
		}
		if room && len(f.xTicks) >= 2 {
			return true
		}
	}
	return false
}

// Draw draws the chart.
func (c *Chart) Draw(a canvas.Area) {
	if a.Width() < 1 || a.Height() < 1 {
		return
	}
	f := c.layout(a)
	if f.empty {
		text, style := "no data yet", canvas.Dim
		if c.broken() {
			text, style = "only NaN or infinite", canvas.Bad
		}
		a.TextCenter(a.Height()/2, text, style)
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
	for i := range c.Series {
		c.cross(&c.Series[i], &f)
	}
	if c.HasCursor {
		c.drawCursor(&f)
	}
	c.drawLegend(&f)
}

// marks reports whether the points are marked: a single one would hardly be seen otherwise.
func (s *Series) marks() bool { return s.Marks || len(s.Points) == 1 }

// drawAxes draws grid lines and labels.
func (c *Chart) drawAxes(a canvas.Area, f *frame) {
	for i, y := range f.yAt {
		a.Sub(0, y, f.left-1, 1).TextRight(0, f.yLabels[i], canvas.Dim)
		for x := 0; x < f.plot.Width(); x += 4 {
			f.plot.Set(x, y, '·', canvas.Border)
		}
	}
	bottom := a.Sub(0, a.Height()-1, a.Width(), 1)
	if f.named {
		bottom.TextRight(0, c.X.Label, canvas.Dim)
	}
	for i, at := range f.xAt {
		bottom.Text(at, 0, f.xLabels[i], canvas.Dim)
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

// cross marks values that are NaN or infinite: +Inf at the upper edge of the plot, the others at the lower one.
func (c *Chart) cross(s *Series, f *frame) {
	for _, p := range s.Points {
		if finite(p.Y) || !(p.X >= f.x.lo && p.X <= f.x.hi) {
			continue
		}
		x, y := f.column(p.X)/2, f.plot.Height()-1
		if math.IsInf(p.Y, 1) {
			y = 0
		}
		f.plot.Set(x, y, '×', canvas.Bad)
		c.dots[y*c.width+x].bits = 0xff // for the legend
	}
}

// broken reports whether a value in the window is NaN or infinite.
func (c *Chart) broken() bool {
	x, ok := c.window()
	for _, s := range c.Series {
		for _, p := range s.Points {
			if !finite(p.Y) && (!ok || p.X >= x.lo && p.X <= x.hi) {
				return true
			}
		}
	}
	return false
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
