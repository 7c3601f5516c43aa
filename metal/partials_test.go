package metal_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"coil/backend"
	"coil/graph"
	"coil/metal"
	"coil/metal/emulator"
	"coil/thorough"
)

// gradients is a recording whose accumulators are compared.
type gradients struct {
	*pair
	*graph.Recorder
}

// load is a temporary of values.
func (g *gradients) load(rows, cols int, value func() float32) graph.Tensor {
	data := make([]float32, rows*cols)
	for i := range data {
		data[i] = value()
	}
	x := g.Temporary(rows, cols)
	g.Record(&graph.Add{A: g.Constant(rows, cols, data), Y: x, Alpha: 1})
	return x
}

// weight records what a product of cols columns leaves to the gradient of a weight, and of a bias if there is one. The
// product takes several parts.
func (g *gradients) weight(dw, db graph.Tensor) {
	const tokens = 256
	g.Record(&graph.Matmul{A: g.load(tokens, dw.Rows, g.small), B: g.load(tokens, dw.Cols, g.small), C: dw, TransA: true, Accumulate: true, Sums: db})
}

// norm records what a norm leaves to the gradients of gain and bias.
func (g *gradients) norm(dgain, dbias graph.Tensor) {
	const rows = 20
	cols := dgain.Cols
	x, y, gain, stats := g.load(rows, cols, g.normal), g.Temporary(rows, cols), g.load(1, cols, g.normal), g.Temporary(rows, 2)
	g.Record(&graph.LayerNorm{X: x, Gain: gain, Y: y, Stats: stats, Eps: 1e-5})
	g.Record(&graph.LayerNormBackward{X: x, Gain: gain, Stats: stats, DY: g.load(rows, cols, g.normal), DX: y, DGain: dgain, DBias: dbias})
}

// results compiles the recording for both backends, runs it twice, compares the results of the second time, and returns
// them with the number of launches that add partial sums.
func (g *gradients) results() (got []float32, launches int) {
	g.Helper()
	var values [2][]float32
	for i, b := range []backend.Backend{g.cpu, g.metal} {
		p, err := b.Compile(g.Recorder)
		if err != nil {
			g.Fatal(err)
		}
		values[i] = make([]float32, g.ResultLen())
		for range 2 {
			if err := p.Run(backend.Args{}); err != nil {
				g.Fatal(err)
			}
			if err := p.Results(values[i]); err != nil {
				g.Fatal(err)
			}
		}
		for _, c := range metal.Costs(p) {
			for _, k := range c.Kernels {
				if k == "add_partials" {
					launches++
				}
			}
		}
		p.Close()
	}
	wrong := 0
	for i, want := range values[0] {
		if d := math.Abs(float64(values[1][i] - want)); !(d <= 1e-4*max(1, math.Abs(float64(want)))) {
			if wrong++; wrong == 1 {
				g.Errorf("result %d is %g, want %g", i, values[1][i], want)
			}
		}
	}
	if wrong > 1 {
		g.Errorf("%d of %d results wrong", wrong, len(values[0]))
	}
	return values[1], launches
}

