package chart

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"coil/tui/canvas"
)

// CSV writes the points of the window, a line each: series, x, y.
func (c *Chart) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	x, _ := c.window()
	if err := out.Write([]string{"series", c.X.Label, "y"}); err != nil {
		return err
	}
	for i, s := range c.Series {
		name := s.Name
		if name == "" {
			name = fmt.Sprintf("as reported %d", i+1)
		}
		for _, p := range s.Points {
			if !(p.X >= x.lo && p.X <= x.hi) {
				continue
			}
			if err := out.Write([]string{name, strconv.FormatFloat(p.X, 'g', -1, 64), strconv.FormatFloat(p.Y, 'g', -1, 64)}); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// colours of exported series: those of Okabe and Ito, which everybody can tell apart.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999"}

// Space around an exported plot, and the size of its text, in pixels.
const (
	leftMargin   = 64
	rightMargin  = 24
	bottomMargin = 48
	lineHeight   = 20
	textWidth    = 7.5 // of a character, about
)

// SVG is the chart as a picture of w×h pixels, on white.
func (c *Chart) SVG(w, h int, title string) []byte {
	p := plot{left: leftMargin, right: max(leftMargin+1, float64(w)-rightMargin)}
	fmt.Fprintf(&p, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="system-ui,-apple-system,'Helvetica Neue',Arial,sans-serif" font-size="13">`+"\n", w, h, w, h)
	p.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	fmt.Fprintf(&p, `<text x="%d" y="24" font-size="15" font-weight="600" fill="#222">%s</text>`+"\n", leftMargin, escape.Replace(title))
	var okX, okY bool
	p.x, okX = c.window()
	p.y, okY = c.height(p.x)
	p.top = p.legend(c.Series, c.palette(), 46) + 6
	if c.broken() {
		p.top += lineHeight
		p.text(p.left, p.top-6, "start", "× NaN or infinite")
	}
	p.bottom = max(p.top+1, float64(h)-bottomMargin)
	if okX && okY {
		p.axes(c)
		p.curves(c.Series, c.palette())
	} else {
		p.text((p.left+p.right)/2, (p.top+p.bottom)/2, "middle", "no data")
	}
	p.WriteString("</svg>\n")
	return p.Bytes()
}

// palette is the colour of each series: one for each style, and a grey for those in the background.
func (c *Chart) palette() []string {
	palette := make([]string, len(c.Series))
	of := map[canvas.Style]string{}
	for i, s := range c.Series {
		if s.Faint {
			palette[i] = "#c4c4c4"
			continue
		}
		if of[s.Style] == "" {
			of[s.Style] = colours[len(of)%len(colours)]
		}
		palette[i] = of[s.Style]
	}
	return palette
}

// plot is an SVG of a chart that is being written.
type plot struct {
	bytes.Buffer
	left, right, top, bottom float64
	x, y                     scale
}

// px is where a point is; what is far outside is put near enough for every viewer.
func (p *plot) px(v XY) (x, y float64) {
	const far = 1e5
	place := func(at, from, to float64) float64 { return min(far, max(-far, from+at*(to-from))) }
	return place(p.x.at(v.X), p.left, p.right), place(p.y.at(v.Y), p.bottom, p.top)
}

func (p *plot) text(x, y float64, anchor, s string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="#444">%s</text>`+"\n", x, y, anchor, escape.Replace(s))
}

// legend writes the names from the baseline y on, in as many lines as they need, and returns the last baseline.
func (p *plot) legend(series []Series, palette []string, y float64) float64 {
	x := p.left
	for i, s := range series {
		if s.Name == "" {
			continue
		}
		width := 24 + textWidth*float64(len([]rune(s.Name))) + 16
		if x > p.left && x+width > p.right {
			x, y = p.left, y+lineHeight
		}
		if s.marks() {
			fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x+9, y-4.5, palette[i])
		} else {
			fmt.Fprintf(p, `<path d="M%.1f %.1fh18" stroke="%s" stroke-width="3" stroke-linecap="round"/>`+"\n", x, y-4.5, palette[i])
		}
		p.text(x+24, y, "start", s.Name)
		x += width
	}
	return y
}

func (p *plot) axes(c *Chart) {
	ticks := c.Y.ticks(p.y, max(2, int((p.bottom-p.top)/50)))
	labels := c.Y.labels(ticks)
	for i, t := range ticks {
		_, y := p.px(XY{p.x.lo, t})
		fmt.Fprintf(p, `<path d="M%.1f %.1fH%.1f" stroke="#e4e4e4"/>`+"\n", p.left, y, p.right)
		p.text(p.left-8, y+4.5, "end", labels[i])
	}
	ticks = c.X.ticks(p.x, max(2, int((p.right-p.left)/100)))
	labels = c.X.labels(ticks)
	for i, t := range ticks {
		x, _ := p.px(XY{t, p.y.lo})
		fmt.Fprintf(p, `<path d="M%.1f %.1fv5" stroke="#888"/>`+"\n", x, p.bottom)
		p.text(x, p.bottom+19, "middle", labels[i])
	}
	fmt.Fprintf(p, `<path d="M%.1f %.1fH%.1f" stroke="#888"/>`+"\n", p.left, p.bottom, p.right)
	p.text((p.left+p.right)/2, p.bottom+38, "middle", c.X.Label)
}

func (p *plot) curves(series []Series, palette []string) {
	fmt.Fprintf(p, `<clipPath id="plot"><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"/></clipPath>`+"\n", p.left-5, p.top-5, p.right-p.left+10, p.bottom-p.top+10)
	p.WriteString(`<g clip-path="url(#plot)" fill="none" stroke-width="1.75" stroke-linejoin="round" stroke-linecap="round">` + "\n")
	for i, s := range series {
		if s.marks() {
			for _, v := range s.Points {
				if p.y.shows(v.Y) && v.X >= p.x.lo && v.X <= p.x.hi {
					x, y := p.px(v)
					fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s" stroke="white"/>`+"\n", x, y, palette[i])
				}
			}
			continue
		}
		if d := p.path(s.Points); d != "" {
			fmt.Fprintf(p, `<path d="%s" stroke="%s"/>`+"\n", d, palette[i])
		}
	}
	for _, s := range series {
		p.crosses(s.Points)
	}
	p.WriteString("</g>\n")
}

// crosses marks values that are NaN or infinite: +Inf at the upper edge, the others at the lower one.
func (p *plot) crosses(points []XY) {
	for _, v := range points {
		if finite(v.Y) || !(v.X >= p.x.lo && v.X <= p.x.hi) {
			continue
		}
		x, _ := p.px(XY{v.X, p.y.lo})
		y := p.bottom
		if math.IsInf(v.Y, 1) {
			y = p.top
		}
		fmt.Fprintf(p, `<path d="M%.1f %.1fl8 8m0-8l-8 8" stroke="#c00000"/>`+"\n", x-4, y-4)
	}
}

// path is a curve, broken where there are gaps, with the points that are next to the window.
func (p *plot) path(points []XY) string {
	var d strings.Builder
	command := byte('M')
	for i, v := range points {
		if !p.y.shows(v.Y) || !p.x.shows(v.X) {
			command = 'M'
			continue
		}
		if v.X < p.x.lo && i+1 < len(points) && points[i+1].X < p.x.lo || v.X > p.x.hi && i > 0 && points[i-1].X > p.x.hi {
			continue
		}
		x, y := p.px(v)
		fmt.Fprintf(&d, "%c%.1f %.1f", command, x, y)
		if command == 'M' && (i+1 == len(points) || !p.y.shows(points[i+1].Y)) { // alone between gaps: a dot
			d.WriteString("h0")
		}
		command = 'L'
	}
	return d.String()
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")
