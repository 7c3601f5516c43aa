package report

import (
	"image/color"
	"math"
	"strings"
	"testing"
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

// contrast is the contrast ratio of WCAG 2.
func contrast(a, b color.RGBA) float64 {
	luminance := func(c color.RGBA) float64 {
		l := linear(c)
		return 0.2126*l[0] + 0.7152*l[1] + 0.0722*l[2] + 0.05
	}
	return max(luminance(a)/luminance(b), luminance(b)/luminance(a))
}

func product(m [3][3]float64, v [3]float64) [3]float64 {
	var w [3]float64
	for i, row := range m {
		w[i] = row[0]*v[0] + row[1]*v[1] + row[2]*v[2]
	}
	return w
}

// visions are the matrices for linear light of Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation
// of Color Vision Deficiency", IEEE Transactions on Visualization and Computer Graphics 15 (2009), at severity 1.
var visions = map[string][3][3]float64{
	"normal":       {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritanopia":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

// lab is a colour in CIELAB under D65, as a vision sees it.
func lab(c color.RGBA, vision [3][3]float64) [3]float64 {
	light := product(vision, linear(c))
	for i, v := range light {
		light[i] = min(1, max(0, v))
	}
	xyz := product([3][3]float64{{0.4124564, 0.3575761, 0.1804375}, {0.2126729, 0.7151522, 0.0721750}, {0.0193339, 0.1191920, 0.9503041}}, light)
	for i, white := range []float64{0.95047, 1, 1.08883} {
		if x := xyz[i] / white; x > 216.0/24389 {
			xyz[i] = math.Cbrt(x)
		} else {
			xyz[i] = (24389.0/27*x + 16) / 116
		}
	}
	return [3]float64{116*xyz[1] - 16, 500 * (xyz[0] - xyz[1]), 200 * (xyz[1] - xyz[2])}
}

// Lines are seen on either background, and differ for every kind of colour vision.
func TestPalette(t *testing.T) {
	if c := contrast(rgb(0x777777), rgb(0xFFFFFF)); math.Abs(c-4.48) > 0.01 { // a well-known example: just below 4.5
		t.Fatalf("the contrast of #777777 on white is %.2f", c)
	}
	for mode, of := range map[string]func(ink) color.RGBA{"light": func(i ink) color.RGBA { return i.light }, "dark": func(i ink) color.RGBA { return i.dark }} {
		for _, k := range append(palette[:len(palette):len(palette)], ramp...) {
			if c := contrast(of(k), of(paper)); c < 3 {
				t.Errorf("%s: %s has a contrast of %.2f", mode, hex(of(k)), c)
			}
		}
		for _, k := range []ink{heading, legendInk, axisText} {
			if c := contrast(of(k), of(paper)); c < 4.5 {
				t.Errorf("%s: text in %s has a contrast of %.2f", mode, hex(of(k)), c)
			}
		}
		for vision, m := range visions {
			for i := range palette {
				for j := range i {
					a, b := lab(of(palette[i]), m), lab(of(palette[j]), m)
					if d := math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2])); d < 10 {
						t.Errorf("%s, %s: inks %d and %d are ΔE %.1f apart", mode, vision, j, i, d)
					}
				}
			}
		}
	}
}

// near reports whether colours differ by no more than rounding.
func near(a, b color.RGBA) bool {
	return max(a.R, b.R)-min(a.R, b.R) <= 2 && max(a.G, b.G)-min(a.G, b.G) <= 2 && max(a.B, b.B)-min(a.B, b.B) <= 2
}

// Each light ink of a plot has one dark ink, which its style sheet gives it on a dark screen only.
func TestDarkPlots(t *testing.T) {
	c := chart{name: "x", title: "X", x: bySteps}
	points := []point{{0, 0}, {1, 1}}
	for i := range palette {
		c.lines = append(c.lines, line{label: "a", points: points, color: series(i)}, line{points: points, color: series(i), kind: faint})
	}
	for n := range 20 {
		for i := range n {
			c.lines = append(c.lines, line{points: points, color: shade(i, n), kind: marked})
		}
	}
	dark := map[color.RGBA]color.RGBA{}
	for _, k := range c.inks() {
		if d, ok := dark[k.light]; ok && !near(d, k.dark) {
			t.Errorf("%s is %s and %s on a dark screen", hex(k.light), hex(d), hex(k.dark))
		}
		dark[k.light] = k.dark
	}
	body, err := c.svg()
	if err != nil {
		t.Fatal(err)
	}
	style := darkStyle(c)
	if !strings.HasPrefix(style, "@media screen and (prefers-color-scheme: dark) {\n") {
		t.Errorf("the style begins with %.60s", style)
	}
	drawn := 0
	for _, property := range []string{"fill", "stroke"} {
		for _, rest := range strings.Split(body, property+":#")[1:] {
			if drawn++; !strings.Contains(style, `[style*="`+property+":#"+rest[:6]+`"]`) {
				t.Errorf("%s of #%s stays as it is on a dark screen", property, rest[:6])
			}
		}
	}
	if drawn < 200 {
		t.Errorf("%d colours are drawn", drawn)
	}
}
