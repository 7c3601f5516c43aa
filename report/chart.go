package report

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart is a plot of lines.
type chart struct {
	name    string // of its files
	title   string
	x       string // what the x axis is
	xPlain  bool   // and it is not of whole numbers
	scale   scale  // of the y axis
	zero    bool   // the y axis begins at 0
	one     bool   // and ends at 1
	log     bool   // the y axis may be logarithmic: it is if the values span many orders
	caption string
	lines   []line
	gaps    int    // in what the lines show
	body    string // what svg has drawn
}

// line is one line of a chart.
type line struct {
	label  string // in the legend; "" for none
	points []point
	color  ink
	row    int // lines of the same colour differ in their dashes by it
	kind   lineKind
}

type lineKind int

const (
	solid  lineKind = iota
	faint           // behind the others
	marked          // thin, with a mark at each point
	marks           // without a line, and no more than can be told apart
)

// largest is the most that is drawn; what is beyond is a gap. smallest is what counts as nothing. So no number can ruin
// an axis' arithmetic.
const largest, smallest = 1e30, 1e-30

func drawable(y float64) bool { return math.Abs(y) <= largest } // false for NaN

// bounds are the least and greatest of what is drawn; ok is false if there is nothing.
func (c *chart) bounds() (x, y [2]float64, ok bool) {
	for _, l := range c.lines {
		for _, p := range l.points {
			if !drawable(p.y) || !drawable(p.x) {
				continue
			}
			if !ok {
				x, y, ok = [2]float64{p.x, p.x}, [2]float64{p.y, p.y}, true
			}
			x = [2]float64{min(x[0], p.x), max(x[1], p.x)}
			y = [2]float64{min(y[0], p.y), max(y[1], p.y)}
		}
	}
	return x, y, ok
}

// gaps counts the points that have no place in a plot.
func gaps(points []point) int {
	n := 0
	for _, p := range points {
		if !drawable(p.y) {
			n++
		}
	}
	return n
}

// widen makes room between ends that are equal, or nearly so.
func widen(b [2]float64) [2]float64 {
	size := max(math.Abs(b[0]), math.Abs(b[1]))
	switch {
	case b[1]-b[0] > max(size*1e-6, smallest):
		return b
	case size < smallest:
		return [2]float64{b[0] - 1, b[1] + 1}
	}
	return [2]float64{b[0] - size/10, b[1] + size/10}
}

// logarithmic reports whether values in these bounds are drawn on a logarithmic axis.
func (c *chart) logarithmic(y [2]float64) bool { return c.log && y[0] > smallest && y[1]/y[0] >= 50 }

// The size of a plot in points, and the pixels of a point in a picture.
const (
	plotWidth, plotHeight = 420, 280
	pixels                = 2
)

// linear are the ends of a linear y axis.
func (c *chart) linear(y [2]float64) [2]float64 {
	if c.zero {
		y[0] = min(0, y[0])
	}
	if c.one {
		y[1] = max(1, y[1])
	}
	low := y[0]
	y = widen(y)
	room := (y[1] - y[0]) / 40
	if c.zero && low == 0 {
		return [2]float64{0, y[1] + room}
	}
	return [2]float64{y[0] - room, y[1] + room}
}

// draw draws the title, the legend, the axes and the lines. The chart needs a point to draw.
func (c *chart) draw(to draw.Canvas) {
	to.SetColor(paper)
	to.Fill(to.Rectangle.Path())
	to = draw.Crop(to, 8, -16, 8, -8)
	to.FillText(style(12, true, heading), vg.Point{X: to.Min.X, Y: to.Max.Y - 11}, c.heading())
	to.Max.Y -= 18
	to.Max.Y -= c.legend(to)
	a := c.axes(to)
	a.draw()
	for _, kind := range []lineKind{faint, solid, marked, marks} {
		for _, l := range c.lines {
			if l.kind == kind {
				l.draw(a)
			}
		}
	}
}

func (c *chart) heading() string {
	if _, y, _ := c.bounds(); c.logarithmic(y) {
		return c.title + " (log scale)"
	}
	return c.title
}

// The legend's measures, in points.
const (
	legendSample = 14 // the piece of line before each label
	legendRow    = 13
	legendRows   = 4
)

