package plot

import (
	"fmt"
	"math"
	"strings"

	"coil/text"
)

// pen draws the parts of a picture, with y downwards, in points.
type pen interface {
	// line draws a line of a width, in dashes of these lengths if there are any.
	line(points []Point, width float64, dashes []float64, ink Ink)
	// fill fills polygons.
	fill(polygons [][]Point, ink Ink)
	// text writes from, about or up to x on the baseline y.
	text(x, y float64, s string, k lettering)
}

// lettering is how a text is written.
type lettering struct {
	size   float64
	bold   bool
	anchor anchor
	ink    Ink
}

type anchor int

const (
	start anchor = iota
	middle
	end
)

// picture is a chart that is being drawn.
type picture struct {
	pen
	c                        *Chart
	w, h                     float64
	x, y                     Scale
	left, right, top, bottom float64 // of the plot
}

// Measures of pictures, in points.
const (
	titleSize    = 12
	textSize     = 10
	edge         = 8  // around everything
	rightEdge    = 16 // where half of the last label may be
	titleHeight  = 18
	legendRow    = 13
	legendRows   = 4
	legendSample = 24 // the piece of line before each label
	belowPlot    = 36 // the labels of x, and its name
	markRadius   = 2.6
)

// mostMarks is how many marks a series has before they hide each other.
const mostMarks = 40

// mostName is how many characters of a name are shown.
const mostName = 40

func (c *Chart) paint(to pen, w, h float64) {
	p := picture{pen: to, c: c, w: w, h: h, left: edge, right: max(edge+1, w-rightEdge), top: edge}
	p.fill([][]Point{{{0, 0}, {w, 0}, {w, h}, {0, h}}}, paper)
	if title := c.heading(); title != "" {
		p.text(p.left, p.top+11, title, lettering{size: titleSize, bold: true, ink: heading})
		p.top += titleHeight
	}
	p.top += p.legend()
	p.bottom = max(p.top+1, h-belowPlot)
	var ok bool
	if p.x, ok = c.window(); ok {
		p.y, ok = c.height(p.x)
	}
	if !ok {
		s := "no data"
		if c.Broken() > 0 {
			s = "only NaN or infinite"
		}
		p.text((p.left+p.right)/2, (p.top+p.bottom)/2, s, lettering{size: textSize, anchor: middle, ink: axisText})
		return
	}
	p.axes()
	for _, kind := range order {
		for i := range c.Series {
			if s := &c.Series[i]; s.Kind == kind {
				p.series(s)
			}
		}
	}
	p.crosses()
}

// heading is the title, and what must be known of the y axis.
func (c *Chart) heading() string {
	title := legible(c.Title, 200)
	if c.Y.Log && title != "" {
		title += " (log scale)"
	}
	return title
}

// legible is a text as the font of pictures can show it, in one line of at most some characters.
func legible(s string, most int) string {
	s = strings.ReplaceAll(text.Line(s), "⊗", "x")
	if r := []rune(s); len(r) > most {
		return string(r[:most/2]) + "…" + string(r[len(r)-most/2:])
	}
	return s
}

// legend draws the names of the series in rows, and returns the height that they take.
func (p *picture) legend() float64 {
	k := lettering{size: textSize, ink: legendInk}
	x, y := p.left, p.top+9
	rows, left := 0, 0
	for _, e := range p.c.entries() {
		if e.series == ofCursor || e.series >= 0 && !p.c.Series[e.series].shown() {
			continue
		}
		name, sample := legible(e.text, mostName), legendSample+4.0
		if e.series == ofBroken {
			k.ink, sample = wrong, 0
		}
		width := sample + measure(name, k) + 12
		full := rows == 0 || x+width > p.right
		if left > 0 || full && rows == legendRows {
			left++
			continue
		}
		if full {
			if rows++; rows > 1 {
				x, y = p.left, y+legendRow
			}
		}
		if e.series >= 0 {
			p.sample(&p.c.Series[e.series], x, y-3.5)
		}
		p.text(x+sample, y, name, k)
		x += width
	}
	if left > 0 {
		rows++
		p.text(p.left, y+legendRow, fmt.Sprintf("and %d more", left), lettering{size: textSize, ink: legendInk})
	}
	if rows == 0 {
		return 4
	}
	return float64(rows)*legendRow + 6
}

