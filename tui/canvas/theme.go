package canvas

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"coil/plot"
)

// Color is how a style looks. Colours are numbers of the palette of 256, −1 for the terminal's own.
type Color struct {
	FG, BG                 int
	Basic                  int // FG where there are only the first 16
	Bold, Faint, Underline bool
	Reverse                bool
}

// Theme gives each style a look.
type Theme struct {
	Name   string
	Light  bool // for a light background
	Colors [styleCount]Color
}

// hue is a colour of 256, and what it is of 16: the nearest of those would be grey too often.
type hue struct{ fine, basic int }

func (h hue) color() Color { return Color{FG: h.fine, BG: -1, Basic: h.basic} }

func (h hue) bold() Color {
	k := h.color()
	k.Bold = true
	return k
}

// theme returns a theme made of greys for dim text and borders, and of hues for good, bad and warning. Its series are those of
// [plot.Color], and the first series is the accent.
func theme(name string, light bool, dim, border int, good, bad, warn hue) *Theme {
	const brightBlack = 8
	series := darkSeries
	if light {
		series = lightSeries
	}
	own, accent := hue{-1, -1}, series[0]
	t := &Theme{Name: name, Light: light}
	t.Colors = [styleCount]Color{Plain: own.color(), Dim: hue{dim, brightBlack}.color(), Strong: own.bold(),
		Border: hue{border, brightBlack}.color(), Focus: accent.bold(), Title: own.bold(), Good: good.color(), Bad: bad.bold(),
		Warn: warn.color(), Accent: accent.color(), Select: {FG: -1, BG: -1, Basic: -1, Reverse: true}, Key: accent.bold()}
	for i, h := range series {
		t.Colors[Series0+Style(i)] = h.color()
	}
	return t
}

// The colours of the palette of package plot, or the nearest of 256.
var (
	darkSeries  = [plot.Colors]hue{{69, 12}, {172, 3}, {29, 2}, {133, 13}, {160, 9}, {117, 14}, {255, 15}, {220, 11}}
	lightSeries = [plot.Colors]hue{{55, 4}, {94, 1}, {23, 6}, {163, 5}, {137, 3}, {105, 12}, {234, 0}, {53, 13}}
)

// The last two are for those who see red and green as one.
var themes = []*Theme{
	theme("dark", false, 245, 240, hue{114, 10}, hue{203, 9}, hue{221, 11}),
	theme("light", true, 243, 248, hue{28, 2}, hue{160, 1}, hue{130, 3}),
	theme("dark-safe", false, 245, 240, hue{36, 14}, hue{202, 9}, hue{227, 11}),
	theme("light-safe", true, 243, 248, hue{29, 6}, hue{160, 1}, hue{130, 3}),
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
	for s := range codes {
		codes[s] = t.Colors[s].code(d, Style(s) == Dim || Style(s) == Border)
	}
	b := make([]byte, 0, 4*len(c.cells))
	for y := range c.height {
		if y > 0 {
			b = append(b, '\n')
		}
		last := Plain
		for _, k := range c.cells[y*c.width : (y+1)*c.width] {
			blank := k.r == ' ' && !t.Colors[k.style].seenBlank() && !t.Colors[last].seenBlank() // looks the same in both styles
			if k.style != last && !blank {
				if codes[last] != codes[k.style] {
					if codes[last] != "" {
						b = append(b, reset...)
					}
					b = append(b, codes[k.style]...)
				}
				last = k.style
			}
			b = utf8.AppendRune(b, k.r)
		}
		if codes[last] != "" {
			b = append(b, reset...)
		}
	}
	return string(b)
}

const reset = "\x1b[m"

// seenBlank reports whether a space has a look.
func (k Color) seenBlank() bool { return k.Reverse || k.Underline || k.BG >= 0 }

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
	switch d {
	case Color256:
		add(k.FG >= 0, "38;5;"+strconv.Itoa(k.FG))
		add(k.BG >= 0, "48;5;"+strconv.Itoa(k.BG))
	case Color16:
		add(k.Basic >= 0, basicCode(30, k.Basic))
		add(k.BG >= 0, basicCode(40, nearest16(k.BG)))
	}
	if len(p) == 0 {
		return ""
	}
	return "\x1b[" + strings.Join(p, ";") + "m"
}

// basicCode is the code of one of the first 16 colours; base is 30 for text and 40 for its background.
func basicCode(base, n int) string {
	if n >= 8 {
		base += 60 - 8
	}
	return strconv.Itoa(base + n)
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
	if n < 0 {
		return n
	}
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
