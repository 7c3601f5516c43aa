package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"slices"
	"strings"
	"testing"

	"coil/plot/vision"
)

// Lines are seen on either background, and differ for every kind of colour vision.
func TestPalette(t *testing.T) {
	for mode, of := range map[string]func(Ink) color.RGBA{"light": func(i Ink) color.RGBA { return i.Light }, "dark": func(i Ink) color.RGBA { return i.Dark }} {
		for _, k := range append(append(palette[:], ramp...), wrong) {
			if c := vision.Contrast(of(k), of(paper)); c < 3 {
				t.Errorf("%s: %s has a contrast of %.2f", mode, Hex(of(k)), c)
			}
		}
		for _, k := range []Ink{heading, legendInk, axisText, wrong} {
			if c := vision.Contrast(of(k), of(paper)); c < 4.5 {
				t.Errorf("%s: text in %s has a contrast of %.2f", mode, Hex(of(k)), c)
			}
		}
		for _, kind := range vision.Kinds() {
			for i := range palette {
				for j := range i {
					if d := kind.Distance(of(palette[i]), of(palette[j])); d < 11 {
						t.Errorf("%s, %s: inks %d and %d are %.1f apart", mode, kind.Name, j, i, d)
					}
				}
			}
		}
	}
}

// eightLines are series of the first eight places.
func eightLines(kind Kind, ordered bool) *Chart {
	c := &Chart{Title: "eight", X: Axis{Label: "step"}}
	for i := range Colors {
		s := Series{Name: fmt.Sprint("s", i), Kind: kind, Color: i, Points: []Point{{0, float64(i)}, {1, float64(i + 1)}, {2, 0}}}
		if ordered {
			s.Of = Colors
		}
		c.Series = append(c.Series, s)
	}
	return c
}

// Without their colours, the first eight series of a chart still differ: in their dashes or the shapes of their marks. Things of
// the same colour do too.
func TestSecondSign(t *testing.T) {
	for _, kind := range []Kind{Line, Marked, Marks, Faint} {
		for _, ordered := range []bool{false, true} {
			var p recorder
			c := eightLines(kind, ordered)
			c.paint(&p, 420, 280)
			signs := map[string]int{}
			for i := range c.Series {
				k := c.Series[i].ink()
				sign := fmt.Sprint(p.dashes[k])
				for _, m := range p.polygons[k][:min(1, len(p.polygons[k]))] { // relative to its first corner
					for _, q := range m {
						sign += fmt.Sprintf(" %.2f,%.2f", q.X-m[0].X, q.Y-m[0].Y)
					}
				}
				if j, ok := signs[sign]; ok {
					t.Errorf("kind %d: series %d and %d look the same without colours", kind, j, i)
				}
				signs[sign] = i
			}
		}
	}
	pairs := map[string]int{}
	for i := range Colors * Colors {
		pair := fmt.Sprint(place(i), sign(i))
		if j, ok := pairs[pair]; ok {
			t.Errorf("things %d and %d have the same colour and dashes", j, i)
		}
		pairs[pair] = i
	}
	for i := range Colors {
		if slices.IndexFunc(dashes[:], func(d []float64) bool { return slices.Equal(d, dashes[i]) }) != i {
			t.Errorf("dashes %d are not the only ones of their kind", i)
		}
		for _, d := range dashes[i] {
			if d < 1.5 {
				t.Errorf("dashes %d have a piece of %g points", i, d)
			}
		}
	}
}

// near reports whether colours differ by no more than rounding.
func near(a, b color.RGBA) bool {
	return max(a.R, b.R)-min(a.R, b.R) <= 2 && max(a.G, b.G)-min(a.G, b.G) <= 2 && max(a.B, b.B)-min(a.B, b.B) <= 2
}