// partialsCases record operations that leave partial sums.
var partialsCases = []struct {
	name     string
	groups   int
	launches int // that add them
	record   func(g *gradients)
}{
	{"one weight and its bias, used three times", 1, 1, func(g *gradients) {
		dw, db := g.Accumulator(24, 36), g.Accumulator(1, 36)
		for range 3 {
			g.weight(dw, db)
		}
		g.Result(dw)
		g.Result(db)
	}},
	{"in three groups, not in vectors", 3, 1, func(g *gradients) {
		dw, db := g.Accumulator(7, 33), g.Accumulator(1, 33)
		g.weight(dw, db)
		g.weight(dw, graph.Tensor{})
		g.Result(dw)
		g.Result(db)
	}},
	{"weights and norms", 2, 1, func(g *gradients) {
		dw, dgain, dbias, alone := g.Accumulator(16, 200), g.Accumulator(1, 40), g.Accumulator(1, 40), g.Accumulator(1, 515)
		g.norm(dgain, dbias)
		g.weight(dw, graph.Tensor{})
		g.norm(dgain, dbias)
		g.norm(alone, graph.Tensor{})
		for _, t := range []graph.Tensor{dw, dgain, dbias, alone} {
			g.Result(t)
		}
	}},
	{"columns of one tensor", 1, 2, func(g *gradients) {
		dw := g.Accumulator(20, 72)
		g.weight(dw.Columns(0, 40), graph.Tensor{})
		g.weight(dw.Columns(32, 72), graph.Tensor{})
		g.Result(dw)
	}},
	{"read in between", 1, 2, func(g *gradients) {
		dw, twice := g.Accumulator(20, 32), g.Accumulator(1, 1)
		g.weight(dw, graph.Tensor{})
		g.Record(&graph.Sum{X: dw, Y: twice, Alpha: 1, Accumulate: true, Squares: true})
		g.weight(dw, graph.Tensor{})
		g.Result(dw)
		g.Result(twice)
	}},
	{"changed in between", 1, 2, func(g *gradients) {
		dw := g.Accumulator(20, 32)
		g.weight(dw, graph.Tensor{})
		g.Record(&graph.Add{A: dw, Y: dw, Alpha: 3})
		g.weight(dw, graph.Tensor{})
		g.Result(dw)
	}},
	{"more tensors than a launch takes", 1, 2, func(g *gradients) {
		for range 17 {
			dgain, dbias := g.Accumulator(1, 12), g.Accumulator(1, 12)
			g.norm(dgain, dbias)
			g.Result(dgain)
			g.Result(dbias)
		}
	}},
	{"more operations than a launch takes", 1, 2, func(g *gradients) {
		dgain, dbias := g.Accumulator(1, 12), g.Accumulator(1, 12)
		for range 33 {
			g.norm(dgain, dbias)
		}
		g.Result(dgain)
		g.Result(dbias)
	}},
	{"one that cannot wait", 1, 3, func(g *gradients) {
		dgain, dbias, kept, sum := g.Accumulator(1, 12), g.load(1, 12, g.normal), g.Accumulator(1, 12), g.Accumulator(1, 1)
		g.norm(kept, graph.Tensor{})
		g.norm(dgain, dbias)
		g.Record(&graph.Sum{X: dbias, Y: sum, Alpha: 1, Accumulate: true, Squares: true})
		for _, t := range []graph.Tensor{dgain, kept, sum} {
			g.Result(t)
		}
	}},
}

// TestPartials: gradients are what they are on the CPU, however many partial sums wait for one launch.
func TestPartials(t *testing.T) {
	for _, e := range []emulator.Options{{}, {Checked: true, Order: emulator.Random, Seed: 5}} {
		for _, c := range thorough.Cases(t, 9, "cases", partialsCases) {
			t.Run(fmt.Sprintf("%s, checked=%v order=%v", c.name, e.Checked, e.Order), func(t *testing.T) {
				record := func() *gradients {
					g := &gradients{newPair(t, e, metal.Options{Cores: 8}), graph.NewRecorder(1, c.groups)}
					c.record(g)
					return g
				}
				want, launches := record().results()
				if launches != c.launches {
					t.Errorf("%d launches, want %d", launches, c.launches)
				}
				g := record()
				g.metal.SetPartialFloats(1) // each operation's are added before the next one's
				if got, n := g.results(); n < launches || !near(got, want) {
					t.Errorf("%d launches, want at least %d; or other results", n, launches)
				}
			})
		}
	}
}

// near reports whether numbers differ by rounding only.
func near(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Abs(float64(x-y)) <= 1e-4*max(1, math.Abs(float64(y))) })
}

// TestPartialsHaveOneOrder: the order of threadgroups changes no bit of a gradient.
func TestPartialsHaveOneOrder(t *testing.T) {
	var first []float32
	for _, e := range []emulator.Options{{}, {Order: emulator.Reverse}, {Order: emulator.Random, Seed: 4, Workers: 2}} {
		g := &gradients{newPair(t, e, metal.Options{Cores: 8}), graph.NewRecorder(1, 1)}
		dgain, dbias := g.Accumulator(1, 132), g.Accumulator(1, 132)
		for range 3 {
			g.norm(dgain, dbias)
		}
		g.Result(dgain)
		g.Result(dbias)
		got, _ := g.results()
		if first == nil {
			first = got
		} else if !slices.Equal(got, first) {
			t.Errorf("%v: other bits", e.Order)
		}
	}
}
