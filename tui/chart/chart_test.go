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
	"strings"
	"testing"
	"time"

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

// eight are curves that leave no corner free.
func eight() []Series {
	var all []Series
	for i := range 8 {
		all = append(all, Series{Name: string(rune('a' + i)), Style: canvas.Series(i),
			Points: curve(400, func(x float64) float64 { return math.Exp(-x/float64(60+40*i)) + 0.05*float64(i) })})
	}
	return all
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
		"time.txt":   {Series: two, X: Axis{Label: "time", Time: true, Format: func(s float64) string { return (time.Duration(s) * time.Second).String() }}},
		"eight.txt":  {Series: eight(), X: Axis{Label: "steps"}},
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
		c := &Chart{X: Axis{Label: "x", Time: rapid.Bool().Draw(t, "time")}, Y: Axis{Log: rapid.Bool().Draw(t, "log")}, HasCursor: rapid.Bool().Draw(t, "has cursor"), Cursor: number.Draw(t, "cursor")}
		if rapid.Bool().Draw(t, "window") {
			c.X.Lo, c.X.Hi = number.Draw(t, "lo"), number.Draw(t, "hi")
		}
		if rapid.Bool().Draw(t, "range") {
			c.Y.Lo, c.Y.Hi = number.Draw(t, "least"), number.Draw(t, "most")
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "series") {
			s := Series{Name: "name", Style: canvas.Series(i), Marks: rapid.Bool().Draw(t, "marks")}
			x := -5.0
			for range rapid.IntRange(0, 50).Draw(t, "points") {
				x += rapid.OneOf(rapid.Float64Range(-0.1, 3), rapid.Float64Range(0, 3), rapid.Just(1e300)).Draw(t, "x") // also garbled
				s.Points = append(s.Points, XY{x, number.Draw(t, "y")})
			}
			c.Series = append(c.Series, s)
		}
		w, h := rapid.IntRange(0, 60).Draw(t, "w"), rapid.IntRange(0, 20).Draw(t, "h")
		k := canvas.New(w+2, h+2)
		k.ASCII = rapid.Bool().Draw(t, "ascii")
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

func TestNumberIsRoundedBeforeItsUnitIsChosen(t *testing.T) {
	for want, x := range map[string]float64{"1M": 999960, "10k": 9999.6, "-10k": -9999.6, "999.9k": 999900, "1.8e+308": math.MaxFloat64, "4.94e-324": math.SmallestNonzeroFloat64, "-Inf": math.Inf(-1), "0.0001": 0.0001, "12.35k": 12345.6} {
		if got := Number(x); got != want {
			t.Errorf("%g is %q, want %q", x, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if text := Number(rapid.Float64().Draw(t, "x")); len(text) > len("-0.0001234") {
			t.Fatalf("%q is long", text)
		}
	})
}

func TestNiceIsSortedAndWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo, hi, n := number.Draw(t, "lo"), number.Draw(t, "hi"), rapid.IntRange(-1, 30).Draw(t, "n")
		values := Nice(lo, hi, n)
		if len(values) > 4*n+1 && n > 0 {
			t.Fatalf("%d values for %d", len(values), n)
		}
		for i, v := range values {
			if slack := (hi - lo) * 1e-6; v < lo-slack || v > hi+slack || i > 0 && v <= values[i-1] {
				t.Fatalf("%g from %g to %g", values, lo, hi)
			}
		}
	})
}

func TestTicksOfTime(t *testing.T) {
	for _, k := range []struct {
		hi   float64
		n    int
		want []float64
	}{
		{100, 4, []float64{0, 30, 60, 90}}, {3600, 4, []float64{0, 900, 1800, 2700, 3600}}, {86400, 4, []float64{0, 21600, 43200, 64800, 86400}}, {0.4, 4, []float64{0, 0.1, 0.2, 0.3, 0.4}},
	} {
		got := Axis{Time: true}.ticks(scale{lo: 0, hi: k.hi}, k.n)
		if d := cmp.Diff(k.want, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })); d != "" {
			t.Errorf("to %g: %s", k.hi, d)
		}
	}
}

