package loop_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"coil/loop"
)

func architecture(t *testing.T, s string) loop.Architecture {
	t.Helper()
	a, err := loop.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in           string
		sizes, loops []int
	}{
		{"1x6", []int{1}, []int{6}},
		{"4⊗6", []int{4}, []int{6}},
		{"4X6", []int{4}, []int{6}},
		{"4*6", []int{4}, []int{6}},
		{" 4 x ( 1, 4, 1 ) ", []int{4, 4, 4}, []int{1, 4, 1}},
		{"2⊗(3)", []int{2}, []int{3}},
		{"1024x1", []int{1024}, []int{1}},
		{"2/4x3/2", []int{2, 4, 2}, []int{1, 3, 1}},
		{"2 / 4⊗3 / 1x2", []int{2, 4, 1}, []int{1, 3, 2}},
		{"3/1", []int{3, 1}, []int{1, 1}},
		{"1x16384", []int{1}, []int{16384}},
	} {
		if a := architecture(t, c.in); !slices.Equal(a.Sizes, c.sizes) || !slices.Equal(a.Loops, c.loops) {
			t.Errorf("%q is %+v", c.in, a)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for in, why := range map[string]string{
		"":                          "no x",
		"6":                         "no x",
		"x6":                        `the layers are "", want at least 1`,
		"ax6":                       `the layers are "a", want at least 1`,
		"0x6":                       `the layers are "0", want at least 1`,
		"-1x6":                      `the layers are "-1", want at least 1`,
		"99999999999999999999x1":    "want at least 1",
		"4x":                        `the loops are "", want at least 1`,
		"4x0":                       `the loops are "0", want at least 1`,
		"4x(1,,1)":                  `the loops are "", want at least 1`,
		"4x()":                      `the loops are "", want at least 1`,
		"4x(1,4,1":                  "brackets do not match",
		"4x1)":                      "brackets do not match",
		"4x1,4,1":                   "several loop counts need brackets",
		"2/":                        `the layers are "", want at least 1`,
		"/4x3":                      `the layers are "", want at least 1`,
		"2/4x":                      `the loops are "", want at least 1`,
		"2/4x(1,3)/2":               "blocks between slashes have one loop count each",
		"600/600":                   "more than 1024 layers",
		"1x6x2":                     `the loops are "6x2", want at least 1`,
		"4x16385":                   "more than 16384 loops",
		"1025x1":                    "more than 1024 layers",
		"512x(1,1,1)":               "more than 1024 layers",
		"2x9000":                    "a depth of more than 16384",
		"9223372036854775807x(1,1)": "more than 1024 layers",
	} {
		a, err := loop.Parse(in)
		if err == nil {
			t.Errorf("%q is %v, want an error", in, a)
			continue
		}
		if !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "as in 1x6") {
			t.Errorf("%q: %q does not say %q", in, err, why)
		}
	}
}

// draw is an architecture that Parse takes.
func draw(t *rapid.T) loop.Architecture {
	loops := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 7).Draw(t, "loops")
	if rapid.Bool().Draw(t, "equal") {
		return loop.Equal(rapid.IntRange(1, 16).Draw(t, "k"), loops...)
	}
	return loop.Architecture{Sizes: rapid.SliceOfN(rapid.IntRange(1, 16), len(loops), len(loops)).Draw(t, "sizes"), Loops: loops}
}

func TestStringIsParsedBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := draw(t)
		for _, s := range []string{a.String(), strings.ReplaceAll(a.String(), "⊗", "x")} {
			b, err := loop.Parse(s)
			if err != nil || !slices.Equal(b.Sizes, a.Sizes) || !slices.Equal(b.Loops, a.Loops) {
				t.Fatalf("%+v is written %q and read %+v, %v", a, s, b, err)
			}
		}
	})
}

// Parse must not panic, and takes nothing that it would not write.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"1x6", "4⊗(1,4,1)", "2/4⊗3/2", "x", "1x(", "⊗⊗", "1/", "1x)(", "+1x+1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := loop.Parse(s)
		if err != nil {
			return
		}
		b, err := loop.Parse(a.String())
		if err != nil || b.String() != a.String() {
			t.Errorf("%q is %v, which is read %v, %v", s, a, b, err)
		}
	})
}

// Layers are parameters and depth is FLOPs, as Saunshi et al. (arXiv 2502.17416) count them.
func TestLayersAndDepth(t *testing.T) {
	for _, c := range []struct {
		in            string
		layers, depth int
		looped        int // block
	}{
		{"1x6", 1, 6, 0},
		{"6x1", 6, 6, 0},
		{"24x1", 24, 24, 0},
		{"12x2", 12, 24, 0},
		{"8x3", 8, 24, 0},
		{"6x4", 6, 24, 0},
		{"4x6", 4, 24, 0},
		{"4x(1,4,1)", 12, 24, 1},
		{"2x(1,3,1)", 6, 10, 1},
		{"3x(2,1)", 6, 9, 0},
		{"1x(1,1,1)", 3, 3, 1},
		{"1x(2,3,2)", 3, 7, 1},
		{"1x(3,1,3)", 3, 7, 2},
		{"2/4x3/1", 7, 15, 1},
		{"3x2/5x2", 8, 16, 1},
	} {
		a := architecture(t, c.in)
		if a.Layers() != c.layers || a.Depth() != c.depth || a.Looped() != c.looped || a.Count() != a.Loops[c.looped] {
			t.Errorf("%s: %d layers, depth %d, looped block %d run %d times", c.in, a.Layers(), a.Depth(), a.Looped(), a.Count())
		}
		layer := 0
		for b, size := range a.Sizes {
			if a.First(b) != layer {
				t.Errorf("%s: block %d begins with layer %d, want %d", c.in, b, a.First(b), layer)
			}
			for range size {
				if a.Block(layer) != b {
					t.Errorf("%s: layer %d is in block %d, want %d", c.in, layer, a.Block(layer), b)
				}
				layer++
			}
		}
	}
}

func TestWithCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := draw(t)
		before := slices.Clone(a.Loops)
		n := rapid.IntRange(1, 40).Draw(t, "n")
		b := a.WithCount(n)
		if !slices.Equal(a.Loops, before) {
			t.Fatalf("WithCount(%d) changed its receiver: %v, was %v", n, a.Loops, before)
		}
		if got, want := b.Depth(), a.Depth()+(n-a.Count())*a.Sizes[a.Looped()]; got != want {
			t.Fatalf("%v with count %d is %v of depth %d, want %d", a, n, b, got, want)
		}
		for i, l := range b.Loops {
			want := a.Loops[i]
			if i == a.Looped() {
				want = n
			}
			if l != want {
				t.Fatalf("%v with count %d is %v", a, n, b)
			}
		}
	})
}

func TestRandomCheck(t *testing.T) {
	for _, r := range []loop.Random{{0, 4}, {-1, 4}, {math.NaN(), 4}, {math.Inf(1), 4}, {1, 0}, {4, 3}, {0.5, 0}} {
		if r.Check() == nil {
			t.Errorf("%+v: no error", r)
		}
	}
	for _, r := range []loop.Random{{4, 4}, {0.5, 1}, {32, 128}} {
		if err := r.Check(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// probability of r loops: with Λ = exp(ln Mean − 1/8 + z/2), z standard normal, that of r−1 arrivals at rate Λ. The
// integral over z is a sum over small steps, which is exact to many digits for an integrand that falls off like this.
func probability(mean float64, r int) float64 {
	const step = 0.01
	n := float64(r - 1)
	logFactorial, _ := math.Lgamma(n + 1)
	var p float64
	for z := -9.0; z <= 9; z += step {
		lambda := mean * math.Exp(-0.125+z/2)
		p += step * math.Exp(-z*z/2+n*math.Log(lambda)-lambda-logFactorial) / math.Sqrt(2*math.Pi)
	}
	return p
}

func TestRandomFollowsItsFormula(t *testing.T) {
	const draws = 200_000
	for _, mean := range []float64{0.7, 4, 12} {
		r := loop.Random{Mean: mean, Max: 1 << 20}
		counts := map[int]int{}
		var sum, squares float64
		for step := range uint64(draws) {
			n := r.Draw(7, step)
			if n < 1 {
				t.Fatalf("mean %g: %d loops", mean, n)
			}
			counts[n]++
			sum += float64(n)
			squares += float64(n) * float64(n)
		}
		// Five standard errors. The variance is Poisson's and that of its rate, Mean + Mean²·(exp(σ²) − 1).
		got, variance := sum/draws, mean+mean*mean*(math.Exp(0.25)-1)
		if limit := 5 * math.Sqrt(variance/draws); math.Abs(got-mean-1) > limit {
			t.Errorf("mean %g: loops have the mean %g, want %g ± %g", mean, got, mean+1, limit)
		}
		if got := squares/draws - got*got; math.Abs(got-variance) > 0.05*variance {
			t.Errorf("mean %g: loops have the variance %g, want %g", mean, got, variance)
		}
		for n := 1; n <= int(3*mean)+2; n++ {
			p := probability(mean, n)
			got, limit := float64(counts[n])/draws, 5*math.Sqrt(p/draws)
			if math.Abs(got-p) > limit {
				t.Errorf("mean %g: %d loops have the probability %g, want %g ± %g", mean, n, got, p, limit)
			}
		}
	}
}

// A count depends only on the seed and the step, and never exceeds the largest.
func TestRandomIsAFunctionOfSeedAndStep(t *testing.T) {
	r, capped := loop.Random{Mean: 4, Max: 1 << 20}, loop.Random{Mean: 4, Max: 5}
	var first, again, other, limited []int
	for step := range uint64(100) {
		first = append(first, r.Draw(1, step))
		other = append(other, r.Draw(2, step))
		limited = append(limited, capped.Draw(1, step))
	}
	for step := uint64(100); step > 0; step-- {
		again = append(again, r.Draw(1, step-1))
	}
	slices.Reverse(again)
	if !slices.Equal(first, again) {
		t.Error("the order of drawing matters")
	}
	if slices.Equal(first, other) {
		t.Error("two seeds draw the same")
	}
	for i, n := range limited {
		if n != min(first[i], 5) {
			t.Errorf("step %d: %d loops of at most 5, %d without", i, n, first[i])
		}
	}
}
