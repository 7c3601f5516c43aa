package plot

import (
	"bytes"
	"fmt"
	"math"
)

// Grid is a table as a picture: rows of cells, and lines that say which cells of the row above a cell is made from.
type Grid struct {
	Title   string
	Columns []string // the name of the labels, then of each column
	Rows    []GridRow
	Note    string // below
}

// GridRow is a row with its label.
type GridRow struct {
	Label string
	Cells []GridCell
}

// GridCell is a cell: a text, and another in a second line if it isn't empty. A negative tone is faint and without a box, 0 is plain,
// and from 1 on it is the place in the palette, from 0.
type GridCell struct {
	Text, Below string
	Tone        int
	From        []int // columns, from 0, of the row above; those that don't exist are passed over
}

// Measures of grids, in points.
const (
	gridLine   = 14 // of text
	gridPad    = 5  // within a box
	gridGap    = 5  // between columns
	gridSpace  = 8  // between rows
	gridLinked = 22 // between rows with lines
	tint       = 0.72
	spare      = 1.2 // of the width of texts, as the font that shows them may be wider
)

// box is the ink of a cell's box.
func (c GridCell) box() Ink {
	if c.Tone > 0 {
		return Color(c.Tone-1).mix(paper, tint)
	}
	return ruleInk
}

// gridLayout is where things are.
type gridLayout struct {
	label  float64   // width of the labels
	widths []float64 // of the columns
	left   []float64
	top    []float64 // of the rows
	height []float64
	w, h   float64
}

// mostCell is how many characters of a cell are shown.
const mostCell = 24

func (g *Grid) layout() gridLayout {
	plain := lettering{size: textSize}
	measure := func(s string, k lettering) float64 { return spare * measure(s, k) }
	var l gridLayout
	widen := func(column int, s string, most int) {
		for len(l.widths) <= column {
			l.widths = append(l.widths, 2*gridPad)
		}
		l.widths[column] = max(l.widths[column], measure(legible(s, most), plain)+2*gridPad)
	}
	for i, c := range g.Columns {
		if i > 0 {
			widen(i-1, c, mostCell)
		} else {
			l.label = measure(legible(c, mostName), plain)
		}
	}
	for _, r := range g.Rows {
		l.label = max(l.label, measure(legible(r.Label, mostName), plain))
		for i, c := range r.Cells {
			widen(i, c.Text, mostCell)
			widen(i, c.Below, mostCell)
		}
	}
	x := edge + l.label + 2*gridGap
	for _, w := range l.widths {
		l.left = append(l.left, x)
		x += w + gridGap
	}
	y := float64(edge)
	if g.Title != "" {
		y += titleHeight
	}
	y += gridLine // the columns' names
	for _, r := range g.Rows {
		space, height := float64(gridSpace), float64(gridLine+4)
		for _, c := range r.Cells {
			if len(c.From) > 0 {
				space = gridLinked
			}
			if c.Below != "" {
				height = 2*gridLine + 4
			}
		}
		y += space
		l.top, l.height = append(l.top, y), append(l.height, height)
		y += height
	}
	if g.Note != "" {
		y += gridLine + gridSpace
	}
	text := max(measure(legible(g.Title, 200), lettering{size: titleSize, bold: true}), measure(legible(g.Note, 200), plain))
	l.w, l.h = math.Ceil(max(x, edge+text)+edge), math.Ceil(y+edge)
	return l
}

func (g *Grid) paint(p pen, l gridLayout) {
	p.fill([][]Point{{{0, 0}, {l.w, 0}, {l.w, l.h}, {0, l.h}}}, paper)
	y := float64(edge)
	if g.Title != "" {
		p.text(edge, y+11, legible(g.Title, 200), lettering{size: titleSize, bold: true, ink: heading})
		y += titleHeight
	}
	name := lettering{size: textSize, ink: axisText}
	for i, c := range g.Columns {
		if i == 0 {
			p.text(edge, y+10, legible(c, mostName), name)
		} else {
			p.text(l.left[i-1]+l.widths[i-1]/2, y+10, legible(c, mostCell), lettering{size: textSize, anchor: middle, ink: axisText})
		}
	}
	for k, r := range g.Rows {
		g.links(p, l, k)
		p.text(edge, l.top[k]+gridLine-1, legible(r.Label, mostName), lettering{size: textSize, ink: legendInk})
		for i, c := range r.Cells {
			x0, x1, y0, y1 := l.left[i], l.left[i]+l.widths[i], l.top[k], l.top[k]+l.height[k]
			ink := heading
			if c.Tone < 0 {
				ink = axisLine
			} else {
				p.fill([][]Point{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}}, c.box())
			}
			centre := lettering{size: textSize, anchor: middle, ink: ink}
			p.text((x0+x1)/2, y0+gridLine-1, legible(c.Text, mostCell), centre)
			if c.Below != "" {
				p.text((x0+x1)/2, y0+2*gridLine-1, legible(c.Below, mostCell), centre)
			}
		}
	}
	if g.Note != "" {
		p.text(edge, l.h-edge-3, legible(g.Note, 200), lettering{size: textSize, ink: legendInk})
	}
}

// links draws the lines from row k to the one above.
func (g *Grid) links(p pen, l gridLayout, k int) {
	if k == 0 {
		return
	}
	for i, c := range g.Rows[k].Cells {
		for _, from := range c.From {
			if from < 0 || from >= len(g.Rows[k-1].Cells) {
				continue
			}
			ink, width := axisLine, 0.7
			if c.Tone > 0 {
				ink, width = Color(c.Tone-1), 1.4
			}
			p.line([]Point{{math.Round(l.left[from] + l.widths[from]/2), l.top[k-1] + l.height[k-1]}, {math.Round(l.left[i] + l.widths[i]/2), l.top[k]}}, width, nil, ink)
		}
	}
}

// inks are all that the grid is drawn with.
func (g *Grid) inks() []Ink {
	inks := []Ink{paper, heading, legendInk, axisText, axisLine, ruleInk}
	for _, r := range g.Rows {
		for _, c := range r.Cells {
			if c.Tone > 0 {
				inks = append(inks, c.box(), Color(c.Tone-1))
			}
		}
	}
	return inks
}

// SVG is the grid as a file, light, or dark where the reader prefers a dark screen.
func (g *Grid) SVG() []byte {
	l := g.layout()
	var p svg
	p.WriteString(`<g font-family="Liberation Sans,Arial,Helvetica,sans-serif">` + "\n")
	g.paint(&p, l)
	p.WriteString("</g>\n")
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %[1]g %[2]g">`+"\n<style>\n%[3]s</style>\n", l.w, l.h, darkStyle(g.inks()))
	b.Write(p.Bytes())
	b.WriteString("</svg>\n")
	return b.Bytes()
}