// shown reports whether a series has a number.
func (s *Series) shown() bool {
	for _, p := range s.Points {
		if finite(p.Y) {
			return true
		}
	}
	return false
}

// sample draws what a series looks like.
func (p *picture) sample(s *Series, x, y float64) {
	if s.lined() {
		p.line([]Point{{x, y}, {x + legendSample, y}}, s.width(), s.dashes(), s.ink())
	}
	if s.marked() {
		p.fill([][]Point{s.shape(Point{x + legendSample/2, y})}, s.ink())
	}
}

// width is how wide a line is.
func (s *Series) width() float64 {
	switch s.Kind {
	case Faint:
		return 0.8
	case Marked:
		return 1
	}
	return 1.6
}

// dashes are the pattern of a line. One with marks needs none, and one behind the others only if it has a name.
func (s *Series) dashes() []float64 {
	if s.marked() || s.Kind == Faint && s.Name == "" {
		return nil
	}
	return dashes[sign(s.Color)]
}

// shape is a mark of the series at a point.
func (s *Series) shape(at Point) []Point {
	mark := make([]Point, len(shapes[0]))[:0]
	for _, q := range shapes[sign(s.Color)] {
		mark = append(mark, Point{at.X + markRadius*q.X, at.Y + markRadius*q.Y})
	}
	return mark
}

// at is where a point is; what is far outside is near enough for every viewer.
func (p *picture) at(q Point) Point {
	const far = 1e5
	place := func(at, from, to float64) float64 { return min(far, max(-far, from+at*(to-from))) }
	return Point{place(p.x.At(q.X), p.left, p.right), place(p.y.At(q.Y), p.bottom, p.top)}
}

// crisp is the nearest position at which a thin line fills whole pixels. A point has two pixels.
func crisp(v float64) float64 { return math.Floor(2*v)/2 + 0.25 }

// axes draws the axes, with labels and faint rules, and decides on the left end of the plot.
func (p *picture) axes() {
	k := lettering{size: textSize, ink: axisText}
	ticks := p.c.Y.ticks(p.y, max(2, int((p.bottom-p.top)/42)))
	labels := p.c.Y.labels(ticks)
	for _, l := range labels {
		p.left = max(p.left, edge+measure(l, k)+5)
	}
	p.left = min(p.left, p.right-1)
	k.anchor = end
	for i, t := range ticks {
		y := p.at(Point{p.x.lo, t}).Y
		p.line([]Point{{p.left, crisp(y)}, {p.right, crisp(y)}}, 0.5, nil, ruleInk)
		p.text(p.left-5, y+3.5, labels[i], k)
	}
	k.anchor = middle
	ticks, labels = p.xTicks(k)
	for i, t := range ticks {
		x := p.at(Point{t, p.y.lo}).X
		p.line([]Point{{crisp(x), p.bottom}, {crisp(x), p.bottom + 3}}, 0.5, nil, axisLine)
		half := measure(labels[i], k) / 2
		p.text(max(half, min(p.w-half, x)), p.bottom+14, labels[i], k)
	}
	p.line([]Point{{p.left, crisp(p.bottom)}, {p.right, crisp(p.bottom)}}, 0.5, nil, axisLine)
	p.text((p.left+p.right)/2, p.bottom+27, legible(p.c.X.Label, mostName), k)
}

// xTicks are about as many ticks as there is room for with their labels.
func (p *picture) xTicks(k lettering) (ticks []float64, labels []string) {
	for n := max(2, int((p.right-p.left)/60)); ; n-- {
		ticks = p.c.X.ticks(p.x, n)
		labels = p.c.X.labels(ticks)
		room, last := true, math.Inf(-1)
		for i, l := range labels {
			x, half := p.at(Point{ticks[i], p.y.lo}).X, measure(l, k)/2
			room = room && x-half >= last+6
			last = x + half
		}
		if room || n <= 2 {
			return ticks, labels
		}
	}
}

