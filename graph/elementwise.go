package graph

import "fmt"

// Fill sets every element of Y to Value.
type Fill struct {
	Y     Tensor
	Value float32
}

func (o *Fill) Name() string { return "fill" }
func (o *Fill) describe(f *Facts) {
	f.Kind = KindElementwise
	f.write(o.Y)
}
func (o *Fill) check() error { return wantAny("Y", o.Y) }

// Add is Y = Alpha·A + Beta·B, elementwise; without B it is Y = Alpha·A. B may be a row [1,c], which is added to every
// row. Y may be A or B.
type Add struct {
	A, B, Y     Tensor
	Alpha, Beta float32
}

func (o *Add) Name() string { return "add" }

func (o *Add) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.A, o.B)
	f.write(o.Y)
}

func (o *Add) check() error {
	if o.B.Exists() && o.B.Rows == 1 && o.B.Cols == o.A.Cols {
		return want("Y", o.Y, o.A.Rows, o.A.Cols)
	}
	return firstError(wantIf("B", o.B, o.A.Rows, o.A.Cols), want("Y", o.Y, o.A.Rows, o.A.Cols))
}

// ColumnSums is Y[1,c] = Σ_i X[i,:], added to Y with Accumulate: the gradient of a bias.
type ColumnSums struct {
	X, Y       Tensor
	Accumulate bool
}

func (o *ColumnSums) Name() string { return "column sums" }

func (o *ColumnSums) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.X)
	f.output(o.Accumulate, o.Y)
	f.exact(o.Y)
}

func (o *ColumnSums) check() error { return want("Y", o.Y, 1, o.X.Cols) }

// Sum is Y[0,0] = Alpha·Σ X, or Alpha·Σ X² with Squares; added to Y with Accumulate.
type Sum struct {
	X, Y       Tensor
	Alpha      float32
	Squares    bool
	Accumulate bool
}

func (o *Sum) Name() string {
	if o.Squares {
		return "sum of squares"
	}
	return "sum"
}

func (o *Sum) describe(f *Facts) {
	f.Kind = KindUpdate
	f.read(o.X)
	f.output(o.Accumulate, o.Y)
	f.exact(o.Y)
}

func (o *Sum) check() error { return firstError(wantAny("X", o.X), want("Y", o.Y, 1, 1)) }

// Cosine is Y[0,0] = Alpha·⟨A,B⟩/(‖A‖·‖B‖) over all elements, added to Y with Accumulate. It is 0 where a norm is 0.
// Norms[1,3], if given, receives ⟨A,B⟩, ‖A‖², ‖B‖² for the gradient.
type Cosine struct {
	A, B, Y    Tensor
	Norms      Tensor
	Alpha      float32
	Accumulate bool
}

func (o *Cosine) Name() string { return "cosine" }

func (o *Cosine) describe(f *Facts) {
	f.Kind = KindUpdate
	f.read(o.A, o.B)
	f.output(o.Accumulate, o.Y)
	f.write(o.Norms)
	f.exact(o.Y, o.Norms)
}

func (o *Cosine) check() error {
	return firstError(want("B", o.B, o.A.Rows, o.A.Cols), want("Y", o.Y, 1, 1), wantIf("norms", o.Norms, 1, 3))
}

// CosineBackward adds the gradient of Alpha·cos(A,B) to DA and DB:
//
//	DA += Alpha·(B/(‖A‖‖B‖) − cos·A/‖A‖²),   DB += Alpha·(A/(‖A‖‖B‖) − cos·B/‖B‖²)
//
// and nothing where a norm is 0. DA and DB must not overlap A or B or each other.
type CosineBackward struct {
	A, B, Norms Tensor
	DA, DB      Tensor
	Alpha       float32
}

func (o *CosineBackward) Name() string { return "cosine backward" }

func (o *CosineBackward) describe(f *Facts) {
	f.Kind = KindUpdate
	f.read(o.A, o.B, o.Norms)
	f.update(o.DA, o.DB)
	f.exact(o.Norms, o.DA, o.DB)
}

func (o *CosineBackward) check() error {
	r, c := o.A.Rows, o.A.Cols
	if o.DA.overlaps(o.DB) || o.DA.overlaps(o.A) || o.DA.overlaps(o.B) || o.DB.overlaps(o.A) || o.DB.overlaps(o.B) {
		return fmt.Errorf("the gradients overlap an operand")
	}
	return firstError(want("B", o.B, r, c), want("DA", o.DA, r, c), want("DB", o.DB, r, c), want("norms", o.Norms, 1, 3))
}
