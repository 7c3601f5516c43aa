package chart

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"coil/tui/canvas"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

func curve(n int, f func(x float64) float64) []XY {
	points := make([]XY, n)
	for i := range points {
		points[i] = XY{float64(i), f(float64(i))}
	}
	return points
}

func draw(c *Chart, w, h int, ascii bool) string {
	k := canvas.New(w, h)
	k.ASCII = ascii
	c.Draw(k.Area())
	return k.Plain()
}

func TestGoldens(t *testing.T) {
	loss := func(x float64) float64 { return 1.4 / (1 + math.Exp((x-450)/40)) }
	noisy := func(x float64) float64 { return loss(x) * (1 + 0.2*math.Sin(x*1.7)) }
	gap := curve(1200, loss)
	for i := 500; i < 700; i++ {
		gap[i].Y = math.NaN()
	}
	two := []Series{{Points: curve(1200, noisy), Style: canvas.Dim, Faint: true}, {Name: "loss", Points: curve(1200, loss)},
		{Name: "held-out", Marks: true, Points: []XY{{250, loss(250)}, {500, loss(500)}, {750, loss(750)}, {1000, loss(1000)}}, Style: canvas.Accent}}
	for name, c := range map[string]*Chart{
		"loss.txt":   {Series: two, X: Axis{Label: "steps"}},
		"log.txt":    {Series: two, X: Axis{Label: "steps"}, Y: Axis{Log: true}},
		"cursor.txt": {Series: two, X: Axis{Label: "steps"}, Cursor: 480, HasCursor: true},
		"zoom.txt":   {Series: two, X: Axis{Label: "steps", Lo: 400, Hi: 500}},
		"gap.txt":    {Series: []Series{{Points: gap}}},
		"empty.txt":  {},
		"point.txt":  {Series: []Series{{Points: []XY{{10, 3}}}}},
	} {
		golden(t, name, draw(c, 70, 14, false))
	}
	golden(t, "ascii.txt", draw(&Chart{Series: two, X: Axis{Label: "steps"}}, 70, 14, true))
	golden(t, "small.txt", draw(&Chart{Series: two, X: Axis{Label: "steps"}}, 11, 3, false))
}

var number = rapid.OneOf(rapid.Float64Range(-10, 10), rapid.Float64(), rapid.SampledFrom([]float64{0, 1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 1e-320}))

// Whatever the data, axes and size, a chart is drawn, and within its area.
func TestDrawTakesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Chart{X: Axis{Label: "x"}, Y: Axis{Log: rapid.Bool().Draw(t, "log")}, HasCursor: rapid.Bool().Draw(t, "has cursor"), Cursor: number.Draw(t, "cursor")}
		if rapid.Bool().Draw(t, "window") {
			c.X.Lo, c.X.Hi = number.Draw(t, "lo"), number.Draw(t, "hi")
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "series") {
			s := Series{Name: "name", Style: canvas.Series(i), Marks: rapid.Bool().Draw(t, "marks")}
			x := -5.0
			for range rapid.IntRange(0, 50).Draw(t, "points") {
				x += rapid.OneOf(rapid.Float64Range(0, 3), rapid.Just(1e300)).Draw(t, "x")
				s.Points = append(s.Points, XY{x, number.Draw(t, "y")})
			}
			c.Series = append(c.Series, s)
		}
		w, h := rapid.IntRange(0, 60).Draw(t, "w"), rapid.IntRange(0, 20).Draw(t, "h")
		k := canvas.New(w+2, h+2)
		k.Area().Fill('#', canvas.Plain)
		k.Area().Sub(1, 1, w, h).Fill(' ', canvas.Plain)
		c.Draw(k.Area().Sub(1, 1, w, h))
		rows := bytes.Split([]byte(k.Plain()), []byte("\n"))
		for y := range h + 2 {
			row := []rune(string(rows[y]))
			if y == 0 || y == h+1 {
				if string(row) != string(bytes.Repeat([]byte("#"), w+2)) {
					t.Fatalf("row %d is drawn over: %s", y, string(row))
				}
			} else if row[0] != '#' || row[w+1] != '#' {
				t.Fatalf("row %d is drawn over: %s", y, string(row))
			}
		}
		for x := range w {
			c.XAt(k.Area().Sub(1, 1, w, h), x)
		}
		var text bytes.Buffer
		if err := c.CSV(&text); err != nil {
			t.Fatal(err)
		}
		if _, err := csv.NewReader(&text).ReadAll(); err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(bytes.NewReader(c.SVG(400, 200, "a < b & c")))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A peak of one point among many is seen.
func TestPeakIsSeen(t *testing.T) {
	for i := range 2000 {
		points := curve(2000, func(float64) float64 { return 0 })
		points[i].Y = 1
		c := &Chart{Series: []Series{{Points: points, Style: canvas.Series(0)}}, Y: Axis{Lo: 0, Hi: 1}}
		top := bytes.Split([]byte(draw(c, 10, 3, false)), []byte("\n"))[0]
		if len(bytes.TrimSpace(top)) == 0 {
			t.Fatalf("the peak at %d is not there", i)
		}
	}
}

func TestNice(t *testing.T) {
	for _, k := range []struct {
		lo, hi float64
		n      int
		want   []float64
	}{
		{0, 1, 5, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}}, {0, 1200, 6, []float64{0, 200, 400, 600, 800, 1000, 1200}}, {-1, 1, 4, []float64{-1, -0.5, 0, 0.5, 1}},
		{1, 1, 5, nil}, {math.NaN(), 1, 5, nil}, {0, math.Inf(1), 5, nil},
	} {
		if d := cmp.Diff(k.want, Nice(k.lo, k.hi, k.n), cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 })); d != "" {
			t.Errorf("%g to %g: %s", k.lo, k.hi, d)
		}
	}
}

func TestNumber(t *testing.T) {
	for want, x := range map[string]float64{"0": 0, "0.0012": 0.0012, "15k": 15000, "9999": 9999, "1.3M": 1.3e6, "4e-07": 4e-7, "-2.5": -2.5, "NaN": math.NaN(), "+Inf": math.Inf(1), "1e+20": 1e20, "0.3333": 1.0 / 3} {
		if got := Number(x); got != want {
			t.Errorf("%g is %q, want %q", x, got, want)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	c := &Chart{Series: []Series{{Name: "loss", Points: curve(20000, func(x float64) float64 { return math.Sin(x/500) + 0.2*math.Sin(x*1.7) }), Style: canvas.Series(0)}}}
	k := canvas.New(100, 24)
	b.ReportAllocs()
	for b.Loop() {
		c.Draw(k.Area())
	}
}
