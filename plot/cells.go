package plot

import "math"

// Cells is a rectangle of character cells that a chart is painted on. What is drawn outside of it is dropped.
type Cells interface {
	Width() int
	Height() int
	ASCII() bool // whether all characters are ASCII in the end
	Set(x, y int, r rune, role Role)
	Text(x, y int, s string, role Role) // from x on; what has no room is cut
}

// Role is what a cell shows. Roles from [RoleSeries] on are the palette's colours.
type Role int

// The roles.
const (
	RoleLabel Role = iota // of an axis, and of what is behind the others
	RoleRule
	RoleCursor
	RoleWrong // a value that is not finite
	RoleBlank
	RoleSeries
)

// role is that of a series.
func (s *Series) role() Role {
	if s.Kind == Faint {
		return RoleLabel
	}
	return RoleSeries + Role(place(s.Color))
}

// Sizes below which a part is left out.
const (
	leastAxes   = 12 // columns, for the axes
	leastRows   = 4
	leastLegend = 24
)

// frame is where the parts of a chart are in its cells, and its ranges.
type frame struct {
	left             int // column of the plot, which is at the top
	width, height    int // of the plot
	axes             bool
	x, y             Scale
	xTicks, yTicks   []float64
	xLabels, yLabels []string
	xAt              []int // columns where the labels begin
	yAt              []int // rows
	named            bool  // the name of the x axis is beside its labels
	empty            bool
}

// columns and rows are the numbers of dots.
func (f *frame) columns() int { return 2 * f.width }
func (f *frame) rows() int    { return 4 * f.height }

// column is the column of dots of a value, −1 or the number of columns if it is beside the plot.
func (f *frame) column(x float64) int { return f.x.dot(x, f.columns()) }

// row is the row of dots of a value, counted from above.
func (f *frame) row(y float64) int { return f.rows() - 1 - f.y.dot(y, f.rows()) }

// edge is from where on values belong to the next column of dots.
func (f *frame) edge(column int) float64 {
	return f.x.Value((float64(column) + 0.5) / float64(f.columns()-1))
}

// layout decides on ranges, ticks and positions in a number of cells.
func (c *Chart) layout(width, height int) frame {
	f := frame{width: width, height: height}
	var ok bool
	if f.x, ok = c.window(); !ok {
		f.empty = true
		return f
	}
	if f.y, ok = c.height(f.x); !ok {
		f.empty = true
		return f
	}
	if width < leastAxes || height < leastRows {
		return f
	}
	g := f
	g.height-- // the last row is for the labels of x
	c.fitY(&g)
	for _, l := range g.yLabels {
		g.left = max(g.left, length(l)+1)
	}
	if g.left > width/2 {
		return f
	}
	g.width -= g.left
	if !c.fitX(&g) {
		return f
	}
	g.axes = true
	return g
}

func length(s string) int { return len([]rune(s)) }