// Each light ink of a chart has one dark ink, which its style sheet gives it on a dark screen only.
func TestDarkCharts(t *testing.T) {
	c := eightLines(Line, false)
	c.Series = append(c.Series, eightLines(Faint, false).Series...)
	for n := range 20 {
		for i := range n {
			c.Series = append(c.Series, Series{Points: c.Series[0].Points, Color: i, Of: n, Kind: Marked})
		}
	}
	dark := map[color.RGBA]color.RGBA{}
	for _, k := range c.inks() {
		if d, ok := dark[k.Light]; ok && !near(d, k.Dark) {
			t.Errorf("%s is %s and %s on a dark screen", Hex(k.Light), Hex(d), Hex(k.Dark))
		}
		dark[k.Light] = k.Dark
	}
	file := string(c.SVG(420, 280))
	_, style, _ := strings.Cut(file, "<style>\n")
	style, body, _ := strings.Cut(style, "</style>")
	if !strings.HasPrefix(style, "@media screen and (prefers-color-scheme: dark) {\n") {
		t.Errorf("the style begins with %.60s", style)
	}
	drawn := 0
	for _, property := range []string{"fill", "stroke"} {
		for _, rest := range strings.Split(body, " "+property+`="#`)[1:] {
			if drawn++; !strings.Contains(style, `svg [`+property+`="#`+rest[:6]+`"] { `+property+": #") {
				t.Errorf("%s of #%s stays as it is on a dark screen", property, rest[:6])
			}
		}
	}
	if drawn < 200 {
		t.Errorf("%d colours are drawn", drawn)
	}
}

// A picture shows the names and labels, as XML and as pixels; a chart of nothing says so.
func TestPictures(t *testing.T) {
	c := &Chart{Title: "1⊗4 & more <than> that", X: Axis{Label: "loops", Unit: Whole}, Y: Axis{Unit: Share, Zero: true, One: true}, Series: []Series{
		{Name: "first", Points: []Point{{1, 0.4}, {2, 0.5}, {4, 1}}},
		{Name: "second", Color: 11, Kind: Marks, Points: []Point{{1, 0.1}, {2, 0.2}}},
		{Name: "nothing"},
	}}
	svg := string(c.SVG(420, 280))
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("it is no XML: %v", err)
		}
	}
	for _, want := range []string{"1x4 &amp; more", "first", "second", "100%", ">loops<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("%q is not in it", want)
		}
	}
	if strings.Contains(svg, "nothing") {
		t.Error("a series without points is in the legend")
	}
	picture, err := png.Decode(bytes.NewReader(c.PNG(420, 280)))
	if err != nil {
		t.Fatal(err)
	}
	if b := picture.Bounds(); b.Dx() != 840 || b.Dy() != 560 {
		t.Errorf("the picture has %d×%d pixels", b.Dx(), b.Dy())
	}
	seen := map[color.Color]int{}
	for y := range 560 {
		for x := range 840 {
			seen[picture.At(x, y)]++
		}
	}
	for i, k := range []Ink{Color(0), Color(11), paper, axisText} {
		if seen[k.Light] < 20 {
			t.Errorf("the picture has %d pixels of ink %d", seen[k.Light], i)
		}
	}
	if nothing := string((&Chart{}).SVG(420, 280)); !strings.Contains(nothing, "no data") {
		t.Error("nothing says that there is no data")
	}
}

// A line of pixels is as wide as it should be, and dashes leave their gaps.
func TestStrokes(t *testing.T) {
	area := func(dashes []float64) float64 {
		p := raster{image: newImage(100, 20)}
		p.line([]Point{{10, 10}, {90, 10}}, 2, dashes, Ink{Light: rgb(0)})
		sum := 0.0
		for i := 3; i < len(p.image.Pix); i += 4 {
			sum += float64(p.image.Pix[i]) / 255
		}
		return sum / pixels / pixels
	}
	if a := area(nil); a < 158 || a > 162 {
		t.Errorf("a line of 80 points, 2 wide, covers %.1f", a)
	}
	if a := area([]float64{6, 2}); a < 118 || a > 122 {
		t.Errorf("in dashes of 6 of 8 points it covers %.1f", a)
	}
}

// Of a hundred series the legend shows as many as it has room for.
func TestLegendIsBounded(t *testing.T) {
	c := &Chart{}
	for i := range 100 {
		c.Series = append(c.Series, Series{Name: fmt.Sprintf("a run with a long name %d", i), Points: []Point{{0, 0}, {1, float64(i)}}, Color: i})
	}
	var p recorder
	c.paint(&p, 420, 280)
	shown := 0
	for _, s := range p.texts {
		if strings.HasPrefix(s, "a run") {
			shown++
		}
	}
	if want := fmt.Sprintf("and %d more", 100-shown); shown < 4 || shown > 12 || !slices.Contains(p.texts, want) {
		t.Errorf("%d names, and no %q", shown, want)
	}
}
