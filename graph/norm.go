package graph

import "fmt"

// LayerNorm normalises each row: Y = (X − μ)·ρ ∘ Gain + Bias, μ = mean(X), ρ = 1/√(mean((X−μ)²) + Eps)
// (Ba et al., arXiv 1607.06450). Stats[n,2], if given, receives μ and ρ of each row. Gain and Bias are [1,d]; Bias may
// be missing. Y may be X.
//
// If Parts is set, each row consists of Parts parts of equal width. Each part is normalised separately with the same Gain and
// Bias. Then d is the width of a part, X is [n,Parts·d] and Stats [n,2·Parts].
//
// With RMS it is Y = X·ρ ∘ Gain, ρ = 1/√(mean(X²) + Eps) (Zhang and Sennrich, arXiv 1910.07467), μ counts as 0 and Bias
// must be missing.
type LayerNorm struct {
	X, Gain, Bias Tensor
	Y, Stats      Tensor
	Eps           float32
	Parts         int // of a row; 0: 1
	RMS           bool
}

func (o *LayerNorm) Name() string { return normName(o.RMS) }

func normName(rms bool) string {
	if rms {
		return "rmsnorm"
	}
	return "layernorm"
}

func (o *LayerNorm) describe(f *Facts) {
	f.Kind = KindNorm
	f.read(o.X, o.Gain, o.Bias)
	f.write(o.Y, o.Stats)
	f.exact(o.Stats)
}

func (o *LayerNorm) check() error {
	n, parts := o.X.Rows, max(o.Parts, 1)
	d := o.X.Cols / parts
	return firstError(
		checkNorm(o.RMS, o.Bias, o.Eps), checkParts(o.X, o.Parts),
		want("Y", o.Y, n, o.X.Cols), want("gain", o.Gain, 1, d), wantIf("bias", o.Bias, 1, d),
		wantIf("stats", o.Stats, n, 2*parts), wantDense("stats", o.Stats))
}

func checkParts(x Tensor, parts int) error {
	if parts < 0 || parts > 1 && x.Cols%parts != 0 {
		return fmt.Errorf("rows of %d columns are not %d parts", x.Cols, parts)
	}
	return nil
}

func checkNorm(rms bool, bias Tensor, eps float32) error {
	if rms && bias.Exists() {
		return fmt.Errorf("rmsnorm has no bias")
	}
	if !(eps >= 0) {
		return fmt.Errorf("eps is %g", eps)
	}
	return nil
}

// LayerNormBackward is the gradient of LayerNorm. With x̂ = (X − μ)·ρ and g = DY ∘ Gain, for each row:
//
//	DX = ρ·(g − mean(g) − x̂·mean(g ∘ x̂))      (rmsnorm: without mean(g))
//	DGain += Σ_rows DY ∘ x̂,   DBias += Σ_rows DY
//
// With Accumulate, the gradient is added to DX. It is always added to DGain and DBias, which may be missing. DX must not overlap
// X or DY, and DGain must not overlap DBias.
//
// If Y is given, Y = x̂ ∘ Gain + Bias, so that LayerNorm's result need not be kept from the forward pass. Y must not
// overlap X, DX or DY; Bias is for Y alone.
type LayerNormBackward struct {
	X, Gain, Stats, DY Tensor
	DX, DGain, DBias   Tensor
	Y, Bias            Tensor
	Parts              int // of a row, as in LayerNorm
	RMS                bool
	Accumulate         bool
}

func (o *LayerNormBackward) Name() string { return normName(o.RMS) + " backward" }

func (o *LayerNormBackward) describe(f *Facts) {
	f.Kind = KindNorm
	f.read(o.X, o.Gain, o.Stats, o.DY, o.Bias)
	f.output(o.Accumulate, o.DX)
	f.update(o.DGain, o.DBias)
	f.write(o.Y)
	f.exact(o.Stats, o.DGain, o.DBias)
}

func (o *LayerNormBackward) check() error {
	n, cols, parts := o.X.Rows, o.X.Cols, max(o.Parts, 1)
	d := cols / parts
	if o.DX.overlaps(o.X) || o.DX.overlaps(o.DY) || o.DGain.overlaps(o.DBias) {
		return fmt.Errorf("DX overlaps X or DY, or DGain DBias")
	}
	if o.Y.overlaps(o.X) || o.Y.overlaps(o.DX) || o.Y.overlaps(o.DY) {
		return fmt.Errorf("the operand Y overlaps X, DX or DY")
	}
	return firstError(
		checkNorm(o.RMS, o.DBias, 0), checkNorm(o.RMS, o.Bias, 0), checkParts(o.X, o.Parts),
		wantIf("Y", o.Y, n, cols), wantIf("bias", o.Bias, 1, d),
		want("DY", o.DY, n, cols), want("DX", o.DX, n, cols), want("gain", o.Gain, 1, d), want("stats", o.Stats, n, 2*parts),
		wantDense("stats", o.Stats), wantIf("DGain", o.DGain, 1, d), wantIf("DBias", o.DBias, 1, d))
}
