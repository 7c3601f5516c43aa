package emulator_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"coil/metal/emulator"
)

// ulp is the distance of the floats around v.
func ulp(v float64) float64 {
	if v == 0 {
		return 0x1p-149
	}
	_, k := math.Frexp(v)
	return math.Ldexp(1, max(k-24, -149))
}

func ulps(n float64) func(x, v float64) float64 {
	return func(_, v float64) float64 { return n * ulp(v) }
}

// errs is an absolute error where x is in a range, and an error in units in the last place elsewhere.
func errs(lo, hi, most, n float64) func(x, v float64) float64 {
	return func(x, v float64) float64 {
		if lo <= x && x <= hi {
			return most
		}
		return n * ulp(v)
	}
}

// functions are those that shaders call, with the errors that the Metal Shading Language Specification 4.1 allows in section
// 8.4: table 8.1 for precise ones, table 8.2 for fast ones. x is the argument and v the exact value.
var functions = []struct {
	call          string
	f             func(x float64) float64
	precise, fast func(x, v float64) float64
	lo, hi        float64
}{
	{"exp(x)", math.Exp, ulps(4), func(x, v float64) float64 { return (3 + math.Floor(math.Abs(2*x))) * ulp(v) }, -80, 80},
	{"exp2(x)", math.Exp2, ulps(4), func(x, v float64) float64 { return (3 + math.Floor(math.Abs(2*x))) * ulp(v) }, -100, 100},
	{"log(x)", math.Log, ulps(4), errs(0.5, 2, 0x1p-21, 3), 0.01, 5},
	{"log2(x)", math.Log2, ulps(4), errs(0.5, 2, 0x1p-22, 2), 0.01, 5},
	{"sin(x)", math.Sin, ulps(4), errs(-math.Pi, math.Pi, 0x1p-13, 0), -3.1, 3.1},
	{"cos(x)", math.Cos, ulps(4), errs(-math.Pi, math.Pi, 0x1p-13, 0), -3.1, 3.1},
	{"rsqrt(x)", func(x float64) float64 { return 1 / math.Sqrt(x) }, nil, ulps(2), 0.01, 100},
	// x·rsqrt(x): 2 units of the root's, which may be twice those of the product, and a rounding.
	{"sqrt(x)", math.Sqrt, nil, ulps(4.5), 0.01, 100},
	{"1.0f / x", func(x float64) float64 { return 1 / x }, nil, ulps(1), -100, 100},
	{"3.0f / x", func(x float64) float64 { return 3 / x }, nil, ulps(2.5), -100, 100},
	{"(float4(5.0f, 6.0f, x, 7.0f) / float4(x)).y", func(x float64) float64 { return 6 / x }, nil, ulps(2.5), -100, 100},
}

// TestFunctions holds the worst functions to the specification: never beyond what it allows, and in both directions close to
// it, or they would prove nothing.
func TestFunctions(t *testing.T) {
	const n = 2048
	var source strings.Builder
	source.WriteString("#include <metal_stdlib>\nusing namespace metal;\n")
	for i, f := range functions {
		fmt.Fprintf(&source, "kernel void f%d(device const float* in [[buffer(0)]], device float* out [[buffer(1)]], uint i [[thread_position_in_grid]]) { const float x = in[i]; out[i] = %s; }\n",
			i, f.call)
	}
	for _, kind := range []emulator.Functions{emulator.CLibrary, emulator.WorstPrecise, emulator.WorstFast} {
		for _, checked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s checked=%v", kind, checked), func(t *testing.T) {
				g := open(t, emulator.Options{Functions: kind, Checked: checked})
				lib := g.library("functions", source.String())
				for i, f := range functions {
					x := make([]float32, n)
					for j := range x {
						x[j] = float32(f.lo + (f.hi-f.lo)*(float64(j)+0.5)/n)
					}
					if strings.HasPrefix(f.call, "exp") {
						x[0] = float32(math.Inf(-1)) // whose exact value is zero
					} else if strings.HasPrefix(f.call, "log") {
						x[0] = 1
					}
					in, out := g.buffer(x), g.buffer(4*n)
					if err := g.run(launch(g.pipeline(lib, fmt.Sprintf("f%d", i)), dims{n / 64}, dims{64}, in, out)); err != nil {
						t.Fatal(err)
					}
					bound := f.precise
					if kind == emulator.WorstFast {
						bound = f.fast
					}
					var up, down float64 // the largest errors, as shares of the bound
					for j, y := range view[float32](g, out) {
						v := f.f(float64(x[j]))
						if bound == nil { // correctly rounded
							if kind == emulator.WorstPrecise && y != float32(v) {
								t.Fatalf("%s is %g at %g, want %g", f.call, y, x[j], float32(v))
							}
							continue
						}
						if v == 0 && (float64(y) > 4*0x1p-149 || float64(y) < -4*0x1p-149) && !(kind == emulator.WorstFast && x[j] == 1) {
							t.Errorf("%s is %g at %g, want 0", f.call, y, x[j])
						}
						share := (float64(y) - v) / bound(float64(x[j]), v)
						up, down = max(up, share), max(down, -share)
					}
					t.Logf("%s: errors up to %.3f and %.3f of what is allowed", f.call, up, -down)
					switch {
					case bound == nil:
					case up > 1 || down > 1:
						t.Errorf("%s errs by more than is allowed", f.call)
					case kind == emulator.CLibrary && max(up, down) > 0.5:
						t.Errorf("%s of the C library is far off", f.call)
					case kind != emulator.CLibrary && min(up, down) < 0.6:
						t.Errorf("%s errs by less than is allowed", f.call)
					}
				}
			})
		}
	}
}

// TestFlush flushes denormal operands and results, and keeps what is only moved.
func TestFlush(t *testing.T) {
	const source = `#include <metal_stdlib>
using namespace metal;
kernel void f(device const float* in [[buffer(0)]], device float* out [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  const float x = in[i];
  out[4 * i] = x;
  out[4 * i + 1] = x * 0.25f;
  out[4 * i + 2] = x * 0x1p100f;
  out[4 * i + 3] = exp(log(x) - 1.0f);
}`
	const least = 0x1p-126
	x := []float32{least / 2, least, 1, -least / 4}
	for _, checked := range []bool{false, true} {
		for _, flush := range []bool{false, true, false} {
			g := open(t, emulator.Options{Checked: checked, Flush: flush, Functions: emulator.WorstPrecise})
			in, out := g.buffer(x), g.buffer(16*len(x))
			if err := g.run(launch(g.pipeline(g.library("flush", source), "f"), dims{1}, dims{uint32(len(x))}, in, out)); err != nil {
				t.Fatal(err)
			}
			for i, got := range view[[4]float32](g, out) {
				want := [3]float32{x[i], x[i] / 4, x[i] * 0x1p100}
				denormal := func(v float32) bool { return math.Abs(float64(v)) < least }
				if flush && denormal(want[1]) {
					want[1] = 0
				}
				if flush && denormal(x[i]) {
					want[2] = 0
				}
				if [3]float32(got[:3]) != want {
					t.Errorf("checked=%v flush=%v: of %g come %g, want %g", checked, flush, x[i], got[:3], want)
				}
				if denormal(got[3]) && (got[3] == 0) != flush {
					t.Errorf("checked=%v flush=%v: exp(log(%g) - 1) is %g", checked, flush, x[i], got[3])
				}
			}
		}
	}
}
