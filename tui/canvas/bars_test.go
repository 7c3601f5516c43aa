package canvas

import (
	"math"
	"strings"
	"testing"

	"coil/golden"

	"pgregory.net/rapid"
)

var number = rapid.OneOf(rapid.Float64Range(-10, 10), rapid.Float64(), rapid.SampledFrom([]float64{0, 1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 1e-320}))

func TestBars(t *testing.T) {
	k := New(30, 9)
	Bars(k.Area(), []Bar{{"half", 1, 2, "50 %", Good}, {"all", 2, 2, "100 %", Good}, {"more", 9, 2, "450 %", Good}, {"little", 1e-9, 2, "0 %", Good},
		{"none", 0, 2, "0 %", Good}, {"of nothing", 1, 0, "", Good}, {"no number", math.NaN(), 1, "NaN", Good}, {"less", -1, 2, "", Good}, {"eighths", 21, 64, "", Good}, {"no row", 1, 1, "", Good}})
	golden.Compare(t, "bars.txt", k.Plain())
}

func TestSpark(t *testing.T) {
	for _, k := range []struct {
		values []float64
		want   string
	}{
		{nil, ""}, {[]float64{0, 1, 2, 3, 4, 5, 6, 7}, "▁▂▃▄▅▆▇█"}, {[]float64{9, 0, 1, 2, 3, 4, 5, 6, 7}, "▁▂▃▄▅▆▇█"}, {[]float64{3, 3}, "▅▅"},
		{[]float64{1, math.NaN(), math.Inf(1), 2}, "▁××█"}, {[]float64{-math.MaxFloat64, 0, math.MaxFloat64}, "▁▅█"},
	} {
		c := New(8, 1)
		Spark(c.Area(), k.values, Plain)
		if got := strings.TrimSuffix(c.Plain(), "\n"); got != k.want {
			t.Errorf("%g: %q, want %q", k.values, got, k.want)
		}
	}
}

// Bars and sparks take anything.
func TestBarsAndSparksTakeAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := New(rapid.IntRange(0, 40).Draw(t, "w"), rapid.IntRange(0, 5).Draw(t, "h"))
		Spark(k.Area(), rapid.SliceOf(number).Draw(t, "values"), Plain)
		var bars []Bar
		for range rapid.IntRange(0, 7).Draw(t, "bars") {
			bars = append(bars, Bar{rapid.String().Draw(t, "label"), number.Draw(t, "value"), number.Draw(t, "of"), rapid.StringN(0, 8, -1).Draw(t, "text"), Plain})
		}
		Bars(k.Area(), bars)
	})
}
