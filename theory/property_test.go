package theory

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"coil/loop"
	"coil/task"
	"coil/thorough"
)

func drawShape(t *rapid.T, layers int) Shape {
	return Shape{Layers: layers, Width: rapid.IntRange(1, 6).Draw(t, "width"), Heads: rapid.IntRange(1, 3).Draw(t, "heads"),
		HeadWidth: rapid.IntRange(1, 3).Draw(t, "head width"), Hidden: rapid.IntRange(1, 7).Draw(t, "hidden")}
}

// withinBounds fails unless every size is at most the theorem's, and the sizes that it fixes are those.
func withinBounds(t rapid.TB, c *Construction) {
	t.Helper()
	for _, s := range c.Sizes {
		if s.Bound != 0 && s.Built > s.Bound || s.Built < 1 {
			t.Fatalf("%s: %s is %d, want at most %d = %s", c.About, s.Name, s.Built, s.Bound, s.Formula)
		}
		if exact := s.Name == "loops" || s.Name == "width" || s.Name == "layers" || s.Name == "depth"; exact && s.Built != s.Bound {
			t.Fatalf("%s: %s is %d, want %d = %s", c.About, s.Name, s.Built, s.Bound, s.Formula)
		}
	}
	for i, s := range c.Slots {
		end := c.Model.Width
		if i+1 < len(c.Slots) {
			end = c.Slots[i+1].At
		}
		if s.At+s.Width != end || i == 0 && s.At != 0 {
			t.Fatalf("%s: slot %s has coordinates %d to %d, want them to %d", c.About, s.Name, s.At, s.At+s.Width-1, end-1)
		}
	}
}

// exactly runs a construction in each arithmetic, and fails unless all answers are right and no state differs by more than
// the tolerance.
func exactly(t rapid.TB, c *Construction, err error, tolerance float64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	withinBounds(t, c)
	for _, a := range Arithmetics() {
		limit := tolerance
		if a.Argmax {
			limit = 0
		}
		if o := c.Run(a, false); o.Right != o.Answers || o.Answers == 0 || !(o.Largest() <= limit) {
			t.Fatalf("%s, %s: %d of %d right, differences %v, want at most %g", c.About, a, o.Right, o.Answers, o.Difference, limit)
		}
	}
}

// One looped layer computes what any layers on any schedule compute, to the last bit, in every arithmetic.
func TestAnyScheduleLoops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layers := rapid.IntRange(2, 4).Draw(t, "layers")
		c, err := NewLooped(LoopedConfig{Shape: drawShape(t, layers), Schedule: rapid.SliceOfN(rapid.IntRange(0, layers-1), 1, 9).Draw(t, "schedule"),
			Vocabulary: 5, Length: rapid.IntRange(1, 5).Draw(t, "length"), Scale: rapid.SampledFrom([]float64{1, 0.25, 3, 0.01}).Draw(t, "scale"), Examples: 2, Seed: rapid.Uint64().Draw(t, "seed")})
		exactly(t, c, err, 0)
	})
}

// A model that itself loops over several layers, and one with tables, are compiled too.
func TestLoopsOfLoops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 9))
		g, err := NamedGroup("S3")
		if err != nil {
			t.Fatal(err)
		}
		c := newComposition(g, 5, 200)
		m := c.model()
		m.Layers = append(m.Layers, networkLayers(task.RandomLayers(rng, 1, c.width, 1, 2, 3))...)
		m.Schedule, m.Loops = rapid.SliceOfN(rapid.IntRange(0, 1), 1, 3).Draw(t, "schedule"), rapid.IntRange(1, 3).Draw(t, "loops")
		x := c.input([]int{1, 2, 3, 4, 5})
		l, err := Loop(m, x)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range Arithmetics() {
			if got, want := l.Output(l.Run(l.Input(x), a, nil)), m.Run(x, a, nil); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: the outputs differ by %g", a, difference(got, want))
			}
		}
	})
}