// fitY chooses round values at every third row or so, in neighbouring rows only if there is no room for two otherwise. If
// there is no room for two round values, they are the ends of the axis.
func (c *Chart) fitY(f *frame) {
	for _, apart := range []int{2, 1} {
		for n := max(3, f.height/3); n > 0; n-- {
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
	f.yLabels, f.yAt = c.Y.labels(f.yTicks), []int{f.height - 1, 0}
}

// fitX chooses as many round values as there is room for their labels, with two columns between them, beside the name of the
// axis or, if that leaves room for less than two, without it. If there is no room for two round values, they are the ends of
// the axis. It reports whether two labels fit.
func (c *Chart) fitX(f *frame) bool {
	width, name := f.left+f.width, length(c.X.Label)
	if name > 0 && f.width > 3*name+12 && c.fitXBefore(f, width-name-1) {
		f.named = true
		return true
	}
	if c.fitXBefore(f, width) {
		return true
	}
	f.xTicks = []float64{f.x.lo, f.x.hi}
	f.xLabels = c.X.labels(f.xTicks)
	first, second := length(f.xLabels[0]), length(f.xLabels[1])
	f.xAt = []int{max(0, min(f.left, width-second-1-first)), width - second}
	return f.xAt[0]+first < f.xAt[1]
}

// fitXBefore chooses the ticks whose labels end before a column. A label that would begin or end beyond the chart is left out.
func (c *Chart) fitXBefore(f *frame, end int) bool {
	for n := max(2, f.width/8); n > 0; n-- {
		f.xTicks, f.xLabels, f.xAt = nil, nil, nil
		ticks := c.X.ticks(f.x, n)
		next, room := 0, true
		for i, l := range c.X.labels(ticks) {
			at := f.left + f.column(ticks[i])/2 - length(l)/2
			if at < 0 || at+length(l) > end {
				continue
			}
			room = room && at >= next
			next = at + length(l) + 2
			f.xTicks, f.xLabels, f.xAt = append(f.xTicks, ticks[i]), append(f.xLabels, l), append(f.xAt, at)
		}
		if room && len(f.xTicks) >= 2 {
			return true
		}
	}
	return false
}

// dots are those of a cell.
type dots struct {
	bits uint8
	role Role
}

// cells paints a chart on cells.
type cells struct {
	Cells
	frame
	c    *Chart
	dots []dots // of the plot
}

// Cells paints the chart, without its title, on character cells: lines in dots of Braille, two by four a cell, or in ASCII.
func (c *Chart) Cells(to Cells) {
	width, height := to.Width(), to.Height()
	if width < 1 || height < 1 {
		return
	}
	p := cells{Cells: to, frame: c.layout(width, height), c: c}
	if p.empty {
		text, role := "no data yet", RoleLabel
		if c.Broken() > 0 {
			text, role = "only NaN or infinite", RoleWrong
		}
		p.Text(max(0, (width-length(text))/2), height/2, text, role)
		return
	}
	if p.axes {
		p.drawAxes(width, height)
	}
	p.dots = make([]dots, p.width*p.height)
	for _, kind := range order {
		for i := range c.Series {
			if s := &c.Series[i]; s.Kind == kind && s.lined() {
				p.trace(s)
			}
		}
	}
	p.flush()
	for i := range c.Series {
		if c.Series[i].marked() {
			p.mark(&c.Series[i])
		}
	}
	for i := range c.Series {
		p.cross(&c.Series[i])
	}
	if c.HasCursor {
		p.drawCursor()
	}
	p.drawLegend()
}

// set sets a cell of the plot.
func (p *cells) set(x, y int, r rune, role Role) { p.Set(p.left+x, y, r, role) }

// drawAxes draws grid lines and labels.
func (p *cells) drawAxes(width, height int) {
	for i, y := range p.yAt {
		p.Text(p.left-1-length(p.yLabels[i]), y, p.yLabels[i], RoleLabel)
		for x := 0; x < p.width; x += 4 {
			p.set(x, y, '·', RoleRule)
		}
	}
	if p.named {
		p.Text(width-length(p.c.X.Label), height-1, p.c.X.Label, RoleLabel)
	}
	for i, at := range p.xAt {
		p.Text(at, height-1, p.xLabels[i], RoleLabel)
	}
}

// trace sets the dots of a line: of each column of dots all from the least to the greatest value in it, and the way from
// the column before.
func (p *cells) trace(s *Series) {
	var last Point // of the line, if connected
	connected := false
	column, lo, hi := -1, 0.0, 0.0 // what is gathered, if column is not negative
	edge := 0.0
	role := s.role()
	finish := func() {
		if column >= 0 {
			p.vertical(column, p.row(hi), p.row(lo), role)
			column = -1
		}
	}
	for _, q := range s.Points {
		if !p.y.shows(q.Y) || !p.x.shows(q.X) {
			finish()
			connected = false
			continue
		}
		if column >= 0 && q.X < edge {
			lo, hi = widen(lo, hi, q.Y)
			last = q
			continue
		}
		finish()
		if connected && last.X <= p.x.hi && q.X >= p.x.lo {
			p.slope(last, q, role)
		}
		if q.X > p.x.hi {
			return
		}
		if q.X >= p.x.lo {
			column, lo, hi = p.column(q.X), q.Y, q.Y
			edge = p.edge(column)
		}
		last, connected = q, true
	}
	finish()
}

// at is where a point is, in dots from the left and from below, if need be far away.
func (f *frame) at(q Point) (x, y float64) {
	const far = 1e9
	return min(far, max(-far, f.x.At(q.X)*float64(f.columns()-1))), min(far, max(-far, f.y.At(q.Y)*float64(f.rows()-1)))
}

// slope sets the dots of a straight line: in each column of dots a piece that goes straight up or down.
func (p *cells) slope(from, to Point, role Role) {
	x0, y0 := p.at(from)
	x1, y1 := p.at(to)
	if x1 <= x0 {
		return
	}
	row := func(x float64) int { // of dots from above
		part := min(1, max(0, (x-x0)/(x1-x0)))
		return p.rows() - 1 - int(math.Floor(y0*(1-part)+y1*part+0.5))
	}
	end := min(p.columns()-1, int(x1+0.5))
	for x := max(0, int(x0+0.5)); x <= end; x++ {
		y, next := row(float64(x)-0.5), row(float64(x)+0.5)
		p.vertical(x, min(y, next), max(y, next), role)
	}
}

// brailleBits are the bits of the dots of a cell, by row and column.
var brailleBits = [4][2]uint8{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// vertical sets the dots of a column from row lo to row hi.
func (p *cells) vertical(x, lo, hi int, role Role) {
	for y := max(lo, 0); y <= min(hi, p.rows()-1); y++ {
		d := &p.dots[y/4*p.width+x/2]
		if d.role != role && d.bits != 0 { // the colour of a cell is that of the last curve in it
			d.bits = 0
		}
		d.bits |= brailleBits[y%4][x%2]
		d.role = role
	}
}

// flush draws the dots.
func (p *cells) flush() {
	ascii := p.ASCII()
	for i, d := range p.dots {
		if d.bits == 0 {
			continue
		}
		r := 0x2800 + rune(d.bits)
		if ascii {
			r = asciiDots(d.bits)
		}
		p.set(i%p.width, i/p.width, r, d.role)
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
func (p *cells) mark(s *Series) {
	for _, q := range s.Points {
		if !p.y.shows(q.Y) || !(q.X >= p.x.lo && q.X <= p.x.hi) {
			continue
		}
		x, y := p.column(q.X)/2, p.row(q.Y)
		if y < 0 || y >= p.rows() {
			continue
		}
		p.set(x, y/4, '●', s.role())
		p.dots[y/4*p.width+x].bits = 0xff // for the legend
	}
}

// cross marks values that are NaN or infinite: +Inf at the upper edge of the plot, the others at the lower one.
func (p *cells) cross(s *Series) {
	for _, q := range s.Points {
		if finite(q.Y) || !(q.X >= p.x.lo && q.X <= p.x.hi) {
			continue
		}
		x, y := p.column(q.X)/2, p.height-1
		if math.IsInf(q.Y, 1) {
			y = 0
		}
		p.set(x, y, '×', RoleWrong)
		p.dots[y*p.width+x].bits = 0xff // for the legend
	}
}

// drawCursor draws a line at the cursor.
func (p *cells) drawCursor() {
	if !(p.c.Cursor >= p.x.lo && p.c.Cursor <= p.x.hi) {
		return
	}
	x := p.column(p.c.Cursor) / 2
	for y := range p.height {
		p.set(x, y, '│', RoleCursor)
	}
}

// XAt is the value on the x axis at a column of cells that the chart is painted on; ok is false beside the plot.
func (c *Chart) XAt(width, height, column int) (x float64, ok bool) {
	f := c.layout(width, height)
	column -= f.left
	if f.empty || column < 0 || column >= f.width {
		return 0, false
	}
	return f.x.Value((2*float64(column) + 0.5) / float64(f.columns()-1)), true
}
