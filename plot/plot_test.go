package plot

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"image"
	"image/color"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"coil/golden"
	"coil/text"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// grid is cells of a test.
type grid struct {
	w, h    int
	ascii   bool
	runes   []rune
	roles   []Role
	outside int // characters that were set outside
}

func newGrid(w, h int, ascii bool) *grid {
	g := &grid{w: w, h: h, ascii: ascii, runes: make([]rune, w*h), roles: make([]Role, w*h)}
	for i := range g.runes {
		g.runes[i] = ' '
	}
	return g
}

func (g *grid) Width() int  { return g.w }
func (g *grid) Height() int { return g.h }
func (g *grid) ASCII() bool { return g.ascii }

func (g *grid) Set(x, y int, r rune, role Role) {
	if x < 0 || y < 0 || x >= g.w || y >= g.h {
		g.outside++
		return
	}
	if g.ascii && (r < ' ' || r > '~') {
		r = text.ASCII(r, '?')
	}
	g.runes[y*g.w+x], g.roles[y*g.w+x] = r, role
}

func (g *grid) Text(x, y int, s string, role Role) {
	for _, r := range s {
		if x < g.w {
			g.Set(x, y, r, role)
		}
		x++
	}
}

func (g *grid) String() string {
	var b strings.Builder
	for y := range g.h {
		b.WriteString(strings.TrimRight(string(g.runes[y*g.w:(y+1)*g.w]), " ") + "\n")
	}
	return b.String()
}

func curve(n int, f func(x float64) float64) []Point {
	points := make([]Point, n)
	for i := range points {
		points[i] = Point{float64(i), f(float64(i))}
	}
	return points
}

func draw(c *Chart, w, h int, ascii bool) string {
	k := newGrid(w, h, ascii)
	c.Cells(k)
	return k.String()
}

