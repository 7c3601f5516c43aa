package vector_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"coil/backend/cpu/internal/cliff"
	"coil/backend/cpu/vector"
)

// operation is a kernel as a function of slices, and its formula in float64. The first of the operands are results;
// their old values are operands too.
type operation struct {
	name     string
	operands int
	results  int
	run      func(k *vector.Kernels, x [][]float32) []float32
	formula  func(x [][]float64, n int) []float64
}

func each(f func(x []float64) []float64) func(x [][]float64, n int) []float64 {
	return func(x [][]float64, n int) []float64 {
		for i := range n {
			row := make([]float64, len(x))
			for j := range x {
				row[j] = x[j][i]
			}
			for j, v := range f(row) {
				x[j][i] = v
			}
		}
		return nil
	}
}

func total(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v
	}
	return s
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func gelu(x float64) (y, d float64) {
	c := 2 * math.Sqrt(2/math.Pi)
	s := sigmoid(c * x * (1 + 0.044715*x*x))
	return x * s, s + x*s*(1-s)*c*(1+3*0.044715*x*x)
}

// moments are those of one row.
func moments(k *vector.Kernels, x []float32) (mean, variance float32) {
	var both [2]float32
	k.MomentsRows(both[:1], both[1:], x, 0, len(x))
	return both[0], both[1]
}

// normGradient is the formula of NormBackwardRows on dx, dgain, dbias, dy, x, gain.
func normGradient(mean, rstd float64, rms, accumulate bool) func(x [][]float64, n int) []float64 {
	return func(x [][]float64, n int) []float64 {
		var sg, sgh float64
		h := make([]float64, n)
		for i := range n {
			h[i] = (x[4][i] - mean) * rstd
			g := x[3][i] * x[5][i]
			sg += g
			sgh += g * h[i]
			x[1][i] += x[3][i] * h[i]
			x[2][i] += x[3][i]
		}
		if rms {
			sg = 0
		}
		for i := range n {
			d := rstd * (x[3][i]*x[5][i] - sg/float64(n) - h[i]*sgh/float64(n))
			if accumulate {
				d += x[0][i]
			}
			x[0][i] = d
		}
		return nil
	}
}

