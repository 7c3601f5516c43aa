package chart

import (
	"math"
	"sort"

	"coil/tui/canvas"
)

// drawCursor draws a line at the cursor.
func (c *Chart) drawCursor(f *frame) {
	if !(c.Cursor >= f.x.lo && c.Cursor <= f.x.hi) {
		return
	}
	x := f.column(c.Cursor) / 2
	for y := range f.plot.Height() {
		f.plot.Set(x, y, '│', canvas.Focus)
	}
}

// entry is a line of the legend.
type entry struct {
	text  string
	style canvas.Style
}

func (e entry) width() int { return len([]rune(e.text)) }

// entries are the names of the series, with their values at the cursor.
func (c *Chart) entries() []entry {
	var entries []entry
	if c.HasCursor {
		entries = append(entries, entry{c.X.Label + " " + c.X.label(c.Cursor), canvas.Focus})
	}
	for i := range c.Series {
		s := &c.Series[i]
		if s.Name == "" {
			continue
		}
		text := "─ " + s.Name
		if s.Marks {
			text = "● " + s.Name
		}
		if c.HasCursor {
			if v, ok := s.near(c.Cursor); ok {
				text += " " + c.Y.label(v)
			} else {
				text += " –"
			}
		}
		entries = append(entries, entry{text, s.Style})
	}
	if c.broken() {
		entries = append(entries, entry{"× NaN or infinite", canvas.Bad})
	}
	return entries
}

// drawLegend draws the legend in a corner, or in a row, whichever hides the least. A single curve needs none: the panel's
// title says what it is.
func (c *Chart) drawLegend(f *frame) {
	entries := c.entries()
	if len(entries) < 2 && !c.HasCursor && !c.broken() || f.plot.Width() < leastLegend {
		return
	}
	widest, together := 0, 2*len(entries)
	for _, e := range entries {
		widest = max(widest, e.width())
		together += e.width()
	}
	w, h := f.plot.Width(), f.plot.Height()
	best, at := math.MaxInt, canvas.Area{}
	for _, k := range [6]struct{ x, y, w, h int }{
		{w - widest - 2, 0, widest + 2, len(entries)}, {w - widest - 2, h - len(entries), widest + 2, len(entries)},
		{0, 0, widest + 2, len(entries)}, {0, h - len(entries), widest + 2, len(entries)},
		{w - together, 0, together, 1}, {w - together, h - 1, together, 1},
	} {
		if k.x < 0 || k.w > w-4 || k.h > 1 && k.h > h-3 || k.h >= h-1 {
			continue
		}
		if n := c.hidden(k.x, k.y, k.w, k.h); n < best {
			best, at = n, f.plot.Sub(k.x, k.y, k.w, k.h)
		}
	}
	if best == math.MaxInt {
		return
	}
	at.Fill(' ', canvas.Plain)
	x := 1
	for i, e := range entries {
		if at.Height() > 1 || len(entries) == 1 {
			at.Text(1, i, e.text, e.style)
		} else {
			x = at.Text(x, 0, e.text, e.style) + 2
		}
	}
}

// hidden is how many cells of curves a rectangle covers.
func (c *Chart) hidden(x, y, w, h int) int {
	n := 0
	for row := y; row < y+h; row++ {
		for _, d := range c.dots[row*c.width+x : row*c.width+x+w] {
			if d.bits != 0 {
				n++
			}
		}
	}
	return n
}

// near is the value of the point nearest to x; ok is false if x is further beyond the ends than points are apart there.
func (s *Series) near(x float64) (y float64, ok bool) {
	p := s.Points
	n := len(p)
	i := sort.Search(n, func(i int) bool { return p[i].X >= x })
	switch {
	case n == 0:
		return 0, false
	case n == 1:
		i = 0
	case i == 0 && p[0].X-x > p[1].X-p[0].X, i == n && x-p[n-1].X > p[n-1].X-p[n-2].X:
		return 0, false
	case i == n || i > 0 && x-p[i-1].X < p[i].X-x:
		i--
	}
	return p[i].Y, true
}