// eight are curves that leave no corner free.
func eight() []Series {
	var all []Series
	for i := range 8 {
		all = append(all, Series{Name: string(rune('a' + i)), Color: i,
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
	two := []Series{{Points: curve(1200, noisy), Kind: Faint}, {Name: "loss", Points: curve(1200, loss)},
		{Name: "held-out", Kind: Marks, Points: []Point{{250, loss(250)}, {500, loss(500)}, {750, loss(750)}, {1000, loss(1000)}}, Color: 1}}
	for name, c := range map[string]*Chart{
		"loss.txt":   {Series: two, X: Axis{Label: "steps"}},
		"log.txt":    {Series: two, X: Axis{Label: "steps"}, Y: Axis{Log: true}},
		"cursor.txt": {Series: two, X: Axis{Label: "steps"}, Cursor: 480, HasCursor: true},
		"zoom.txt":   {Series: two, X: Axis{Label: "steps", Lo: 400, Hi: 500}},
		"gap.txt":    {Series: []Series{{Points: gap}}},
		"empty.txt":  {},
		"point.txt":  {Series: []Series{{Points: []Point{{10, 3}}}}},
		"time.txt":   {Series: two, X: Axis{Label: "time", Unit: Second}},
		"eight.txt":  {Series: eight(), X: Axis{Label: "steps"}},
	} {
		golden.Compare(t, name, draw(c, 70, 14, false))
	}
	golden.Compare(t, "ascii.txt", draw(&Chart{Series: two, X: Axis{Label: "steps"}}, 70, 14, true))
	golden.Compare(t, "small.txt", draw(&Chart{Series: two, X: Axis{Label: "steps"}}, 11, 3, false))
}

var number = rapid.OneOf(rapid.Float64Range(-10, 10), rapid.Float64(), rapid.SampledFrom([]float64{0, 1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 1e-320}))

var (
	unit = rapid.SampledFrom([]Unit{Plain, Whole, Share, Second, Byte})
	axes = rapid.Custom(func(t *rapid.T) Axis {
		return Axis{Label: "x\x00y", Unit: unit.Draw(t, "unit"), Log: rapid.Bool().Draw(t, "log"), Zero: rapid.Bool().Draw(t, "zero"), One: rapid.Bool().Draw(t, "one")}
	})
)

// Whatever the data, axes and size, a chart is drawn, and within its area.
func TestDrawTakesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Chart{Title: "a < b & c", X: axes.Draw(t, "x axis"), Y: axes.Draw(t, "y axis"), HasCursor: rapid.Bool().Draw(t, "has cursor"), Cursor: number.Draw(t, "cursor")}
		if rapid.Bool().Draw(t, "window") {
			c.X.Lo, c.X.Hi = number.Draw(t, "lo"), number.Draw(t, "hi")
		}
		if rapid.Bool().Draw(t, "range") {
			c.Y.Lo, c.Y.Hi = number.Draw(t, "least"), number.Draw(t, "most")
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "series") {
			s := Series{Name: "name", Color: i, Kind: rapid.SampledFrom(order).Draw(t, "kind"), Of: rapid.IntRange(-1, 3).Draw(t, "of")}
			x := -5.0
			for range rapid.IntRange(0, 50).Draw(t, "points") {
				x += rapid.OneOf(rapid.Float64Range(-0.1, 3), rapid.Float64Range(0, 3), rapid.Just(1e300)).Draw(t, "x") // also garbled
				s.Points = append(s.Points, Point{x, number.Draw(t, "y")})
			}
			c.Series = append(c.Series, s)
		}
		w, h := rapid.IntRange(0, 60).Draw(t, "w"), rapid.IntRange(0, 20).Draw(t, "h")
		k := newGrid(w, h, rapid.Bool().Draw(t, "ascii"))
		c.Cells(k)
		if k.outside > 0 {
			t.Fatalf("%d characters are outside of %d×%d cells", k.outside, w, h)
		}
		for x := range w {
			c.XAt(w, h, x)
		}
		var text bytes.Buffer
		if err := c.CSV(&text); err != nil {
			t.Fatal(err)
		}
		if _, err := csv.NewReader(&text).ReadAll(); err != nil {
			t.Fatal(err)
		}
		picture := c.SVG(400, 200)
		for _, wrong := range []string{"NaN", "Inf"} { // of places
			if bytes.Contains(c.places(), []byte(wrong)) {
				t.Fatalf("a place is %s", wrong)
			}
		}
		if rapid.IntRange(0, 9).Draw(t, "pixels") == 0 {
			c.PNG(100, 70)
		}
		d := xml.NewDecoder(bytes.NewReader(picture))
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
		c := &Chart{Series: []Series{{Points: points, Color: 0}}, Y: Axis{Lo: 0, Hi: 1}}
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
		if d := cmp.Diff(k.want, nice(k.lo, k.hi, 0, k.n), cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 })); d != "" {
			t.Errorf("%g to %g: %s", k.lo, k.hi, d)
		}
	}
}

func TestNiceIsSortedAndWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo, hi, n := number.Draw(t, "lo"), number.Draw(t, "hi"), rapid.IntRange(-1, 30).Draw(t, "n")
		values := nice(lo, hi, 0, n)
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
		got := Axis{Unit: Second}.ticks(Scale{lo: 0, hi: k.hi}, k.n)
		if d := cmp.Diff(k.want, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })); d != "" {
			t.Errorf("to %g: %s", k.hi, d)
		}
	}
}

