package model_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"coil/graph"
	"coil/model"
	"coil/model/reference"
)

// The parameters fill the arena without gaps or overlaps, those that decay first.
func TestParametersTileTheArena(t *testing.T) {
	forEachCase(t, func(t *testing.T, c reference.Case) {
		m := newModel(t, c)
		at := 0
		names := map[string]bool{}
		decay := true
		for _, p := range m.Parameters {
			if p.Offset != at || p.Size() != p.Rows*p.Cols || p.Size() < 1 {
				t.Errorf("%s of %d values is at %d, want %d", p.Name, p.Size(), p.Offset, at)
			}
			at += p.Size()
			if names[p.Name] {
				t.Errorf("%s is there twice", p.Name)
			}
			names[p.Name] = true
			if p.Decay != (strings.HasSuffix(p.Name, ".weight") && (m.Config.Injection != "decay" || p.Name != "injection.input.weight")) {
				t.Errorf("%s: decay %v", p.Name, p.Decay)
			}
			if p.Decay && !decay {
				t.Errorf("%s decays, and comes after one that does not", p.Name)
			}
			decay = p.Decay
		}
		if at != m.Size {
			t.Errorf("the arena has %d values, the parameters %d", m.Size, at)
		}
	})
}

func TestLayerParameters(t *testing.T) {
	for _, c := range []struct {
		change func(*model.Config)
		want   int
	}{
		// Of width d = 12 and h hidden units: 4d² + 2dh, biases 3d + d + h + d, two norms of 2d.
		{func(c *model.Config) { c.Layers = "1x4" }, 4*144 + 2*12*20 + 5*12 + 20 + 4*12},
		{func(c *model.Config) { c.Layers = "2x(1,3,1)" }, 6 * (4*144 + 2*12*20 + 5*12 + 20 + 4*12)},
		{func(c *model.Config) { c.Layers, c.Bias = "2x2", false }, 2 * (4*144 + 2*12*20 + 2*12)},
		{func(c *model.Config) {
			c.Layers, c.Bias, c.Activation, c.Norm, c.NormPlace = "3x1", false, "swiglu", "rmsnorm", "sandwich"
		}, 3 * (4*144 + 3*12*20 + 4*12)},
		{func(c *model.Config) { c.Layers, c.Norm = "1x1", "rmsnorm" }, 4*144 + 2*12*20 + 5*12 + 20 + 2*12},
		{func(c *model.Config) { c.Layers, c.Norm = "1x1", "none" }, 4*144 + 2*12*20 + 5*12 + 20},
		{func(c *model.Config) { c.Layers, c.QKNorm = "1x1", true }, 4*144 + 2*12*20 + 5*12 + 20 + 4*12 + 2*4}, // gains of the width of a head
		// 3 heads of queries and one of keys and values of width 8, d·(3 + 2)·8 + 3·8·d; and without the biases of the first.
		{func(c *model.Config) { c.Layers, c.KVHeads, c.HeadWidth = "1x1", 1, 8 }, 12*40 + 24*12 + 2*12*20 + 40 + 12 + 20 + 12 + 4*12},
		{func(c *model.Config) { c.Layers, c.KVHeads, c.HeadWidth, c.QKVBias = "1x1", 1, 8, false }, 12*40 + 24*12 + 2*12*20 + 12 + 20 + 12 + 4*12},
	} {
		config := model.Default()
		config.Width, config.Heads, config.Hidden = 12, 3, 20
		c.change(&config)
		m, err := model.New(config, model.Loops{}, 10, 4)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, p := range m.Parameters {
			if strings.HasPrefix(p.Name, "layers.") {
				got += p.Size()
			}
		}
		if got != c.want {
			t.Errorf("%+v: %d parameters, want %d", config, got, c.want)
		}
	}
}

// moments are the mean and standard deviation.
func moments(x []float32) (mean, std float64) {
	n := float64(len(x))
	for _, v := range x {
		mean += float64(v) / n
	}
	for _, v := range x {
		std += (float64(v) - mean) * (float64(v) - mean) / n
	}
	return mean, math.Sqrt(std)
}

