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
	plot           canvas.Area
	left           int // column of the plot
	x, y           scale
	xTicks, yTicks []float64
	empty          bool
}

// scale maps values to 0…1.
type scale struct {
	lo, hi float64
	log    bool
}

func (s scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(v)
	}
	if hi == lo {
		return 0.5
	}
	return v/(hi-lo) - lo/(hi-lo) // no overflow for the largest numbers
}

func (s scale) value(at float64) float64 {
	if s.log {
		return math.Exp(math.Log(s.lo) + at*(math.Log(s.hi)-math.Log(s.lo)))
	}
	return s.lo*(1-at) + s.hi*at
}

// shows reports whether a value is a number that the scale has a place for.
func (s scale) shows(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (!s.log || v > 0)
}

// window is the visible range of x.
func (c *Chart) window() (scale, bool) {
	s := scale{lo: c.X.Lo, hi: c.X.Hi}
	if s.lo < s.hi {
		return s, true
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, k := range c.Series {
		for _, p := range k.Points {
			if s.shows(p.X) {
				lo, hi = min(lo, p.X), max(hi, p.X)
			}
		}
	}
	if lo > hi {
		return s, false
	}
	if lo == hi {
		lo, hi = lo-0.5, hi+0.5
	}
	return scale{lo: lo, hi: hi}, true
}

// height is the visible range of y: that of what the window shows, with a little air.
func (c *Chart) height(x scale) (scale, bool) {
	s := scale{c.Y.Lo, c.Y.Hi, c.Y.Log}
	if s.lo < s.hi && (!s.log || s.lo > 0) {
		return s, true
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, k := range c.Series {
		for i, p := range k.Points {
			inside := p.X >= x.lo && p.X <= x.hi
			if !inside && !k.Marks { // a line that only crosses the window
				inside = i+1 < len(k.Points) && p.X < x.lo && k.Points[i+1].X > x.hi
			}
			if inside && s.shows(p.Y) {
				lo, hi = min(lo, p.Y), max(hi, p.Y)
			}
		}
	}
	switch {
	case lo > hi:
		return s, false
	case s.log && lo == hi:
		return scale{math.Max(lo/2, math.SmallestNonzeroFloat64), math.Min(hi*2, math.MaxFloat64), true}, true
	case s.log:
		return scale{lo, hi, true}, true
	case lo == hi:
		air := math.Max(math.Abs(lo)/10, 1e-12)
		return scale{lo: lo - air, hi: hi + air}, true
	}
	air := hi/32 - lo/32
	return scale{lo: math.Max(lo-air, -math.MaxFloat64), hi: math.Min(hi+air, math.MaxFloat64)}, true
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
	rows := a.Height() - 1 // the last is for the labels of x
	f.yTicks = ticks(f.y, max(3, rows/2))
	for _, t := range f.yTicks {
		f.left = max(f.left, len([]rune(label(c.Y, t)))+1)
	}
	f.left = min(f.left, a.Width()/2)
	f.plot = a.Sub(f.left, 0, a.Width()-f.left, rows)
	f.xTicks = ticks(f.x, max(2, f.plot.Width()/9))
	return f
}

func label(a Axis, v float64) string {
	if a.Format != nil {
		return a.Format(v)
	}
	return Number(v)
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
	c.drawAxes(a, f)
	c.width = f.plot.Width()
	if n := c.width * f.plot.Height(); cap(c.dots) < n {
		c.dots = make([]dots, n)
	} else {
		c.dots = c.dots[:n]
		clear(c.dots)
	}
	for _, s := range c.Series {
		if !s.Marks {
			c.trace(s, f)
		}
	}
	c.flush(f.plot)
	for _, s := range c.Series {
		if s.Marks {
			c.mark(s, f)
		}
	}
	if c.HasCursor {
		c.drawCursor(f)
	}
	c.drawLegend(f)
}

// drawAxes draws ticks and their labels; of labels that would touch, the later is left out.
func (c *Chart) drawAxes(a canvas.Area, f frame) {
	if f.left == 0 {
		return
	}
	free := f.plot.Height()
	for _, t := range f.yTicks { // from below
		y := cellRow(f, t)
		if y < 0 || y >= free {
			continue
		}
		free = y
		a.Sub(0, y, f.left-1, 1).TextRight(0, label(c.Y, t), canvas.Dim)
		f.plot.Set(0, y, '┊', canvas.Border)
		for x := range f.plot.Width() {
			if x%4 == 0 {
				f.plot.Set(x, y, '·', canvas.Border)
			}
		}
	}
	bottom, next := a.Sub(0, a.Height()-1, a.Width(), 1), 0
	end := a.Width()
	if name := c.X.Label; name != "" && f.plot.Width() > 3*len(name)+12 {
		bottom.TextRight(0, name, canvas.Dim)
		end -= len([]rune(name)) + 1
	}
	for _, t := range f.xTicks {
		text := label(c.X, t)
		at := f.left + int(f.x.at(t)*float64(f.plot.Width()-1)+0.5) - len([]rune(text))/2
		if at >= next && at+len([]rune(text)) <= end {
			next = bottom.Text(at, 0, text, canvas.Dim) + 2
		}
	}
}

// trace sets the dots of a line: of each column of dots all from the least to the greatest value in it, and the way from
// the column before.
func (c *Chart) trace(s Series, f frame) {
	columns, rows := 2*f.plot.Width(), 4*f.plot.Height()
	place := func(v float64) int { // of a value, in rows of dots from above
		at := (1 - f.y.at(v)) * float64(rows-1)
		return int(math.Round(math.Min(math.Max(at, -1), float64(rows))))
	}
	column, lo, hi, last := -1, 0, 0, 0
	var before *XY // the point before, if there is no gap
	finish := func() {
		if column >= 0 {
			c.vertical(column, lo, hi, rows, s.Style)
		}
	}
	for i := range s.Points {
		p := &s.Points[i]
		if !f.y.shows(p.Y) || !f.x.shows(p.X) {
			finish()
			column, before = -1, nil
			continue
		}
		x := int(math.Floor(f.x.at(p.X)*float64(columns-1) + 0.5))
		y := place(p.Y)
		if x < 0 || x >= columns {
			if x < 0 {
				before = p
				continue
			}
			if before != nil { // to the edge
				from := int(math.Floor(f.x.at(before.X)*float64(columns-1) + 0.5))
				finish()
				c.slope(from, place(before.Y), x, y, columns, rows, s.Style)
			}
			return
		}
		switch {
		case x == column:
			lo, hi = min(lo, y), max(hi, y)
		case column >= 0:
			finish()
			c.slope(column, last, x, y, columns, rows, s.Style)
			lo, hi = y, y
		default:
			if before != nil {
				c.slope(int(math.Floor(f.x.at(before.X)*float64(columns-1)+0.5)), place(before.Y), x, y, columns, rows, s.Style)
			}
			lo, hi = y, y
		}
		column, last, before = x, y, p
	}
	finish()
}

// slope sets the dots between two columns of dots, of which each is drawn as a piece that goes straight up or down.
func (c *Chart) slope(x0, y0, x1, y1, columns, rows int, s canvas.Style) {
	n := x1 - x0
	if n <= 0 {
		return
	}
	for x := max(x0, 0); x <= min(x1, columns-1); x++ {
		from := y0 + int(math.Round(float64(y1-y0)*(float64(x-x0)-0.5)/float64(n)))
		to := y0 + int(math.Round(float64(y1-y0)*(float64(x-x0)+0.5)/float64(n)))
		if x == x0 {
			from = y0
		}
		if x == x1 {
			to = y1
		}
		c.vertical(x, min(from, to), max(from, to), rows, s)
	}
}

// brailleBits are the bits of the dots of a cell, by row and column.
var brailleBits = [4][2]uint8{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// vertical sets the dots of a column from row lo to row hi.
func (c *Chart) vertical(x, lo, hi, rows int, s canvas.Style) {
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
func (c *Chart) mark(s Series, f frame) {
	for _, p := range s.Points {
		if !f.y.shows(p.Y) || !f.x.shows(p.X) || p.X < f.x.lo || p.X > f.x.hi {
			continue
		}
		f.plot.Set(int(f.x.at(p.X)*float64(f.plot.Width()-1)+0.5), cellRow(f, p.Y), '●', s.Style)
	}
}

// cellRow is the row of cells that has the dot of a value.
func cellRow(f frame, v float64) int {
	rows := 4 * f.plot.Height()
	return int(math.Round((1-f.y.at(v))*float64(rows-1))) / 4
}

// XAt is the value on the x axis at a column of the area that the chart is drawn on; ok is false beside the plot.
func (c *Chart) XAt(a canvas.Area, column int) (x float64, ok bool) {
	f := c.layout(a)
	column -= f.left
	if f.empty || column < 0 || column >= f.plot.Width() {
		return 0, false
	}
	return f.x.value((float64(column)) / float64(max(1, f.plot.Width()-1))), true
}
