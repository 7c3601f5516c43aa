package graph

import "fmt"

// Nesterov is the momentum of a gradient g = By·Grad, with a look ahead, before the momentum itself is updated:
//
//	U = Beta·(Beta·M + (1−Beta)·g) + (1−Beta)·g
//
// All are [n,m]; By is [1,1], or missing for 1.
type Nesterov struct {
	Grad, M, By, U Tensor
	Beta           float32
}

func (o *Nesterov) Name() string { return "nesterov" }

func (o *Nesterov) describe(f *Facts) {
	f.Kind = KindUpdate
	f.read(o.Grad, o.M, o.By)
	f.write(o.U)
	f.exact(o.Grad, o.M, o.By, o.U)
}

func (o *Nesterov) check() error {
	r, c := o.Grad.Rows, o.Grad.Cols
	if o.U.overlaps(o.Grad) || o.U.overlaps(o.M) {
		return fmt.Errorf("output U overlaps an operand")
	}
	return firstError(want("M", o.M, r, c), want("U", o.U, r, c), wantIf("factor", o.By, 1, 1), within("Beta", o.Beta, 0, 1))
}

// Normalize is Y = X/(Slack·√Squares + Eps), where Squares[1,1] is the sum of X's squares: then no singular value of Y is more than
// 1/Slack. Y may be X.
type Normalize struct {
	X, Squares, Y Tensor
	Slack, Eps    float32
}

func (o *Normalize) Name() string { return "normalize" }

func (o *Normalize) describe(f *Facts) {
	f.Kind = KindUpdate
	f.read(o.X, o.Squares)
	f.write(o.Y)
	f.exact(o.X, o.Squares, o.Y)
}

func (o *Normalize) check() error {
	if o.Y != o.X && o.Y.overlaps(o.X) || o.Y.overlaps(o.Squares) {
		return fmt.Errorf("output Y overlaps an operand, and is not X")
	}
	if !(o.Slack > 0 && o.Eps > 0) {
		return fmt.Errorf("slack is %g and eps %g, want more than 0", o.Slack, o.Eps)
	}
	return firstError(want("squares", o.Squares, 1, 1), want("Y", o.Y, o.X.Rows, o.X.Cols))
}

// Quadratic is Y = C0·I + C1·A + C2·Square for a matrix A[n,n] and its square; Y may be Square. If A = X·Xᵀ, then Y·X is an odd
// polynomial of degree 5 of X's singular values: C0·σ + C1·σ³ + C2·σ⁵.
type Quadratic struct {
	A, Square, Y Tensor
	C0, C1, C2   float32
}

func (o *Quadratic) Name() string { return "quadratic" }

func (o *Quadratic) describe(f *Facts) {
	f.Kind = KindUpdate
	f.read(o.A, o.Square)
	f.write(o.Y)
	f.exact(o.A, o.Square, o.Y)
}

func (o *Quadratic) check() error {
	n := o.A.Rows
	if o.Y.overlaps(o.A) || o.Y != o.Square && o.Y.overlaps(o.Square) {
		return fmt.Errorf("output Y overlaps an operand, and is not the square")
	}
	return firstError(want("A", o.A, n, n), want("square", o.Square, n, n), want("Y", o.Y, n, n))
}

// NeuronScale is what evens out the update X[n,m] of a weight matrix with m neurons, the columns, by their second moments V[1,m],
// before those are updated. With q_j the mean of column j's squares and v = Beta·V + (1−Beta)·q, the rows of Stats[3,m] are
//
//	q,   d = 1/(√v + Eps),   n·q·d²
//
// d scales the columns, and the sum of the last row is the sum of squares of what comes of that.
type NeuronScale struct {
	X, V, Stats Tensor
	Beta, Eps   float32
}

func (o *NeuronScale) Name() string { return "neuron scale" }

func (o *NeuronScale) describe(f *Facts) {
	f.Kind = KindUpdate
	f.read(o.X, o.V)
	f.write(o.Stats)
	f.exact(o.X, o.V, o.Stats)
}

func (o *NeuronScale) check() error {
	if o.Stats.overlaps(o.X) || o.Stats.overlaps(o.V) {
		return fmt.Errorf("the stats overlap an operand")
	}
	if !(o.Eps > 0) {
		return fmt.Errorf("eps is %g, want more than 0", o.Eps)
	}
	return firstError(wantAny("X", o.X), want("V", o.V, 1, o.X.Cols), want("stats", o.Stats, 3, o.X.Cols), within("Beta", o.Beta, 0, 1))
}

// Muon updates the matrix X[n,m] by an orthogonal matrix O, and the momentum M with the gradient g = Factor·Grad (Jordan,
// kellerjordan.github.io/posts/muon):
//
//	X = X − Rate·(Scale·Ô + Decay·D),   M = Beta·M + (1−Beta)·g
//
// Ô is O; or with Columns[1,m], and Squares[1,1] the sum of squares of O·diag(Columns), that matrix divided by √Squares (or by
// 1e-30 if that is more): NorMuon (Li et al., arXiv 2510.05491). D is X, or if Cautious only those of its elements whose sign is not
// opposed to that of O (Chen et al., arXiv 2510.12402). Factor is [1,1] or missing.
type Muon struct {
	X, M, O, Grad, Factor Tensor
	Columns, Squares      Tensor
	Rate                  Scalar
	Beta, Scale, Decay    float32
	Cautious              bool
}

func (o *Muon) Name() string { return "muon" }

func (o *Muon) describe(f *Facts) {
	f.Kind = KindUpdate
	f.read(o.O, o.Grad, o.Factor, o.Columns, o.Squares)
	f.update(o.X, o.M)
	f.Scalars = append(f.Scalars, o.Rate)
	f.exact(o.X, o.M, o.O, o.Grad, o.Factor, o.Columns, o.Squares)
	f.Gated = true
}

func (o *Muon) check() error {
	r, c := o.X.Rows, o.X.Cols
	if o.Columns.Exists() != o.Squares.Exists() {
		return fmt.Errorf("columns %s and squares %s: want both or neither", o.Columns.Shape(), o.Squares.Shape())
	}
	return firstError(want("M", o.M, r, c), want("O", o.O, r, c), want("gradient", o.Grad, r, c), wantIf("factor", o.Factor, 1, 1),
		wantIf("columns", o.Columns, 1, c), wantIf("squares", o.Squares, 1, 1), within("Beta", o.Beta, 0, 1))
}
