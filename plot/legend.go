package plot

import "math"

// sampled is an entry of the legend with a sample of the series before it, and its role.
func (p *cells) sampled(e entry) (string, Role) {
	switch e.series {
	case ofCursor:
		return e.text, RoleCursor
	case ofBroken:
		return e.text, RoleWrong
	}
	s := &p.c.Series[e.series]
	if s.Kind >= Marked {
		return "● " + e.text, s.role()
	}
	return "─ " + e.text, s.role()
}

// drawLegend draws the legend in a corner, or in a row, whichever hides the least. A single curve needs none: the panel's
// title says what it is.
func (p *cells) drawLegend() {
	entries := p.c.entries()
	broken := len(entries) > 0 && entries[len(entries)-1].series == ofBroken
	if len(entries) < 2 && !p.c.HasCursor && !broken || p.width < leastLegend {
		return
	}
	texts, roles := make([]string, len(entries)), make([]Role, len(entries))
	widest, together := 0, 2*len(entries)
	for i, e := range entries {
		texts[i], roles[i] = p.sampled(e)
		widest = max(widest, length(texts[i]))
		together += length(texts[i])
	}
	w, h := p.width, p.height
	type rectangle struct{ x, y, w, h int }
	best, at := math.MaxInt, rectangle{}
	for _, k := range [6]rectangle{
		{w - widest - 2, 0, widest + 2, len(entries)}, {w - widest - 2, h - len(entries), widest + 2, len(entries)},
		{0, 0, widest + 2, len(entries)}, {0, h - len(entries), widest + 2, len(entries)},
		{w - together, 0, together, 1}, {w - together, h - 1, together, 1},
	} {
		if k.x < 0 || k.w > w-4 || k.h > 1 && k.h > h-3 || k.h >= h-1 {
			continue
		}
		if n := p.hidden(k.x, k.y, k.w, k.h); n < best {
			best, at = n, k
		}
	}
	if best == math.MaxInt {
		return
	}
	for y := range at.h {
		for x := range at.w {
			p.set(at.x+x, at.y+y, ' ', RoleBlank)
		}
	}
	x := 1
	for i, text := range texts {
		if at.h > 1 || len(texts) == 1 {
			p.Text(p.left+at.x+1, at.y+i, text, roles[i])
		} else {
			p.Text(p.left+at.x+x, at.y, text, roles[i])
			x += length(text) + 2
		}
	}
}

// hidden is how many cells of curves a rectangle covers.
func (p *cells) hidden(x, y, w, h int) int {
	n := 0
	for row := y; row < y+h; row++ {
		for _, d := range p.dots[row*p.width+x : row*p.width+x+w] {
			if d.bits != 0 {
				n++
			}
		}
	}
	return n
}