// series draws a line in pieces between its gaps, and marks.
func (p *picture) series(s *Series) {
	points := thin(p.near(s.Points), max(1, int(0.75*p.w)))
	if s.lined() {
		p.pieces(s, points)
	}
	if !s.marked() {
		return
	}
	var marks [][]Point
	every := (len(points) + mostMarks - 1) / mostMarks
	for i := len(points) - 1; i >= 0; i -= every { // the last among them
		if q := points[i]; p.y.shows(q.Y) && q.X >= p.x.lo && q.X <= p.x.hi {
			marks = append(marks, s.shape(p.at(q)))
		}
	}
	if len(marks) > 0 {
		p.fill(marks, s.ink())
	}
}

// near are the points in the window, and those next to them.
func (p *picture) near(points []Point) []Point {
	var kept []Point
	for i, q := range points {
		before := q.X < p.x.lo && i+1 < len(points) && points[i+1].X < p.x.lo
		after := q.X > p.x.hi && i > 0 && points[i-1].X > p.x.hi
		if !before && !after && p.x.shows(q.X) {
			kept = append(kept, q)
		}
	}
	return kept
}

// pieces draws the line between gaps, as far as it is in the plot.
func (p *picture) pieces(s *Series, points []Point) {
	var piece []Point
	finish := func() {
		switch len(piece) {
		case 0:
		case 1: // alone between gaps: a dot
			p.fill([][]Point{disc(piece[0], s.width())}, s.ink())
		default:
			p.line(piece, s.width(), s.dashes(), s.ink())
		}
		piece = nil
	}
	var last Point
	connected := false
	for _, q := range points {
		if !p.y.shows(q.Y) {
			finish()
			connected = false
			continue
		}
		at := p.at(q)
		switch {
		case connected:
			a, b, ok := p.cut(last, at)
			if !ok {
				finish()
				break
			}
			if len(piece) > 0 && a != piece[len(piece)-1] {
				finish()
			}
			if len(piece) == 0 {
				piece = append(piece, a)
			}
			if b != a {
				piece = append(piece, b)
			}
		case p.inside(at):
			piece = append(piece, at)
		}
		last, connected = at, true
	}
	finish()
}

func (p *picture) inside(q Point) bool {
	return q.X >= p.left && q.X <= p.right && q.Y >= p.top && q.Y <= p.bottom
}

// cut is the part of a straight line that is in the plot, by the algorithm of Liang and Barsky.
func (p *picture) cut(a, b Point) (from, to Point, ok bool) {
	dx, dy := b.X-a.X, b.Y-a.Y
	enter, leave := 0.0, 1.0
	for _, k := range [4]struct{ d, room float64 }{{-dx, a.X - p.left}, {dx, p.right - a.X}, {-dy, a.Y - p.top}, {dy, p.bottom - a.Y}} {
		switch t := k.room / k.d; {
		case k.d == 0 && k.room < 0:
			return a, b, false
		case k.d < 0:
			enter = max(enter, t)
		case k.d > 0:
			leave = min(leave, t)
		}
	}
	if enter > leave {
		return a, b, false
	}
	from, to = a, b
	if enter > 0 {
		from = Point{a.X + enter*dx, a.Y + enter*dy}
	}
	if leave < 1 {
		to = Point{a.X + leave*dx, a.Y + leave*dy}
	}
	return from, to, true
}

// disc is a round dot.
func disc(at Point, radius float64) []Point {
	var points []Point
	for _, q := range shapes[0] {
		points = append(points, Point{at.X + radius*q.X, at.Y + radius*q.Y})
	}
	return points
}

// crosses marks values that are NaN or infinite: +Inf at the upper edge of the plot, the others at the lower one.
func (p *picture) crosses() {
	done := map[Point]bool{}
	for _, s := range p.c.Series {
		for _, q := range s.Points {
			if finite(q.Y) || !(q.X >= p.x.lo && q.X <= p.x.hi) {
				continue
			}
			at := Point{math.Round(p.at(Point{q.X, p.y.lo}).X), p.bottom}
			if math.IsInf(q.Y, 1) {
				at.Y = p.top
			}
			if done[at] {
				continue
			}
			done[at] = true
			const r = 3
			p.line([]Point{{at.X - r, at.Y - r}, {at.X + r, at.Y + r}}, 1, nil, wrong)
			p.line([]Point{{at.X - r, at.Y + r}, {at.X + r, at.Y - r}}, 1, nil, wrong)
		}
	}
}
