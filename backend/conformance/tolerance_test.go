package conformance

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestFlushedBounds computes with small numbers in float32, where denormal operands and results are flushed or are not, and
// wants every result within the bound, and some of those that are flushed outside of what rounding alone explains.
func TestFlushedBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 8))
	beyond := 0
	for i := range 200_000 {
		flush := i%2 == 0
		z := func(x float32) float32 {
			if flush && math.Abs(float64(x)) < least {
				return 0
			}
			return x
		}
		small := func() float32 { return float32(math.Ldexp(rng.NormFloat64(), -130+rng.IntN(12))) }
		large := func() float32 { return float32(math.Ldexp(rng.NormFloat64(), rng.IntN(12))) }
		a, b, f, g := small(), small(), large(), large()
		// A product that may be denormal, a sum of two, and what multiplies the loss.
		sum := z(z(z(a)*0.3) + z(b))
		got := z(z(sum*f) + z(z(b)*g))
		bound := exact(a).times(exact(0.3)).plus(exact(b)).times(exact(f)).plus(exact(b).times(exact(g)))
		d := math.Abs(float64(got) - bound.v)
		if !(d <= bound.tolerance()) {
			t.Fatalf("flush=%v: (0.3·%g + %g)·%g + %g·%g is %g, want %g ± %g", flush, a, b, f, b, g, got, bound.v, bound.tolerance())
		}
		if d > 2*least {
			beyond++
		}
	}
	if beyond < 1000 {
		t.Errorf("only %d results are off by more than the smallest normal number", beyond)
	}
	// Where nothing is denormal nothing is added.
	for range 1000 {
		a, b := float32(rng.NormFloat64()+3), float32(math.Ldexp(rng.Float64()+1, -60))
		if x, most := exact(a).times(exact(b)), unit*math.Abs(float64(a)*float64(b)); x.e > most {
			t.Errorf("the bound of %g·%g is %g, want %g", a, b, x.e, most)
		}
	}
	if x := exact(0).times(exact(3)).plus(exact(0)); x.e != 0 {
		t.Errorf("zero has an error of %g", x.e)
	}
}
