package vector

import "unsafe"

//go:generate go run ./generate

// assembly is a set of generated functions; generate/kernels.go has their formulas.
type assembly struct {
	name string

	add             func(y, a, b *float32, n int, alpha, beta float32)
	scale           func(y, x *float32, n int, alpha float32)
	multiply        func(y, a, b *float32, n int, alpha float32)
	dot             func(a, b *float32, n int) float32
	sum             func(x *float32, n int) float32
	largest         func(x *float32, n int) float32
	exp             func(y, x *float32, n int, scale, shift float32) float32
	gelu            func(y, x *float32, n int)
	geluBackward    func(dx, y, dy, x *float32, n int)
	relu            func(y, x *float32, n int)
	reluBackward    func(dx, y, dy, x *float32, n int)
	softCap         func(y, x *float32, n int, cap, two float32)
	softCapBackward func(dx, dy, y *float32, n int, inverse float32)
	swiglu          func(y, g, u *float32, n int)
	swigluBackward  func(dg, du, y, dy, g, u *float32, n int)
	scaleRows       func(y, x, row, out *float32, n, count, yStride, xStride int)
	dotRows         func(a, b, row, out *float32, n, count, aStride, bStride int)

	columnSums             func(sums, x *float32, n, count, stride int)
	largestColumns         func(most, x *float32, n, count, stride int)
	expColumns             func(x, shift, sums *float32, n, count, stride int, scale float32)
	softmaxGradientColumns func(p, d, shift, delta *float32, n, count, stride int, scale float32)

	logSums func(l, s, shift *float32, n int)

	sumRows       func(x, row, out *float32, n, count, xStride int)
	squaresRows   func(x, row, out *float32, n, count, xStride int)
	normRows      func(y, x, gain, bias, row, out *float32, n, count, yStride, xStride, gainStride, biasStride int)
	normSumsRows  func(dgain, dbias, dy, x, gain, row, out *float32, n, count, dgainStride, dbiasStride, dyStride, xStride, gainStride int)
	normInputRows func(dx, dy, x, gain, old, row, out *float32, n, count, dxStride, dyStride, xStride, gainStride, oldStride int)

	rotate func(a, b, c, s *float32, n, count, stride int)
	adamw  func(x, m, v, g *float32, n int, rate, decay, beta1, beta2, alpha1, alpha2, c1, c2, eps, factor float32)
}

// start is the address of s, nil if that is empty. It panics if s has less than n elements.
func start(s []float32, n int) *float32 { return unsafe.SliceData(s[:n]) }

// optional is start for a slice that may be nil.
func optional(s []float32, n int) *float32 {
	if s == nil {
		return nil
	}
	return start(s, n)
}

// startRows is the address of count rows of n elements, stride apart. It panics if x has less, or if there is no row or no element.
func startRows(x []float32, n, count, stride int) *float32 { return &x[:(count-1)*stride+n][0] }

