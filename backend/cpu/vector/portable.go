package vector

import "math"

// Portable returns the kernels in plain Go.
func Portable() *Kernels {
	return &Kernels{
		Name: "portable", Add: add, Multiply: multiply, Dot: dot, Sum: sum, Max: maximum, Exp: expSum, Scale: scale,
		GELU: gelu, GELUBackward: geluBackward, ReLU: relu, ReLUBackward: reluBackward, SoftCap: softCap, SoftCapBackward: softCapBackward, SwiGLU: swiglu, SwiGLUBackward: swigluBackward,
		ScaleRows: scaleRows, DotRows: dotRows,
		ColumnSums: columnSums, MaxColumns: maxColumns, ExpColumns: expColumns, SoftmaxBackwardColumns: softmaxBackwardColumns,
		LogSums:     logSums,
		MomentsRows: momentsRows, NormRows: normRows, NormBackwardRows: normBackwardRows,
		Rotate: rotate, AdamW: adamw,
	}
}

const (
	log2e    = 1.44269504088896341
	ln2High  = 0.693359375
	ln2Low   = -2.12194440e-4
	geluC    = 0.7978845608028654 // √(2/π)
	geluA    = 0.044715
	expFloor = -87.3
	expCeil  = 88.3
)

// exp is Cephes' expf: 2^n·p(r), x = n·ln 2 + r.
func exp(x float32) float32 {
	if x != x {
		return x
	}
	x = min(max(x, expFloor), expCeil)
	n := float32(math.Floor(float64(x*log2e + 0.5)))
	x -= n * ln2High
	x -= n * ln2Low
	p := float32(1.9875691500e-4)
	p = p*x + 1.3981999507e-3
	p = p*x + 8.3334519073e-3
	p = p*x + 4.1665795894e-2
	p = p*x + 1.6666665459e-1
	p = p*x + 5.0000001201e-1
	p = p*x*x + x + 1
	return p * math.Float32frombits(uint32(int32(n)+127)<<23)
}

// log is the natural logarithm after Cephes' logf: with x = m·2^n and z = m−1, log x = n·ln 2 + z − z²/2 + z³·p(z).
func log(x float32) float32 {
	const half = 0x3f3504f3 // √½: m is from there to √2, found without a branch
	bits := math.Float32bits(x) + 0x3f800000 - half
	z := math.Float32frombits(bits&0x007fffff+half) - 1
	n := float32(int32(bits>>23) - 127)
	p := float32(7.0376836292e-2)
	p = p*z - 1.1514610310e-1
	p = p*z + 1.1676998740e-1
	p = p*z - 1.2420140846e-1
	p = p*z + 1.4249322787e-1
	p = p*z - 1.6668057665e-1
	p = p*z + 2.0000714765e-1
	p = p*z - 2.4999993993e-1
	p = p*z + 3.3333331174e-1
	y := z * z * z * p
	return z + (y - 0.5*z*z + n*ln2Low) + n*ln2High + (x - x)
}

func logSums(logs, sums, shifts []float32) {
	for i := range logs {
		logs[i] = log(sums[i]) - shifts[i]
		sums[i] = 1 / sums[i]
	}
}

func add(y, a, b []float32, alpha, beta float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = alpha*a[i] + beta*b[i]
	}
}

func multiply(y, a, b []float32, alpha float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = alpha * a[i] * b[i]
	}
}

func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s [4]float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s[0] += a[i] * b[i]
		s[1] += a[i+1] * b[i+1]
		s[2] += a[i+2] * b[i+2]
		s[3] += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s[0] += a[i] * b[i]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func sum(x []float32) float32 {
	var s [4]float32
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s[0] += x[i]
		s[1] += x[i+1]
		s[2] += x[i+2]
		s[3] += x[i+3]
	}
	for ; i < len(x); i++ {
		s[0] += x[i]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func maximum(x []float32) float32 {
	m := x[0]
	for _, v := range x[1:] {
		m = max(m, v)
	}
	return m
}

func expSum(y, x []float32, scale, shift float32) float32 {
	x = x[:len(y)]
	for i := range y {
		y[i] = exp(scale*x[i] - shift)
	}
	return sum(y)
}

func scale(y, x []float32, alpha float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = alpha * x[i]
	}
}

func sigmoid(x float32) float32 { return 1 / (1 + exp(-x)) }

func gelu(y, x []float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = v * sigmoid(2*geluC*v*(1+geluA*v*v))
	}
}

func geluBackward(dx, y, dy, x []float32) {
	y, dy, x = y[:len(dx)], dy[:len(dx)], x[:len(dx)]
	for i, v := range x {
		s := sigmoid(2 * geluC * v * (1 + geluA*v*v))
		d := dy[i] * (s + v*s*(1-s)*2*geluC*(1+3*geluA*v*v))
		y[i], dx[i] = v*s, d
	}
}

func relu(y, x []float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = max(v, 0)
	}
}

func reluBackward(dx, y, dy, x []float32) {
	y, dy, x = y[:len(dx)], dy[:len(dx)], x[:len(dx)]
	for i, v := range x {
		d := dy[i]
		if !(v > 0) {
			d = 0
		}
		y[i], dx[i] = max(v, 0), d
	}
}

func softCap(y, x []float32, limit float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = limit - 2*limit/(1+exp(2/limit*v))
	}
}

func softCapBackward(dx, dy, y []float32, limit float32) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i, v := range y {
		t := v / limit
		dx[i] = dy[i] - dy[i]*t*t
	}
}

