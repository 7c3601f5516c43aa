package theory

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// fixtures are the constructions as others compute them. fixtures.json is written by testdata/fixtures.py, with full matrices.
// reference.json comes from another implementation, which checks the corrected proofs with sparse rows and draws weights of its own:
// for the layers, words, letters and prompts in it, it has the states after each loop.
type fixtures struct {
	Looped struct {
		Layers   []fixtureLayer
		Schedule []int
		X        [][]float64
		Input    [][]float64
		States   [][][]float64
		Output   [][]float64
	}
	Group struct {
		Table  [][]int
		Word   []int
		Input  [][]float64
		States [][][]float64
	}
	Hops struct {
		Letters []int
		P       int
		Input   [][]float64
		States  [][][]float64
		Found   []int
	}
	Thought struct {
		Layers                  []fixtureLayer
		Tokens, Positions, Head [][]float64
		Prompt, Decoded         []int
		Gap                     float64
		Input                   [][]float64
		States                  [][][]float64
	}
}

// fixtureLayer has heads of Q, K, V and O, and W₁, b₁, W₂ and b₂.
type fixtureLayer struct {
	Heads [][4][][]float64
	FF    [4]json.RawMessage
}

// eachFixture calls f with each.
func eachFixture(t *testing.T, f func(t *testing.T, x fixtures)) {
	t.Helper()
	for _, name := range []string{"fixtures", "reference"} {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile("testdata/" + name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var x fixtures
			if err := json.Unmarshal(b, &x); err != nil {
				t.Fatal(err)
			}
			f(t, x)
		})
	}
}

func layersOf(t *testing.T, all []fixtureLayer) []Layer {
	t.Helper()
	var layers []Layer
	for _, f := range all {
		var l Layer
		for _, h := range f.Heads {
			l.Heads = append(l.Heads, Head{Query: full(h[0]), Key: full(h[1]), Value: full(h[2]), Out: full(transpose(h[3]))})
		}
		var w1, w2 [][]float64
		var b1, b2 []float64
		for i, v := range []any{&w1, &b1, &w2, &b2} {
			if err := json.Unmarshal(f.FF[i], v); err != nil {
				t.Fatal(err)
			}
		}
		for i, in := range full(w1) {
			l.Neurons = append(l.Neurons, Neuron{in, b1[i], full(transpose(w2))[i]})
		}
		l.Bias = full([][]float64{b2})[0]
		layers = append(layers, l)
	}
	return layers
}

// near fails the test unless two states are equal up to the order of sums.
func near(t *testing.T, what string, got, want [][]float64) {
	t.Helper()
	if len(got) != len(want) || len(got[0]) != len(want[0]) {
		t.Fatalf("%s: %d positions of %d numbers, want %d of %d", what, len(got), len(got[0]), len(want), len(want[0]))
	}
	for i, row := range want {
		for j, v := range row {
			if d := math.Abs(got[i][j] - v); !(d <= 1e-12*max(1, math.Abs(v))) {
				t.Fatalf("%s: coordinate %d of position %d is %v, want %v", what, j, i, got[i][j], v)
			}
		}
	}
}

// nearStates runs a model, and compares it after every few layers.
func nearStates(t *testing.T, m *Model, input [][]float64, want [][][]float64) {
	t.Helper()
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	every, compared := m.Depth()/len(want), 0
	m.Run(input, Arithmetic{}, func(depth int, x [][]float64) {
		if depth%every == 0 {
			near(t, "state", x, want[depth/every-1])
			compared++
		}
	})
	if compared != len(want) {
		t.Fatalf("%d states, want %d", compared, len(want))
	}
}

func TestLoopedFixture(t *testing.T) {
	eachFixture(t, testLooped)
}

func testLooped(t *testing.T, x fixtures) {
	f := x.Looped
	m := &Model{Width: len(f.X[0]), Scale: 1, Layers: layersOf(t, f.Layers), Schedule: f.Schedule, Loops: 1}
	near(t, "the layers themselves", m.Run(f.X, Arithmetic{}, nil), f.Output)
	l, err := Loop(m, f.X)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "input", l.Input(f.X), f.Input)
	nearStates(t, l.Model, f.Input, f.States)
}

func TestGroupFixture(t *testing.T) {
	eachFixture(t, testGroup)
}

func testGroup(t *testing.T, x fixtures) {
	f := x.Group
	g, err := NewGroup("table", f.Table)
	if err != nil {
		t.Fatal(err)
	}
	s3, err := NamedGroup("S3")
	if err != nil {
		t.Fatal(err)
	}
	for a := range 6 {
		for b := range 6 { // one applies a first, the other b
			if want := g.Times(a, b); s3.Times(a, b) != want && s3.Times(b, a) != want {
				t.Errorf("in S3 %d∘%d is %d, and %d∘%d is %d, want one of them to be %d", a, b, s3.Times(a, b), b, a, s3.Times(b, a), want)
			}
		}
	}
	c := newComposition(g, len(f.Word), 200)
	near(t, "input", c.input(f.Word), f.Input)
	nearStates(t, c.model(), f.Input, f.States)
	for i, x := range c.exact(f.Word) {
		near(t, "exact", x, f.States[i])
	}
}

func TestHopsFixture(t *testing.T) {
	eachFixture(t, testHops)
}

func testHops(t *testing.T, x fixtures) {
	f := x.Hops
	h := newHops(f.P, len(f.Letters), 3, 50)
	near(t, "input", h.input(f.Letters), f.Input)
	nearStates(t, h.model(), f.Input, f.States)
	exact := h.exact(f.Letters)
	for i, x := range exact {
		near(t, "exact", x, f.States[i])
	}
	for i, found := range f.Found {
		if got := exact[len(exact)-1][i+1][h.v]; got != float64(found) {
			t.Errorf("position %d points at %v, want %d", i+1, got, found)
		}
	}
}

func TestThoughtFixture(t *testing.T) {
	eachFixture(t, testThought)
}

func testThought(t *testing.T, x fixtures) {
	f := x.Thought
	d := &Decoder{Model: &Model{Width: len(f.Tokens[0]), Scale: 1, Layers: layersOf(t, f.Layers), Schedule: []int{0, 1}, Loops: 1},
		Tokens: f.Tokens, Positions: f.Positions, Head: f.Head}
	n := len(f.Prompt)
	m := len(f.Decoded) - n
	tokens, gap := d.Decode(f.Prompt, m, Arithmetic{})
	if !slices.Equal(tokens, f.Decoded) || math.Abs(gap-f.Gap) > 1e-12 {
		t.Errorf("decoded %v with a gap of %v, want %v with %v", tokens, gap, f.Decoded, f.Gap)
	}
	c := newThought(d, n, m, 1e-6, 200)
	near(t, "input", c.input(f.Prompt, 1), f.Input)
	nearStates(t, c.model(), f.Input, f.States)
}
