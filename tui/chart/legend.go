package chart

import (
	"math"
	"sort"

	"coil/tui/canvas"
)

// drawCursor draws a line at the cursor.
func (c *Chart) drawCursor(f frame) {
	if !(c.Cursor >= f.x.lo && c.Cursor <= f.x.hi) {
		return
	}
	x := int(f.x.at(c.Cursor)*float64(f.plot.Width()-1) + 0.5)
	for y := range f.plot.Height() {
		f.plot.Set(x, y, '│', canvas.Focus)
	}
}

// entry is a line of the legend.
type entry struct {
	text  string
	style canvas.Style
}

// drawLegend draws the names of the series, with their values at the cursor, in the corner that is freer.
func (c *Chart) drawLegend(f frame) {
	var entries []entry
	if c.HasCursor {
		entries = append(entries, entry{c.X.Label + " " + label(c.X, c.Cursor), canvas.Focus})
	}
	width := 0
	for _, s := range c.Series {
		if s.Name == "" {
			continue
		}
		text := "─ " + s.Name
		if s.Marks {
			text = "● " + s.Name
		}
		if c.HasCursor {
			if v, ok := nearest(s.Points, c.Cursor); ok {
				text += " " + label(c.Y, v)
			} else {
				text += " –"
			}
		}
		entries = append(entries, entry{text, s.Style})
	}
	if len(entries) < 2 && !c.HasCursor { // the panel's title says it
		return
	}
	for _, e := range entries {
		width = max(width, len([]rune(e.text)))
	}
	p := f.plot
	if p.Width() < leastLegend || p.Width() < width+6 || p.Height() < len(entries)+3 {
		return
	}
	top, left := c.freeCorner(p, width, len(entries))
	for i, e := range entries {
		p.Sub(left, top+i, width+2, 1).Fill(' ', canvas.Plain)
		p.Text(left+1, top+i, e.text, e.style)
	}
}

// freeCorner is the corner, of those at the right and then at the left, with the fewest dots in w×h cells.
func (c *Chart) freeCorner(p canvas.Area, w, h int) (top, left int) {
	best := math.MaxInt
	for _, at := range [4][2]int{{0, p.Width() - w - 2}, {p.Height() - h, p.Width() - w - 2}, {0, 1}, {p.Height() - h, 1}} {
		n := 0
		for y := at[0]; y < at[0]+h; y++ {
			for x := at[1]; x < min(p.Width(), at[1]+w+2); x++ {
				if d := c.dots[y*c.width+x]; d.bits != 0 {
					n++
				}
			}
		}
		if n < best {
			best, top, left = n, at[0], at[1]
		}
	}
	return top, left
}

// nearest is the value of the point nearest to x.
func nearest(points []XY, x float64) (float64, bool) {
	i := sort.Search(len(points), func(i int) bool { return points[i].X >= x })
	if i == len(points) || i > 0 && x-points[i-1].X < points[i].X-x {
		i--
	}
	if i < 0 {
		return 0, false
	}
	return points[i].Y, true
}
