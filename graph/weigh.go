package graph

import (
	"fmt"
	"math"
)

// Weigh multiplies the parts of each row by weights. W is [n,J]; rows have J parts of equal width d:
//
//	Y_ij = Alpha·W_ij·X_ij for each row i and part j
//
// X may have one part only, which then counts for all: X is [n,d] and Y_ij = Alpha·W_ij·X_i. So may Y, and then
// receives their sum: Y is [n,d] and Y_i = Alpha·Σ_j W_ij·X_ij. With Residual, that is added; it may be Y, which must not overlap X or W.
type Weigh struct {
	X, W, Residual, Y Tensor
	Alpha             float32
}

func (o *Weigh) Name() string { return "weigh" }

// Width is the number of columns of a part.
func (o *Weigh) Width() int { return max(o.X.Cols, o.Y.Cols) / max(o.W.Cols, 1) }

func (o *Weigh) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.X, o.W, o.Residual)
	f.write(o.Y)
	f.exact(o.W)
}

func (o *Weigh) check() error {
	n, parts, d := o.Y.Rows, o.W.Cols, o.Width()
	if o.Y.overlaps(o.X) || o.Y.overlaps(o.W) || o.Residual != o.Y && o.Y.overlaps(o.Residual) {
		return fmt.Errorf("output Y overlaps an operand")
	}
	return firstError(checkFactor(o.Alpha), want("W", o.W, n, parts), wantParts("X", o.X, n, parts, d), wantParts("Y", o.Y, n, parts, d),
		wantIf("residual", o.Residual, n, o.Y.Cols))
}

// Dots multiplies the parts of rows with each other. Y is [n,J]; A and B have J parts of equal width d, or one part that counts for
// all:
//
//	Y_ij = Alpha·⟨A_ij, B_ij⟩
//
// added to Y with Accumulate. It is the gradient of [Weigh] for W.
type Dots struct {
	A, B, Y    Tensor
	Alpha      float32
	Accumulate bool
}

func (o *Dots) Name() string { return "dots" }

// Width is the number of columns of a part.
func (o *Dots) Width() int { return max(o.A.Cols, o.B.Cols) / max(o.Y.Cols, 1) }

func (o *Dots) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.A, o.B)
	f.output(o.Accumulate, o.Y)
	f.exact(o.Y)
}

func (o *Dots) check() error {
	n, parts, d := o.Y.Rows, o.Y.Cols, o.Width()
	if o.Y.overlaps(o.A) || o.Y.overlaps(o.B) {
		return fmt.Errorf("output Y overlaps an operand")
	}
	return firstError(checkFactor(o.Alpha), wantParts("A", o.A, n, parts, d), wantParts("B", o.B, n, parts, d))
}

func checkFactor(alpha float32) error {
	if a := float64(alpha); math.IsNaN(a) || math.IsInf(a, 0) {
		return fmt.Errorf("the factor is %g", alpha)
	}
	return nil
}

// wantParts says whether t has rows of parts of width d, or of one part.
func wantParts(name string, t Tensor, rows, parts, d int) error {
	if t.Exists() && t.Cols == d {
		parts = 1
	}
	return want(name, t, rows, parts*d)
}

// Softmax is Y_ij = exp(Scale·X_ij)/Σ_k exp(Scale·X_ik) for each row. Y may be X.
type Softmax struct {
	X, Y  Tensor
	Scale float32
}

func (o *Softmax) Name() string { return "softmax" }

func (o *Softmax) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.X)
	f.write(o.Y)
	f.exact(o.X, o.Y)
}

func (o *Softmax) check() error {
	return firstError(checkFactor(o.Scale), want("Y", o.Y, o.X.Rows, o.X.Cols))
}

// SoftmaxBackward is the gradient of Softmax from its result: DX = Scale·Y ∘ (DY − Σ_k Y_ik·DY_ik). DX may be DY.
type SoftmaxBackward struct {
	Y, DY, DX Tensor
	Scale     float32
}

func (o *SoftmaxBackward) Name() string { return "softmax backward" }

func (o *SoftmaxBackward) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.Y, o.DY)
	f.write(o.DX)
	f.exact(o.Y, o.DY, o.DX)
}

func (o *SoftmaxBackward) check() error {
	r, c := o.Y.Rows, o.Y.Cols
	return firstError(checkFactor(o.Scale), want("DY", o.DY, r, c), want("DX", o.DX, r, c))
}
