package canvas

import (
	"bytes"
	"fmt"
	"strings"
)

// The size of a cell of a picture.
const (
	cellWidth  = 8.4
	cellHeight = 17.0
	fontSize   = 14
	margin     = 14
)

// SVG is the canvas as a picture that needs nothing else. Lines, blocks and Braille dots are drawn, so that they meet
// whatever font a viewer has; a run of other characters of one style is a text that is set to its width.
func (c *Canvas) SVG(t *Theme) []byte {
	var b bytes.Buffer
	w, h := float64(c.width)*cellWidth+2*margin, float64(c.height)*cellHeight+2*margin
	background, foreground := "#16181d", "#d6d8de"
	if t.Light {
		background, foreground = "#ffffff", "#24262b"
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f">`+"\n", w, h, w, h)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", background)
	fmt.Fprintf(&b, `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="%d" fill="%s">`+"\n", fontSize, foreground)
	for y := range c.height {
		line := c.cells[y*c.width : (y+1)*c.width]
		for x := 0; x < len(line); {
			n := 1
			for x+n < len(line) && line[x+n].style == line[x].style && drawn(line[x+n].r) == drawn(line[x].r) {
				n++
			}
			writeRun(&b, t, line[x:x+n], x, y, foreground, background)
			x += n
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.Bytes()
}

// drawn reports whether a character is drawn and not written.
func drawn(r rune) bool {
	return r >= 0x2800 && r < 0x2900 || r >= 0x2581 && r <= 0x258f || r == '░' || strings.ContainsRune("─│╭╮╰╯", r)
}

// writeRun writes cells of one style from column x of line y on.
func writeRun(b *bytes.Buffer, t *Theme, cells []cell, x, y int, foreground, background string) {
	k := t.Colors[cells[0].style]
	fill := foreground
	if k.FG >= 0 {
		r, g, bl := rgb(k.FG)
		fill = fmt.Sprintf("#%02x%02x%02x", r, g, bl)
	}
	left, top := margin+float64(x)*cellWidth, margin+float64(y)*cellHeight
	if k.Reverse {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", left, top, float64(len(cells))*cellWidth, cellHeight, fill)
		fill = background
	}
	if drawn(cells[0].r) {
		writeShapes(b, cells, left, top, fill)
		return
	}
	var text strings.Builder
	for _, c := range cells {
		text.WriteRune(c.r)
	}
	whole := text.String()
	trimmed := strings.TrimLeft(whole, " ")
	left += float64(len(whole)-len(trimmed)) * cellWidth // spaces are one byte
	trimmed = strings.TrimRight(trimmed, " ")
	if trimmed == "" {
		return
	}
	weight := ""
	if k.Bold {
		weight = ` font-weight="bold"`
	}
	if fill != foreground {
		weight += fmt.Sprintf(` fill="%s"`, fill)
	}
	fmt.Fprintf(b, `<text xml:space="preserve" x="%.1f" y="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>`+"\n",
		left, top+cellHeight*0.76, float64(len([]rune(trimmed)))*cellWidth, weight, escape.Replace(trimmed))
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// writeShapes draws lines, blocks and dots, all of them in one path.
func writeShapes(b *bytes.Buffer, cells []cell, left, top float64, fill string) {
	var lines, areas, shade strings.Builder
	for i, c := range cells {
		x, y := left+float64(i)*cellWidth, top
		right, bottom := x+cellWidth, y+cellHeight
		mx, my := x+cellWidth/2, y+cellHeight/2
		switch r := c.r; {
		case r == '─':
			fmt.Fprintf(&lines, "M%.1f %.1fH%.1f", x, my, right)
		case r == '│':
			fmt.Fprintf(&lines, "M%.1f %.1fV%.1f", mx, y, bottom)
		case r == '╭':
			fmt.Fprintf(&lines, "M%.1f %.1fQ%.1f %.1f %.1f %.1f", mx, bottom, mx, my, right, my)
		case r == '╮':
			fmt.Fprintf(&lines, "M%.1f %.1fQ%.1f %.1f %.1f %.1f", mx, bottom, mx, my, x, my)
		case r == '╰':
			fmt.Fprintf(&lines, "M%.1f %.1fQ%.1f %.1f %.1f %.1f", mx, y, mx, my, right, my)
		case r == '╯':
			fmt.Fprintf(&lines, "M%.1f %.1fQ%.1f %.1f %.1f %.1f", mx, y, mx, my, x, my)
		case r >= 0x2800: // Braille: bits of the left column from above, then the right one, then the lowest row
			for bit, at := range brailleDots {
				if (r-0x2800)>>bit&1 == 1 {
					cx, cy := x+cellWidth*(0.27+0.46*float64(at[0])), y+cellHeight*(0.14+0.24*float64(at[1]))
					fmt.Fprintf(&areas, "M%.1f %.1fh1.9v1.9h-1.9z", cx-0.95, cy-0.95)
				}
			}
		case r == '░':
			fmt.Fprintf(&shade, "M%.1f %.1fh%.1fv%.1fh-%.1fz", x, y+2, cellWidth, cellHeight-4, cellWidth)
		case r <= '█': // ▁ to █, from below
			high := cellHeight * float64(r-'▁'+1) / 8
			if r == '█' {
				high = cellHeight - 4
				bottom -= 2
			}
			fmt.Fprintf(&areas, "M%.1f %.1fh%.1fv%.1fh-%.1fz", x, bottom-high, cellWidth, high, cellWidth)
		default: // ▉ to ▏, from the left
			wide := cellWidth * float64('▏'-r+1) / 8
			fmt.Fprintf(&areas, "M%.1f %.1fh%.1fv%.1fh-%.1fz", x, y+2, wide, cellHeight-4, wide)
		}
	}
	if lines.Len() > 0 {
		fmt.Fprintf(b, `<path d="%s" stroke="%s" fill="none"/>`+"\n", lines.String(), fill)
	}
	if areas.Len() > 0 {
		fmt.Fprintf(b, `<path d="%s" fill="%s"/>`+"\n", areas.String(), fill)
	}
	if shade.Len() > 0 {
		fmt.Fprintf(b, `<path d="%s" fill="%s" opacity="0.25"/>`+"\n", shade.String(), fill)
	}
}

// brailleDots are the column and row of each bit.
var brailleDots = [8][2]int{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}, {0, 3}, {1, 3}}