// Ticks are round values of what an axis counts: whole numbers, binary units, powers of ten.
func TestTicksOfUnits(t *testing.T) {
	for _, k := range []struct {
		a      Axis
		lo, hi float64
		want   []float64
		labels string
	}{
		{Axis{Unit: Share}, 0, 1.02, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}, "0% 20% 40% 60% 80% 100%"},
		{Axis{Unit: Whole}, 1, 3, []float64{1, 2, 3}, "1 2 3"},
		{Axis{Unit: Whole}, 0, 2, []float64{0, 1, 2}, "0 1 2"},
		{Axis{Unit: Whole}, 0, 1200, []float64{0, 200, 400, 600, 800, 1000, 1200}, "0 200 400 600 800 1000 1200"},
		{Axis{Unit: Byte}, 0, 45 << 20, []float64{0, 10 << 20, 20 << 20, 30 << 20, 40 << 20}, "0 B|10 MiB|20 MiB|30 MiB|40 MiB"},
		{Axis{Log: true}, 0.0009, 2, []float64{0.001, 0.01, 0.1, 1}, "0.001 0.01 0.1 1"},
		{Axis{Log: true}, 0.11, 6, []float64{0.2, 0.5, 1, 2, 5}, "0.2 0.5 1 2 5"},
		{Axis{Log: true}, 1e-9, 2e9, []float64{1e-8, 1e-4, 1, 1e4, 1e8}, "1e-08 0.0001 1 10k 100M"},
	} {
		got := k.a.ticks(Scale{k.lo, k.hi, k.a.Log}, 5)
		if d := cmp.Diff(k.want, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(b) })); d != "" {
			t.Errorf("%+v from %g to %g: %s", k.a, k.lo, k.hi, d)
		}
		labels := k.a.labels(got)
		if text := strings.Join(labels, map[bool]string{true: "|", false: " "}[k.a.Unit == Byte]); text != k.labels {
			t.Errorf("%+v from %g to %g has labels %q, want %q", k.a, k.lo, k.hi, text, k.labels)
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
		c.Series = []Series{{Points: []Point{{0, lo}}, Kind: Marks}}
		f := c.layout(w, h)
		for i, y := range f.yTicks {
			c.Series = []Series{{Points: []Point{{c.X.Lo, y}, {c.X.Hi, y}}}}
			row := strings.Split(draw(c, w, h, false), "\n")[f.row(y)/4]
			if !strings.Contains(row, strings.TrimSpace(f.yLabels[i])) && f.left > len(f.yLabels[i]) || strings.Count(row, "·") > 1 {
				t.Fatalf("%g is not in %q", y, row)
			}
		}
		for _, x := range f.xTicks {
			column := f.left + f.column(x)/2
			if at, ok := c.XAt(w, h, column); !ok || f.column(at)/2 != column-f.left {
				t.Fatalf("column %d is at %g, where column %d is", column, at, f.column(at)/2+f.left)
			}
		}
	})
}

func TestXAtOfEachColumnIsInIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Chart{Series: []Series{{Points: curve(rapid.IntRange(1, 5000).Draw(t, "points"), math.Sqrt)}}}
		w, h := rapid.IntRange(1, 200).Draw(t, "w"), rapid.IntRange(1, 30).Draw(t, "h")
		f := c.layout(w, h)
		for column := -1; column <= w; column++ {
			x, ok := c.XAt(w, h, column)
			if ok != (column >= f.left && column < w) || ok && f.column(x)/2 != column-f.left {
				t.Fatalf("column %d: %g %t", column, x, ok)
			}
		}
	})
}

// The dots of a line are the same whether its points are few or many.
func TestLineOfManyPointsIsThatOfTwo(t *testing.T) {
	few := &Chart{Series: []Series{{Points: []Point{{0, 0}, {1999, 1999}}}}, Y: Axis{Lo: 0, Hi: 1999}}
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
	c := &Chart{Series: []Series{{Points: []Point{{0, 1}, {1000, 3}}}}, X: Axis{Lo: 400, Hi: 500}}
	if text := draw(c, 40, 8, false); !strings.ContainsFunc(text, func(r rune) bool { return r > 0x2800 }) {
		t.Errorf("nothing is drawn:\n%s", text)
	}
}