func operations() []operation {
	one := func(v float32) []float32 { return []float32{v} }
	ops := []operation{
		{"add", 3, 1, func(k *vector.Kernels, x [][]float32) []float32 { k.Add(x[0], x[1], x[2], 0.5, -2); return nil },
			each(func(x []float64) []float64 { return []float64{0.5*x[1] - 2*x[2]} })},
		{"scale", 2, 1, func(k *vector.Kernels, x [][]float32) []float32 { k.Scale(x[0], x[1], 0.7); return nil },
			each(func(x []float64) []float64 { return []float64{float64(float32(0.7)) * x[1]} })},
		{"dot", 2, 0, func(k *vector.Kernels, x [][]float32) []float32 { return one(k.Dot(x[0], x[1])) },
			func(x [][]float64, n int) []float64 {
				s := 0.0
				for i := range n {
					s += x[0][i] * x[1][i]
				}
				return []float64{s}
			}},
		{"sum", 1, 0, func(k *vector.Kernels, x [][]float32) []float32 { return one(k.Sum(x[0])) },
			func(x [][]float64, n int) []float64 { return []float64{total(x[0][:n])} }},
		{"max", 1, 0, func(k *vector.Kernels, x [][]float32) []float32 { return one(k.Max(x[0])) },
			func(x [][]float64, n int) []float64 {
				m := x[0][0]
				for _, v := range x[0][:n] {
					m = max(m, v)
				}
				return []float64{m}
			}},
		{"exp", 2, 1, func(k *vector.Kernels, x [][]float32) []float32 { return one(k.Exp(x[0], x[1], 0.5, 1.25)) },
			func(x [][]float64, n int) []float64 {
				for i := range n {
					x[0][i] = math.Exp(0.5*x[1][i] - 1.25)
				}
				return []float64{total(x[0][:n])}
			}},
		{"gelu", 2, 1, func(k *vector.Kernels, x [][]float32) []float32 { k.GELU(x[0], x[1]); return nil },
			each(func(x []float64) []float64 { y, _ := gelu(x[1]); return []float64{y} })},
		{"gelu backward", 4, 2, func(k *vector.Kernels, x [][]float32) []float32 { k.GELUBackward(x[0], x[1], x[2], x[3]); return nil },
			each(func(x []float64) []float64 { y, d := gelu(x[3]); return []float64{x[2] * d, y} })},
		{"multiply", 3, 1, func(k *vector.Kernels, x [][]float32) []float32 { k.Multiply(x[0], x[1], x[2], 0.5); return nil },
			each(func(x []float64) []float64 { return []float64{0.5 * x[1] * x[2]} })},
		{"relu", 2, 1, func(k *vector.Kernels, x [][]float32) []float32 { k.ReLU(x[0], x[1]); return nil },
			each(func(x []float64) []float64 { return []float64{max(x[1], 0)} })},
		{"relu backward", 4, 2, func(k *vector.Kernels, x [][]float32) []float32 { k.ReLUBackward(x[0], x[1], x[2], x[3]); return nil },
			each(func(x []float64) []float64 {
				if x[3] > 0 {
					return []float64{x[2], x[3]}
				}
				return []float64{0, 0}
			})},
		{"soft cap", 2, 1, func(k *vector.Kernels, x [][]float32) []float32 { k.SoftCap(x[0], x[1], 1.5); return nil },
			each(func(x []float64) []float64 { return []float64{1.5 * math.Tanh(x[1]/1.5)} })},
		{"soft cap backward", 3, 1, func(k *vector.Kernels, x [][]float32) []float32 { k.SoftCapBackward(x[0], x[1], x[2], 3); return nil },
			each(func(x []float64) []float64 { return []float64{x[1] * (1 - x[2]*x[2]/9)} })},
		{"swiglu", 3, 1, func(k *vector.Kernels, x [][]float32) []float32 { k.SwiGLU(x[0], x[1], x[2]); return nil },
			each(func(x []float64) []float64 { return []float64{x[1] * sigmoid(x[1]) * x[2]} })},
		{"swiglu backward", 6, 3, func(k *vector.Kernels, x [][]float32) []float32 {
			k.SwiGLUBackward(x[0], x[1], x[2], x[3], x[4], x[5])
			return nil
		},
			each(func(x []float64) []float64 {
				dy, g, u := x[3], x[4], x[5]
				s := sigmoid(g)
				return []float64{dy * u * (s + g*s*(1-s)), dy * g * s, g * s * u}
			})},
		{"norm", 4, 1, func(k *vector.Kernels, x [][]float32) []float32 {
			k.NormRows(x[0], x[1], x[2], x[3], []float32{0.5, 2}, 0, 0, len(x[0]))
			return nil
		},
			each(func(x []float64) []float64 { return []float64{(x[1]-0.5)*2*x[2] + x[3]} })},
		{"norm without bias", 3, 1, func(k *vector.Kernels, x [][]float32) []float32 {
			k.NormRows(x[0], x[1], x[2], nil, []float32{0.5, 2}, 0, 0, len(x[0]))
			return nil
		},
			each(func(x []float64) []float64 { return []float64{(x[1] - 0.5) * 2 * x[2]} })},
		{"moments", 1, 0, func(k *vector.Kernels, x [][]float32) []float32 { m, v := moments(k, x[0]); return []float32{m, v} },
			func(x [][]float64, n int) []float64 {
				mean, s := total(x[0][:n])/float64(n), 0.0
				for _, v := range x[0][:n] {
					s += (v - mean) * (v - mean)
				}
				return []float64{mean, s / float64(n)}
			}},
		{"log of sums", 3, 2, func(k *vector.Kernels, x [][]float32) []float32 {
			for i, v := range x[1] {
				x[1][i] = float32(math.Abs(float64(v)) + 1)
			}
			k.LogSums(x[0], x[1], x[2])
			return nil
		},
			each(func(x []float64) []float64 {
				s := float64(float32(math.Abs(x[1]) + 1))
				return []float64{math.Log(s) - x[2], 1 / s}
			})},
		{"rotate", 4, 2, func(k *vector.Kernels, x [][]float32) []float32 {
			k.Rotate(x[0], x[1], x[2], x[3], 1, len(x[0]))
			return nil
		},
			each(func(x []float64) []float64 { return []float64{x[0]*x[2] - x[1]*x[3], x[0]*x[3] + x[1]*x[2]} })},
		{"adamw", 4, 3, func(k *vector.Kernels, x [][]float32) []float32 {
			for i, v := range x[2] {
				x[2][i] = float32(math.Abs(float64(v)))
			}
			k.AdamW(x[0], x[1], x[2], x[3], vector.AdamW{Rate: 0.125, Decay: 0.5, Beta1: 0.75, Beta2: 0.5, C1: 2, C2: 4, Eps: 0.25, Factor: 0.5})
			return nil
		}, each(func(x []float64) []float64 {
			g := 0.5 * x[3]
			m, v := 0.75*x[1]+0.25*g, 0.5*math.Abs(x[2])+0.5*g*g
			return []float64{x[0] - 0.125*(0.5*x[0]+2*m/(math.Sqrt(4*v)+0.25)), m, v}
		})},
	}
	for _, rms := range []bool{false, true} {
		for _, accumulate := range []bool{false, true} {
			ops = append(ops, operation{fmt.Sprintf("norm backward rms=%v accumulate=%v", rms, accumulate), 6, 3, func(k *vector.Kernels, x [][]float32) []float32 {
				k.NormBackwardRows(x[0], x[1], x[2], x[3], x[4], x[5], []float32{0.5, 2}, make([]float32, 6), 0, 0, 0, len(x[0]), rms, accumulate)
				return nil
			}, normGradient(0.5, 2, rms, accumulate)})
		}
	}
	ops = append(ops, operation{"norm backward of x only", 6, 3, func(k *vector.Kernels, x [][]float32) []float32 {
		k.NormBackwardRows(x[0], nil, nil, x[3], x[4], x[5], []float32{0.5, 2}, make([]float32, 6), 0, 0, 0, len(x[0]), false, false)
		return nil
	}, func(x [][]float64, n int) []float64 {
		gain, bias := append([]float64{}, x[1]...), append([]float64{}, x[2]...)
		normGradient(0.5, 2, false, false)(x, n)
		copy(x[1], gain)
		copy(x[2], bias)
		return nil
	}})
	return ops
}