func swiglu(y, g, u []float32) {
	g, u = g[:len(y)], u[:len(y)]
	for i := range y {
		y[i] = g[i] * sigmoid(g[i]) * u[i]
	}
}

func swigluBackward(dg, du, y, dy, g, u []float32) {
	du, y, dy, g, u = du[:len(dg)], y[:len(dg)], dy[:len(dg)], g[:len(dg)], u[:len(dg)]
	for i := range dg {
		gi, ui, d := g[i], u[i], dy[i]
		s := sigmoid(gi)
		y[i] = gi * s * ui
		dg[i] = d * ui * (s + gi*s*(1-s))
		du[i] = d * gi * s
	}
}

func scaleRows(y, alphas []float32, stride, n int) {
	for i, alpha := range alphas {
		row := y[i*stride:][:n]
		scale(row, row, alpha)
	}
}

func dotRows(sums, a, b []float32, strideA, strideB, n int) {
	for i := range sums {
		sums[i] = dot(a[i*strideA:][:n], b[i*strideB:][:n])
	}
}

func norm(y, x, gain, bias []float32, mean, rstd float32) {
	x, gain = x[:len(y)], gain[:len(y)]
	if bias == nil {
		for i := range y {
			y[i] = (x[i] - mean) * rstd * gain[i]
		}
		return
	}
	bias = bias[:len(y)]
	for i := range y {
		y[i] = (x[i]-mean)*rstd*gain[i] + bias[i]
	}
}

func moments(x []float32) (mean, variance float32) {
	n := float32(len(x))
	mean = sum(x) / n
	var s float32
	for _, v := range x {
		s += (v - mean) * (v - mean)
	}
	return mean, s / n
}

func normBackward(dx, dgain, dbias, dy, x, gain []float32, mean, rstd float32, rms, accumulate bool) {
	dy, x, gain = dy[:len(dx)], x[:len(dx)], gain[:len(dx)]
	var sg, sgh float32
	for i := range dx {
		g := dy[i] * gain[i]
		sg += g
		sgh += g * (x[i] - mean) * rstd
	}
	if dgain != nil {
		for i, d := range dy {
			dgain[i] += d * (x[i] - mean) * rstd
		}
	}
	if dbias != nil {
		for i, d := range dy {
			dbias[i] += d
		}
	}
	n := float32(len(dx))
	mg, mgh := sg/n, sgh/n
	if rms {
		mg = 0
	}
	for i := range dx {
		d := rstd * (dy[i]*gain[i] - mg - (x[i]-mean)*rstd*mgh)
		if accumulate {
			d += dx[i]
		}
		dx[i] = d
	}
}

func columnSums(sums, x []float32, stride, count int) {
	for i := range count {
		add(sums, sums, x[i*stride:], 1, 1)
	}
}

func maxColumns(most, x []float32, stride, count int) {
	for j := range most {
		m := x[j]
		for i := 1; i < count; i++ {
			if v := x[i*stride+j]; v > m || m != m {
				m = v
			}
		}
		most[j] = m
	}
}

func expColumns(sums, x, shifts []float32, stride, count int, scale float32) {
	clear(sums)
	for i := range count {
		for j, shift := range shifts[:len(sums)] {
			y := exp(scale*x[i*stride+j] + shift)
			x[i*stride+j] = y
			sums[j] += y
		}
	}
}

func softmaxBackwardColumns(p, d, shifts, deltas []float32, stride, count int, scale float32) {
	for i := range count {
		for j, shift := range shifts {
			at := i*stride + j
			p[at] = exp(scale*p[at] + shift)
			d[at] = scale * p[at] * (d[at] - deltas[j])
		}
	}
}

func momentsRows(means, variances, x []float32, stride, n int) {
	for i := range means {
		means[i], variances[i] = moments(x[i*stride:][:n])
	}
}

func normRows(y, x, gain, bias, values []float32, strideY, strideX, n int) {
	for i := range len(values) / 2 {
		norm(y[i*strideY:][:n], x[i*strideX:][:n], gain, bias, values[2*i], values[2*i+1])
	}
}

func normBackwardRows(dx, dgain, dbias, dy, x, gain, values, _ []float32, strideDX, strideDY, strideX, n int, rms, accumulate bool) {
	for i := range len(values) / 2 {
		normBackward(dx[i*strideDX:][:n], dgain, dbias, dy[i*strideDY:][:n], x[i*strideX:][:n], gain, values[2*i], values[2*i+1], rms, accumulate)
	}
}

func rotate(a, b, c, s []float32, count, stride int) {
	s = s[:len(c)]
	for k := range count {
		a, b := a[k*stride:][:len(c)], b[k*stride:][:len(c)]
		for i := range a {
			x, y := a[i], b[i]
			a[i], b[i] = x*c[i]-y*s[i], x*s[i]+y*c[i]
		}
	}
}

func adamw(x, m, v, g []float32, p AdamW) {
	m, v, g = m[:len(x)], v[:len(x)], g[:len(x)]
	for i := range x {
		d := p.Factor * g[i]
		mi := p.Beta1*m[i] + (1-p.Beta1)*d
		vi := p.Beta2*v[i] + (1-p.Beta2)*d*d
		m[i], v[i] = mi, vi
		x[i] -= p.Rate * (p.Decay*x[i] + mi*p.C1/(float32(math.Sqrt(float64(vi*p.C2)))+p.Eps))
	}
}
