package graph

// Activation is a function of one number.
type Activation uint8

const (
	Identity Activation = iota
	// GELU is x/(1+exp(-2u)), u = √(2/π)·(x + 0.044715·x³): the tanh form of Hendrycks and Gimpel (arXiv 1606.08415).
	GELU
	// ReLU is max(x, 0); its derivative at 0 is 0.
	ReLU
)

func (a Activation) String() string { return [...]string{"identity", "gelu", "relu"}[a] }

// Activate is Y = f(X), elementwise. Y may be X.
type Activate struct {
	Activation Activation
	X, Y       Tensor
}

func (o *Activate) Name() string { return "activation" }

func (o *Activate) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.X)
	f.write(o.Y)
}

func (o *Activate) check() error { return want("Y", o.Y, o.X.Rows, o.X.Cols) }

// ActivateBackward is DX = DY ∘ f'(X), and, if Y is given, Y = f(X), so that f's value need not be kept from the
// forward pass. DX may be DY.
type ActivateBackward struct {
	Activation Activation
	X, DY, DX  Tensor
	Y          Tensor
}

func (o *ActivateBackward) Name() string { return "activation backward" }

func (o *ActivateBackward) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.X, o.DY)
	f.write(o.DX, o.Y)
}

func (o *ActivateBackward) check() error {
	r, c := o.X.Rows, o.X.Cols
	return firstError(want("DY", o.DY, r, c), want("DX", o.DX, r, c), wantIf("Y", o.Y, r, c))
}

// SwiGLU is Y[n,f] = silu(G) ∘ U, where X[n,2f] = [G, U] and silu(x) = x/(1+exp(-x)) (Shazeer, arXiv 2002.05202).
type SwiGLU struct{ X, Y Tensor }

func (o *SwiGLU) Name() string { return "swiglu" }

func (o *SwiGLU) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.X)
	f.write(o.Y)
}

func (o *SwiGLU) check() error { return want("X", o.X, o.Y.Rows, 2*o.Y.Cols) }

// SwiGLUBackward is DX = [DY ∘ U ∘ silu'(G), DY ∘ silu(G)], and, if Y is given, Y = silu(G) ∘ U.
type SwiGLUBackward struct{ X, DY, DX, Y Tensor }

func (o *SwiGLUBackward) Name() string { return "swiglu backward" }

func (o *SwiGLUBackward) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.X, o.DY)
	f.write(o.DX, o.Y)
}

func (o *SwiGLUBackward) check() error {
	r, f := o.DY.Rows, o.DY.Cols
	return firstError(want("X", o.X, r, 2*f), want("DX", o.DX, r, 2*f), wantIf("Y", o.Y, r, f))
}
