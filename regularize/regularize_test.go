package regularize_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"coil/backend"
	"coil/backend/cpu"
	"coil/graph"
	"coil/regularize"
)

// Weights of these tests: groups of rows × cols views, side by side in one matrix for each layer, as the parts of a
// query-key-value matrix are.
const (
	rows, cols = 5, 3
	groups     = 2
	size       = rows * cols * groups // of a layer
)

// run records the regularizer over a model with a number of layers, and returns R of each group and the gradient, which is
// before plus the regularizer's.
func run(t *testing.T, c regularize.Config, weights []float32, before float32) (values, gradient []float32) {
	t.Helper()
	b, err := cpu.New(cpu.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	buffer, err := b.NewBuffer(len(weights))
	if err != nil {
		t.Fatal(err)
	}
	if err := buffer.Write(0, weights); err != nil {
		t.Fatal(err)
	}
	r := graph.NewRecorder(1, 1)
	w, g := r.Parameter(buffer), r.Accumulator(1, len(weights))
	r.BeginUpdate()
	r.Record(&graph.Fill{Y: g, Value: before})
	r.Result(regularize.Record(r, c, kinds(len(weights)/size, w, g)))
	r.Result(g)
	p, err := b.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(backend.Args{}); err != nil {
		t.Fatal(err)
	}
	results := make([]float32, r.ResultLen())
	if err := p.Results(results); err != nil {
		t.Fatal(err)
	}
	return results[:groups], results[groups:]
}

// kinds are the groups of views in the weights and their gradients.
func kinds(layers int, w, g graph.Tensor) []regularize.Group {
	all := make([]regularize.Group, groups)
	for k := range all {
		view := func(x graph.Tensor, layer int) graph.Tensor {
			x.Offset, x.Rows, x.Cols, x.Stride = layer*size, rows, cols*groups, cols*groups
			return x.Columns(k*cols, (k+1)*cols)
		}
		for i := range layers {
			all[k].Weights = append(all[k].Weights, view(w, i))
			all[k].Gradients = append(all[k].Gradients, view(g, i))
		}
	}
	return all
}

// similarity is R_G(block) of one group, from the formula as it is printed, with the number of its terms.
func similarity(x []float64, group, block int) (r float64, terms int) {
	layers := len(x) / size
	for i := 0; i <= layers/block-2; i++ {
		for j := range block {
			r += cosine(vector(x, group, i*block+j), vector(x, group, (i+1)*block+j))
			terms++
		}
	}
	return r / float64(layers-block), terms
}

// vector is a layer's weight of one group.
func vector(x []float64, group, layer int) []float64 {
	var v []float64
	for i := range rows {
		at := layer*size + (i*groups+group)*cols
		v = append(v, x[at:at+cols]...)
	}
	return v
}

func cosine(a, b []float64) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += a[i] * b[i]
		aa += a[i] * a[i]
		bb += b[i] * b[i]
	}
	return ab / math.Sqrt(aa*bb)
}

// loss is λ·(1 − mean R).
func loss(c regularize.Config, x []float64) float64 {
	var sum float64
	for g := range groups {
		r, _ := similarity(x, g, c.Block)
		sum += r
	}
	return c.Lambda * (1 - sum/groups)
}

func random(layers int, seed uint64) (x []float32, exact []float64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	for range layers * size {
		v := float32(rng.NormFloat64())
		x, exact = append(x, v), append(exact, float64(v))
	}
	return x, exact
}

// Tolerance for a sum of some tens of cosines, each of products with few terms: a few dozen roundings of 2⁻²⁴, which is
// 6e-8, where results are of order one.
const tolerance = 2e-6

func TestValueAndGradient(t *testing.T) {
	for _, c := range []struct {
		layers int
		regularize.Config
	}{
		{2, regularize.Config{Lambda: 1, Block: 1}},
		{6, regularize.Config{Lambda: 0.3, Block: 2}},
		{6, regularize.Config{Lambda: 2, Block: 3}},
		{24, regularize.Config{Lambda: 10, Block: 4}},
	} {
		x, exact := random(c.layers, 1)
		const before = 0.5
		values, gradient := run(t, c.Config, x, before)
		for g, got := range values {
			want, terms := similarity(exact, g, c.Block)
			if terms != c.layers-c.Block {
				t.Errorf("%d layers in blocks of %d: %d terms, want %d", c.layers, c.Block, terms, c.layers-c.Block)
			}
			if math.Abs(float64(got)-want) > tolerance {
				t.Errorf("%d layers in blocks of %d: R is %.8g, want %.8g", c.layers, c.Block, got, want)
			}
		}
		if got, want := c.Loss(values), loss(c.Config, exact); math.Abs(got-want) > tolerance*c.Lambda {
			t.Errorf("%d layers in blocks of %d: loss %.8g, want %.8g", c.layers, c.Block, got, want)
		}
		// Differences are exact to h² and the loss's rounding over h, 1e-10 both; adding to what was there rounds that.
		const h = 1e-5
		for i := range exact {
			was := exact[i]
			exact[i] = was + h
			up := loss(c.Config, exact)
			exact[i] = was - h
			want := before + (up-loss(c.Config, exact))/(2*h)
			exact[i] = was
			if got := float64(gradient[i]); math.Abs(got-want) > tolerance {
				t.Fatalf("%d layers in blocks of %d: gradient of weight %d is %.8g, want %.8g", c.layers, c.Block, i, got, want)
			}
		}
	}
}

