package report

import (
	"fmt"
	"image/color"
	"strings"
)

// An ink is a colour on a light background, and the colour that takes its place on a dark one. As a [color.Color] it is the
// first, which pictures and paper have.
type ink struct{ light, dark color.RGBA }

// RGBA implements [color.Color].
func (i ink) RGBA() (r, g, b, a uint32) { return i.light.RGBA() }

func grey(light, dark uint8) ink {
	return ink{color.RGBA{light, light, light, 255}, color.RGBA{dark, dark, dark, 255}}
}

func rgb(hex uint32) color.RGBA {
	return color.RGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 255}
}

// palette is for things without an order. Each of its inks has a contrast of at least 3 to its background, and any two differ
// for every kind of colour vision; dark_test.go measures both.
var palette = []ink{
	{rgb(0x4D2B97), rgb(0x6293FD)}, {rgb(0xA48867), rgb(0xCD3E1D)}, {rgb(0x146B6B), rgb(0x2C826A)}, {rgb(0xC23FAE), rgb(0xAD73B5)},
	{rgb(0x8E4214), rgb(0xDA9641)}, {rgb(0x7A7AFA), rgb(0x81C8F3)}, {rgb(0x1A1A1A), rgb(0xECECEC)}, {rgb(0x550855), rgb(0xF0CB21)},
}

// series is the ink of the i-th of some things without an order.
func series(i int) ink { return palette[i%len(palette)] }

// ramp is for things in an order, from faint to strong.
var ramp = []ink{{rgb(0x3F8FCF), rgb(0x4A7FD0)}, {rgb(0x1F5F9F), rgb(0x7FBFEF)}, {rgb(0x0A1A2A), rgb(0xF4F8FC)}}

// shade is the ink of the i-th of n things in an order.
func shade(i, n int) ink {
	if n < 2 {
		return ramp[1]
	}
	at := float64(i) / float64(n-1) * float64(len(ramp)-1)
	k := min(int(at), len(ramp)-2)
	return ramp[k].mix(ramp[k+1], at-float64(k))
}

// faintness is how far what is behind the others is from its ink to the paper.
const faintness = 0.6

// What plots have besides their lines. SVG has no fill where it would be black, so nothing is quite black.
var (
	paper     = ink{color.RGBA{0xFF, 0xFF, 0xFF, 255}, color.RGBA{0x16, 0x18, 0x1B, 255}} // as in page.css
	heading   = grey(0x11, 0xEE)
	legendInk = grey(0x22, 0xDD)
	axisText  = grey(0x44, 0xBB)
	axisLine  = grey(0x99, 0x77)
	ruleInk   = grey(0xE4, 0x33)
)

// mix is the ink that is a share of the way from i to j, on either background.
func (i ink) mix(j ink, share float64) ink {
	between := func(a, b color.RGBA) color.RGBA {
		mix := func(a, b uint8) uint8 { return uint8(float64(a) + share*(float64(b)-float64(a)) + 0.5) }
		return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
	}
	return ink{between(i.light, j.light), between(i.dark, j.dark)}
}

func hex(c color.RGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }

// inks are all that the chart is drawn with.
func (c *chart) inks() []ink {
	inks := []ink{paper, heading, legendInk, axisText, axisLine, ruleInk}
	for _, l := range c.lines {
		inks = append(inks, l.color, l.color.mix(paper, faintness))
	}
	return inks
}

// darkStyle is a style sheet that gives plots their dark inks where the reader prefers a dark screen. Each element has its
// light ink in its style attribute, so a viewer that knows no style sheets shows a light plot, and so does paper.
func darkStyle(charts ...chart) string {
	var b strings.Builder
	b.WriteString("@media screen and (prefers-color-scheme: dark) {\n")
	done := map[ink]bool{}
	for i := range charts {
		for _, k := range charts[i].inks() {
			if done[k] {
				continue
			}
			done[k] = true
			for _, property := range []string{"fill", "stroke"} {
				fmt.Fprintf(&b, "svg [style*=\"%s:%s\"] { %[1]s: %s !important }\n", property, hex(k.light), hex(k.dark))
			}
		}
	}
	b.WriteString("}\n")
	return b.String()
}

// darkSwatches is the same for the runs' samples of their inks.
func darkSwatches() string {
	var b strings.Builder
	b.WriteString("@media screen and (prefers-color-scheme: dark) {\n")
	for _, k := range palette {
		fmt.Fprintf(&b, ".swatch[style*=\"%s\"] { background: %s !important }\n", hex(k.light), hex(k.dark))
	}
	b.WriteString("}\n")
	return b.String()
}
