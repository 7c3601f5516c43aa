// Package vector has the elementwise and row kernels of the pure-Go backend: exp, GELU, softmax, layernorm and their
// gradients, for any length.
//
// The comment of each field of [Kernels] is its formula. Slices of one call have the length of its first argument.
// Results may be written over operands. exp is within 2 ulp (Cephes' expf polynomial) from −87 to 88; below it falls to
// 0 or to the smallest normal numbers.
package vector

import (
	"fmt"
	"strings"
)

// Kernels are the functions for one kind of processor.
type Kernels struct {
	Name string

	// Add: y = alpha·a + beta·b.
	Add func(y, a, b []float32, alpha, beta float32)
	// Multiply: y = alpha·a·b.
	Multiply func(y, a, b []float32, alpha float32)
	// Dot returns Σ a·b.
	Dot func(a, b []float32) float32
	// Sum returns Σ x.
	Sum func(x []float32) float32
	// Max returns the largest element; of those that are not NaN, or NaN.
	Max func(x []float32) float32
	// Exp: y = exp(scale·x − shift); returns Σ y.
	Exp func(y, x []float32, scale, shift float32) float32
	// Scale: y = alpha·x.
	Scale func(y, x []float32, alpha float32)

	// GELU: y = x/(1+exp(−2u)), u = √(2/π)·(x + 0.044715·x³).
	GELU func(y, x []float32)
	// GELUBackward: dx = dy·gelu'(x), and y = gelu(x).
	GELUBackward func(dx, y, dy, x []float32)
	// ReLU: y = max(x, 0).
	ReLU func(y, x []float32)
	// ReLUBackward: dx = dy where x > 0, else 0, and y = max(x, 0).
	ReLUBackward func(dx, y, dy, x []float32)
	// SoftCap: y = limit·tanh(x/limit), up to a few roundings of limit.
	SoftCap func(y, x []float32, limit float32)
	// SoftCapBackward: dx = dy·(1 − (y/limit)²).
	SoftCapBackward func(dx, dy, y []float32, limit float32)
	// SwiGLU: y = g/(1+exp(−g))·u.
	SwiGLU func(y, g, u []float32)
	// SwiGLUBackward: with s = 1/(1+exp(−g)): dg = dy·u·(s + g·s·(1−s)), du = dy·g·s, and y = g·s·u.
	SwiGLUBackward func(dg, du, y, dy, g, u []float32)

	// ScaleRows: row i = alphas[i]·row i, of n elements. Here and below, rows lie stride apart, and there is at least one, with an element.
	ScaleRows func(y, alphas []float32, stride, n int)
	// DotRows: sums[i] = Σ row i of a · row i of b, of n elements.
	DotRows func(sums, a, b []float32, strideA, strideB, n int)
	// ColumnSums: sums[j] += Σ x[i][j] over count rows i, in their order.
	ColumnSums func(sums, x []float32, stride, count int)
	// MaxColumns: most[j] is the largest x[i][j] of count rows i, as Max returns it.
	MaxColumns func(most, x []float32, stride, count int)
	// ExpColumns: x[i][j] = exp(scale·x[i][j] + shifts[j]) in count rows i, sums[j] = Σ x[i][j] in their order.
	ExpColumns func(sums, x, shifts []float32, stride, count int, scale float32)
	// SoftmaxBackwardColumns: p[i][j] = exp(scale·p[i][j] + shifts[j]), d[i][j] = scale·p[i][j]·(d[i][j] − deltas[j]) in count rows i.
	SoftmaxBackwardColumns func(p, d, shifts, deltas []float32, stride, count int, scale float32)

	// LogSums: logs = ln(sums) − shifts, and sums = 1/sums, of sums that are normal and positive, or NaN. Here ln is Cephes' logf, within 2 ulp.
	LogSums func(logs, sums, shifts []float32)

	// MomentsRows: of each row of n elements, the mean and the mean of (x − mean)².
	MomentsRows func(means, variances, x []float32, stride, n int)
	// NormRows: with values[i] = (mean, rstd), row i of y = (row i of x − mean)·rstd·gain + bias, of n elements; bias may be nil.
	NormRows func(y, x, gain, bias, values []float32, strideY, strideX, n int)
	// NormBackwardRows: with values[i] = (mean, rstd), h = (x − mean)·rstd and g = dy·gain, in each row of n elements: dx (+)=
	// rstd·(g − mean(g) − h·mean(g·h)), the first mean left out with rms; dgain += dy·h and dbias += dy where they are not nil.
	// scratch has six floats for each row.
	NormBackwardRows func(dx, dgain, dbias, dy, x, gain, values, scratch []float32, strideDX, strideDY, strideX, n int, rms, accumulate bool)

	// Rotate: (a, b) = (a·c − b·s, a·s + b·c) for count pairs a, b as long as c, each stride after the one before.
	Rotate func(a, b, c, s []float32, count, stride int)

	// AdamW: g' = factor·g; m = b1·m + (1−b1)·g'; v = b2·v + (1−b2)·g'²;
	// x = x·(1 − rate·decay) − rate·(m·c1)/(√(v·c2) + eps).
	AdamW func(x, m, v, g []float32, p AdamW)
}

// AdamW are the constants of one step; C1 and C2 are the inverses of the bias corrections.
type AdamW struct {
	Rate, Decay, Beta1, Beta2, C1, C2, Eps, Factor float32
}

// Choose returns the kernels with that name, or the best for "".
func Choose(name string) (*Kernels, error) {
	ks := All()
	if name == "" {
		return ks[0], nil
	}
	var names []string
	for _, k := range ks {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return nil, fmt.Errorf("no %q vector kernels on this processor; it has %s", name, strings.Join(names, ", "))
}

// All lists the kernels that run on this processor, best first; the last is portable Go.
func All() []*Kernels { return append(native(), Portable()) }
