package canvas

import (
	"math"
	"testing"
)

// linear is a colour of the palette as amounts of red, green and blue light.
func linear(r, g, b int) [3]float64 {
	var light [3]float64
	for i, v := range [3]int{r, g, b} {
		if c := float64(v) / 255; c <= 0.04045 {
			light[i] = c / 12.92
		} else {
			light[i] = math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return light
}

// contrast is the ratio of luminances that WCAG defines.
func contrast(a, b [3]float64) float64 {
	luminance := func(c [3]float64) float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] + 0.05 }
	return math.Max(luminance(a)/luminance(b), luminance(b)/luminance(a))
}

// sight are the kinds of sight: the matrices of Machado, Oliveira and Fernandes (2009) for linear light.
var sight = map[string][3][3]float64{
	"normal":       {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritanopia":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

func times(m [3][3]float64, v [3]float64) [3]float64 {
	var w [3]float64
	for i, row := range m {
		w[i] = row[0]*v[0] + row[1]*v[1] + row[2]*v[2]
	}
	return w
}

// oklab is a colour where distances are as they are seen.
func oklab(light [3]float64) [3]float64 {
	cones := times([3][3]float64{{0.4122214708, 0.5363325363, 0.0514459929}, {0.2119034982, 0.6806995451, 0.1073969566}, {0.0883024619, 0.2817188376, 0.6299787005}}, light)
	for i, v := range cones {
		cones[i] = math.Cbrt(math.Max(0, v))
	}
	return times([3][3]float64{{0.2104542553, 0.7936177850, -0.0040720468}, {1.9779984951, -2.4285922050, 0.4505937099}, {0.0259040371, 0.7827717662, -0.8086757660}}, cones)
}

// seen is how a kind of sight sees a colour of the palette.
func seen(n int, matrix [3][3]float64) [3]float64 {
	light := times(matrix, linear(rgb(n)))
	for i, v := range light {
		light[i] = math.Min(1, math.Max(0, v))
	}
	return oklab(light)
}

func distance(a, b [3]float64) float64 {
	return 100 * math.Sqrt((a[0]-b[0])*(a[0]-b[0])+(a[1]-b[1])*(a[1]-b[1])+(a[2]-b[2])*(a[2]-b[2]))
}

// The curves of a theme stay apart: of the themes for everybody with every kind of sight.
func TestSeriesStayApart(t *testing.T) {
	for _, theme := range Themes() {
		kinds, least := []string{"normal"}, 12.0
		if theme.Name == "dark-safe" || theme.Name == "light-safe" {
			kinds, least = []string{"normal", "protanopia", "deuteranopia", "tritanopia"}, 6.5
		}
		for _, kind := range kinds {
			for i := range seriesCount {
				for j := range i {
					a, b := theme.Colors[Series(i)].FG, theme.Colors[Series(j)].FG
					if d := distance(seen(a, sight[kind]), seen(b, sight[kind])); d < least {
						t.Errorf("%s: series %d and %d (%d and %d) are %.1f apart with %s sight", theme.Name, j, i, b, a, d, kind)
					}
				}
			}
		}
	}
}

func TestSeriesDifferIn16Colours(t *testing.T) {
	for _, theme := range Themes() {
		of := map[int]int{}
		for i := range seriesCount {
			n := theme.Colors[Series(i)].Basic
			if n < 0 || n > 15 || theme.Light && (n == 15 || n == 7) || !theme.Light && n == 0 {
				t.Errorf("%s: series %d has colour %d", theme.Name, i, n)
			}
			if j, ok := of[n]; ok {
				t.Errorf("%s: series %d and %d both have colour %d", theme.Name, j, i, n)
			}
			of[n] = i
		}
	}
}

// Text is read easily, dim text too; curves are seen, and borders may stay behind.
func TestContrast(t *testing.T) {
	for _, theme := range Themes() {
		ground := linear(0x16, 0x18, 0x1d)
		if theme.Light {
			ground = linear(255, 255, 255)
		}
		for s, k := range theme.Colors {
			least := 4.5
			switch s := Style(s); {
			case s >= Series0:
				least = 2.3
			case s == Border:
				least = 2
			}
			if k.FG < 0 {
				continue
			}
			if c := contrast(linear(rgb(k.FG)), ground); c < least {
				t.Errorf("%s: style %d has a contrast of %.1f", theme.Name, s, c)
			}
		}
	}
}
