package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

// svg writes the elements of a picture.
type svg struct{ bytes.Buffer }

// tenth is a coordinate, to a tenth of a point.
func tenth(v float64) string {
	s := strconv.FormatFloat(v, 'f', 1, 64)
	if s = strings.TrimSuffix(s, ".0"); s == "-0" {
		return "0"
	}
	return s
}

// fine is a coordinate to a hundredth of a point.
func fine(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (p *svg) path(points []Point, write func(float64) string) {
	for i, q := range points {
		switch i {
		case 0:
			p.WriteString("M")
		case 1:
			p.WriteString("L")
		default:
			p.WriteString(" ")
		}
		p.WriteString(write(q.X) + " " + write(q.Y))
	}
}

func (p *svg) line(points []Point, width float64, dashes []float64, ink Ink) {
	write := tenth
	if len(points) == 2 {
		write = fine
	}
	p.WriteString(`<path fill="none" stroke-linejoin="round" d="`)
	p.path(points, write)
	fmt.Fprintf(p, `" stroke="%s" stroke-width="%s"`, Hex(ink.Light), fine(width))
	if dashes == nil {
		p.WriteString(` stroke-linecap="round"`)
	} else {
		p.WriteString(` stroke-dasharray="`)
		for i, d := range dashes {
			if i > 0 {
				p.WriteString(" ")
			}
			p.WriteString(fine(d))
		}
		p.WriteString(`"`)
	}
	p.WriteString("/>\n")
}

func (p *svg) fill(polygons [][]Point, ink Ink) {
	p.WriteString(`<path d="`)
	for _, points := range polygons {
		p.path(points, tenth)
		p.WriteString("Z")
	}
	fmt.Fprintf(p, `" fill="%s"/>`+"\n", Hex(ink.Light))
}

func (p *svg) text(x, y float64, s string, k lettering) {
	fmt.Fprintf(p, `<text x="%s" y="%s" font-size="%s" fill="%s"`, tenth(x), tenth(y), fine(k.size), Hex(k.ink.Light))
	if k.bold {
		p.WriteString(` font-weight="bold"`)
	}
	if k.anchor != start {
		fmt.Fprintf(p, ` text-anchor="%s"`, map[anchor]string{middle: "middle", end: "end"}[k.anchor])
	}
	p.WriteString(">" + escape(s) + "</text>\n")
}

// escape is a text as XML may hold it.
func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a builder takes everything
	return b.String()
}

// body is the elements of a picture.
func (c *Chart) body(w, h int) []byte {
	var p svg
	// Liberation Sans has the widths of Arial and Helvetica.
	p.WriteString(`<g font-family="Liberation Sans,Arial,Helvetica,sans-serif">` + "\n")
	c.paint(&p, float64(w), float64(h))
	p.WriteString("</g>\n")
	return p.Bytes()
}

// SVG is the chart as a file of w×h points, light, or dark where the reader prefers a dark screen.
func (c *Chart) SVG(w, h int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d">`+"\n<style>\n%[3]s</style>\n", w, h, DarkStyle(c))
	b.Write(c.body(w, h))
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// Element is the chart as an element of a page, which has the style sheet of [DarkStyle] too.
func (c *Chart) Element(w, h int) string {
	return fmt.Sprintf("<svg role=\"img\" aria-label=\"%s\" viewBox=\"0 0 %d %d\">\n%s</svg>\n", escape(c.Title), w, h, c.body(w, h))
}

// inks are all that the chart is drawn with.
func (c *Chart) inks() []Ink {
	inks := []Ink{paper, heading, legendInk, axisText, axisLine, ruleInk, wrong}
	for i := range c.Series {
		inks = append(inks, c.Series[i].ink())
	}
	return inks
}

// DarkStyle is a style sheet that gives charts their dark inks where the reader prefers a dark screen. Each element has its
// light ink as an attribute, so a viewer that knows no style sheets shows a light chart, and so does paper.
func DarkStyle(charts ...*Chart) string {
	var inks []Ink
	for _, c := range charts {
		inks = append(inks, c.inks()...)
	}
	return darkStyle(inks)
}

func darkStyle(inks []Ink) string {
	var b strings.Builder
	b.WriteString("@media screen and (prefers-color-scheme: dark) {\n")
	done := map[Ink]bool{}
	for _, k := range inks {
		if done[k] {
			continue
		}
		done[k] = true
		for _, property := range []string{"fill", "stroke"} {
			fmt.Fprintf(&b, "svg [%s=\"%s\"] { %[1]s: %[3]s }\n", property, Hex(k.Light), Hex(k.Dark))
		}
	}
	b.WriteString("}\n")
	return b.String()
}