// legend draws the lines' labels in rows and returns the height that they take.
func (c *chart) legend(to draw.Canvas) vg.Length {
	s := style(10, false, legendInk)
	at := vg.Point{X: to.Min.X, Y: to.Max.Y - 9}
	rows, left := 0, 0
	for _, l := range c.lines {
		if l.label == "" || gaps(l.points) == len(l.points) {
			continue
		}
		label := legible(l.label)
		width := legendSample + 4 + s.Width(label) + 12
		full := rows == 0 || at.X+width > to.Max.X
		if left > 0 || full && rows == legendRows {
			left++
			continue
		}
		if full {
			if rows++; rows > 1 {
				at = vg.Point{X: to.Min.X, Y: at.Y - legendRow}
			}
		}
		if l.kind != marks {
			to.StrokeLine2(l.stroke(2), at.X, at.Y+3, at.X+legendSample, at.Y+3)
		}
		if l.kind >= marked {
			to.DrawGlyph(l.glyph(), vg.Point{X: at.X + legendSample/2, Y: at.Y + 3})
		}
		to.FillText(s, vg.Point{X: at.X + legendSample + 4, Y: at.Y}, label)
		at.X += width
	}
	if left > 0 {
		rows++
		to.FillText(s, vg.Point{X: to.Min.X, Y: at.Y - legendRow}, fmt.Sprintf("and %d more", left))
	}
	return vg.Length(rows)*legendRow + 6
}

// legible is a label as the fonts of a picture can show it.
func legible(label string) string {
	return strings.ReplaceAll(strings.ReplaceAll(printable(label, 40), "⊗", "x"), "\n", " ")
}

func (l line) stroke(width vg.Length) draw.LineStyle {
	dashes := [][]vg.Length{nil, {5, 2}, {1.5, 1.5}}
	return draw.LineStyle{Color: l.color, Width: width, Dashes: dashes[l.row%len(dashes)]}
}

func (l line) glyph() draw.GlyphStyle {
	return draw.GlyphStyle{Color: l.color, Radius: 2.5, Shape: draw.CircleGlyph{}}
}

// longest is how many points are drawn in one stroke: the time that a picture takes grows with the square of it.
const longest = 24

// mostMarks is how many marks a line bears before they hide it.
const mostMarks = 40

// draw draws the pieces of the line between its gaps.
func (l line) draw(a axes) {
	width, bears := vg.Length(1.6), false // a mark at each point
	switch l.kind {
	case faint:
		width = 0.7
		l.color = l.color.mix(paper, faintness)
	case marked:
		width, bears = 1, len(l.points) <= mostMarks
	case marks:
		width, bears = 0, true
		l.points = some(l.points)
	}
	var piece []vg.Point
	end := func() {
		if len(piece) == 1 && !bears { // it would not be seen
			a.to.DrawGlyph(draw.GlyphStyle{Color: l.color, Radius: width, Shape: draw.CircleGlyph{}}, piece[0])
		} else if len(piece) > 1 && width > 0 {
			a.to.StrokeLines(l.stroke(width), piece)
		}
		piece = piece[:0]
	}
	for _, q := range thin(l.points) {
		if !drawable(q.y) {
			end()
			continue
		}
		if len(piece) == longest {
			last := piece[longest-1]
			end()
			piece = append(piece, last)
		}
		piece = append(piece, a.at(q))
		if bears {
			a.to.DrawGlyph(l.glyph(), piece[len(piece)-1])
		}
	}
	end()
}

// some are not too many of the points, the last among them.
func some(points []point) []point {
	every := (len(points) + mostMarks - 1) / mostMarks
	var few []point
	for i := len(points) - 1; i >= 0; i -= every {
		few = append(few, points[i])
	}
	return few
}

// picture returns the chart as PNG.
func (c *chart) picture() ([]byte, error) {
	canvas := vgimg.NewWith(vgimg.UseWH(plotWidth, plotHeight), vgimg.UseDPI(72*pixels))
	c.draw(draw.New(canvas))
	var b bytes.Buffer
	_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(&b)
	return b.Bytes(), err
}

// svg returns the inside of the chart as SVG, for svgFile and svgInline to wrap.
func (c *chart) svg() (string, error) {
	canvas := vgsvg.New(plotWidth, plotHeight)
	c.draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", err
	}
	_, body, _ := strings.Cut(b.String(), "<svg")
	_, body, _ = strings.Cut(body, ">\n")
	// Where Liberation Sans is not installed, those that have its widths.
	return strings.ReplaceAll(body, "font-family:Liberation Sans;font-variant:normal;", "font-family:Liberation Sans,Arial,Helvetica,sans-serif;"), nil
}

// svgFile makes a file of what svg returned, and of a style sheet.
func svgFile(body, style string) []byte {
	return fmt.Appendf(nil, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %[1]d %[2]d\">\n<style>\n%[3]s</style>\n%[4]s", plotWidth, plotHeight, style, body)
}

// svgInline makes an element of a page of what svg returned.
func svgInline(title, body string) string {
	return fmt.Sprintf("<svg role=\"img\" aria-label=\"%s\" viewBox=\"0 0 %d %d\">\n%s", html.EscapeString(title), plotWidth, plotHeight, body)
}