// TestLengths runs every kernel on every length up to several registers, and some more. Operands end at a page that
// can't be touched, or have values on both sides that must stay.
func TestLengths(t *testing.T) {
	var lengths []int
	for n := 1; n <= 70; n++ {
		lengths = append(lengths, n)
	}
	lengths = append(lengths, 127, 128, 129, 255, 500)
	const around = 17
	for _, k := range vector.All() {
		for _, op := range operations() {
			rng := rand.New(rand.NewPCG(1, 2))
			cliffs := make([][]float32, op.operands)
			for j := range cliffs {
				cliffs[j] = cliff.Floats(t, 500)
			}
			for _, n := range lengths {
				for _, guarded := range []bool{false, true} {
					whole, x, exact := make([][]float32, op.operands), make([][]float32, op.operands), make([][]float64, op.operands)
					for j := range x {
						if guarded {
							whole[j] = cliffs[j]
							x[j] = cliffs[j][500-n:]
						} else {
							whole[j] = make([]float32, n+2*around+j)
							x[j] = whole[j][around+j:][:n]
						}
						for i := range whole[j] {
							whole[j][i] = float32(rng.NormFloat64())
						}
						for _, v := range x[j] {
							exact[j] = append(exact[j], float64(v))
						}
					}
					before := make([][]float32, op.operands)
					for j := range x {
						before[j] = append([]float32{}, whole[j]...)
					}
					returned, want := op.run(k, x), op.formula(exact, n)
					label := fmt.Sprintf("%s %s of %d, at the edge=%v", k.Name, op.name, n, guarded)
					for i, v := range returned {
						close(t, label, v, want[i], n)
					}
					for j := range x {
						for i, v := range x[j] {
							if j < op.results {
								close(t, label, v, exact[j][i], n)
							} else if float64(v) != exact[j][i] {
								t.Fatalf("%s: operand %d was written", label, j)
							}
						}
						first := len(whole[j]) - n
						if !guarded {
							first = around + j
						}
						for i, v := range whole[j] {
							if (i < first || i >= first+n) && v != before[j][i] {
								t.Fatalf("%s: wrote outside operand %d, %d from its start", label, j, i-first)
							}
						}
					}
				}
			}
		}
	}
}