func TestInitialize(t *testing.T) {
	c := model.Default()
	c.Layers, c.NormPlace, c.Positions, c.Injection, c.LoopEmbedding, c.InitStd = "2x3", "sandwich", "learned", "linear", true, 0.03
	m, err := model.New(c, model.Loops{}, 50, 20)
	if err != nil {
		t.Fatal(err)
	}
	x := m.Initialize(1)
	if len(x) != m.Size {
		t.Fatalf("%d values, want %d", len(x), m.Size)
	}
	first := map[float32]string{} // the first value of each random parameter
	for _, p := range m.Parameters {
		w := x[p.Offset : p.Offset+p.Size()]
		constant := func(want float32) {
			if slices.ContainsFunc(w, func(v float32) bool { return v != want }) {
				t.Errorf("%s begins as something else than %g", p.Name, want)
			}
		}
		switch {
		case strings.HasSuffix(p.Name, ".gain"):
			constant(1)
		case strings.HasSuffix(p.Name, ".bias"):
			constant(0)
		case strings.HasPrefix(p.Name, "injection."):
			for i, v := range w {
				if want := float32(0); i/p.Cols == i%p.Cols && v != 1 || i/p.Cols != i%p.Cols && v != want {
					t.Errorf("%s[%d,%d] = %g is not of the identity", p.Name, i/p.Cols, i%p.Cols, v)
				}
			}
		default:
			// Five standard errors: of the mean σ/√n, of the standard deviation σ/√(2n).
			mean, std := moments(w)
			n := float64(len(w))
			if math.Abs(mean) > 5*c.InitStd/math.Sqrt(n) || math.Abs(std-c.InitStd) > 5*c.InitStd/math.Sqrt(2*n) {
				t.Errorf("%s of %d values: mean %.3g, standard deviation %.3g, want 0 and %g", p.Name, len(w), mean, std, c.InitStd)
			}
			if other, ok := first[w[0]]; ok {
				t.Errorf("%s begins as %s does", p.Name, other)
			}
			first[w[0]] = p.Name
		}
	}
	if !slices.Equal(x, m.Initialize(1)) {
		t.Error("the same seed gives other values")
	}
	if slices.Equal(x, m.Initialize(2)) {
		t.Error("another seed gives the same values")
	}
}

// Injection that decays starts as Parcae's: the state falls by √(1/5) in a loop, and e·B is e.
func TestDecayBegins(t *testing.T) {
	c := model.Default()
	c.Injection, c.LoopNorm = "decay", true
	m, err := model.New(c, model.Loops{}, 10, 4)
	if err != nil {
		t.Fatal(err)
	}
	x := m.Initialize(1)
	names := map[string]model.Parameter{}
	for _, p := range m.Parameters {
		names[p.Name] = p
	}
	decay, step, input := names["injection.decay"], names["injection.step"], names["injection.input.weight"]
	if decay.Decay || step.Decay || input.Decay {
		t.Error("the weights of injection decay")
	}
	for j := range c.Width {
		delta := math.Log1p(math.Exp(float64(x[step.Offset+j])))
		if fall := math.Exp(-delta * math.Exp(float64(x[decay.Offset+j]))); math.Abs(fall-math.Sqrt(0.2)) > 1e-6 {
			t.Errorf("column %d falls to %g in a loop", j, fall)
		}
		for k := range c.Width {
			if v := x[input.Offset+j*c.Width+k]; v != 0 && j != k || v != 1 && j == k {
				t.Errorf("B[%d,%d] begins as %g", j, k, v)
			}
		}
	}
	if names["loop_norm.gain"].Cols != c.Width || names["loop_norm.bias"].Cols != c.Width {
		t.Error("the norm of a loop lacks parameters")
	}
}

// Each kind of weight is one part of the layers' matrices, and together they are all of them but the gates of messages.
func TestWeightGroupsCoverTheLayers(t *testing.T) {
	forEachCase(t, func(t *testing.T, c reference.Case) {
		m := newModel(t, c)
		r := graph.NewRecorder(1, 1)
		arena := r.Accumulator(1, m.Size)
		seen := make([]int, m.Size)
		for _, g := range m.WeightGroups() {
			views := g.Views(arena)
			if len(views) != m.Architecture.Layers() {
				t.Fatalf("%s has %d views for %d layers", g.Name, len(views), m.Architecture.Layers())
			}
			for _, v := range views {
				for i := range v.Rows {
					for j := range v.Cols {
						seen[v.Offset+i*v.Stride+j]++
					}
				}
			}
		}
		for _, p := range m.Parameters {
			want := 0
			if p.Decay && strings.HasPrefix(p.Name, "layers.") && !strings.Contains(p.Name, ".message.") {
				want = 1
			}
			for i, n := range seen[p.Offset : p.Offset+p.Size()] {
				if n != want {
					t.Fatalf("value %d of %s is in %d groups, want %d", i, p.Name, n, want)
				}
			}
		}
	})
}

