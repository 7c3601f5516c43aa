package canvas

import (
	"bytes"
	"fmt"
	"strings"
)

// The size of a cell of a picture in pixels, such that the dots of Braille are a regular grid.
const (
	cellWidth  = 9
	cellHeight = 18
	fontSize   = 15 // a character of most monospaced fonts is 0.6 of that wide
	margin     = 12
	air        = 2 // above and below blocks, so that bars are apart
)

// SVG is the canvas as a picture that needs nothing else. Lines, blocks and Braille dots are drawn, so that they meet
// whatever font a viewer has; a run of other characters of one style is a text that is set to its width.
func (c *Canvas) SVG(t *Theme) []byte {
	p := picture{theme: t, background: "#16181d", foreground: "#d6d8de"}
	edge := "#33363d"
	if t.Light {
		p.background, p.foreground, edge = "#ffffff", "#24262b", "#d5d7dc"
	}
	w, h := c.width*cellWidth+2*margin, c.height*cellHeight+2*margin
	fmt.Fprintf(&p, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">`+"\n", w, h, w, h)
	fmt.Fprintf(&p, `<rect x="0.5" y="0.5" width="%d" height="%d" rx="8" fill="%s" stroke="%s"/>`+"\n", w-1, h-1, p.background, edge)
	fmt.Fprintf(&p, `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="%d" fill="%s">`+"\n", fontSize, p.foreground)
	for y := range c.height {
		p.line(c.cells[y*c.width:(y+1)*c.width], margin+y*cellHeight)
	}
	p.WriteString("</g>\n</svg>\n")
	return p.Bytes()
}

// picture is an SVG that is being written.
type picture struct {
	bytes.Buffer
	theme                  *Theme
	background, foreground string
}

// line writes a line of cells in runs of one style that are all drawn or all written. A run continues across a single space.
func (p *picture) line(line []cell, top int) {
	blank := func(i int) bool {
		return i >= len(line) || line[i].r == ' ' && !p.theme.Colors[line[i].style].seenBlank()
	}
	for x := 0; x < len(line); {
		if blank(x) {
			x++
			continue
		}
		n := 1
		for x+n < len(line) && (line[x+n].style == line[x].style && drawn(line[x+n].r) == drawn(line[x].r) || blank(x+n)) && !(blank(x+n) && blank(x+n+1)) {
			n++
		}
		if blank(x + n - 1) { // before another style
			n--
		}
		p.run(line[x:x+n], margin+x*cellWidth, top)
		x += n
	}
}

// drawn reports whether a character is drawn and not written.
func drawn(r rune) bool {
	return r >= 0x2800 && r < 0x2900 || r >= '▁' && r <= '▏' || r == '░' || strings.ContainsRune("─│╭╮╰╯", r)
}

// run writes cells of one style.
func (p *picture) run(cells []cell, left, top int) {
	k := p.theme.Colors[cells[0].style]
	fill, behind := p.foreground, ""
	if k.FG >= 0 {
		fill = hex(k.FG)
	}
	if k.BG >= 0 {
		behind = hex(k.BG)
	}
	if k.Reverse {
		fill, behind = p.background, fill
	}
	if behind != "" {
		fmt.Fprintf(p, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", left, top, len(cells)*cellWidth, cellHeight, behind)
	}
	if drawn(cells[0].r) {
		p.shapes(cells, left, top, fill)
		return
	}
	p.text(cells, left, top, fill, k)
}

func (p *picture) text(cells []cell, left, top int, fill string, k Color) {
	var b strings.Builder
	for _, c := range cells {
		b.WriteRune(c.r)
	}
	text := strings.TrimLeft(b.String(), " ")
	left += (b.Len() - len(text)) * cellWidth // spaces are one byte
	text = strings.TrimRight(text, " ")
	if text == "" {
		return
	}
	look := ""
	if fill != p.foreground {
		look = fmt.Sprintf(` fill="%s"`, fill)
	}
	if k.Bold {
		look += ` font-weight="bold"`
	}
	if k.Faint {
		look += ` opacity="0.6"`
	}
	if k.Underline {
		look += ` text-decoration="underline"`
	}
	fmt.Fprintf(p, `<text xml:space="preserve" x="%d" y="%d" textLength="%d" lengthAdjust="spacingAndGlyphs"%s>%s</text>`+"\n",
		left, top+cellHeight*3/4, len([]rune(text))*cellWidth, look, escape.Replace(text))
}

func hex(n int) string {
	r, g, b := rgb(n)
	return fmt.Sprintf("#%02x%02x%02x", r, g, b)
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// shapes draws lines, blocks and dots, each kind in one path.
func (p *picture) shapes(cells []cell, left, top int, fill string) {
	var lines, dots, blocks, shade strings.Builder
	for i, c := range cells {
		x, y := left+i*cellWidth, top
		right, bottom := x+cellWidth, y+cellHeight
		mx, my := float64(x)+cellWidth/2.0, float64(y)+cellHeight/2.0+0.5 // the middle of a pixel, so that lines are sharp
		switch r := c.r; {
		case r == ' ':
		case r == '─':
			fmt.Fprintf(&lines, "M%d %gH%d", x, my, right)
		case r == '│':
			fmt.Fprintf(&lines, "M%g %dV%d", mx, y, bottom)
		case r == '╭':
			fmt.Fprintf(&lines, "M%g %dQ%g %g %d %g", mx, bottom, mx, my, right, my)
		case r == '╮':
			fmt.Fprintf(&lines, "M%g %dQ%g %g %d %g", mx, bottom, mx, my, x, my)
		case r == '╰':
			fmt.Fprintf(&lines, "M%g %dQ%g %g %d %g", mx, y, mx, my, right, my)
		case r == '╯':
			fmt.Fprintf(&lines, "M%g %dQ%g %g %d %g", mx, y, mx, my, x, my)
		case r >= 0x2800:
			for bit, at := range brailleDots {
				if (r-0x2800)>>bit&1 == 1 {
					fmt.Fprintf(&dots, "M%g %gh0", float64(x)+cellWidth*(0.25+0.5*at[0]), float64(y)+cellHeight*(0.125+0.25*at[1]))
				}
			}
		case r == '░':
			fmt.Fprintf(&shade, "M%d %dh%dv%dh-%dz", x, y+air, cellWidth, cellHeight-2*air, cellWidth)
		case r <= '█': // ▁ to █, from below
			high := (cellHeight - 2*air) * float64(r-'▁'+1) / 8
			fmt.Fprintf(&blocks, "M%d %dv-%gh%dv%gz", x, bottom-air, high, cellWidth, high)
		default: // ▉ to ▏, from the left
			wide := cellWidth * float64('▏'-r+1) / 8
			fmt.Fprintf(&blocks, "M%d %dh%gv%dh-%gz", x, y+air, wide, cellHeight-2*air, wide)
		}
	}
	for _, part := range []struct {
		path *strings.Builder
		look string
	}{{&lines, `fill="none" stroke="%s"`}, {&dots, `fill="none" stroke="%s" stroke-width="2.7" stroke-linecap="round"`}, {&blocks, `fill="%s"`}, {&shade, `fill="%s" opacity="0.25"`}} {
		if part.path.Len() > 0 {
			fmt.Fprintf(p, `<path d="%s" `+part.look+"/>\n", part.path.String(), fill)
		}
	}
}

// brailleDots are the column and row of each bit: those of the left column from above, then of the right one, then the
// lowest row.
var brailleDots = [8][2]float64{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}, {0, 3}, {1, 3}}
