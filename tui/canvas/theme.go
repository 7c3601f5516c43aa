package canvas

import (
	"fmt"
	"strconv"
	"strings"
)

// Color is how a style looks. FG and BG are numbers of the palette of 256 colours, −1 for the terminal's own.
type Color struct {
	FG, BG                 int
	Bold, Faint, Underline bool
	Reverse                bool
}

// Theme gives each style a look.
type Theme struct {
	Name   string
	Light  bool // for a light background
	Colors [styleCount]Color
}

// fg is a colour on the terminal's own background.
func fg(n int) Color { return Color{FG: n, BG: -1} }

func bold(n int) Color { return Color{FG: n, BG: -1, Bold: true} }

// theme makes a theme: of dim text, border, accent, good, bad, warn, and the series.
func theme(name string, light bool, dim, border, accent, good, bad, warn int, series [seriesCount]int) *Theme {
	t := &Theme{Name: name, Light: light}
	t.Colors = [styleCount]Color{Plain: fg(-1), Dim: fg(dim), Strong: bold(-1), Border: fg(border), Focus: bold(accent), Title: bold(-1),
		Good: fg(good), Bad: bold(bad), Warn: fg(warn), Accent: fg(accent), Select: {FG: -1, BG: -1, Reverse: true}, Key: bold(accent)}
	for i, n := range series {
		t.Colors[series0+Style(i)] = fg(n)
	}
	return t
}

// The colours of the last two are those that Okabe and Ito chose to be told apart by everybody, as near as the palette has them.
var themes = []*Theme{
	theme("dark", false, 245, 240, 80, 114, 203, 221, [seriesCount]int{80, 215, 114, 177, 221, 111, 210, 151}),
	theme("light", true, 243, 248, 25, 28, 160, 130, [seriesCount]int{25, 166, 28, 90, 136, 31, 125, 64}),
	theme("dark-safe", false, 245, 240, 74, 36, 208, 220, [seriesCount]int{74, 214, 36, 175, 227, 32, 208, 255}),
	theme("light-safe", true, 243, 248, 25, 29, 166, 136, [seriesCount]int{25, 166, 29, 132, 136, 38, 172, 16}),
}

// Themes returns the themes; the first is the default.
func Themes() []*Theme { return themes }

// ThemeNamed returns a theme, or an error that names those that there are.
func ThemeNamed(name string) (*Theme, error) {
	var names []string
	for _, t := range themes {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return nil, fmt.Errorf("no theme %q; there are %s", name, strings.Join(names, ", "))
}

// Depth is how many colours a terminal has.
type Depth int

// The depths.
const (
	NoColor Depth = iota // bold, faint and reversed text remain
	Color16
	Color256
)

// ANSI is the canvas for a terminal: its lines, with a change of colour only where the style changes, and none pending at
// a line's end. It has no line break at the end.
func (c *Canvas) ANSI(t *Theme, d Depth) string {
	var codes [styleCount]string
	var bare [styleCount]bool
	for s, k := range t.Colors {
		codes[s] = k.code(d, Style(s) == Dim || Style(s) == Border)
		bare[s] = k.BG < 0 && !k.Reverse && !k.Underline
	}
	b := make([]byte, 0, len(c.cells)*2)
	for y := range c.height {
		if y > 0 {
			b = append(b, '\n')
		}
		last := state{bare: true}
		for _, k := range c.cells[y*c.width : (y+1)*c.width] {
			code := codes[k.style]
			if k.r == ' ' && bare[k.style] && last.bare { // a space has no colour of its own
				code = last.code
			}
			if code != last.code {
				if last.code != "" {
					b = append(b, "\x1b[m"...)
				}
				b = append(b, code...)
				last = state{code, bare[k.style]}
			}
			if k.r < 0x80 {
				b = append(b, byte(k.r))
			} else {
				b = append(b, string(k.r)...)
			}
		}
		if last.code != "" {
			b = append(b, "\x1b[m"...)
		}
	}
	return string(b)
}

// state is what the terminal was told: a code, and whether a space looks the same with it as without.
type state struct {
	code string
	bare bool
}

// code is the escape sequence of a colour.
func (k Color) code(d Depth, dim bool) string {
	var p []string
	add := func(on bool, code string) {
		if on {
			p = append(p, code)
		}
	}
	add(k.Bold, "1")
	add(k.Faint || d == NoColor && dim, "2")
	add(k.Underline, "4")
	add(k.Reverse, "7")
	for _, part := range []struct{ n, base int }{{k.FG, 30}, {k.BG, 40}} {
		switch {
		case d == NoColor || part.n < 0:
		case d == Color256:
			p = append(p, strconv.Itoa(part.base+8), "5", strconv.Itoa(part.n))
		default:
			n := nearest16(part.n)
			if n >= 8 {
				part.base += 60 - 8
			}
			p = append(p, strconv.Itoa(part.base+n))
		}
	}
	if len(p) == 0 {
		return ""
	}
	return "\x1b[" + strings.Join(p, ";") + "m"
}

// rgb is a colour of the palette of 256.
func rgb(n int) (r, g, b int) {
	switch {
	case n < 16:
		p := basic[n]
		return p[0], p[1], p[2]
	case n < 232:
		level := func(i int) int {
			if i == 0 {
				return 0
			}
			return 55 + 40*i
		}
		n -= 16
		return level(n / 36), level(n / 6 % 6), level(n % 6)
	}
	v := 8 + 10*(n-232)
	return v, v, v
}

// basic are the first 16 colours, as xterm has them.
var basic = [16][3]int{{0, 0, 0}, {205, 0, 0}, {0, 205, 0}, {205, 205, 0}, {0, 0, 238}, {205, 0, 205}, {0, 205, 205}, {229, 229, 229},
	{127, 127, 127}, {255, 0, 0}, {0, 255, 0}, {255, 255, 0}, {92, 92, 255}, {255, 0, 255}, {0, 255, 255}, {255, 255, 255}}

// nearest16 is the colour of the first 16 that is nearest.
func nearest16(n int) int {
	r, g, b := rgb(n)
	best, at := 1<<30, 0
	for i, p := range basic {
		d := (r-p[0])*(r-p[0]) + (g-p[1])*(g-p[1]) + (b-p[2])*(b-p[2])
		if d < best {
			best, at = d, i
		}
	}
	return at
}
