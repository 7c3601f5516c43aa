// Package canvas is a rectangle of character cells that is drawn on and then written out: for a terminal, as text, or as
// an SVG picture. Whatever is drawn outside is dropped, so no drawing can make a screen wider or higher than it is.
package canvas

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"coil/text"

	"github.com/mattn/go-runewidth"
)

// Style is the role of a cell. A [Theme] gives roles their colours.
type Style uint8

// The styles.
const (
	Plain Style = iota
	Dim
	Strong
	Border
	Focus // the border of what has the focus
	Title
	Good
	Bad
	Warn
	Accent
	Select
	Key
	Series0
	Series1
	Series2
	Series3
	Series4
	Series5
	Series6
	Series7
	styleCount
)

const seriesCount = int(styleCount - Series0)

// Series is the style of the i-th of several curves.
func Series(i int) Style { return Series0 + Style((i%seriesCount+seriesCount)%seriesCount) }

// cell is one character.
type cell struct {
	r     rune
	style Style
}

// Canvas is a rectangle of cells.
type Canvas struct {
	// ASCII draws with no characters but ASCII.
	ASCII bool

	width, height int
	cells         []cell
}

// New makes an empty canvas.
func New(width, height int) *Canvas {
	c := &Canvas{}
	c.Resize(width, height)
	return c
}

// Resize gives the canvas another size, and empties it.
func (c *Canvas) Resize(width, height int) {
	c.width, c.height = max(0, width), max(0, height)
	if n := c.width * c.height; cap(c.cells) < n {
		c.cells = make([]cell, n)
	} else {
		c.cells = c.cells[:n]
	}
	c.Clear()
}

// Clear empties the canvas.
func (c *Canvas) Clear() {
	for i := range c.cells {
		c.cells[i] = cell{' ', Plain}
	}
}

// Area is the whole canvas.
func (c *Canvas) Area() Area { return Area{canvas: c, w: c.width, h: c.height} }

// Area is a rectangle of a canvas. What is drawn outside of it is dropped. Its size is never negative.
type Area struct {
	canvas     *Canvas
	x, y, w, h int
}

// Width is the number of columns.
func (a Area) Width() int { return a.w }

// Height is the number of rows.
func (a Area) Height() int { return a.h }

// ASCII reports whether the canvas draws with ASCII only.
func (a Area) ASCII() bool { return a.canvas.ASCII }

// Sub is the part of a from column x and row y on, of at most w columns and h rows.
func (a Area) Sub(x, y, w, h int) Area {
	if x < 0 {
		w, x = w+x, 0
	}
	if y < 0 {
		h, y = h+y, 0
	}
	x, y = min(x, a.w), min(y, a.h)
	return Area{a.canvas, a.x + x, a.y + y, max(0, min(w, a.w-x)), max(0, min(h, a.h-y))}
}

// Inset is a without n columns and rows at each edge.
func (a Area) Inset(n int) Area { return a.Sub(n, n, a.w-2*n, a.h-2*n) }

// SplitX splits a into its first columns and the others.
func (a Area) SplitX(left int) (Area, Area) {
	left = min(a.w, max(0, left))
	return a.Sub(0, 0, left, a.h), a.Sub(left, 0, a.w-left, a.h)
}

// SplitY splits a into its first rows and the others.
func (a Area) SplitY(top int) (Area, Area) {
	top = min(a.h, max(0, top))
	return a.Sub(0, 0, a.w, top), a.Sub(0, top, a.w, a.h-top)
}

// Set draws one character. One that is not a single printable column wide becomes a question mark.
func (a Area) Set(x, y int, r rune, s Style) {
	if x < 0 || y < 0 || x >= a.w || y >= a.h {
		return
	}
	if r < 0x20 || r > 0x7e {
		r = a.canvas.glyph(r)
	}
	a.canvas.cells[(a.y+y)*a.canvas.width+a.x+x] = cell{r, s}
}

// narrow is false where East Asian terminals are: a column is what most terminals make of it.
var narrow = &runewidth.Condition{EastAsianWidth: false}

// glyph is what stands for a rune.
func (c *Canvas) glyph(r rune) rune {
	if c.ASCII {
		return ascii(r)
	}
	if r >= 0x2500 && r < 0x2600 || r >= 0x2800 && r < 0x2900 { // boxes, blocks and Braille: most cells
		return r
	}
	// Of the others those that every terminal draws alone, in one column, from the left to the right.
	if r >= 0x590 && (r < 0x2000 || r >= 0x2c00) || !unicode.IsPrint(r) || unicode.IsMark(r) || narrow.RuneWidth(r) != 1 {
		return '?'
	}
	return r
}

func ascii(r rune) rune {
	if r >= ' ' && r < 0x7f {
		return r
	}
	return text.ASCII(r, '?')
}

// Text draws a text from x on, and returns the column after it. Line breaks are drawn as spaces. A text without room ends
// with an ellipsis, before a number that would be cut.
func (a Area) Text(x, y int, s string, st Style) int {
	for _, r := range fit(s, a.w-x) {
		if x >= a.w {
			return x
		}
		if r == '\n' || r == '\t' || r == '\r' {
			r = ' '
		}
		a.Set(x, y, r, st)
		x++
	}
	return x
}

// TextRight draws a text that ends in the last column.
func (a Area) TextRight(y int, s string, st Style) {
	a.Text(max(0, a.w-utf8.RuneCountInString(s)), y, s, st)
}

// TextCenter draws a text in the middle.
func (a Area) TextCenter(y int, s string, st Style) { a.Text(max(0, (a.w-len([]rune(s)))/2), y, s, st) }

// Fill fills the area with a character.
func (a Area) Fill(r rune, s Style) {
	for y := range a.h {
		for x := range a.w {
			a.Set(x, y, r, s)
		}
	}
}

// Box draws a border with a title in its upper edge, and returns what is inside of it. An area too small for a border has
// none.
func (a Area) Box(title string, s Style) Area {
	if a.w < 2 || a.h < 2 {
		return a
	}
	right, bottom := a.w-1, a.h-1
	for x := 1; x < right; x++ {
		a.Set(x, 0, '─', s)
		a.Set(x, bottom, '─', s)
	}
	for y := 1; y < bottom; y++ {
		a.Set(0, y, '│', s)
		a.Set(right, y, '│', s)
	}
	a.Set(0, 0, '╭', s)
	a.Set(right, 0, '╮', s)
	a.Set(0, bottom, '╰', s)
	a.Set(right, bottom, '╯', s)
	if title != "" && a.w > 6 {
		style := Title
		if s == Focus {
			style = Focus
		}
		a.Text(2, 0, " "+fit(title, a.w-6)+" ", style)
	}
	return a.Sub(1, 1, a.w-2, a.h-2)
}

// Plain is the canvas as text, without spaces at the ends of lines.
func (c *Canvas) Plain() string {
	var b, line strings.Builder
	for y := range c.height {
		line.Reset()
		for _, k := range c.cells[y*c.width : (y+1)*c.width] {
			line.WriteRune(k.r)
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}