// close is loose: it is about which elements are computed. TestExp, TestFunctions and the conformance suite hold the
// kernels to their accuracy.
func close(t *testing.T, label string, got float32, want float64, n int) {
	t.Helper()
	if tolerance := 1e-5 * (1 + math.Abs(want)) * math.Sqrt(float64(n)); !(math.Abs(float64(got)-want) <= tolerance) {
		t.Fatalf("%s: %g, want %g", label, got, want)
	}
}

// ulps is the distance in units of the last place of the float32 nearest to want.
func ulps(got float32, want float64) float64 {
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e, -125)-24)
}

// sweep calls f with blocks of numbers from lo to hi, spaced evenly and as floats are.
func sweep(lo, hi float64, f func(x []float32)) {
	block := make([]float32, 0, 1000)
	add := func(v float32) {
		if block = append(block, v); len(block) == cap(block) {
			f(block)
			block = block[:0]
		}
	}
	const steps = 200_000
	for i := range steps {
		add(float32(lo + (hi-lo)*float64(i)/steps))
	}
	for bits := uint32(0x20000000); bits < math.Float32bits(float32(max(hi, -lo))); bits += 5003 {
		v := math.Float32frombits(bits)
		if float64(v) < hi {
			add(v)
		}
		if float64(-v) > lo {
			add(-v)
		}
	}
	if len(block) > 0 {
		f(block)
	}
}

// TestExp holds exp to 2 ulp where its result is a normal number, and says what it is elsewhere.
func TestExp(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, k := range vector.All() {
		y, worst, at := make([]float32, 1000), 0.0, float32(0)
		sweep(-87, 88, func(x []float32) {
			k.Exp(y[:len(x)], x, 1, 0)
			for i, v := range x {
				if d := ulps(y[i], math.Exp(float64(v))); d > worst {
					worst, at = d, v
				}
			}
		})
		t.Logf("%s: exp is within %.2f ulp", k.Name, worst)
		if worst > 2 {
			t.Errorf("%s: exp(%g) is %.2f ulp off", k.Name, at, worst)
		}
		for _, c := range []struct{ x, lo, hi float64 }{
			{0, 1, 1}, {math.Copysign(0, -1), 1, 1}, {1e-40, 1, 1}, {-1e-40, 1, 1},
			{-88, 0, 0x1p-125}, {-1e4, 0, 0x1p-125}, {-inf, 0, 0x1p-125}, {-math.MaxFloat32, 0, 0x1p-125},
			{89, 1.6e38, inf}, {1e4, 1.6e38, inf}, {inf, 1.6e38, inf},
		} {
			for _, n := range []int{1, 8, 16, 33} { // whole registers and tails
				x := make([]float32, n)
				x[n-1] = float32(c.x)
				k.Exp(x, x, 1, 0)
				if got := float64(x[n-1]); !(got >= c.lo && got <= c.hi) {
					t.Errorf("%s: exp(%g) is %g in a slice of %d, want from %g to %g", k.Name, c.x, got, n, c.lo, c.hi)
				}
				x[n-1] = float32(nan)
				sum := k.Exp(x, x, 1, 0)
				if !math.IsNaN(float64(x[n-1])) || !math.IsNaN(float64(sum)) {
					t.Errorf("%s: exp(NaN) is %g and the sum %g in a slice of %d", k.Name, x[n-1], sum, n)
				}
			}
		}
	}
}

