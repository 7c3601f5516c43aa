package conformance

import "math"

// A num is a number of the reference: its value in float64, and a bound on the error that a backend computing the same
// formula in float32 may have made by then. The bounds come from running error analysis (Higham, Accuracy and Stability
// of Numerical Algorithms, 2nd ed., section 3.3): every operation passes on the errors of its operands to first order
// and adds its own. No tolerance is chosen for an operation or a shape; all of them follow from the constants below.
type num struct{ v, e float64 }

const (
	// unit is the largest relative error of rounding to float32: 2⁻²⁴.
	unit = 1.0 / (1 << 24)

	// functionError is the relative error of exp, exp2, log and log2: 4 units in the last place, which is what the Metal
	// Shading Language Specification 4.1 promises of precise functions (section 8.4, table 8.1), and one of those is at most
	// 2 of our units. Sums, products, quotients and square roots are correctly rounded there. Fast functions (table 8.2) are
	// not within these bounds: the error of their exp grows with its argument, and their log has an absolute one.
	functionError = 8 * unit

	// bfloatUnit is the largest relative error of rounding to bfloat: 2⁻⁸.
	bfloatUnit = 1.0 / (1 << 8)

	// least is the smallest normal float32. Denormal operands and results may be flushed to zero (section 8.1), which loses up to
	// this amount, whatever is done with the number afterwards.
	least = 0x1p-126

	// confidence is λ in the probabilistic bound of Higham and Mary (SIAM J. Sci. Comput. 41, 2019): the rounding errors
	// of a sum of n terms, in whatever order, stay below λ·√n·unit·Σ|term| with probability at least 1 − 2·exp(−λ²/2).
	// The certain bound is (n−1)·unit·Σ|term|.
	confidence = 4

	// orders allows for evaluating a formula in another order than the reference: each order has its own bound, and
	// they differ by a constant factor.
	orders = 2

	// Through a whole model, the bounds multiply until they are useless. There, every result is instead moved at random within its
	// own operation's bound (Monte Carlo arithmetic: Parker, UCLA CSD-970002, 1997), and the effect is measured at the end: the
	// largest deviation of a number of samples, times a factor.
	samples   = 8
	deviation = 3
)

// tolerance is how far a backend may be from x.
func (x num) tolerance() float64 {
	if x.e == 0 {
		return 0
	}
	return orders*x.e + least
}

// exact is a number that the backend was given.
func exact(v float32) num { return num{float64(v), flushed(float64(v), 0)} }

// flushed is what flushing adds to the error e of v: nothing, unless v may be denormal as computed. A number that is zero
// without an error is one.
func flushed(v, e float64) float64 {
	if v == 0 && e == 0 || !(math.Abs(v)-e < least) {
		return 0
	}
	return min(math.Abs(v)+e, least)
}

// rounded is the result of an operation whose operands' errors amount to e.
func rounded(v, e float64) num {
	if e == 0 && float64(float32(v)) == v {
		return num{v, flushed(v, 0)}
	}
	e += unit * math.Abs(v)
	return num{v, e + flushed(v, e)}
}

// toBFloat is x stored in bfloat.
func (x num) toBFloat() num {
	if b := math.Float32bits(float32(x.v)); x.e == 0 && b&0xffff == 0 {
		return x
	}
	e := x.e + bfloatUnit*(math.Abs(x.v)+x.e)
	return num{x.v, e + flushed(x.v, e)}
}

// number is a constant of a formula.
func number(v float64) num { return rounded(v, 0) }

func (a num) plus(b num) num  { return rounded(a.v+b.v, a.e+b.e) }
func (a num) minus(b num) num { return rounded(a.v-b.v, a.e+b.e) }

func (a num) times(b num) num {
	return rounded(a.v*b.v, math.Abs(a.v)*b.e+math.Abs(b.v)*a.e+a.e*b.e)
}

func (a num) over(b num) num {
	v := a.v / b.v
	e := (a.e + math.Abs(v)*b.e) / (math.Abs(b.v) - b.e)
	if b.e >= math.Abs(b.v) && b.e > 0 {
		e = math.Inf(1)
	}
	return rounded(v, e)
}

func (a num) sqrt() num {
	v := math.Sqrt(a.v)
	if a.e == 0 {
		return rounded(v, 0)
	}
	return rounded(v, v-math.Sqrt(max(0, a.v-a.e)))
}

func (a num) exp() num {
	v := math.Exp(a.v)
	return rounded(v, v*(math.Expm1(a.e)+functionError)+stopped(v))
}

// stopped is the error of an exp that falls no further than to the smallest normal number, where v is less.
func stopped(v float64) float64 {
	if v < least {
		return least
	}
	return 0
}

func (a num) log() num {
	v := math.Log(a.v)
	return rounded(v, -math.Log1p(-a.e/a.v)+functionError*math.Abs(v))
}

// sigmoid is 1/(1+exp(−a)), whose exp may saturate.
func (a num) sigmoid() num {
	s := 1 / (1 + math.Exp(-a.v))
	if 1-s < unit/4 { // 1+exp(−a) rounds to 1
		return num{s, 1 - s}
	}
	return rounded(s, s*(1-s)*(math.Expm1(a.e)+functionError)+unit*s+stopped(s))
}

// atMost and atLeast are min and max.
func (a num) atMost(b num) num {
	if b.v < a.v || b.v != b.v {
		return b
	}
	return a
}

func (a num) atLeast(b num) num {
	if b.v > a.v || b.v != b.v {
		return b
	}
	return a
}

// A total is a sum whose order is the backend's choice.
type total struct {
	v, e, abs float64
	n         int
}

func (t *total) add(x num) {
	t.v += x.v
	t.e += x.e
	t.abs += math.Abs(x.v)
	t.n++
}

// addProduct adds a·b, whose rounding a fused multiply-add would save.
func (t *total) addProduct(a, b num) {
	v := a.v * b.v
	abs := math.Abs(v)
	t.v += v
	e := math.Abs(a.v)*b.e + math.Abs(b.v)*a.e + a.e*b.e + unit*abs
	if !(abs-e >= least) { // which is rare
		e += flushed(v, e)
	}
	t.e += e
	t.abs += abs
	t.n++
}

func (t *total) num() num {
	n := float64(t.n - 1)
	return num{t.v, t.e + unit*min(n, confidence*math.Sqrt(n))*t.abs}
}

// mean is the sum over the number of terms.
func (t *total) mean() num { return t.num().over(number(float64(t.n))) }
