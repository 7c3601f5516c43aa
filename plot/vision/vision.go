// Package vision measures how colours are seen: how much they stand out from a background, and how far apart they are for
// people with each kind of colour vision. Tests of palettes use it.
package vision

import (
	"image/color"
	"math"
)

// linear is the light of a colour of sRGB (IEC 61966-2-1).
func linear(c color.RGBA) [3]float64 {
	var light [3]float64
	for i, v := range []uint8{c.R, c.G, c.B} {
		if x := float64(v) / 255; x <= 0.04045 {
			light[i] = x / 12.92
		} else {
			light[i] = math.Pow((x+0.055)/1.055, 2.4)
		}
	}
	return light
}

// Contrast is the contrast ratio of WCAG 2, from 1 to 21. Text wants 4.5, and lines and marks 3.
func Contrast(a, b color.RGBA) float64 {
	luminance := func(c color.RGBA) float64 {
		l := linear(c)
		return 0.2126*l[0] + 0.7152*l[1] + 0.0722*l[2] + 0.05
	}
	return max(luminance(a)/luminance(b), luminance(b)/luminance(a))
}

// A Kind is a kind of colour vision.
type Kind struct {
	Name   string
	matrix [3][3]float64 // of linear light
}

// Kinds are normal colour vision and three deficiencies at severity 1, with the matrices of Machado, Oliveira and Fernandes, "A
// Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE Transactions on Visualization and Computer
// Graphics 15 (2009).
func Kinds() []Kind {
	return []Kind{
		{"normal", [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}},
		{"protanopia", [3][3]float64{{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}}},
		{"deuteranopia", [3][3]float64{{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}}},
		{"tritanopia", [3][3]float64{{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}}},
	}
}

// Distance is how far apart two colours are for a kind of vision: 100 times the distance in Oklab (Ottosson 2020), in which black
// and white are 100 apart.
func (k Kind) Distance(a, b color.RGBA) float64 {
	x, y := k.oklab(a), k.oklab(b)
	return 100 * math.Sqrt((x[0]-y[0])*(x[0]-y[0])+(x[1]-y[1])*(x[1]-y[1])+(x[2]-y[2])*(x[2]-y[2]))
}

func (k Kind) oklab(c color.RGBA) [3]float64 {
	light := product(k.matrix, linear(c))
	for i, v := range light {
		light[i] = min(1, max(0, v))
	}
	cones := product([3][3]float64{{0.4122214708, 0.5363325363, 0.0514459929}, {0.2119034982, 0.6806995451, 0.1073969566}, {0.0883024619, 0.2817188376, 0.6299787005}}, light)
	for i, v := range cones {
		cones[i] = math.Cbrt(max(0, v))
	}
	return product([3][3]float64{{0.2104542553, 0.7936177850, -0.0040720468}, {1.9779984951, -2.4285922050, 0.4505937099}, {0.0259040371, 0.7827717662, -0.8086757660}}, cones)
}

func product(m [3][3]float64, v [3]float64) [3]float64 {
	var w [3]float64
	for i, row := range m {
		w[i] = row[0]*v[0] + row[1]*v[1] + row[2]*v[2]
	}
	return w
}
