package graph

import (
	"fmt"
	"math"
)

// SoftCap is Y = Cap·tanh(X/Cap), elementwise: close to X near 0, and never beyond ±Cap (Gemma 2, arXiv 2408.00118). Y may be X.
type SoftCap struct {
	X, Y Tensor
	Cap  float32
}

func (o *SoftCap) Name() string { return "soft cap" }

func (o *SoftCap) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.X)
	f.write(o.Y)
}

func (o *SoftCap) check() error {
	return firstError(checkCap(o.Cap), want("Y", o.Y, o.X.Rows, o.X.Cols))
}

func checkCap(c float32) error {
	if !(c > 0 && c <= math.MaxFloat32) {
		return fmt.Errorf("the cap is %g, want more than 0", c)
	}
	return nil
}

// SoftCapBackward is DX = DY ∘ (1 − (Y/Cap)²), the gradient of SoftCap from its result. DX may be DY.
type SoftCapBackward struct {
	Y, DY, DX Tensor
	Cap       float32
}

func (o *SoftCapBackward) Name() string { return "soft cap backward" }

func (o *SoftCapBackward) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.Y, o.DY)
	f.write(o.DX)
}

func (o *SoftCapBackward) check() error {
	r, c := o.Y.Rows, o.Y.Cols
	return firstError(checkCap(o.Cap), want("DY", o.DY, r, c), want("DX", o.DX, r, c))
}
