package plot

import (
	"fmt"
	"image/color"
	"math"
)

// An Ink is a colour on a light background, and the colour that takes its place on a dark one.
type Ink struct{ Light, Dark color.RGBA }

// Colors is how many places the palette has. Of things beyond that, dashes and marks differ.
const Colors = 8

// palette is for things without an order. Each of its inks has a contrast of at least 3 to its background, and any two differ
// for every kind of colour vision.
var palette = [Colors]Ink{
	{rgb(0x4D2B97), rgb(0x6293FD)}, {rgb(0x8E4214), rgb(0xDA9641)}, {rgb(0x146B6B), rgb(0x2C826A)}, {rgb(0xC23FAE), rgb(0xAD73B5)},
	{rgb(0xA48867), rgb(0xCD3E1D)}, {rgb(0x7A7AFA), rgb(0x81C8F3)}, {rgb(0x1A1A1A), rgb(0xECECEC)}, {rgb(0x550855), rgb(0xF0CB21)},
}

// Color is the ink of the i-th of some things without an order.
func Color(i int) Ink { return palette[place(i)] }

// place is i modulo the number of colours.
func place(i int) int { return (i%Colors + Colors) % Colors }

// sign is which pattern of dashes and shape of marks the i-th thing has: those of the first eight differ, and things of the same
// colour differ too.
func sign(i int) int { return place(i + i/Colors) }

// dashes are the lengths of the pieces and gaps of lines, in points.
var dashes = [Colors][]float64{nil, {6, 2.5}, {1.6, 2}, {8, 2, 1.6, 2}, {3.5, 2}, {10, 2, 1.6, 2, 1.6, 2}, {12, 3}, {8, 2, 3, 2}}

// shapes are the outlines of marks, about the origin and within a radius of about 1.
var shapes = [Colors][]Point{
	ring(20, 0), {{-0.85, -0.85}, {0.85, -0.85}, {0.85, 0.85}, {-0.85, 0.85}}, scaled(1.2, ring(3, -math.Pi/2)), scaled(1.15, ring(4, 0)),
	scaled(1.2, ring(3, math.Pi/2)), cross(0), cross(math.Pi / 4), star(),
}

// ring is a regular polygon.
func ring(n int, first float64) []Point {
	points := make([]Point, n)
	for i := range points {
		sin, cos := math.Sincos(first + 2*math.Pi*float64(i)/float64(n))
		points[i] = Point{cos, sin}
	}
	return points
}

func scaled(by float64, points []Point) []Point {
	for i := range points {
		points[i] = Point{by * points[i].X, by * points[i].Y}
	}
	return points
}

// cross is a plus that is turned.
func cross(by float64) []Point {
	const a, b = 0.33, 1.15
	points := []Point{{-a, -b}, {a, -b}, {a, -a}, {b, -a}, {b, a}, {a, a}, {a, b}, {-a, b}, {-a, a}, {-b, a}, {-b, -a}, {-a, -a}}
	sin, cos := math.Sincos(by)
	for i, p := range points {
		points[i] = Point{p.X*cos - p.Y*sin, p.X*sin + p.Y*cos}
	}
	return points
}

// star has five points.
func star() []Point {
	points := scaled(1.3, ring(10, -math.Pi/2))
	for i := 1; i < len(points); i += 2 {
		points[i] = Point{points[i].X * 0.42, points[i].Y * 0.42}
	}
	return points
}

// ramp is for things in an order, from faint to strong.
var ramp = []Ink{{rgb(0x3F8FCF), rgb(0x4A7FD0)}, {rgb(0x1F5F9F), rgb(0x7FBFEF)}, {rgb(0x0A1A2A), rgb(0xF4F8FC)}}

// shade is the ink of the i-th of n things in an order.
func shade(i, n int) Ink {
	if n < 2 {
		return ramp[1]
	}
	at := min(1, max(0, float64(i)/float64(n-1))) * float64(len(ramp)-1)
	k := min(int(at), len(ramp)-2)
	return ramp[k].mix(ramp[k+1], at-float64(k))
}

// faintness is how far what is behind the others is from its ink to the paper.
const faintness = 0.6

// ink is the ink of a series.
func (s *Series) ink() Ink {
	ink := Color(s.Color)
	if s.Of > 0 {
		ink = shade(s.Color, s.Of)
	}
	if s.Kind == Faint {
		ink = ink.mix(paper, faintness)
	}
	return ink
}

// What charts have besides their series. SVG has no fill where it would be black, so nothing is quite black.
var (
	paper     = Ink{rgb(0xFFFFFF), rgb(0x16181B)}
	heading   = grey(0x11, 0xEE)
	legendInk = grey(0x22, 0xDD)
	axisText  = grey(0x44, 0xBB)
	axisLine  = grey(0x99, 0x77)
	ruleInk   = grey(0xE4, 0x33)
	wrong     = Ink{rgb(0xC00000), rgb(0xFF7A6B)}
)

func grey(light, dark uint8) Ink {
	return Ink{color.RGBA{light, light, light, 255}, color.RGBA{dark, dark, dark, 255}}
}

func rgb(hex uint32) color.RGBA {
	return color.RGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 255}
}

// mix is the ink that is a share of the way from i to j, on either background.
func (i Ink) mix(j Ink, share float64) Ink {
	between := func(a, b color.RGBA) color.RGBA {
		mix := func(a, b uint8) uint8 { return uint8(float64(a) + share*(float64(b)-float64(a)) + 0.5) }
		return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
	}
	return Ink{between(i.Light, j.Light), between(i.Dark, j.Dark)}
}

// Hex is a colour as style sheets write it: #4D2B97.
func Hex(c color.RGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }
