// Package regularize pulls the layers of an unlooped model towards those of a looped one.
//
// For a model of L layers, a block size k that divides L, and a group G of weights (all query matrices, say), with
// each layer's weight taken as one vector θ:
//
//	R_G(k) = 1/(L−k) · Σ_{i=0}^{L/k−2} Σ_{j=0}^{k−1} cos(θ_G^(ik+j), θ_G^((i+1)k+j))
//
// is the mean cosine between neighbouring blocks, and the training loss is
//
//	cross-entropy + λ·(1 − mean over G of R_G(k))
//
// after Saunshi et al. (arXiv 2502.17416, section 4). The paper prints the loss with +λ·R, which for λ > 0 would drive
// the blocks apart; the effect that it reports (cosines of 0.98 and more, a looped model as λ grows) is that of the sign
// here. Its sum over i ends at L/k−2: there are L−k pairs.
package regularize

import (
	"math"

	"coil/config/schema"
	"coil/graph"
)

// Config is the [regularize] table. The zero value is no regularizer.
type Config struct {
	Lambda float64 `toml:"lambda" help:"weight λ of the penalty λ·(1 − mean cosine); 0 turns it off" also:"regularizer,reg"`
	Block  int     `toml:"block" help:"layers k of a block; the regularizer compares neighbouring blocks"`
}

// Active reports whether there is anything to do.
func (c Config) Active() bool { return c.Lambda != 0 }

// Check returns an error unless c fits an unlooped model of the given number of layers.
func (c Config) Check(layers int, looped bool) error {
	switch {
	case !c.Active():
		return nil
	case c.Lambda < 0:
		return schema.Errorf("regularize.lambda", " is %g: a negative one would drive the blocks apart", c.Lambda)
	case math.IsNaN(c.Lambda) || math.IsInf(c.Lambda, 0):
		return schema.Errorf("regularize.lambda", " is %g, want a number", c.Lambda)
	case looped:
		return schema.Errorf("regularize.lambda", " is %g, but a looped model's blocks are equal already: use an unlooped one, as in 6x1", c.Lambda)
	case c.Block < 1 || layers%c.Block != 0 || layers/c.Block < 2:
		return schema.Errorf("regularize.block", " is %d: want a divisor of the %d layers that leaves at least two blocks", c.Block, layers)
	}
	return nil
}

// Group is one kind of weight, a tensor for each layer, with its gradients.
type Group struct {
	Name               string
	Weights, Gradients []graph.Tensor
}

// Record records, in the update, the values R_G and the gradient of λ·(1 − mean R_G), which is added to the
// gradients. It returns a [1,len(groups)] tensor with R_G of each group.
func Record(r *graph.Recorder, c Config, groups []Group) graph.Tensor {
	values := r.Temporary(1, len(groups))
	norms := r.Temporary(1, 3)
	r.Record(&graph.Fill{Y: values})
	for g, group := range groups {
		pairs := len(group.Weights) - c.Block
		for i := range pairs {
			a, b := group.Weights[i], group.Weights[i+c.Block]
			r.Record(&graph.Cosine{A: a, B: b, Y: values.Columns(g, g+1), Norms: norms, Alpha: 1 / float32(pairs), Accumulate: true})
			r.Record(&graph.CosineBackward{A: a, B: b, Norms: norms, DA: group.Gradients[i], DB: group.Gradients[i+c.Block],
				Alpha: float32(-c.Lambda / float64(len(groups)*pairs))})
		}
	}
	return values
}

// Loss is λ·(1 − mean R_G), from the values that Record's tensor had.
func (c Config) Loss(values []float32) float64 {
	if len(values) == 0 {
		return 0
	}
	var sum float64
	for _, v := range values {
		sum += float64(v)
	}
	return c.Lambda * (1 - sum/float64(len(values)))
}