// TestFunctions sweeps the functions made of exp. Their argument u is rounded a few times; the exponential multiplies this error
// by (1−s)·|u|. Where exp saturates, s is up to 2⁻¹²⁵ off, and so are its multiples.
func TestFunctions(t *testing.T) {
	const unit = 1.0 / (1 << 24)
	for _, k := range vector.All() {
		a, b, c, ones := make([]float32, 1000), make([]float32, 1000), make([]float32, 1000), make([]float32, 1000)
		for i := range ones {
			ones[i] = 1
		}
		failed := 0
		check := func(name string, x, got float32, want, u, size, factor float64) {
			rounding := 8 + 5*(1-sigmoid(u))*math.Abs(u)
			if tolerance := rounding*unit*size + math.Abs(factor)*0x1p-125; !(math.Abs(float64(got)-want) <= tolerance) {
				if failed++; failed < 10 {
					t.Errorf("%s: %s at %g is %g, want %g ± %.2g", k.Name, name, x, got, want, tolerance)
				}
			}
		}
		sweep(-30, 30, func(x []float32) {
			n := len(x)
			k.GELU(a[:n], x)
			k.GELUBackward(b[:n], c[:n], ones[:n], x)
			for i, v := range x {
				f := float64(v)
				y, d := gelu(f)
				slope := 2 * math.Sqrt(2/math.Pi) * (1 + 3*0.044715*f*f)
				u := 2 * math.Sqrt(2/math.Pi) * f * (1 + 0.044715*f*f)
				s := sigmoid(u)
				check("gelu", v, a[i], y, u, math.Abs(y), f)
				check("gelu of the backward pass", v, c[i], y, u, math.Abs(y), f)
				// 1−s is wrong by a unit, or all of it is lost.
				size := s + math.Abs(f)*s*slope*min(1, (1-s)/unit)
				check("gelu'", v, b[i], d, u, size, f*slope)
			}
			k.SoftCap(a[:n], x, 7)
			for i, v := range x {
				want := 7 * math.Tanh(float64(v)/7)
				check("soft cap", v, a[i], want, 0, 7, 0) // roundings of 7, however small the result
			}
			k.SwiGLU(a[:n], x, ones[:n])
			for i, v := range x {
				f := float64(v)
				check("silu", v, a[i], f*sigmoid(f), f, math.Abs(f*sigmoid(f)), f)
			}
			k.SwiGLUBackward(a[:n], b[:n], c[:n], ones[:n], x, ones[:n])
			for i, v := range x {
				f := float64(v)
				s := sigmoid(f)
				check("silu'", v, a[i], s+f*s*(1-s), f, s+math.Abs(f)*s, f)
				check("silu of the backward pass", v, b[i], f*s, f, math.Abs(f*s), f)
			}
		})
	}
}

// TestSpecialValues holds all kernels to NaN in, NaN out, at every place of a register and its tail.
func TestSpecialValues(t *testing.T) {
	nan := float32(math.NaN())
	for _, k := range vector.All() {
		for _, n := range []int{1, 7, 16, 31, 32, 50, 130} {
			for i := range n {
				x, y := make([]float32, n), make([]float32, n)
				for j := range x {
					x[j] = float32(j%5) - 2
				}
				x[i] = nan
				isNaN := func(name string, v float32) {
					if v == v {
						t.Errorf("%s: %s of %d with NaN at %d is %g", k.Name, name, n, i, v)
					}
				}
				isNaN("sum", k.Sum(x))
				isNaN("dot", k.Dot(x, x))
				mean, variance := moments(k, x)
				isNaN("mean", mean)
				isNaN("variance", variance)
				k.GELU(y, x)
				isNaN("gelu", y[i])
				k.ReLU(y, x)
				isNaN("relu", y[i])
				k.SoftCap(y, x, 3)
				isNaN("soft cap", y[i])
				k.SwiGLU(y, x, x)
				isNaN("swiglu", y[i])
				isNaN("sum of exp", k.Exp(y, x, 1, 0))
				isNaN("exp", y[i])
			}
		}
		inf := float32(math.Inf(1))
		for _, c := range []struct{ x, max float32 }{{inf, inf}, {-inf, 3}, {float32(math.MaxFloat32), math.MaxFloat32}, {1e-45, 3}} {
			if got := k.Max([]float32{1, c.x, 3}); got != c.max {
				t.Errorf("%s: max of 1, %g, 3 is %g", k.Name, c.x, got)
			}
		}
		if got := k.Max([]float32{-inf, -inf}); got != -inf {
			t.Errorf("%s: max of −∞ is %g", k.Name, got)
		}
		if got := k.Sum([]float32{1e-45, 1e-45}); got != 3e-45 {
			t.Errorf("%s: denormals sum to %g, want 3e-45", k.Name, got)
		}
	}
}

