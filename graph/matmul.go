package graph

import "fmt"

// Matmul is C[m,n] = f(op(A)[m,k] · op(B)[k,n] + Bias[1,n]) + Residual[m,n], where op transposes if asked.
//
// With Accumulate, the product is added to C, and Bias, Activation and Residual must be missing. Pre,
// if given, receives the argument of f. A and B may be strided; C and Pre must not overlap another operand, but Residual
// may be C. A and B can't both be transposed: no model needs that.
//
// With TransA, the sum of each column of B is added to Sums[1,n], if given: if C is the gradient of a weight, B is the gradient
// of the layer's result and Sums that of its bias.
type Matmul struct {
	A, B, C        Tensor
	TransA, TransB bool
	Accumulate     bool
	Bias           Tensor
	Activation     Activation
	Pre            Tensor
	Residual       Tensor
	Sums           Tensor
}

func (o *Matmul) Name() string { return "matmul" }

// Shape returns m, n and k.
func (o *Matmul) Shape() (m, n, k int) {
	m, k = o.A.Rows, o.A.Cols
	if o.TransA {
		m, k = k, m
	}
	if o.TransB {
		return m, o.B.Rows, k
	}
	return m, o.B.Cols, k
}

func (o *Matmul) describe(f *Facts) {
	f.Kind = KindMatmul
	f.read(o.A, o.B, o.Bias, o.Residual)
	f.output(o.Accumulate, o.C)
	f.write(o.Pre)
	f.update(o.Sums)
	m, n, k := o.Shape()
	f.FLOPs = 2 * int64(m) * int64(n) * int64(k)
}

func (o *Matmul) check() error {
	m, n, k := o.Shape()
	kb := o.B.Rows
	if o.TransB {
		kb = o.B.Cols
	}
	switch {
	case o.TransA && o.TransB:
		return fmt.Errorf("both operands transposed")
	case k != kb:
		return fmt.Errorf("inner sizes %d and %d: A is %s (transposed %v) and B is %s (transposed %v)",
			k, kb, o.A.Shape(), o.TransA, o.B.Shape(), o.TransB)
	case o.Accumulate && (o.Bias.Exists() || o.Residual.Exists() || o.Pre.Exists() || o.Activation != Identity):
		return fmt.Errorf("accumulate together with bias, activation or residual")
	case o.Pre.Exists() && o.Activation == Identity:
		return fmt.Errorf("the operand Pre without an activation")
	case o.Sums.Exists() && !o.TransA:
		return fmt.Errorf("sums of the columns of B without A transposed")
	case o.Sums.overlaps(o.A) || o.Sums.overlaps(o.B) || o.Sums.overlaps(o.C):
		return fmt.Errorf("the sums overlap an operand")
	case o.Residual != o.C && o.Residual.overlaps(o.C) || o.Residual.overlaps(o.Pre):
		return fmt.Errorf("the residual overlaps an output, and is not C")
	case o.C.overlaps(o.A) || o.C.overlaps(o.B) || o.Pre.overlaps(o.A) || o.Pre.overlaps(o.B) || o.Pre.overlaps(o.C):
		return fmt.Errorf("an output overlaps an operand")
	}
	return firstError(
		want("C", o.C, m, n),
		wantIf("bias", o.Bias, 1, n),
		wantIf("pre", o.Pre, m, n),
		wantIf("residual", o.Residual, m, n),
		wantIf("sums", o.Sums, 1, n))
}
