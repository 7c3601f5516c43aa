package model_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"coil/loop"
	"coil/model"
	"coil/model/reference"
	"coil/thorough"
)

// parityCases are the reference's, and one whose sizes fill vector registers, tiles and blocks of rows, and leave rests.
func parityCases() []reference.Case {
	cases := reference.Cases()
	big := cases[0]
	big.Name, big.Vocabulary, big.Length = "larger", 50, 37
	big.Config.Layers, big.Config.Width, big.Config.Heads, big.Config.Hidden = "1x(1,2)", 40, 2, 72
	return append(cases, big)
}

// forEachCase runs f as a test of each case.
func forEachCase(t *testing.T, f func(t *testing.T, c reference.Case)) {
	for _, c := range thorough.Cases(t, 8, "models", parityCases()) {
		t.Run(strings.ReplaceAll(c.Name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			f(t, c)
		})
	}
}

// tolerance is how far float32 may be from exact arithmetic, relative to the size of what is computed.
//
// Roundings go either way, so n of them in a row leave an error of about √n·u, u = 2⁻²⁴ (Higham and Mary 2019,
// doi 10.1137/18M1226312). The longest row is through every layer, forward and back: in each, four products with inner
// sizes d and h, attention's two with d and T, and two norms' means over d; then the head's and softmax's. What divides,
// norms and softmax, may enlarge an error: the factor of 8 is for that.
func tolerance(m *model.Model, a loop.Architecture) float64 {
	const u = 1.0 / (1 << 24)
	d, h := m.Config.Width, m.Config.Hidden
	oneWay := a.Depth()*(6*d+2*h+2*m.Length) + d + m.Vocabulary
	return 8 * math.Sqrt(float64(2*oneWay)) * u
}

// distance is the norm of got − want, relative to that of want.
func distance(got []float32, want reference.Matrix) float64 {
	var off, size float64
	n := 0
	for _, row := range want {
		for _, v := range row {
			off += (float64(got[n]) - v) * (float64(got[n]) - v)
			size += v * v
			n++
		}
	}
	if off == 0 {
		return 0
	}
	return math.Sqrt(off / size)
}

// logitsOf are those that the last step left, of each sequence.
func (tr *trainer) logitsOf(t *testing.T) [][]float32 {
	t.Helper()
	n := tr.m.Length * tr.m.Vocabulary
	all := make([]float32, groups*sequences*n)
	if err := tr.program.Output(tr.logits, all); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(slices.Chunk(all, n))
}

// check compares numbers of order one.
func check(t *testing.T, what string, got, want, limit float64) {
	t.Helper()
	if off := math.Abs(got - want); !(off <= limit*(1+math.Abs(want))) {
		t.Errorf("%s is %.9g, want %.9g: off by %.2g, limit %.2g", what, got, want, off, limit)
	}
}

// checkGradient compares each parameter's gradient and reports the worst.
func checkGradient(t *testing.T, m *model.Model, got []float32, want reference.Parameters, limit float64) {
	t.Helper()
	worst, name := 0.0, ""
	for _, p := range m.Parameters {
		if d := distance(got[p.Offset:p.Offset+p.Size()], want[p.Name]); !(d <= worst) {
			worst, name = d, p.Name
		}
	}
	t.Logf("worst gradient: %s, off by %.2g of a limit of %.2g", name, worst, limit)
	if !(worst <= limit) {
		t.Errorf("gradient of %s is off by %.2g, limit %.2g", name, worst, limit)
	}
}

func TestParity(t *testing.T) {
	forEachCase(t, func(t *testing.T, c reference.Case) {
		m := newModel(t, c)
		a, arena := c.Architecture(m), reference.Arena(m, 7)
		tr := newTrainer(t, newCPU(t, 2), m, a, c.Regularize, arena, nil)
		tokens, targets := reference.Batch(c, groups*sequences, 8)
		loss, gradient := tr.run(t, tokens, targets)

		r := reference.New(m, a, arena)
		wantLoss, want := r.Gradient(tokens, targets)
		if c.Regularize.Active() {
			wantLoss += r.Regularizer(c.Regularize.Lambda, c.Regularize.Block, want)
		}
		limit := tolerance(m, a)
		check(t, "loss", loss, wantLoss, limit)
		checkGradient(t, m, gradient, want, limit)
		for i, logits := range tr.logitsOf(t) {
			all := r.Logits(tokens[i])
			if d := distance(logits, all[len(all)-1]); !(d <= limit) {
				t.Errorf("logits of sequence %d are off by %.2g, limit %.2g", i, d, limit)
			}
		}
	})
}

