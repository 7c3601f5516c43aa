package graph

import "fmt"

// ClipFactor turns a sum of squares into the gradient's norm and the factor that clips it:
//
//	Norm = √Squares,   Factor = min(1, Max/Norm), or 0 if the norm is NaN or infinite
//
// All tensors are [1,1]. Max ≤ 0 means no clipping. An optimizer with a factor of 0 leaves everything as it is, so a
// diverged step harms nothing.
type ClipFactor struct {
	Squares, Norm, Factor Tensor
	Max                   float32
}

func (o *ClipFactor) Name() string { return "clip factor" }

func (o *ClipFactor) describe(f *Facts) {
	f.Kind = KindUpdate
	f.read(o.Squares)
	f.write(o.Norm, o.Factor)
	f.exact(o.Squares, o.Norm, o.Factor)
}

func (o *ClipFactor) check() error {
	return firstError(want("squares", o.Squares, 1, 1), want("norm", o.Norm, 1, 1), want("factor", o.Factor, 1, 1))
}

// AdamW updates X with the gradient g = Factor·Grad (Loshchilov and Hutter, arXiv 1711.05101):
//
//	M = Beta1·M + (1−Beta1)·g,   V = Beta2·V + (1−Beta2)·g²
//	X = X − Rate·(Decay·X + (M/Correct1) / (√(V/Correct2) + Eps))
//
// where Correct1 = 1−Beta1^t and Correct2 = 1−Beta2^t are given by the step. All tensors are dense and of one shape;
// Factor is [1,1] or missing.
type AdamW struct {
	X, Grad, M, V, Factor                  Tensor
	Rate, BiasCorrection1, BiasCorrection2 Scalar
	Beta1, Beta2, Eps, Decay               float32
}

func (o *AdamW) Name() string { return "adamw" }

func (o *AdamW) describe(f *Facts) {
	f.Kind = KindUpdate
	f.read(o.Grad, o.Factor)
	f.update(o.X, o.M, o.V)
	f.Scalars = append(f.Scalars, o.Rate, o.BiasCorrection1, o.BiasCorrection2)
	f.exact(o.X, o.M, o.V, o.Factor)
	f.Gated = true
}

func (o *AdamW) check() error {
	r, c := o.X.Rows, o.X.Cols
	return firstError(want("gradient", o.Grad, r, c), want("M", o.M, r, c), want("V", o.V, r, c),
		wantDense("X", o.X), wantDense("gradient", o.Grad), wantDense("M", o.M), wantDense("V", o.V),
		wantIf("factor", o.Factor, 1, 1), within("Beta1", o.Beta1, 0, 1), within("Beta2", o.Beta2, 0, 1))
}

func within(name string, x, lo, hi float32) error {
	if !(x >= lo && x < hi) {
		return fmt.Errorf("%s is %g, want at least %g and less than %g", name, x, lo, hi)
	}
	return nil
}

// Adafactor updates the matrix X[n,m] with the gradient g = Factor·Grad, keeping second moments per row and per column
// only (Shazeer and Stern, arXiv 1804.04235, algorithm 4, without momentum and without its scaling by the size of the parameter). With s = g² + Eps and β given by the step:
//
//	RowV = β·RowV + (1−β)·mean over columns of s,   ColV = β·ColV + (1−β)·mean over rows of s
//	u = g / √(RowV·ColVᵀ/mean(RowV)),   û = u / max(1, RMS(u)/Clip)
//	X = X − Rate·(û + Decay·X)
//
// RowV is [1,n], ColV [1,m]. For a vector (n = 1) RowV must be missing and u = g/√ColV.
type Adafactor struct {
	X, Grad, RowV, ColV, Factor Tensor
	Rate, Beta                  Scalar
	Eps, Clip, Decay            float32
}

func (o *Adafactor) Name() string { return "adafactor" }

func (o *Adafactor) describe(f *Facts) {
	f.Kind = KindUpdate
	f.read(o.Grad, o.Factor)
	f.update(o.X, o.RowV, o.ColV)
	f.Scalars = append(f.Scalars, o.Rate, o.Beta)
	f.exact(o.X, o.RowV, o.ColV, o.Factor)
	f.Gated = true
}

func (o *Adafactor) check() error {
	r, c := o.X.Rows, o.X.Cols
	if r == 1 && o.RowV.Exists() || r > 1 && !o.RowV.Exists() {
		return fmt.Errorf("a matrix has RowV, a vector has none: X is %s and RowV %s", o.X.Shape(), o.RowV.Shape())
	}
	if !(o.Clip > 0) {
		return fmt.Errorf("clip is %g, want more than 0", o.Clip)
	}
	return firstError(want("gradient", o.Grad, r, c), wantIf("RowV", o.RowV, 1, r), want("ColV", o.ColV, 1, c),
		wantIf("factor", o.Factor, 1, 1))
}

// EMA is the exponential moving average Mean = Decay·Mean + (1−Decay)·X of dense tensors of one shape, or nothing
// where Factor is 0. Decay is given by the step.
type EMA struct {
	X, Mean, Factor Tensor
	Decay           Scalar
}

func (o *EMA) Name() string { return "average" }

func (o *EMA) describe(f *Facts) {
	f.Kind = KindUpdate
	f.read(o.X, o.Factor)
	f.update(o.Mean)
	f.Scalars = append(f.Scalars, o.Decay)
	f.exact(o.X, o.Mean, o.Factor)
	f.Gated = true
}

func (o *EMA) check() error {
	return firstError(want("mean", o.Mean, o.X.Rows, o.X.Cols), wantDense("X", o.X), wantDense("mean", o.Mean),
		wantIf("factor", o.Factor, 1, 1))
}
