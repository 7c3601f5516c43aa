package model_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"coil/model/reference"
	"coil/thorough"
)

// update changes the reference's weights as the optimizer of the same name does.
type update func(weights, gradient reference.Parameters, step int)

// compareTraining takes ten steps of both and compares the losses before each.
//
// An error of ε in the gradient, relative to its norm, moves each weight's update by about rate·ε·‖g‖/(√n·|g_i|), since
// both optimizers divide by the size of the gradient's element, and the loss by the sum of that times g_i: by
// rate·ε·‖g‖·√n each step.
func compareTraining(t *testing.T, c reference.Case, rate float64, o optimizer, u update) {
	c.Config.InitStd = 0.1 // as at the start of a run: with weights as large as reference.Arena's, steps magnify every rounding
	m := newModel(t, c)
	a, arena := c.Architecture(m), m.Initialize(15)
	tr := newTrainer(t, newCPU(t, 2), m, a, c.Regularize, arena, o)
	r := reference.New(m, a, arena)
	limit := tolerance(m, a)
	var losses []float64
	var worst float64
	for step := range 10 {
		tokens, targets := reference.Batch(c, groups*sequences, 16+uint64(step%2))
		got, _ := tr.run(t, tokens, targets)
		want, gradient := r.Gradient(tokens, targets)
		if c.Regularize.Active() {
			want += r.Regularizer(c.Regularize.Lambda, c.Regularize.Block, gradient)
		}
		check(t, fmt.Sprintf("loss of step %d", step), got, want, limit)
		losses = append(losses, want)
		worst = max(worst, math.Abs(got-want)/limit)
		norm := reference.Clip(gradient, clip)
		gotNorm, factor := tr.clipped()
		check(t, fmt.Sprintf("norm of step %d", step), gotNorm, norm, limit)
		check(t, fmt.Sprintf("factor of step %d", step), factor, min(1, clip/norm), limit)
		limit += rate * tolerance(m, a) * min(norm, clip) * math.Sqrt(float64(m.Size))
		u(r.Weights, gradient, step+1)
	}
	t.Logf("losses %.4f, off by at most %.2g of their limit", losses, worst)
	if losses[8] >= losses[0] || losses[9] >= losses[1] {
		t.Errorf("training does not lower the loss: %.4f", losses)
	}
}

// casesNamed returns those with the names.
func casesNamed(t *testing.T, names ...string) []reference.Case {
	t.Helper()
	var found []reference.Case
	for _, c := range reference.Cases() {
		if slices.Contains(names, c.Name) {
			found = append(found, c)
		}
	}
	if len(found) != len(names) {
		t.Fatalf("%d cases are named %q", len(found), names)
	}
	return found
}

func TestTenStepsOfAdamW(t *testing.T) {
	for _, c := range thorough.Cases(t, 6, "models", casesNamed(t, "looped", "middle", "regularized by 2", "random loops", "truncated linear", "every loop", "learned exit", "learned exit of the middle",
		"head norms of shared keys", "soft cap", "injection decay of the middle")) {
		t.Run(strings.ReplaceAll(c.Name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			// Eps is well above the rounding of an element of the gradient, whose sign is arbitrary.
			o := reference.AdamW{Rate: 2e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-5, Decay: 0.1}
			compareTraining(t, c, o.Rate, adamW(o), func(w, g reference.Parameters, _ int) { o.Step(w, g) })
		})
	}
}

func TestTenStepsOfAdafactor(t *testing.T) {
	for _, c := range thorough.Cases(t, 3, "models", casesNamed(t, "looped", "middle", "swiglu rmsnorm sandwich")) {
		t.Run(strings.ReplaceAll(c.Name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			o := reference.Adafactor{Rate: 2e-3, Eps: 1e-30, Clip: 1, Decay: 0.1}
			beta := func(step int) float64 { return 1 - math.Pow(float64(step), -0.8) }
			compareTraining(t, c, o.Rate, adafactor(o, beta), func(w, g reference.Parameters, step int) { o.Step(w, g, beta(step)) })
		})
	}
}
