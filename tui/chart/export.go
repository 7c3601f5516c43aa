package chart

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
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
			if p.X < x.lo || p.X > x.hi {
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

// SVG is the chart as a picture of w×h pixels, on white.
func (c *Chart) SVG(w, h int, title string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", w, h, w, h)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	text := func(x, y float64, anchor, s string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="#333">%s</text>`+"\n", x, y, anchor, escape.Replace(s))
	}
	left, right, top, bottom := 70.0, float64(w)-20, 40.0, float64(h)-45
	text(left, 24, "start", title)
	text((left+right)/2, float64(h)-8, "middle", c.X.Label)
	x, okX := c.window()
	y, okY := c.height(x)
	if !okX || !okY {
		text((left+right)/2, (top+bottom)/2, "middle", "no data")
		b.WriteString("</svg>\n")
		return b.Bytes()
	}
	px := func(v float64) float64 { return left + x.at(v)*(right-left) }
	py := func(v float64) float64 { return bottom - y.at(v)*(bottom-top) }
	for _, t := range ticks(y, 6) {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1f" stroke="#ddd"/>`+"\n", left, py(t), right)
		text(left-6, py(t)+4, "end", label(c.Y, t))
	}
	for _, t := range ticks(x, 8) {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fv5" stroke="#333"/>`+"\n", px(t), bottom)
		text(px(t), bottom+19, "middle", label(c.X, t))
	}
	fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1f" stroke="#333"/>`+"\n", left, bottom, right)
	fmt.Fprintf(&b, `<clipPath id="plot"><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"/></clipPath><g clip-path="url(#plot)">`+"\n", left, top-4, right-left, bottom-top+8)
	at := right
	var legend strings.Builder
	colour := -1
	styles := map[any]int{}
	for _, s := range c.Series {
		fill := "#bbb"
		if !s.Faint {
			if _, ok := styles[s.Style]; !ok {
				colour++
				styles[s.Style] = colour
			}
			fill = colours[styles[s.Style]%len(colours)]
		}
		if s.Name != "" {
			fmt.Fprintf(&legend, `<text x="%.1f" y="24" text-anchor="end" fill="%s">%s</text>`+"\n", at, fill, escape.Replace(s.Name))
			at -= float64(8*len([]rune(s.Name)) + 16)
		}
		if s.Marks {
			for _, p := range s.Points {
				if y.shows(p.Y) && x.shows(p.X) {
					fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", px(p.X), py(p.Y), fill)
				}
			}
			continue
		}
		for _, piece := range pieces(s.Points, x, y) {
			var path strings.Builder
			for i, p := range piece {
				fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], px(p.X), py(p.Y))
			}
			fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.6"/>`+"\n", path.String(), fill)
		}
	}
	b.WriteString("</g>\n" + legend.String() + "</svg>\n")
	return b.Bytes()
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// pieces are the parts of a curve between gaps that the window may show.
func pieces(points []XY, x, y scale) [][]XY {
	var all [][]XY
	begin := 0
	for i := 0; i <= len(points); i++ {
		if i == len(points) || !y.shows(points[i].Y) || !x.shows(points[i].X) {
			if i > begin {
				all = append(all, points[begin:i])
			}
			begin = i + 1
		}
	}
	return all
}
