//go:build !noasm

package vector

import "golang.org/x/sys/cpu"

//go:noescape
func addAVX512(y, a, b *float32, n int, alpha, beta float32)

//go:noescape
func scaleAVX512(y, x *float32, n int, alpha float32)

//go:noescape
func dotAVX512(a, b *float32, n int) float32

//go:noescape
func sumAVX512(x *float32, n int) float32

//go:noescape
func maxAVX512(x *float32, n int) float32

//go:noescape
func expAVX512(y, x *float32, n int, scale, shift float32) float32

//go:noescape
func geluAVX512(y, x *float32, n int)

//go:noescape
func geluBackwardAVX512(dx, y, dy, x *float32, n int)

//go:noescape
func swigluAVX512(y, g_, u *float32, n int)

//go:noescape
func swigluBackwardAVX512(dg, du, y, dy, g_, u *float32, n int)

//go:noescape
func softmaxBackwardAVX512(dx, p, dp *float32, n int, delta, scale float32)

//go:noescape
func squaresAVX512(x *float32, n int, mean float32) float32

//go:noescape
func normAVX512(y, x, gain, bias *float32, n int, mean, rstd float32)

//go:noescape
func normSumsAVX512(dgain, dbias, dy, x, gain *float32, n int, mean, rstd float32) (sg, sgh float32)

//go:noescape
func normInputAVX512(dx, dy, x, gain *float32, n int, mean, rstd, mg, mgh float32, accumulate int)

//go:noescape
func rotateAVX512(a, b, c, s *float32, n int)

//go:noescape
func adamwAVX512(x, m, v, g_ *float32, n int, p *AdamW)

func native() []*Kernels {
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX2 {
		return []*Kernels{avx512()}
	}
	return nil
}

// start returns the address of s, nil if it is empty, and panics unless s has n elements.
func start(s []float32, n int) *float32 {
	if n == 0 {
		return nil
	}
	_ = s[n-1]
	return &s[0]
}

// optional is start for a slice that may be nil.
func optional(s []float32, n int) *float32 {
	if s == nil {
		return nil
	}
	return start(s, n)
}

// avx512 wraps the assembly with the checks that make slices of it.
func avx512() *Kernels {
	return &Kernels{
		Name: "avx512",
		Add: func(y, a, b []float32, alpha, beta float32) {
			n := len(y)
			addAVX512(start(y, n), start(a, n), start(b, n), n, alpha, beta)
		},
		Scale: func(y, x []float32, alpha float32) {
			n := len(y)
			scaleAVX512(start(y, n), start(x, n), n, alpha)
		},
		Dot: func(a, b []float32) float32 {
			n := len(a)
			return dotAVX512(start(a, n), start(b, n), n)
		},
		Sum: func(x []float32) float32 { return sumAVX512(start(x, len(x)), len(x)) },
		Max: func(x []float32) float32 { return maxAVX512(&x[0], len(x)) },
		Exp: func(y, x []float32, scale, shift float32) float32 {
			n := len(y)
			return expAVX512(start(y, n), start(x, n), n, scale, shift)
		},
		GELU: func(y, x []float32) {
			n := len(y)
			geluAVX512(start(y, n), start(x, n), n)
		},
		GELUBackward: func(dx, y, dy, x []float32) {
			n := len(dx)
			geluBackwardAVX512(start(dx, n), start(y, n), start(dy, n), start(x, n), n)
		},
		SwiGLU: func(y, g, u []float32) {
			n := len(y)
			swigluAVX512(start(y, n), start(g, n), start(u, n), n)
		},
		SwiGLUBackward: func(dg, du, y, dy, g, u []float32) {
			n := len(dg)
			swigluBackwardAVX512(start(dg, n), start(du, n), start(y, n), start(dy, n), start(g, n), start(u, n), n)
		},
		SoftmaxBackward: func(dx, p, dp []float32, delta, scale float32) {
			n := len(dx)
			softmaxBackwardAVX512(start(dx, n), start(p, n), start(dp, n), n, delta, scale)
		},
		Norm: func(y, x, gain, bias []float32, mean, rstd float32) {
			n := len(y)
			normAVX512(start(y, n), start(x, n), start(gain, n), optional(bias, n), n, mean, rstd)
		},
		Moments: func(x []float32) (mean, variance float32) {
			n := len(x)
			p := start(x, n)
			mean = sumAVX512(p, n) / float32(n)
			return mean, squaresAVX512(p, n, mean) / float32(n)
		},
		NormBackward: func(dx, dgain, dbias, dy, x, gain []float32, mean, rstd float32, rms, accumulate bool) {
			n := len(dx)
			pdy, px, pg := start(dy, n), start(x, n), start(gain, n)
			sg, sgh := normSumsAVX512(optional(dgain, n), optional(dbias, n), pdy, px, pg, n, mean, rstd)
			if rms {
				sg = 0
			}
			acc := 0
			if accumulate {
				acc = 1
			}
			normInputAVX512(start(dx, n), pdy, px, pg, n, mean, rstd, sg/float32(n), sgh/float32(n), acc)
		},
		Rotate: func(a, b, c, s []float32) {
			n := len(a)
			rotateAVX512(start(a, n), start(b, n), start(c, n), start(s, n), n)
		},
		AdamW: func(x, m, v, g []float32, p AdamW) {
			n := len(x)
			adamwAVX512(start(x, n), start(m, n), start(v, n), start(g, n), n, &p)
		},
	}
}