func TestCursorBeyondACurveShowsNoValue(t *testing.T) {
	s := &Series{Points: []Point{{100, 1}, {200, 2}, {300, 3}}}
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

// A line in a picture is broken at gaps, and ends at the edges of the window.
func TestLinesOfPictures(t *testing.T) {
	c := &Chart{Series: []Series{{Points: []Point{{0, 0}, {1, 1}, {2, math.NaN()}, {3, 1}, {4, 2}, {5, 3}, {6, 4}, {7, 5}}}, {Points: []Point{{0, 1}, {9, 2}}, Color: 1}}, X: Axis{Lo: 1, Hi: 5}}
	var p recorder
	c.paint(&p, 600, 300)
	first, second := p.lines[Color(0)], p.lines[Color(1)]
	if len(first) != 1 || len(first[0]) != 3 || len(p.polygons[Color(0)]) != 1 || len(second) != 1 || len(second[0]) != 2 {
		t.Fatalf("lines %v and %v, dots %v", first, second, p.polygons[Color(0)])
	}
	left, right := second[0][0].X, second[0][1].X
	if d := right - left; d < 500 || first[0][0].X-left != d/2 || first[0][2].X != right {
		t.Errorf("the line from 3 to 5 is at %v, that through the window from 1 to 5 at %v", first, second)
	}
}

// The part of a line in the plot is that of a great many small steps along it.
func TestCut(t *testing.T) {
	p := &picture{left: 0, right: 10, top: 0, bottom: 5}
	place := rapid.Custom(func(t *rapid.T) Point {
		x := rapid.OneOf(rapid.Float64Range(-20, 30), rapid.SampledFrom([]float64{0, 5, 10}))
		return Point{x.Draw(t, "x"), x.Draw(t, "y")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := place.Draw(t, "a"), place.Draw(t, "b")
		from, to, ok := p.cut(a, b)
		var inside []Point
		const steps = 1000
		for i := range steps + 1 {
			s := float64(i) / steps
			if q := (Point{a.X + s*(b.X-a.X), a.Y + s*(b.Y-a.Y)}); p.inside(q) {
				inside = append(inside, q)
			}
		}
		if len(inside) > 0 && !ok {
			t.Fatalf("from %v to %v nothing is left of %d steps", a, b, len(inside))
		}
		step := math.Hypot(b.X-a.X, b.Y-a.Y)/steps + 1e-9
		if len(inside) > 0 && (math.Hypot(from.X-inside[0].X, from.Y-inside[0].Y) > step || math.Hypot(to.X-inside[len(inside)-1].X, to.Y-inside[len(inside)-1].Y) > step) {
			t.Fatalf("from %v to %v it goes from %v to %v, not %v to %v", a, b, from, to, inside[0], inside[len(inside)-1])
		}
	})
}

// recorder keeps what is drawn, by ink.
type recorder struct {
	lines, polygons map[Ink][][]Point
	dashes          map[Ink][]float64
	texts           []string
}

func (p *recorder) line(points []Point, width float64, dashes []float64, ink Ink) {
	if p.lines == nil {
		p.lines, p.dashes = map[Ink][][]Point{}, map[Ink][]float64{}
	}
	p.lines[ink], p.dashes[ink] = append(p.lines[ink], points), dashes
}

func (p *recorder) fill(polygons [][]Point, ink Ink) {
	if p.polygons == nil {
		p.polygons = map[Ink][][]Point{}
	}
	p.polygons[ink] = append(p.polygons[ink], polygons...)
}

func (p *recorder) text(x, y float64, s string, k lettering) { p.texts = append(p.texts, s) }

func BenchmarkDraw(b *testing.B) {
	c := &Chart{Series: []Series{{Name: "loss", Points: curve(20000, func(x float64) float64 { return math.Sin(x/500) + 0.2*math.Sin(x*1.7) }), Color: 0}}}
	k := newGrid(100, 24, false)
	b.ReportAllocs()
	for b.Loop() {
		c.Cells(k)
	}
}

// places are the coordinates of a picture.
func (c *Chart) places() []byte {
	var all []byte
	for _, m := range regexp.MustCompile(` (?:d|x|y)="[^"]*"`).FindAll(c.body(400, 200), -1) {
		all = append(all, m...)
	}
	return all
}

// Rectangles of whole pixels have the colours that other polygons have.
func TestRectangles(t *testing.T) {
	ink := Ink{Light: color.RGBA{200, 30, 7, 255}}
	square := []Point{{2, 3}, {9.5, 3}, {9.5, 6}, {2, 6}}
	if !isRectangle(square, image.Rect(4, 6, 19, 12)) || isRectangle(square[:3], image.Rect(4, 6, 19, 12)) || isRectangle([]Point{{2, 3}, {9.5, 3}, {9.5, 6}, {3, 6}}, image.Rect(4, 6, 19, 12)) {
		t.Error("what is a rectangle is not known")
	}
	for _, polygon := range [][]Point{square, {{0, 0}, {20, 0}, {20, 10}, {0, 10}}} {
		var pictures []*image.RGBA
		for _, polygons := range [][][]Point{{polygon}, {polygon, {{5, 5}}}} { // a point is nothing
			p := raster{image: newImage(20, 10)}
			p.fill(polygons, ink)
			pictures = append(pictures, p.image)
		}
		if !bytes.Equal(pictures[0].Pix, pictures[1].Pix) {
			t.Errorf("%v has other colours than the same polygon with a point", polygon)
		}
	}
}
