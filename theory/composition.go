package theory

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strconv"

	"coil/format"
	"coil/run"
)

// composition is the layer of Theorem 5.1 of Saunshi et al. It composes g_1∘g_2∘…∘g_n in ⌈log₂ n⌉ loops.
//
// With m = ⌈log₂|G|⌉ and s = ⌈log₂(n+1)⌉, position i of 0 to n has 3·(m + s) numbers:
//
//	g            m, the code of g_i; g_0 is the identity
//	own          s, the code of i
//	left, right  2·s, the codes of [2i−n−1]₊ and [2i−n]₊
//	a, b         2·m, 0 between loops
//
// A code of a number has 1 for a bit that is set and −1 for one that isn't, so that two codes of s bits have a product of s
// if they are equal and of at most s − 2 if not. Two heads, with query T·left or T·right, key own and value g, copy g of those
// two positions to a and b; both lie at or before i. The |G|² units of a [Table] add the code of a∘b to g, and 6·m neurons
// take the old g, a and b away. One loop is thus
//
//	g_i ← g_[2i−n−1]₊ ∘ g_[2i−n]₊
//
// and halves the number of elements that differ from the identity. The product is at position n.
type composition struct {
	group *Group
	n     int
	m, s  int
	own   int
	left  int
	right int
	a, b  int
	width int
	sharp float64 // T
}

func newComposition(g *Group, n int, sharpness float64) composition {
	c := composition{group: g, n: n, m: codeBits(g.Order()), s: codeBits(n + 1), sharp: sharpness}
	c.own = c.m
	c.left, c.right = c.own+c.s, c.own+2*c.s
	c.a, c.b = c.own+3*c.s, c.own+3*c.s+c.m
	c.width = 3 * (c.m + c.s)
	return c
}

// loops is ⌈log₂ n⌉.
func (c composition) loops() int { return bits.Len(uint(c.n - 1)) }

// targets are the positions that position i composes.
func (c composition) targets(i int) (left, right int) { return max(0, 2*i-c.n-1), max(0, 2*i-c.n) }

func (c composition) model() *Model {
	copyFrom := func(target, to int) Head {
		h := Head{Key: units(c.own, c.s), Value: units(0, c.m), Out: units(to, c.m)}
		for t := range c.s {
			h.Query = append(h.Query, Row{{target + t, c.sharp}})
		}
		return h
	}
	l := Layer{
		Heads:  []Head{copyFrom(c.left, c.a), copyFrom(c.right, c.b)},
		Tables: []Table{{Order: c.group.Order(), Bits: c.m, First: c.a, Second: c.b, Out: 0, Product: c.group.product}},
	}
	for _, at := range []int{0, c.a, c.b} {
		for t := range c.m {
			l.Neurons = append(l.Neurons, clearing(at+t)...)
		}
	}
	return &Model{Width: c.width, Scale: 1, Layers: []Layer{l}, Schedule: []int{0}, Loops: max(1, c.loops())}
}

// clearing are two neurons that set a coordinate to 0: −relu(x) + relu(−x).
func clearing(i int) []Neuron {
	return []Neuron{{Row{{i, 1}}, 0, Row{{i, -1}}}, {Row{{i, -1}}, 0, Row{{i, 1}}}}
}

// input is the state of the word g_1 … g_n.
func (c composition) input(word []int) [][]float64 {
	x := make([][]float64, c.n+1)
	for i := range x {
		x[i] = make([]float64, c.width)
		element := c.group.identity
		if i > 0 {
			element = word[i-1]
		}
		left, right := c.targets(i)
		code(x[i][:c.m], element)
		code(x[i][c.own:c.own+c.s], i)
		code(x[i][c.left:c.left+c.s], left)
		code(x[i][c.right:c.right+c.s], right)
	}
	return x
}

// exact are the states after each loop, with the products taken from the group.
func (c composition) exact(word []int) [][][]float64 {
	now := append([]int{c.group.identity}, word...)
	var states [][][]float64
	for range max(1, c.loops()) {
		next := make([]int, len(now))
		for i := range now {
			left, right := c.targets(i)
			next[i] = c.group.Times(now[left], now[right])
		}
		now = next
		states = append(states, c.input(now[1:]))
	}
	return states
}

// checkWord returns an error unless words of n elements can be composed.
func checkWord(n int) error {
	const most = 1 << 12
	if n < 2 || n > most {
		return fmt.Errorf("words of %d elements, want 2 to %d", n, most)
	}
	return nil
}

// CompositionConfig is words of a group to be composed.
type CompositionConfig struct {
	Group     *Group
	Length    int     // elements of a word
	Sharpness float64 // T, by which queries are multiplied; codes that differ by one bit have scores 2·T apart
	Examples  int     // random words
	Seed      uint64
}

// NewComposition builds the layer that composes words, as the type composition says: 2 heads, width 3·(m + s), |G|² + 6·m
// hidden units, ⌈log₂ n⌉ loops.
func NewComposition(cfg CompositionConfig) (*Construction, error) {
	if err := checkExamples(cfg.Examples); err != nil {
		return nil, err
	}
	if err := checkWord(cfg.Length); err != nil {
		return nil, err
	}
	if err := checkSharpness(cfg.Sharpness); err != nil {
		return nil, err
	}
	c := newComposition(cfg.Group, cfg.Length, cfg.Sharpness)
	m := c.model()
	if err := m.Check(); err != nil {
		return nil, err
	}
	order := c.group.Order()
	k := &Construction{
		Name:  "group",
		About: fmt.Sprintf("%d elements of %s, of order %d, composed in %s", c.n, c.group.Name, order, format.Plural(m.Loops, "loop")),
		Step:  "loop",
		Model: m, trainable: c.trainable,
		Slots: []Slot{{"g", 0, c.m, Sign, "code of an element"}, {"own", c.own, c.s, Sign, "code of the position"},
			{"left", c.left, c.s, Sign, "code of the position of the left factor"}, {"right", c.right, c.s, Sign, "of the right factor"},
			{"a, b", c.a, 2 * c.m, Zero, "codes of the factors, within a loop"}},
		Notes: []string{fmt.Sprintf("scores of a head differ by %g or more, so that softmax gives the others less than exp(−%g)", 2*c.sharp, 2*c.sharp)},
		Sizes: sizes(m,
			Size{Name: "layers", Bound: 1},
			Size{Name: "loops", Bound: c.loops(), Formula: "⌈log₂ n⌉"},
			Size{Name: "width", Bound: 3 * (c.m + c.s), Formula: "3·(⌈log₂|G|⌉ + ⌈log₂(n+1)⌉)"},
			Size{Name: "heads", Bound: 2},
			Size{Name: "head width", Bound: max(c.m, c.s), Formula: "max(⌈log₂|G|⌉, ⌈log₂(n+1)⌉)"},
			Size{Name: "hidden size", Bound: order*order + 6*c.m, Formula: "|G|² + 6·⌈log₂|G|⌉"}),
	}
	rng := rand.New(rand.NewPCG(cfg.Seed, 1))
	for range cfg.Examples {
		word := make([]int, c.n)
		for i := range word {
			word[i] = rng.IntN(order)
		}
		k.Examples = append(k.Examples, &compositionExample{c, word})
	}
	return k, nil
}

// checkSharpness returns an error unless scores can be multiplied by v.
func checkSharpness(v float64) error {
	if !(v > 0) || v > 1e9 {
		return fmt.Errorf("sharpness %g, want more than 0 and at most 1e9", v)
	}
	return nil
}

type compositionExample struct {
	composition
	word []int
}

func (e *compositionExample) Input() [][]float64             { return e.input(e.word) }
func (e *compositionExample) Exact(Arithmetic) [][][]float64 { return e.exact(e.word) }

// Right is whether the product at position n is that of the word, taken one element after the other.
func (e *compositionExample) Right(last, _ [][]float64) (right, answers int) {
	want := e.word[0]
	for _, g := range e.word[1:] {
		want = e.group.Times(want, g)
	}
	if decode(last[e.n][:e.m]) == want {
		right = 1
	}
	return right, 1
}

// Tokens is the word behind #.
func (e *compositionExample) Tokens() []int { return append([]int{e.group.Order()}, e.word...) }

// Trace shows which elements each position has composed, and what they come to. Of long words it shows the end.
func (e *compositionExample) Trace(states [][][]float64) *run.Trace {
	const shown = 12
	w := window{max(0, e.n+1-shown)}
	factors := make([][2]int, e.n+1) // the first and last element of a position's product; 1, 0 is none
	for i := range factors {
		factors[i] = [2]int{max(1, i), i}
	}
	t := &run.Trace{About: "A loop puts the product of two positions into each; · is the identity of the token #.", Columns: []string{"position"}}
	row := func(label string, loop int, x [][]float64) {
		r := run.TraceRow{Label: label, Loop: loop}
		for i := w.first; i <= e.n; i++ {
			c := run.TraceCell{Text: "·", Below: "?", Tone: faint}
			if g := decode(x[i][:e.m]); g < len(e.group.Texts) {
				c.Below = e.group.Texts[g]
			}
			if f := factors[i]; f[0] <= f[1] {
				c.Text, c.Tone = fmt.Sprintf("g%d…g%d", f[0], f[1]), 0
				if f[0] == f[1] {
					c.Text = fmt.Sprintf("g%d", f[0])
				}
				if f == [2]int{1, e.n} {
					c.Tone = strong
				}
				if loop > 0 {
					c.From = w.from(e.targets(i))
				}
			}
			r.Cells = append(r.Cells, c)
		}
		t.Rows = append(t.Rows, r)
	}
	for i := w.first; i <= e.n; i++ {
		t.Columns = append(t.Columns, strconv.Itoa(i))
	}
	row("start", 0, e.input(e.word))
	for n, x := range states {
		next := make([][2]int, len(factors))
		for i := range next {
			left, right := e.targets(i)
			next[i] = join(factors[left], factors[right])
		}
		factors = next
		row(fmt.Sprintf("loop %d", n+1), n+1, x)
	}
	return t
}

// join is the factors of a product.
func join(a, b [2]int) [2]int {
	switch {
	case a[0] > a[1]:
		return b
	case b[0] > b[1]:
		return a
	}
	return [2]int{a[0], b[1]}
}