func TestLabelsOfAnAxisHaveTheSameDigits(t *testing.T) {
	for _, k := range []struct {
		ticks []float64
		want  string
	}{{[]float64{0, 0.5, 1, 1.5}, "0 0.5 1.0 1.5"}, {[]float64{1, 2}, "1 2"}, {[]float64{-0.25, 0, 0.25}, "-0.25 0 0.25"}, {[]float64{1e-7, 1}, "1e-07 1"}, {[]float64{9500, 10000, 10500}, "9500 10k 10.5k"}} {
		if got := strings.Join(Axis{}.labels(k.ticks), " "); got != k.want {
			t.Errorf("%g: %q, want %q", k.ticks, got, k.want)
		}
	}
}

// A line at the value of a tick runs through the row of the tick's label, and one at the x of a tick, marked, is over it.
func TestTicksAreWhereTheirValuesAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(leastAxes, 120).Draw(t, "w"), rapid.IntRange(leastRows, 40).Draw(t, "h")
		lo := rapid.Float64Range(0.001, 100).Draw(t, "lo")
		c := &Chart{Y: Axis{Lo: lo, Hi: lo * rapid.Float64Range(1.5, 1e6).Draw(t, "ratio"), Log: rapid.Bool().Draw(t, "log")}, X: Axis{Lo: 0, Hi: rapid.Float64Range(1, 1e7).Draw(t, "hi")}}
		c.Series = []Series{{Points: []XY{{0, lo}}, Marks: true}}
		area := canvas.New(w, h).Area()
		f := c.layout(area)
		for i, y := range f.yTicks {
			c.Series = []Series{{Points: []XY{{c.X.Lo, y}, {c.X.Hi, y}}}}
			row := strings.Split(draw(c, w, h, false), "\n")[f.row(y)/4]
			if !strings.Contains(row, strings.TrimSpace(f.yLabels[i])) && f.left > len(f.yLabels[i]) || strings.Count(row, "·") > 1 {
				t.Fatalf("%g is not in %q", y, row)
			}
		}
		for _, x := range f.xTicks {
			column := f.left + f.column(x)/2
			if at, ok := c.XAt(area, column); !ok || f.column(at)/2 != column-f.left {
				t.Fatalf("column %d is at %g, where column %d is", column, at, f.column(at)/2+f.left)
			}
		}
	})
}

func TestXAtOfEachColumnIsInIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Chart{Series: []Series{{Points: curve(rapid.IntRange(1, 5000).Draw(t, "points"), math.Sqrt)}}}
		area := canvas.New(rapid.IntRange(1, 200).Draw(t, "w"), rapid.IntRange(1, 30).Draw(t, "h")).Area()
		f := c.layout(area)
		for column := -1; column <= area.Width(); column++ {
			x, ok := c.XAt(area, column)
			if ok != (column >= f.left && column < area.Width()) || ok && f.column(x)/2 != column-f.left {
				t.Fatalf("column %d: %g %t", column, x, ok)
			}
		}
	})
}

// The dots of a line are the same whether its points are few or many.
func TestLineOfManyPointsIsThatOfTwo(t *testing.T) {
	few := &Chart{Series: []Series{{Points: []XY{{0, 0}, {1999, 1999}}}}, Y: Axis{Lo: 0, Hi: 1999}}
	many := &Chart{Series: []Series{{Points: curve(2000, func(x float64) float64 { return x })}}, Y: Axis{Lo: 0, Hi: 1999}}
	a, b := []rune(draw(few, 60, 12, false)), []rune(draw(many, 60, 12, false))
	if len(a) != len(b) {
		t.Fatalf("%s%s", string(a), string(b))
	}
	for i := range a { // the points of a column may be a dot higher or lower than its middle
		if (a[i] >= 0x2800) != (b[i] >= 0x2800) {
			t.Fatalf("%s%s", string(a), string(b))
		}
	}
}

