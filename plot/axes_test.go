package plot

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever its size, a chart has at least two different labels on each axis, or no axes. It has them from 24×4 cells on,
// which is less than any panel has.
func TestAxesHaveTwoLabels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 130).Draw(t, "w"), rapid.IntRange(1, 40).Draw(t, "h")
		lo := rapid.Float64Range(0.001, 100).Draw(t, "lo")
		c := &Chart{X: Axis{Label: "steps", Unit: unit.Draw(t, "x")}, Y: Axis{Log: rapid.Bool().Draw(t, "log"), Unit: unit.Draw(t, "y")}}
		begin, length := rapid.Float64Range(0, 1e6).Draw(t, "begin"), rapid.Float64Range(10, 1e6).Draw(t, "length")
		c.Series = []Series{{Points: []Point{{begin, lo}, {begin + length, lo * rapid.Float64Range(1.01, 1e4).Draw(t, "ratio")}}, Color: 0}}
		f := c.layout(w, h)
		if !f.axes {
			if w >= 24 && h >= leastRows {
				t.Fatalf("%d×%d cells have no axes", w, h)
			}
			return
		}
		rows := strings.Split(strings.TrimSuffix(draw(c, w, h, false), "\n"), "\n")
		left := map[string]bool{}
		for _, row := range rows[:h-1] {
			if label := strings.TrimSpace(string([]rune(row + strings.Repeat(" ", w))[:f.left])); label != "" {
				left[label] = true
			}
		}
		bottom := map[string]bool{}
		for _, label := range strings.Fields(strings.TrimSuffix(rows[h-1], "steps")) {
			bottom[label] = true
		}
		if len(left) < 2 || len(bottom) < 2 {
			t.Fatalf("%d×%d cells: labels %v on the left, %v below:\n%s", w, h, left, bottom, strings.Join(rows, "\n"))
		}
	})
}

func TestLabelsAreDifferent(t *testing.T) {
	for _, k := range []struct {
		axis  Axis
		ticks []float64
		want  string
	}{
		{Axis{}, []float64{1.00001, 1.00002}, "1.00001 1.00002"},
		{Axis{Unit: Share}, []float64{0.999991, 0.999992}, "99.9991% 99.9992%"},
		{Axis{Unit: Share}, []float64{0.5, 1}, "50% 100%"},
		{Axis{Unit: Second}, []float64{100000, 100001}, "100000s 100001s"},
	} {
		if got := strings.Join(k.axis.labels(k.ticks), " "); got != k.want {
			t.Errorf("%g: %q, want %q", k.ticks, got, k.want)
		}
	}
}

// A time axis has one unit.
func TestTimesHaveOneUnit(t *testing.T) {
	for _, k := range []struct {
		ticks []float64
		want  string
	}{
		{[]float64{50, 90, 120}, "50s 90s 120s"},
		{[]float64{0, 30, 60, 90, 120, 150}, "0 0.5 1.0 1.5 2.0 2.5"},
		{[]float64{0, 300, 600}, "0 5 10"},
		{[]float64{0, 1800, 3600, 5400, 7200}, "0 0.5 1.0 1.5 2.0"},
		{[]float64{0, day, 2 * day, 3 * day}, "0 1 2 3"},
		{[]float64{0.1, 0.2}, "0.1 0.2"},
	} {
		got := clock(k.ticks)
		unit := strings.TrimLeft(got[0], "0123456789.")
		for i := range got {
			if !strings.HasSuffix(got[i], unit) {
				t.Errorf("%q have more than one unit", got)
			}
			if !strings.Contains(k.want, unit) {
				got[i] = strings.TrimSuffix(got[i], unit)
			}
		}
		if text := strings.Join(got, " "); text != k.want {
			t.Errorf("%g: %q, want %q", k.ticks, text, k.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		begin, length := rapid.Float64Range(0, 1e7).Draw(t, "begin"), rapid.Float64Range(1, 1e8).Draw(t, "length")
		a, units := Axis{Unit: Second}, map[string]bool{}
		for _, l := range a.labels(a.ticks(Scale{lo: begin, hi: begin + length}, rapid.IntRange(1, 20).Draw(t, "n"))) {
			units[l[len(l)-1:]] = true
		}
		if len(units) != 1 {
			t.Fatalf("units %v from %g s for %g s", units, begin, length)
		}
	})
}

// NaN and infinite values have a cross in their column, +Inf above and the others below, and the legend says what it is.
func TestNotFiniteIsMarked(t *testing.T) {
	for kind := range Kind(Marks + 1) {
		for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			points := curve(60, func(x float64) float64 { return x })
			points[30].Y = v
			c := &Chart{Series: []Series{{Points: points, Kind: kind}}}
			text := draw(c, 60, 12, false)
			rows := strings.Split(text, "\n")
			row := 10
			if math.IsInf(v, 1) {
				row = 0
			}
			f := c.layout(60, 12)
			if at := []rune(rows[row]); len(at) <= f.left+f.column(30)/2 || at[f.left+f.column(30)/2] != '×' {
				t.Errorf("%g has no cross:\n%s", v, text)
			}
			if !strings.Contains(text, "× NaN or infinite") {
				t.Errorf("%g: the legend does not explain the cross:\n%s", v, text)
			}
			if picture := string(c.body(600, 300)); strings.Count(picture, `stroke="#C00000"`) != 2 || !strings.Contains(picture, "× NaN or infinite") {
				t.Errorf("%g is not marked in the picture", v)
			}
		}
	}
	c := &Chart{Series: []Series{{Points: []Point{{1, math.NaN()}, {2, math.Inf(1)}}}}}
	if text := draw(c, 40, 8, false); !strings.Contains(text, "only NaN or infinite") {
		t.Errorf("nothing says why there is no curve:\n%s", text)
	}
}
