package vision

import (
	"image/color"
	"math"
	"testing"
)

func rgb(hex uint32) color.RGBA {
	return color.RGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 255}
}

// Ratios that the documents of WCAG give: #777777 just misses 4.5 on white, and #767676 just reaches it.
func TestContrast(t *testing.T) {
	for _, k := range []struct {
		a, b uint32
		want float64
	}{{0x000000, 0xFFFFFF, 21}, {0x777777, 0xFFFFFF, 4.48}, {0x767676, 0xFFFFFF, 4.54}, {0xFFFFFF, 0xFF0000, 4.00}, {0x123456, 0x123456, 1}} {
		if got := Contrast(rgb(k.a), rgb(k.b)); math.Abs(got-k.want) > 0.005 {
			t.Errorf("the contrast of #%06X and #%06X is %.3f, want %.2f", k.a, k.b, got, k.want)
		}
	}
}

// The values of Oklab of the primaries of sRGB that CSS Color 4 and Ottosson's page give.
func TestOklab(t *testing.T) {
	normal := Kinds()[0]
	for hex, want := range map[uint32][3]float64{0xFFFFFF: {1, 0, 0}, 0x000000: {0, 0, 0}, 0xFF0000: {0.62796, 0.22486, 0.12585}, 0x00FF00: {0.86644, -0.23389, 0.17950}, 0x0000FF: {0.45201, -0.03246, -0.31153}} {
		got := normal.oklab(rgb(hex))
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-4 {
				t.Errorf("#%06X is %.5f, want %.5f", hex, got, want)
				break
			}
		}
	}
}

// Red and green of one lightness are far apart, but not for those who lack the long or the middle cones; greys stay greys.
func TestKinds(t *testing.T) {
	far, grey := map[string]float64{}, map[string]float64{}
	for _, k := range Kinds() {
		far[k.Name] = k.Distance(rgb(0xC85050), rgb(0x6E7D32))
		grey[k.Name] = k.Distance(rgb(0x777777), rgb(0xCCCCCC))
	}
	if far["normal"] < 2*far["protanopia"] || far["normal"] < 2*far["deuteranopia"] || far["tritanopia"] < far["deuteranopia"] {
		t.Errorf("red and green: %v", far)
	}
	for name, d := range grey {
		if math.Abs(d-grey["normal"]) > 0.1 {
			t.Errorf("greys are %.2f apart with %s, %.2f with normal vision", d, name, grey["normal"])
		}
	}
}