// Messages and streams begin so that a model computes something at once: nothing is forgotten or heard, so each loop does what the
// first does; the streams are equal, a loop reads their mean, and the mean afterwards is half the old one and half of what the loop made.
func TestCarryBegins(t *testing.T) {
	c := model.Default()
	c.Layers, c.Carry, c.Positions = "2x3", "restart", "learned"
	m, err := model.New(c, model.Loops{}, 11, 7)
	if err != nil {
		t.Fatal(err)
	}
	tokens, _ := reference.Batch(reference.Case{Vocabulary: 11, Length: 7}, groups*sequences, 18)
	arena := m.Initialize(1)
	every := evaluate(t, m, m.Architecture, true, arena, tokens)
	if !slices.Equal(every[0], every[1]) || !slices.Equal(every[0], every[2]) {
		t.Error("loops that hear nothing differ")
	}
	params := 0
	for _, p := range m.Parameters {
		if strings.Contains(p.Name, ".message.") {
			params += p.Size()
		}
	}
	if d, r := c.Width, c.CarryRank; params != 2*(4*d+4*(2*d*r+2*r*d)) {
		t.Errorf("%d parameters of messages", params)
	}

	// One loop of streams: half of what came in, and half of what the layers make of it.
	c = model.Default()
	c.Layers, c.Streams, c.Norm, c.Positions = "1x1", 4, "none", "learned"
	m, err = model.New(c, model.Loops{}, 11, 7)
	if err != nil {
		t.Fatal(err)
	}
	arena = m.Initialize(1)
	for _, p := range m.Parameters {
		if strings.HasPrefix(p.Name, "hyper_connections.") && strings.HasSuffix(p.Name, ".scale") {
			clear(arena[p.Offset : p.Offset+p.Size()]) // the weights depend on nothing
		}
	}
	plain := c
	plain.Streams = 0
	of, err := model.New(plain, model.Loops{}, 11, 7)
	if err != nil {
		t.Fatal(err)
	}
	r := reference.New(m, m.Architecture, arena)
	s := reference.New(of, of.Architecture, of.Initialize(1))
	for name := range s.Weights {
		s.Weights[name] = r.Weights[name]
	}
	got, want := r.States(tokens[0]), s.States(tokens[0])
	for i, row := range want[1] {
		for j, v := range row {
			if mean := (want[0][i][j] + v) / 2; math.Abs(got[1][i][j]-mean) > 1e-6*(1+math.Abs(mean)) {
				t.Fatalf("[%d,%d] is %g after a loop, want %g", i, j, got[1][i][j], mean)
			}
		}
	}
}

// The parts of the matrices inside blocks are the matrices that the groups of weights name, and no other parameter has any but those
// of messages.
func TestParts(t *testing.T) {
	forEachCase(t, func(t *testing.T, c reference.Case) {
		m := newModel(t, c)
		r := graph.NewRecorder(1, 1)
		arena := r.Parameter(newBuffer(t, newCPU(t, 1), make([]float32, m.Size)))
		want := map[graph.Tensor]string{}
		for _, g := range m.WeightGroups() {
			for _, view := range g.Views(arena) {
				want[view] = g.Name
			}
		}
		views := m.Views(arena)
		for i, p := range m.Parameters {
			from := 0
			for _, n := range p.Parts {
				view := views[i].Columns(from, from+n)
				if want[view] == "" && !strings.Contains(p.Name, ".message.") {
					t.Errorf("columns %d to %d of %s are of no group of weights", from, from+n, p.Name)
				}
				delete(want, view)
				from += n
			}
			if from != 0 && from != p.Cols {
				t.Errorf("the parts of %s have %d columns, want %d", p.Name, from, p.Cols)
			}
		}
		for _, name := range want {
			t.Errorf("a matrix of %s is no part of a parameter", name)
		}
	})
}

// Parts of a parameter have the values that it would have if it were made at once.
func TestInitializeParts(t *testing.T) {
	c := model.Default()
	c.Width, c.Heads = 16, 1
	m, err := model.New(c, model.Loops{}, 70000, 4) // more than 2^20 values
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 0x696e6974))
	for i, x := range m.Initialize(5)[:m.Parameters[0].Size()] {
		if want := float32(rng.NormFloat64() * c.InitStd); x != want {
			t.Fatalf("value %d of %s is %g, want %g", i, m.Parameters[0].Name, x, want)
		}
	}
	calls := 0
	wrong := errors.New("no room")
	if err := m.InitializeParts(5, func(int, []float32) error { calls++; return wrong }); err != wrong || calls != 1 {
		t.Errorf("%d calls and error %v, want one and %v", calls, err, wrong)
	}
}
