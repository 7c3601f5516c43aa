package canvas

import (
	"image/color"
	"testing"

	"coil/plot"
	"coil/plot/vision"
)

func rgba(n int) color.RGBA {
	r, g, b := rgb(n)
	return color.RGBA{uint8(r), uint8(g), uint8(b), 255}
}

// The series of a theme have the colours of charts in pictures, as near as 256 colours allow, and stay apart for every kind of
// colour vision.
func TestSeriesAreThoseOfPictures(t *testing.T) {
	normal := vision.Kinds()[0]
	for _, theme := range Themes() {
		for i := range seriesCount {
			ink := plot.Color(i).Dark
			if theme.Light {
				ink = plot.Color(i).Light
			}
			n := theme.Colors[Series(i)].FG
			for other := 16; other < 256; other++ {
				if vision.Contrast(rgba(other), theme.ground()) >= 3 && normal.Distance(rgba(other), ink) < normal.Distance(rgba(n), ink)-1e-9 {
					t.Errorf("%s: series %d has colour %d, and %d is nearer to %s", theme.Name, i, n, other, plot.Hex(ink))
				}
			}
			for _, kind := range vision.Kinds() {
				for j := range i {
					if d := kind.Distance(rgba(n), rgba(theme.Colors[Series(j)].FG)); d < 8 {
						t.Errorf("%s: series %d and %d are %.1f apart with %s vision", theme.Name, j, i, d, kind.Name)
					}
				}
			}
		}
	}
}

// ground is what a theme is drawn on.
func (t *Theme) ground() color.RGBA {
	if t.Light {
		return color.RGBA{255, 255, 255, 255}
	}
	return color.RGBA{0x16, 0x18, 0x1d, 255}
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
		for s, k := range theme.Colors {
			least := 4.5
			switch s := Style(s); {
			case s >= Series0:
				least = 3
			case s == Border:
				least = 2
			}
			if k.FG < 0 {
				continue
			}
			if c := vision.Contrast(rgba(k.FG), theme.ground()); c < least {
				t.Errorf("%s: style %d has a contrast of %.2f", theme.Name, s, c)
			}
		}
	}
}