// TestInPlace writes results over operands, as the package allows.
func TestInPlace(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		return x
	}
	for _, k := range vector.All() {
		for _, n := range []int{1, 15, 16, 33, 100} {
			a, b := random(n), random(n)
			clone := func() []float32 { return append([]float32{}, a...) }
			same := func(name string, got, want []float32) {
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("%s: %s of %d in place: [%d] is %g, want %g", k.Name, name, n, i, got[i], want[i])
					}
				}
			}
			apart, c := make([]float32, n), clone()
			k.Add(apart, a, b, 2, 3)
			k.Add(c, c, b, 2, 3)
			same("add to A", c, apart)
			c = clone()
			k.Add(apart, b, a, 2, 3)
			k.Add(c, b, c, 2, 3)
			same("add to B", c, apart)
			c = clone()
			k.Exp(apart, a, 1, 0)
			k.Exp(c, c, 1, 0)
			same("exp", c, apart)
			c = clone()
			k.GELU(apart, a)
			k.GELU(c, c)
			same("gelu", c, apart)
			c = clone()
			y := make([]float32, n)
			k.GELUBackward(apart, y, a, b)
			k.GELUBackward(c, y, c, b)
			same("gelu backward", c, apart)
			c = clone()
			k.SoftCap(apart, a, 2)
			k.SoftCap(c, c, 2)
			same("soft cap", c, apart)
			c = clone()
			k.SoftCapBackward(apart, a, b, 2)
			k.SoftCapBackward(c, c, b, 2)
			same("soft cap backward", c, apart)
			c = clone()
			k.NormRows(apart, a, b, b, []float32{0.5, 2}, 0, 0, n)
			k.NormRows(c, c, b, b, []float32{0.5, 2}, 0, 0, n)
			same("norm", c, apart)
		}
	}
}

func TestChoose(t *testing.T) {
	for i, k := range vector.All() {
		got, err := vector.Choose(k.Name)
		if err != nil || got.Name != k.Name {
			t.Errorf("choose %s: %v, %v", k.Name, got, err)
		}
		if best, err := vector.Choose(""); i == 0 && (err != nil || best.Name != k.Name) {
			t.Errorf("the best is %v (%v), want %s", best, err, k.Name)
		}
	}
	if _, err := vector.Choose("abacus"); err == nil {
		t.Error("abacus: no error")
	}
}

// TestRotateManyPairs: count pairs are what one call for each would make, and what lies between them stays.
func TestRotateManyPairs(t *testing.T) {
	for _, k := range vector.All() {
		for n := 1; n <= 35; n += 2 {
			for count := 1; count <= 5; count++ {
				stride := 2*n + count - 1 // pairs of a head of width 2n, and something after it
				x, c, s := cliff.Floats(t, (count-1)*stride+2*n), cliff.Floats(t, n), cliff.Floats(t, n)
				for i := range x {
					x[i] = float32(i%17) - 8
				}
				for i := range c {
					c[i], s[i] = float32(math.Cos(float64(i))), float32(math.Sin(float64(i)))
				}
				want := slices.Clone(x)
				for i := range count {
					k.Rotate(want[i*stride:], want[i*stride+n:], c, s, 1, 0)
				}
				if k.Rotate(x, x[n:], c, s, count, stride); !slices.Equal(x, want) {
					t.Errorf("%s: %d pairs of %d are not what each alone is", k.Name, count, n)
				}
			}
		}
	}
}

// TestLog holds the logarithms of LogSums to 2 ulp for normal numbers. NaN stays NaN.
func TestLog(t *testing.T) {
	for _, k := range vector.All() {
		worst, at := 0.0, float32(0)
		logs, zeros := make([]float32, 1000), make([]float32, 1000)
		check := func(x []float32) {
			logs := logs[:len(x)]
			k.LogSums(logs, slices.Clone(x), zeros)
			for i, v := range x {
				if d := ulps(logs[i], math.Log(float64(v))); v >= 0x1p-126 && d > worst {
					worst, at = d, v
				}
			}
		}
		sweep(0x1p-126, math.MaxFloat32, check)
		sweep(0.25, 4, check)
		t.Logf("%s: log is within %.2f ulp", k.Name, worst)
		if worst > 2 {
			t.Errorf("%s: log(%g) is %.2f ulp off", k.Name, at, worst)
		}
		nan := []float32{1, float32(math.NaN())}
		if k.LogSums(logs[:2], nan, zeros); logs[0] != 0 || logs[1] == logs[1] || nan[1] == nan[1] {
			t.Errorf("%s: the logarithms of 1 and NaN are %g, the inverse of NaN is %g", k.Name, logs[:2], nan[1])
		}
	}
}