// The gradient is that of the loss, shown without any other gradient: it predicts how the float64 loss changes along a
// few directions through all parameters at once.
func TestGradientPredictsTheLoss(t *testing.T) {
	forEachCase(t, func(t *testing.T, c reference.Case) {
		m := newModel(t, c)
		a, arena := c.Architecture(m), reference.Arena(m, 9)
		tr := newTrainer(t, newCPU(t, 1), m, a, c.Regularize, arena, nil)
		tokens, targets := reference.Batch(c, groups*sequences, 10)
		_, gradient := tr.run(t, tokens, targets)

		r := reference.New(m, a, arena)
		r.Frozen = reference.New(m, a, arena).Weights
		loss := func() float64 {
			l := r.Loss(tokens, targets)
			if c.Regularize.Active() {
				l += r.Regularizer(c.Regularize.Lambda, c.Regularize.Block, r.Weights.Zeros())
			}
			return l
		}
		// move adds s·direction to the weights.
		move := func(direction []float64, s float64) {
			for _, p := range m.Parameters {
				for i := range p.Size() {
					r.Weights[p.Name][i/p.Cols][i%p.Cols] += s * direction[p.Offset+i]
				}
			}
		}
		var norm float64
		for _, v := range gradient {
			norm += float64(v) * float64(v)
		}
		norm = math.Sqrt(norm)
		rng := rand.New(rand.NewPCG(11, 12))
		for k := range 3 {
			direction := make([]float64, m.Size) // of length about one; first the gradient's own
			for i := range direction {
				direction[i] = rng.NormFloat64() / math.Sqrt(float64(m.Size))
				if k == 0 {
					direction[i] = float64(gradient[i]) / norm
				}
			}
			var slope float64
			for i, v := range direction {
				slope += v * float64(gradient[i])
			}
			// The difference's own error: h² times the third derivative, and 1e-15 of rounding over h.
			const h, own = 1e-6, 1e-7
			move(direction, h)
			up := loss()
			move(direction, -2*h)
			want := (up - loss()) / (2 * h)
			move(direction, h)
			if limit := tolerance(m, a)*norm + own; !(math.Abs(slope-want) <= limit) {
				t.Errorf("direction %d: slope %.8g, the loss changes by %.8g, limit %.2g", k, slope, want, limit)
			}
		}
	})
}

// bits are the loss and gradient of one step.
func bits(t *testing.T, c reference.Case, workers int, arena []float32) []float32 {
	m := newModel(t, c)
	tr := newTrainer(t, newCPU(t, workers), m, c.Architecture(m), c.Regularize, arena, nil)
	tokens, targets := reference.Batch(c, groups*sequences, 14)
	tr.run(t, tokens, targets)
	return tr.results
}

func TestAnyNumberOfWorkersGivesTheSameBits(t *testing.T) {
	forEachCase(t, func(t *testing.T, c reference.Case) {
		arena := reference.Arena(newModel(t, c), 13)
		one := bits(t, c, 1, arena)
		for _, workers := range []int{2, 3, 8, 40} {
			if !slices.Equal(bits(t, c, workers, arena), one) {
				t.Errorf("%d workers give other bits than one", workers)
			}
		}
	})
}

// Running a loop again for its backward pass repeats the same operations.
func TestRecomputeGivesTheSameBits(t *testing.T) {
	forEachCase(t, func(t *testing.T, c reference.Case) {
		arena := reference.Arena(newModel(t, c), 13)
		c.Loops.Recompute = false
		kept := bits(t, c, 1, arena)
		c.Loops.Recompute = true
		if !slices.Equal(bits(t, c, 1, arena), kept) {
			t.Error("recompute gives other bits")
		}
	})
}

// What recompute is for: activations of one loop, however many there are, and a state for each.
func TestRecomputeTakesLessMemory(t *testing.T) {
	c := parityCases()[0]
	c.Config.Layers = "2x12"
	activations := func(recompute bool, count int) int64 {
		c.Loops.Recompute = recompute
		m := newModel(t, c)
		arena := make([]float32, m.Size)
		tr := newTrainer(t, newCPU(t, 1), m, m.Architecture.WithCount(count), c.Regularize, arena, nil)
		return tr.program.Memory().Activations
	}
	if kept, again := activations(false, 12), activations(true, 12); again > kept/4 {
		t.Errorf("%d bytes of activations with recompute, %d without", again, kept)
	}
	floats := (sequences*c.Length*c.Config.Width + 15) / 16 * 16 // of a state, to a whole cache line
	state := int64(4 * floats)
	if more := activations(true, 12) - activations(true, 11); more > state {
		t.Errorf("a loop more takes %d bytes, its state is %d", more, state)
	}
}