// Each of the errors in the printed proof of the first theorem breaks it.
func TestPrintedProofOfLooping(t *testing.T) {
	shape := Shape{Layers: 3, Width: 8, Heads: 2, HeadWidth: 4, Hidden: 12}
	build := func() *Construction {
		c, err := NewLooped(LoopedConfig{Shape: shape, Schedule: []int{0, 2, 1, 1, 0, 2, 2, 1}, Vocabulary: 5, Length: 7, Scale: 1, Examples: 1, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	turn := shape.Width
	for name, change := range map[string]func(l *Layer){
		"nothing": func(*Layer) {},
		"half of each hat": func(l *Layer) {
			for i := range l.Neurons {
				if n := &l.Neurons[i]; len(n.In) == 1 { // reads the counter only
					n.Out = slices.Clone(n.Out)
					for k := range n.Out {
						n.Out[k].Weight /= 2
					}
				}
			}
		},
		"a query of 1 − [turn] and a key of −B": func(l *Layer) {
			for i := range l.Heads {
				h := &l.Heads[i]
				h.Query[len(h.Query)-1] = unit(turn + i/shape.Heads)
				h.Key[len(h.Key)-1] = Row{{h.Key[len(h.Key)-1][0].Index, -h.Key[len(h.Key)-1][0].Weight}}
			}
		},
		"a query of 0 in turn": func(l *Layer) {
			for i := range l.Heads {
				h := &l.Heads[i]
				h.Query[len(h.Query)-1] = unit(turn + i/shape.Heads)
			}
		},
		"biases that wait for no turn": func(l *Layer) {
			for i := range l.Neurons {
				if n := &l.Neurons[i]; len(n.In) == 2 && n.Bias == 1 {
					n.In = nil
				}
			}
		},
	} {
		c := build()
		change(&c.Model.Layers[0])
		if o := c.Run(Arithmetic{}, false); (o.Largest() > 0.1) == (name == "nothing") {
			t.Errorf("with %s the states differ by %g", name, o.Largest())
		}
	}
}

// Words of every length are composed, in every kind of group.
func TestEveryWordLength(t *testing.T) {
	for _, name := range []string{"S3", "Z7", "A4"} {
		g, err := NamedGroup(name)
		if err != nil {
			t.Fatal(err)
		}
		for n := 2; n <= 33; n++ {
			c, err := NewComposition(CompositionConfig{Group: g, Length: n, Sharpness: 200, Examples: 1, Seed: uint64(n)})
			exactly(t, c, err, 0)
		}
	}
}

// A table is what its neurons are.
func TestTableIsItsNeurons(t *testing.T) {
	g, err := NamedGroup("D5")
	if err != nil {
		t.Fatal(err)
	}
	table := newComposition(g, 4, 1).model().Layers[0].Tables[0]
	table.In = Row{{2, -0.25}}
	width := table.Second + table.Bits
	neurons := &Model{Width: width, Scale: 1, Layers: []Layer{{Neurons: slices.Collect(table.neurons())}}, Schedule: []int{0}, Loops: 1}
	tables := &Model{Width: width, Scale: 1, Layers: []Layer{{Tables: []Table{table}}}, Schedule: []int{0}, Loops: 1}
	if a, b := neurons.Layers[0], tables.Layers[0]; a.hidden() != b.hidden() || a.parameters(width) != b.parameters(width) || a.nonzero() != b.nonzero() {
		t.Errorf("%d hidden units of %d weights, %d not zero; the neurons have %d, %d, %d", b.hidden(), b.parameters(width), b.nonzero(), a.hidden(), a.parameters(width), a.nonzero())
	}
	rapid.Check(t, func(t *rapid.T) {
		x := [][]float64{rapid.SliceOfN(rapid.Float64Range(-4, 4), width, width).Draw(t, "x")}
		got, want := tables.Run(x, Arithmetic{}, nil), neurons.Run(x, Arithmetic{}, nil)
		if d := difference(got, want); d > 1e-10 {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// Every number of hops that a length allows, and no other.
func TestEveryNumberOfHops(t *testing.T) {
	for n := 3; n <= 18; n++ {
		for p := range n {
			c, err := NewHops(HopsConfig{Hops: p, Length: n, Letters: 3, Sharpness: 50, Examples: 1, Seed: uint64(p)})
			if p < 1 || p > n-2 {
				if err == nil {
					t.Errorf("%d hops in %d letters are built", p, n)
				}
				continue
			}
			exactly(t, c, err, 1e-18)
		}
	}
	for p := 1; p <= 33; p++ {
		c, err := NewHops(HopsConfig{Hops: p, Length: 40, Letters: 4, Sharpness: 50, Examples: 1, Seed: uint64(p)})
		exactly(t, c, err, 1e-18)
	}
}

// The pointers lead to the answers that the task p-hop has for its own sequences, those that repeat letters too.
func TestHopsOfTheTask(t *testing.T) {
	for _, p := range []int{1, 2, 3, 7, 16} {
		of, err := task.PHop{Letters: 4, Length: 50, Hops: p, Sampler: "planted", Loss: "every"}.New()
		if err != nil {
			t.Fatal(err)
		}
		h := newHops(p, 50, 4, 50)
		sampler, ex := of.NewSampler(), task.NewExample(of)
		checked := 0
		for index := range uint64(3) {
			sampler.Sample(1, index, task.Train, &ex)
			letters := make([]int, len(ex.Tokens))
			for i, c := range ex.Tokens {
				letters[i] = int(c)
			}
			l, err := Loop(h.model(), h.input(letters))
			if err != nil {
				t.Fatal(err)
			}
			e := &hopsExample{l, h, letters}
			x := l.Output(l.Run(e.Input(), Arithmetic{}, nil))
			for i, want := range ex.Targets {
				if found := math.Round(x[i+1][h.v]) != 0; found != (want != task.Ignore) || found && e.letter(x[i+1]) != int(want) {
					t.Errorf("%d hops from position %d: letter %d at %v, want %d", p, i+1, e.letter(x[i+1]), x[i+1][h.v], want)
				}
				checked++
			}
		}
		if checked == 0 {
			t.Errorf("%d hops: nothing to check", p)
		}
	}
}

// Loops write the tokens that a decoder decodes, and one layer on the block's schedule writes them too.
func TestThought(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := ThoughtConfig{Shape: drawShape(t, rapid.IntRange(1, 2).Draw(t, "layers")), Vocabulary: rapid.IntRange(2, 5).Draw(t, "vocabulary"),
			Prompt: rapid.IntRange(1, 4).Draw(t, "prompt"), Tokens: rapid.IntRange(1, 4).Draw(t, "tokens"), Scale: 1, Gap: 1e-6, Sharpness: 200, Examples: 1, Seed: rapid.Uint64().Draw(t, "seed")}
		c, err := NewThought(cfg)
		if err != nil {
			t.Fatal(err)
		}
		e := c.Examples[0].(*thoughtExample)
		if e.smallest < 1e-3 { // another rounding may decide
			t.Skip()
		}
		withinBounds(t, c)
		for _, a := range []Arithmetic{{}, {Float32: true}} {
			if o := c.Run(a, false); o.Right != o.Answers || !(o.Largest() <= 1e-12) {
				t.Fatalf("%s: %d of %d right, differences %v", a, o.Right, o.Answers, o.Difference)
			}
		}
		l, err := Loop(c.Model, e.Input())
		if err != nil {
			t.Fatal(err)
		}
		if got := e.read(l.Output(l.Run(l.Input(e.Input()), Arithmetic{}, nil))); !slices.Equal(got, e.tokens) {
			t.Fatalf("one layer writes %v, want %v", got, e.tokens)
		}
	})
}

// A gap below that of the model makes mixtures of tokens, and the notes say so.
func TestSmallGap(t *testing.T) {
	cfg := ThoughtConfig{Shape: Shape{1, 4, 1, 2, 5}, Vocabulary: 5, Prompt: 3, Tokens: 6, Scale: 1, Gap: 1e-6, Sharpness: 200, Examples: 8, Seed: 1}
	for gap, mixtures := range map[float64]bool{1e-6: false, 10: true} {
		cfg.Gap = gap
		c, err := NewThought(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if o := c.Run(Arithmetic{}, false); (o.Largest() > 1e-3) != mixtures {
			t.Errorf("a gap of %g gives differences %v; %s", gap, o.Difference, c.Notes)
		}
		if want := "so every token is exact"; strings.HasSuffix(strings.Join(c.Notes, "; "), want) == mixtures {
			t.Errorf("a gap of %g is noted as %s", gap, c.Notes)
		}
	}
}

// Every architecture is unrolled and rolled up to one with as few layers or fewer, which computes the same.
func TestUnrollAndRoll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := loop.Equal(rapid.IntRange(1, 3).Draw(t, "k"), rapid.SliceOfN(rapid.IntRange(1, 4), 1, 3).Draw(t, "loops")...)
		c, err := NewUnrolled(UnrolledConfig{Architecture: a, Shape: drawShape(t, 1), Vocabulary: 5, Length: 3, Scale: 1, Examples: 1, Seed: rapid.Uint64().Draw(t, "seed")})
		exactly(t, c, err, 0)
		if e := c.Examples[0].(*unrolledExample); e.back.Layers() != a.Layers() || e.back.Depth() != a.Depth() || e.flat.Depth() != len(e.flat.Layers) {
			t.Fatalf("%s unrolled and rolled up is %s", a, e.back)
		}
	})
}

// Rolling up finds the loops of layers that differ in one weight only.
func TestRollSeesEveryWeight(t *testing.T) {
	layers := networkLayers(task.RandomLayers(rand.New(rand.NewPCG(1, 1)), 2, 3, 1, 2, 2))
	a := loop.Equal(2, 3)
	m, err := NewStack(a, 3, 1, layers)
	if err != nil {
		t.Fatal(err)
	}
	flat := Unroll(m)
	if back, _ := Roll(flat); !reflect.DeepEqual(back, a) {
		t.Errorf("%s rolled up is %s", a, back)
	}
	other := flat.Layers[5]
	other.Neurons = slices.Clone(other.Neurons)
	other.Neurons[1].Bias++
	flat.Layers[5] = other
	if back, _ := Roll(flat); back.Layers() != 4 { // the first two pairs are still equal
		t.Errorf("with another bias in the last layer it is %s, want 2⊗(2,1)", back)
	}
}

// Snapping keeps soft attention's mistakes from adding up.
func TestSnap(t *testing.T) {
	g, err := NamedGroup("Z7")
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewComposition(CompositionConfig{Group: g, Length: 32, Sharpness: 2, Examples: 8, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	free, snapped := c.Run(Arithmetic{}, false), c.Run(Arithmetic{}, true)
	last := len(free.Difference) - 1
	if free.Difference[0] != snapped.Difference[0] || !(snapped.Difference[last] < free.Difference[last]/2) || snapped.Right != snapped.Answers {
		t.Errorf("differences %v without, %v with snapping, %d of %d right", free.Difference, snapped.Difference, snapped.Right, snapped.Answers)
	}
	for kind, want := range map[Kind][3]float64{Real: {-0.6, 0.4, 1.7}, Whole: {-1, 0, 2}, Bit: {0, 0, 1}, Sign: {-1, 1, 1}, Zero: {0, 0, 0}} {
		for i, v := range []float64{-0.6, 0.4, 1.7} {
			if got := kind.snap(v); got != want[i] {
				t.Errorf("%s: %g snaps to %g, want %g", kind, v, got, want[i])
			}
		}
	}
}

// Of equal scores argmax takes the newest.
func TestTies(t *testing.T) {
	m := &Model{Width: 2, Scale: 1, Schedule: []int{0}, Loops: 1, Layers: []Layer{{Heads: []Head{{Query: []Row{{}}, Key: []Row{{}}, Value: []Row{unit(0)}, Out: []Row{unit(1)}}}}}}
	x := [][]float64{{1, 0}, {5, 0}, {9, 0}}
	for i, row := range m.Run(x, Arithmetic{Argmax: true}, nil) {
		if row[1] != x[i][0] {
			t.Errorf("position %d takes %g, want %g, its own", i, row[1], x[i][0])
		}
	}
	for i, row := range m.Run(x, Arithmetic{}, nil) {
		if want := []float64{1, 3, 5}[i]; math.Abs(row[1]-want) > 1e-12 {
			t.Errorf("softmax: position %d takes %g, want %g, the mean", i, row[1], want)
		}
	}
}

// Large cases take seconds, most of them for the table of S7.
func TestLargeCases(t *testing.T) {
	c, err := NewHops(HopsConfig{Hops: 32, Length: 256, Letters: 4, Sharpness: 50, Examples: 1, Seed: 1})
	exactly(t, c, err, 1e-15)
	c, err = NewLooped(LoopedConfig{Shape: Shape{24, 8, 2, 4, 16}, Schedule: RandomSchedule(24, 24, 1), Vocabulary: 5, Length: 12, Scale: 1, Examples: 1, Seed: 1})
	exactly(t, c, err, 0)
	t.Run("S7", func(t *testing.T) {
		thorough.Skip(t)
		g, err := NamedGroup("S7")
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewComposition(CompositionConfig{Group: g, Length: 16, Sharpness: 200, Examples: 1, Seed: 1})
		exactly(t, c, err, 0)
	})
}

// What can't be built is refused before anything is.
func TestErrors(t *testing.T) {
	shape := Shape{2, 4, 1, 2, 3}
	g, err := NamedGroup("Z3")
	if err != nil {
		t.Fatal(err)
	}
	looped := func(change func(*LoopedConfig)) error {
		c := LoopedConfig{Shape: shape, Schedule: []int{0, 1}, Vocabulary: 5, Length: 3, Scale: 1, Examples: 1}
		change(&c)
		_, err := NewLooped(c)
		return err
	}
	composed := func(change func(*CompositionConfig)) error {
		c := CompositionConfig{Group: g, Length: 3, Sharpness: 1, Examples: 1}
		change(&c)
		_, err := NewComposition(c)
		return err
	}
	hopped := func(change func(*HopsConfig)) error {
		c := HopsConfig{Hops: 2, Length: 8, Letters: 4, Sharpness: 50, Examples: 1}
		change(&c)
		_, err := NewHops(c)
		return err
	}
	thought := func(change func(*ThoughtConfig)) error {
		c := ThoughtConfig{Shape: shape, Vocabulary: 3, Prompt: 2, Tokens: 2, Scale: 1, Gap: 1, Sharpness: 1, Examples: 1}
		change(&c)
		_, err := NewThought(c)
		return err
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{looped(func(c *LoopedConfig) { c.Schedule = []int{0, 2} }), "the schedule has layer 2 at depth 1, want 0 to 1"},
		{looped(func(c *LoopedConfig) { c.Schedule = []int{-1} }), "the schedule has layer -1 at depth 0, want 0 to 1"},
		{looped(func(c *LoopedConfig) { c.Schedule = nil }), "the schedule is empty"},
		{looped(func(c *LoopedConfig) { c.Layers, c.Schedule = 1, []int{0} }), "one layer is looped as it is: want at least 2 layers"},
		{looped(func(c *LoopedConfig) { c.Width = 0 }), "width 0, want at least 1"},
		{looped(func(c *LoopedConfig) { c.Hidden = 1 << 40 }), "weights, want at most"},
		{looped(func(c *LoopedConfig) { c.Scale = 0 }), "attention scale 0, want a finite number above 0"},
		{looped(func(c *LoopedConfig) { c.Scale = math.Inf(1) }), "attention scale +Inf"},
		{looped(func(c *LoopedConfig) { c.Length = 0 }), "0 positions, want 1 to"},
		{looped(func(c *LoopedConfig) { c.Examples = 0 }), "0 examples, want 1 to"},
		{composed(func(c *CompositionConfig) { c.Length = 1 }), "words of 1 elements, want 2 to"},
		{composed(func(c *CompositionConfig) { c.Sharpness = math.NaN() }), "sharpness NaN, want more than 0"},
		{hopped(func(c *HopsConfig) { c.Hops = 7 }), "7 hops in 8 letters, want 1 to 6"},
		{hopped(func(c *HopsConfig) { c.Hops = 0 }), "0 hops in 8 letters"},
		{hopped(func(c *HopsConfig) { c.Letters = 2 }), "2 letters, want 3 to 26"},
		{hopped(func(c *HopsConfig) { c.Sharpness = -1 }), "sharpness -1, want more than 0"},
		{thought(func(c *ThoughtConfig) { c.Vocabulary = 1 }), "1 tokens in the vocabulary, want 2 to"},
		{thought(func(c *ThoughtConfig) { c.Tokens = 0 }), "a prompt of 2 tokens and 0 more"},
		{thought(func(c *ThoughtConfig) { c.Gap = 0 }), "gap 0, want 1e-9 to"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%v, want %q", c.err, c.want)
		}
	}
	for _, m := range []*Model{
		{Width: 2, Scale: 1, Layers: []Layer{{Bias: unit(2)}}, Schedule: []int{0}, Loops: 1},
		{Width: 2, Scale: 1, Layers: []Layer{{Bias: Row{{0, math.NaN()}}}}, Schedule: []int{0}, Loops: 1},
		{Width: 2, Scale: 1, Layers: []Layer{{Heads: []Head{{Query: []Row{unit(0)}}}}}, Schedule: []int{0}, Loops: 1},
		{Width: 2, Scale: 1, Layers: []Layer{{Neurons: []Neuron{{Bias: math.Inf(1)}}}}, Schedule: []int{0}, Loops: 1},
		{Width: 2, Scale: 1, Layers: []Layer{{Tables: []Table{{Order: 2, Bits: 1, Out: 2, Product: make([]uint16, 4)}}}}, Schedule: []int{0}, Loops: 1},
		{Width: 2, Scale: 1, Layers: []Layer{{}}, Schedule: []int{0}},
	} {
		if m.Check() == nil {
			t.Errorf("%+v is taken", m)
		}
	}
}
