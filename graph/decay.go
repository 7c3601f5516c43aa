package graph

import "fmt"

// Decay gives a state its input, and lets the state fade, each column at its own speed: with δ = log(1 + exp(Step)) and
// α = exp(−δ·exp(Rate)), both [1,d],
//
//	Y = X ∘ α + U ∘ δ
//
// (Parcae, arXiv 2604.12946). Rate and Step are [1,d]; α is below 1 whatever they are. Y may be X or U.
type Decay struct {
	X, U, Rate, Step Tensor
	Y                Tensor
}

func (o *Decay) Name() string { return "decay" }

func (o *Decay) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.X, o.U, o.Rate, o.Step)
	f.write(o.Y)
}

func (o *Decay) check() error {
	n, d := o.X.Rows, o.X.Cols
	return firstError(want("U", o.U, n, d), want("rate", o.Rate, 1, d), want("step", o.Step, 1, d), want("Y", o.Y, n, d))
}

// DecayBackward is the gradient of Decay:
//
//	DX = DY ∘ α,   DU = DY ∘ δ
//	DRate += −α ∘ δ ∘ exp(Rate) ∘ p,   DStep += (q − α ∘ exp(Rate) ∘ p) ∘ σ(Step)
//
// with p = Σ_rows DY ∘ X, q = Σ_rows DY ∘ U and σ(s) = 1/(1+exp(−s)). DX may be DY; DU must not overlap the other operands.
type DecayBackward struct {
	X, U, Rate, Step, DY Tensor
	DX, DU, DRate, DStep Tensor
}

func (o *DecayBackward) Name() string { return "decay backward" }

func (o *DecayBackward) describe(f *Facts) {
	f.Kind = KindElementwise
	f.read(o.X, o.U, o.Rate, o.Step, o.DY)
	f.write(o.DX, o.DU)
	f.update(o.DRate, o.DStep)
	f.exact(o.DRate, o.DStep)
}

func (o *DecayBackward) check() error {
	for _, t := range []Tensor{o.X, o.U, o.DY, o.DX} {
		if o.DU.overlaps(t) {
			return fmt.Errorf("DU overlaps an operand")
		}
	}
	if o.DX.overlaps(o.X) || o.DX.overlaps(o.U) || o.DRate.overlaps(o.DStep) {
		return fmt.Errorf("DX overlaps X or U, or DRate DStep")
	}
	n, d := o.X.Rows, o.X.Cols
	return firstError(want("U", o.U, n, d), want("rate", o.Rate, 1, d), want("step", o.Step, 1, d), want("DY", o.DY, n, d),
		want("DX", o.DX, n, d), want("DU", o.DU, n, d), want("DRate", o.DRate, 1, d), want("DStep", o.DStep, 1, d))
}