// kernels wraps the functions with the checks that make slices of the addresses.
func (f *assembly) kernels() *Kernels {
	return &Kernels{
		Name: f.name,
		Add: func(y, a, b []float32, alpha, beta float32) {
			n := len(y)
			f.add(start(y, n), start(a, n), start(b, n), n, alpha, beta)
		},
		Scale: func(y, x []float32, alpha float32) {
			n := len(y)
			f.scale(start(y, n), start(x, n), n, alpha)
		},
		Multiply: func(y, a, b []float32, alpha float32) {
			n := len(y)
			f.multiply(start(y, n), start(a, n), start(b, n), n, alpha)
		},
		Dot: func(a, b []float32) float32 {
			n := len(a)
			return f.dot(start(a, n), start(b, n), n)
		},
		Sum: func(x []float32) float32 { return f.sum(start(x, len(x)), len(x)) },
		Max: func(x []float32) float32 {
			_ = x[0]
			return f.largest(start(x, len(x)), len(x))
		},
		Exp: func(y, x []float32, scale, shift float32) float32 {
			n := len(y)
			return f.exp(start(y, n), start(x, n), n, scale, -shift)
		},
		GELU: func(y, x []float32) {
			n := len(y)
			f.gelu(start(y, n), start(x, n), n)
		},
		GELUBackward: func(dx, y, dy, x []float32) {
			n := len(dx)
			f.geluBackward(start(dx, n), start(y, n), start(dy, n), start(x, n), n)
		},
		ReLU: func(y, x []float32) {
			n := len(y)
			f.relu(start(y, n), start(x, n), n)
		},
		ReLUBackward: func(dx, y, dy, x []float32) {
			n := len(dx)
			f.reluBackward(start(dx, n), start(y, n), start(dy, n), start(x, n), n)
		},
		SoftCap: func(y, x []float32, limit float32) {
			n := len(y)
			f.softCap(start(y, n), start(x, n), n, limit, 2/limit)
		},
		SoftCapBackward: func(dx, dy, y []float32, limit float32) {
			n := len(dx)
			f.softCapBackward(start(dx, n), start(dy, n), start(y, n), n, 1/limit)
		},
		SwiGLU: func(y, g, u []float32) {
			n := len(y)
			f.swiglu(start(y, n), start(g, n), start(u, n), n)
		},
		SwiGLUBackward: func(dg, du, y, dy, g, u []float32) {
			n := len(dg)
			f.swigluBackward(start(dg, n), start(du, n), start(y, n), start(dy, n), start(g, n), start(u, n), n)
		},
		ScaleRows: func(y, alphas []float32, stride, n int) {
			p := startRows(y, n, len(alphas), stride)
			f.scaleRows(p, p, start(alphas, len(alphas)), nil, n, len(alphas), 4*stride, 4*stride)
		},
		DotRows: func(sums, a, b []float32, strideA, strideB, n int) {
			f.dotRows(startRows(a, n, len(sums), strideA), startRows(b, n, len(sums), strideB), nil, start(sums, len(sums)), n, len(sums), 4*strideA, 4*strideB)
		},
		ColumnSums: func(sums, x []float32, stride, count int) {
			n := len(sums)
			f.columnSums(start(sums, n), startRows(x, n, count, stride), n, count, 4*stride)
		},
		MaxColumns: func(most, x []float32, stride, count int) {
			n := len(most)
			f.largestColumns(start(most, n), startRows(x, n, count, stride), n, count, 4*stride)
		},
		ExpColumns: func(sums, x, shifts []float32, stride, count int, scale float32) {
			n := len(sums)
			f.expColumns(startRows(x, n, count, stride), start(shifts, n), start(sums, n), n, count, 4*stride, scale)
		},
		SoftmaxBackwardColumns: func(p, d, shifts, deltas []float32, stride, count int, scale float32) {
			n := len(shifts)
			f.softmaxGradientColumns(startRows(p, n, count, stride), startRows(d, n, count, stride), start(shifts, n), start(deltas, n), n, count, 4*stride, scale)
		},
		LogSums: func(logs, sums, shifts []float32) {
			n := len(logs)
			f.logSums(start(logs, n), start(sums, n), start(shifts, n), n)
		},
		MomentsRows: func(means, variances, x []float32, stride, n int) {
			count := len(means)
			p, m, v := startRows(x, n, count, stride), start(means, count), start(variances, count)
			f.sumRows(p, nil, m, n, count, 4*stride)
			for i := range means {
				means[i] /= float32(n)
			}
			f.squaresRows(p, m, v, n, count, 4*stride)
			for i := range variances[:count] {
				variances[i] /= float32(n)
			}
		},
		NormRows: func(y, x, gain, bias, values []float32, strideY, strideX, n int) {
			count := len(values) / 2
			f.normRows(startRows(y, n, count, strideY), startRows(x, n, count, strideX), start(gain, n), optional(bias, n), start(values, 2*count), nil,
				n, count, 4*strideY, 4*strideX, 0, 0)
		},
		NormBackwardRows: func(dx, dgain, dbias, dy, x, gain, values, scratch []float32, strideDX, strideDY, strideX, n int, rms, accumulate bool) {
			count := len(values) / 2
			pdx, pdy, px, pg := startRows(dx, n, count, strideDX), startRows(dy, n, count, strideDY), startRows(x, n, count, strideX), start(gain, n)
			sums, all := scratch[:2*count], scratch[2*count:6*count]
			f.normSumsRows(optional(dgain, n), optional(dbias, n), pdy, px, pg, start(values, 2*count), start(sums, 2*count),
				n, count, 0, 0, 4*strideDY, 4*strideX, 0)
			for i := range count {
				sum := sums[2*i]
				if rms {
					sum = 0
				}
				all[4*i], all[4*i+1], all[4*i+2], all[4*i+3] = values[2*i], values[2*i+1], sum/float32(n), sums[2*i+1]/float32(n)
			}
			old, strideOld := pdx, 4*strideDX
			if !accumulate {
				old, strideOld = nil, 0
			}
			f.normInputRows(pdx, pdy, px, pg, old, start(all, 4*count), nil, n, count, 4*strideDX, 4*strideDY, 4*strideX, 0, strideOld)
		},
		Rotate: func(a, b, c, s []float32, count, stride int) {
			n := len(c)
			last := (count-1)*stride + n
			f.rotate(start(a, last), start(b, last), start(c, n), start(s, n), n, count, stride*4)
		},
		AdamW: func(x, m, v, g []float32, p AdamW) {
			n := len(x)
			f.adamw(start(x, n), start(m, n), start(v, n), start(g, n), n, p.Rate, p.Decay, p.Beta1, p.Beta2,
				1-p.Beta1, 1-p.Beta2, p.C1, p.C2, p.Eps, p.Factor)
		},
	}
}
