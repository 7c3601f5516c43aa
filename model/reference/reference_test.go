package reference

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"coil/model"
	"coil/thorough"
)

// Step of central differences. Their error is that of the third derivative, h²/6 of it, and of the loss's own rounding,
// some 1e-15, over h: both below 1e-8, where slopes are of order one.
const (
	h         = 1e-6
	tolerance = 1e-7
)

// newCase is the case's model with random weights.
func newCase(t *testing.T, c Case) *Model {
	m, err := model.New(c.Config, c.Loops, c.Vocabulary, c.Length)
	if err != nil {
		t.Fatal(err)
	}
	r := New(m, c.Architecture(m), Arena(m, 3))
	r.Frozen = r.Weights
	return r
}

// moved returns the weights with h·direction added to one of them.
func moved(w Parameters, name string, direction Matrix, h float64) Parameters {
	p := Parameters{}
	for n, m := range w {
		p[n] = m
	}
	p[name] = Zeros(len(w[name]), len(w[name][0]))
	for i, row := range w[name] {
		for j, v := range row {
			p[name][i][j] = v + h*direction[i][j]
		}
	}
	return p
}

// directions are one over all elements of a matrix, of length one, and a few single elements.
func directions(rng *rand.Rand, like Matrix) []Matrix {
	d := Zeros(len(like), len(like[0]))
	var squares float64
	for i := range d {
		for j := range d[i] {
			d[i][j] = rng.NormFloat64()
			squares += d[i][j] * d[i][j]
		}
	}
	for i := range d {
		for j := range d[i] {
			d[i][j] /= math.Sqrt(squares)
		}
	}
	all := []Matrix{d}
	for range 2 {
		one := Zeros(len(like), len(like[0]))
		one[rng.IntN(len(one))][rng.IntN(len(one[0]))] = 1
		all = append(all, one)
	}
	return all
}

func dot(a, b Matrix) float64 {
	var s float64
	for i := range a {
		for j := range a[i] {
			s += a[i][j] * b[i][j]
		}
	}
	return s
}

// checkGradient compares a gradient with differences of a loss.
func checkGradient(t *testing.T, weights, gradient Parameters, loss func(Parameters) float64) {
	rng := rand.New(rand.NewPCG(4, 5))
	for name, w := range weights {
		for _, d := range directions(rng, w) {
			want := (loss(moved(weights, name, d, h)) - loss(moved(weights, name, d, -h))) / (2 * h)
			if got := dot(gradient[name], d); !(math.Abs(got-want) <= tolerance*(1+math.Abs(want))) {
				t.Errorf("%s: slope %.9g, from differences %.9g", name, got, want)
			}
		}
	}
}

func TestGradientIsThatOfTheLoss(t *testing.T) {
	for _, c := range thorough.Cases(t, 8, "models", Cases()) {
		t.Run(strings.ReplaceAll(c.Name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			r := newCase(t, c)
			tokens, targets := Batch(c, 2, 6)
			_, gradient := r.Gradient(tokens, targets)
			if c.Regularize.Active() {
				r.Regularizer(c.Regularize.Lambda, c.Regularize.Block, gradient)
			}
			checkGradient(t, r.Weights, gradient, func(p Parameters) float64 {
				q := *r
				q.Weights = p
				loss := q.Loss(tokens, targets)
				if c.Regularize.Active() {
					loss += q.Regularizer(c.Regularize.Lambda, c.Regularize.Block, p.Zeros())
				}
				return loss
			})
		})
	}
}

// Truncation leaves the loss as it is and takes a part of its gradient away.
func TestTruncationChangesTheGradientOnly(t *testing.T) {
	for _, c := range Cases() {
		if c.Name != "truncated add" {
			continue
		}
		r := newCase(t, c)
		tokens, targets := Batch(c, 2, 6)
		loss, gradient := r.Gradient(tokens, targets)
		r.Loops.Truncate = 0
		whole, other := r.Gradient(tokens, targets)
		if loss != whole {
			t.Errorf("loss %v with truncation, %v without", loss, whole)
		}
		const name = "layers.0.attention.qkv.weight"
		if dot(gradient[name], gradient[name]) == dot(other[name], other[name]) {
			t.Error("the gradient is the whole one")
		}
		return
	}
	t.Fatal("no such case")
}

// The first step of AdamW without decay moves each weight by the rate, against its gradient.
func TestAdamWFirstStep(t *testing.T) {
	w := Parameters{"a.weight": {{1, -2, 3}}}
	o := AdamW{Rate: 0.5, Beta1: 0.9, Beta2: 0.99}
	o.Step(w, Parameters{"a.weight": {{1e-3, -7, 2}}})
	for j, want := range []float64{0.5, -1.5, 2.5} {
		if got := w["a.weight"][0][j]; math.Abs(got-want) > 1e-14 {
			t.Errorf("element %d is %v, want %v", j, got, want)
		}
	}
}

// A gradient whose squares are a product of rows and columns loses nothing in Adafactor's means: the first step of a
// matrix moves every weight by the rate.
func TestAdafactorFirstStep(t *testing.T) {
	w := Parameters{"a.weight": {{1, 2, 3}, {4, 5, 6}}, "a.bias": {{1, -1}}}
	o := Adafactor{Rate: 0.5, Clip: 1}
	o.Step(w, Parameters{"a.weight": {{1, -2, 3}, {-5, 10, 15}}, "a.bias": {{3, -1e-2}}}, 0)
	want := Parameters{"a.weight": {{0.5, 2.5, 2.5}, {4.5, 4.5, 5.5}}, "a.bias": {{0.5, -0.5}}}
	for name := range w {
		for i, row := range w[name] {
			for j, got := range row {
				if math.Abs(got-want[name][i][j]) > 1e-14 {
					t.Errorf("%s[%d,%d] is %v, want %v", name, i, j, got, want[name][i][j])
				}
			}
		}
	}
}

func TestClip(t *testing.T) {
	g := Parameters{"a": {{3, 0}}, "b": {{4}}}
	if norm := Clip(g, 10); norm != 5 || g["b"][0][0] != 4 {
		t.Errorf("norm %v, gradient %v", norm, g)
	}
	if norm := Clip(g, 1); norm != 5 || math.Abs(g["b"][0][0]-0.8) > 1e-15 {
		t.Errorf("norm %v, gradient %v", norm, g)
	}
}