func TestLineThatCrossesAZoomedWindowIsSeen(t *testing.T) {
	c := &Chart{Series: []Series{{Points: []XY{{0, 1}, {1000, 3}}}}, X: Axis{Lo: 400, Hi: 500}}
	if text := draw(c, 40, 8, false); !strings.ContainsFunc(text, func(r rune) bool { return r > 0x2800 }) {
		t.Errorf("nothing is drawn:\n%s", text)
	}
}

func TestCursorBeyondACurveShowsNoValue(t *testing.T) {
	s := &Series{Points: []XY{{100, 1}, {200, 2}, {300, 3}}}
	for x, want := range map[float64]float64{100: 1, 140: 1, 160: 2, 300: 3, 390: 3, 20: 1, -1: math.NaN(), 401: math.NaN()} {
		y, ok := s.near(x)
		if ok != !math.IsNaN(want) || ok && y != want {
			t.Errorf("at %g: %g %t, want %g", x, y, ok, want)
		}
	}
	if _, ok := (&Series{}).near(1); ok {
		t.Error("a value of nothing")
	}
}

func TestBars(t *testing.T) {
	k := canvas.New(30, 9)
	Bars(k.Area(), []Bar{{"half", 1, 2, "50 %", canvas.Good}, {"all", 2, 2, "100 %", canvas.Good}, {"more", 9, 2, "450 %", canvas.Good}, {"little", 1e-9, 2, "0 %", canvas.Good},
		{"none", 0, 2, "0 %", canvas.Good}, {"of nothing", 1, 0, "", canvas.Good}, {"no number", math.NaN(), 1, "NaN", canvas.Good}, {"less", -1, 2, "", canvas.Good}, {"eighths", 21, 64, "", canvas.Good}, {"no row", 1, 1, "", canvas.Good}})
	golden(t, "bars.txt", k.Plain())
}

func TestSpark(t *testing.T) {
	for _, k := range []struct {
		values []float64
		want   string
	}{
		{nil, ""}, {[]float64{0, 1, 2, 3, 4, 5, 6, 7}, "▁▂▃▄▅▆▇█"}, {[]float64{9, 0, 1, 2, 3, 4, 5, 6, 7}, "▁▂▃▄▅▆▇█"}, {[]float64{3, 3}, "▅▅"},
		{[]float64{1, math.NaN(), math.Inf(1), 2}, "▁××█"}, {[]float64{-math.MaxFloat64, 0, math.MaxFloat64}, "▁▅█"},
	} {
		c := canvas.New(8, 1)
		Spark(c.Area(), k.values, canvas.Plain)
		if got := strings.TrimSuffix(c.Plain(), "\n"); got != k.want {
			t.Errorf("%g: %q, want %q", k.values, got, k.want)
		}
	}
}

// Bars and sparks take anything.
func TestBarsAndSparksTakeAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := canvas.New(rapid.IntRange(0, 40).Draw(t, "w"), rapid.IntRange(0, 5).Draw(t, "h"))
		Spark(k.Area(), rapid.SliceOf(number).Draw(t, "values"), canvas.Plain)
		var bars []Bar
		for range rapid.IntRange(0, 7).Draw(t, "bars") {
			bars = append(bars, Bar{rapid.String().Draw(t, "label"), number.Draw(t, "value"), number.Draw(t, "of"), rapid.StringN(0, 8, -1).Draw(t, "text"), canvas.Plain})
		}
		Bars(k.Area(), bars)
	})
}

// An exported line is broken at gaps, and has no points but those in the window and next to it.
func TestExportedPath(t *testing.T) {
	c := &Chart{Series: []Series{{Points: []XY{{0, 0}, {1, 1}, {2, math.NaN()}, {3, 1}, {4, 2}, {5, 3}, {6, 4}, {7, 5}}}}, X: Axis{Lo: 1, Hi: 5}}
	picture := string(c.SVG(600, 300, ""))
	_, path, _ := strings.Cut(picture, "<g clip-path")
	_, path, _ = strings.Cut(path, ` d="`)
	path, _, _ = strings.Cut(path, `"`)
	if m, l := strings.Count(path, "M"), strings.Count(path, "L"); m != 2 || l != 4 {
		t.Errorf("%d pieces with %d lines: %s", m, l, path)
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