// Blocks of 4 in 24 layers: 20 pairs; each layer is in two of them, except the first four and the last four.
func TestPairsOfTwentyFourLayers(t *testing.T) {
	r := graph.NewRecorder(1, 1)
	w, g := r.Accumulator(1, 24*size), r.Accumulator(1, 24*size)
	r.BeginUpdate()
	regularize.Record(r, regularize.Config{Lambda: 1, Block: 4}, kinds(24, w, g))
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	pairs, uses := 0, map[int]int{}
	for _, op := range r.Update() {
		c, ok := op.(*graph.Cosine)
		if !ok || c.Y.Offset != 0 { // the first group's
			continue
		}
		pairs++
		a, b := c.A.Offset/size, c.B.Offset/size
		if b-a != 4 {
			t.Errorf("layer %d is compared with %d", a, b)
		}
		uses[a]++
		uses[b]++
	}
	if pairs != 20 {
		t.Errorf("%d pairs, want 20", pairs)
	}
	for layer := range 24 {
		want := 2
		if layer < 4 || layer >= 20 {
			want = 1
		}
		if uses[layer] != want {
			t.Errorf("layer %d is in %d pairs, want %d", layer, uses[layer], want)
		}
	}
}

// A step against the gradient makes blocks more alike: the sign is not the paper's.
func TestGradientStepRaisesSimilarity(t *testing.T) {
	c := regularize.Config{Lambda: 1, Block: 2}
	x, _ := random(6, 2)
	before, gradient := run(t, c, x, 0)
	for i := range x {
		x[i] -= gradient[i]
	}
	after, _ := run(t, c, x, 0)
	for g := range groups {
		if !(after[g] > before[g]) {
			t.Errorf("group %d: R was %g and is %g", g, before[g], after[g])
		}
	}
}

// A looped model's weights, written out, cost nothing and are pulled nowhere.
func TestEqualBlocksCostNothing(t *testing.T) {
	c := regularize.Config{Lambda: 3, Block: 2}
	x, _ := random(2, 4)
	values, gradient := run(t, c, append(append(x[:len(x):len(x)], x...), x...), 0)
	for g, r := range values {
		if math.Abs(float64(r)-1) > tolerance {
			t.Errorf("group %d: R is %g, want 1", g, r)
		}
	}
	if l := c.Loss(values); math.Abs(l) > tolerance*c.Lambda {
		t.Errorf("loss %g, want 0", l)
	}
	for i, d := range gradient {
		if math.Abs(float64(d)) > tolerance {
			t.Fatalf("gradient of weight %d is %g, want 0", i, d)
		}
	}
}

// A weight of zeros has no direction: it counts as unlike, and is left where it is.
func TestZeroWeights(t *testing.T) {
	values, gradient := run(t, regularize.Config{Lambda: 1, Block: 1}, make([]float32, 2*size), 0)
	for _, v := range append(values, gradient...) {
		if v != 0 {
			t.Fatalf("R %v, gradient %v, want zeros", values, gradient)
		}
	}
}

func TestLossWithoutValues(t *testing.T) {
	if l := (regularize.Config{}).Loss(nil); l != 0 {
		t.Errorf("loss %g without a regularizer", l)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		regularize.Config
		layers int
		looped bool
		key    string // "" for none
	}{
		{regularize.Config{}, 6, true, ""},
		{regularize.Config{Block: 99}, 6, false, ""},
		{regularize.Config{Lambda: 1, Block: 1}, 6, false, ""},
		{regularize.Config{Lambda: 1, Block: 3}, 6, false, ""},
		{regularize.Config{Lambda: -1, Block: 1}, 6, false, "regularize.lambda"},
		{regularize.Config{Lambda: math.NaN(), Block: 1}, 6, false, "regularize.lambda"},
		{regularize.Config{Lambda: math.Inf(1), Block: 1}, 6, false, "regularize.lambda"},
		{regularize.Config{Lambda: 1, Block: 1}, 6, true, "regularize.lambda"},
		{regularize.Config{Lambda: 1}, 6, false, "regularize.block"},
		{regularize.Config{Lambda: 1, Block: -2}, 6, false, "regularize.block"},
		{regularize.Config{Lambda: 1, Block: 4}, 6, false, "regularize.block"},
		{regularize.Config{Lambda: 1, Block: 6}, 6, false, "regularize.block"},
	} {
		err := c.Check(c.layers, c.looped)
		if c.key == "" && err != nil || c.key != "" && (err == nil || !strings.Contains(err.Error(), c.key)) {
			t.Errorf("%+v: %v, want one that names %q", c, err, c.key)
		}
	}
}
