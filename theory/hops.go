package theory

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"strings"

	"coil/run"
)

// hops is a model of at most 4 layers with ⌈log₂ p⌉ + 2 turns that answers p-hop at every position. With v_1 … v_n the
// letters,
//
//	find_1(v, i) = max({0} ∪ {j ≤ i : v_{j−1} = v_i}),   find_q = find_1 applied q times,   find_q(0) = 0
//
// and the answer at i is the letter at find_p(v, i). With S letters a position has 4·S + 8 numbers:
//
//	letter      S, one-hot; 0 at position 0, which stands in front of the letters
//	pos, pos²   2, its number i and the square
//	start       1, 1 at position 0
//	prev        S, the letter before, from the first layer on
//	u           1, a pointer; at first i
//	v, answer   1 + S, the second pointer and the letter there
//	u₂, v₂, a₂  2 + S, 0 between layers
//	one         1, always 1
//
// A head looks up the position that a coordinate τ points at with query (2βτ, −β) and key (pos, pos²), since
// 2βτ·j − βj² = βτ² − β(τ − j)². The layers:
//
//	previous   looks up pos − 1, and copies its letter to prev
//	induct     with scores β(n+3)·⟨letter_i, prev_j⟩ + β·j, and β(n+3) at position 0, finds the last j with prev_j = letter_i,
//	           which is find_1, or 0; copies j to v and the letter there to answer
//	double U   looks up u, and reads u, v and the answer there; D V looks up v
//
// Before and after a doubling (u, v) is (find_q, find_{q+1}). Doubling at u gives (find_2q, find_{2q+1}), at v
// (find_{2q+1}, find_{2q+2}). The bits of p − 1, the highest first, say which: v ends as find_p.
type hops struct {
	p, n, letters int
	beta          float64

	pos, pos2, start, prev int
	u, v, answer           int
	u2, v2, answer2, one   int
	width                  int
}

func newHops(p, n, letters int, beta float64) hops {
	s := letters
	return hops{p: p, n: n, letters: s, beta: beta, pos: s, pos2: s + 1, start: s + 2, prev: s + 3, u: 2*s + 3, v: 2*s + 4, answer: 2*s + 5,
		u2: 3*s + 5, v2: 3*s + 6, answer2: 3*s + 7, one: 4*s + 7, width: 4*s + 8}
}

// checkHops returns an error unless a sequence of n letters can have p hops: each goes at least one position back if
// neighbours differ, from n down to 2.
func checkHops(p, n, letters int) error {
	const most = 1 << 12
	switch {
	case letters < 3 || letters > 26:
		return fmt.Errorf("%d letters, want 3 to 26", letters)
	case n < 3 || n > most:
		return fmt.Errorf("sequences of %d letters, want 3 to %d", n, most)
	case p < 1 || p > n-2:
		return fmt.Errorf("%d hops in %d letters, want 1 to %d: a hop goes back by at least one position, and the last ends at position 2", p, n, n-2)
	}
	return nil
}

// turns is ⌈log₂ p⌉ + 2.
func (c hops) turns() int { return 2 + bits.Len(uint(c.p-1)) }

// lookup is a head that copies the coordinates from of the position that the query's first number points at.
func (c hops) lookup(query Row, from, to []Row) Head {
	return Head{Query: []Row{query, {{c.one, -c.beta}}}, Key: []Row{unit(c.pos), unit(c.pos2)}, Value: from, Out: to}
}

func (c hops) previous() Layer {
	return Layer{Heads: []Head{c.lookup(Row{{c.pos, 2 * c.beta}, {c.one, -2 * c.beta}}, units(0, c.letters), units(c.prev, c.letters))}}
}

func (c hops) induct() Layer {
	high := c.beta * float64(c.n+3)
	h := Head{Key: units(c.prev, c.letters), Value: append([]Row{unit(c.pos)}, units(0, c.letters)...), Out: append([]Row{unit(c.v)}, units(c.answer, c.letters)...)}
	for t := range c.letters {
		h.Query = append(h.Query, Row{{t, high}})
	}
	h.Query = append(h.Query, unit(c.one))
	h.Key = append(h.Key, Row{{c.pos, c.beta}, {c.start, high}})
	return Layer{Heads: []Head{h}}
}

// double looks up the pointer at a coordinate.
func (c hops) double(pointer int) Layer {
	from := append([]Row{unit(c.u), unit(c.v)}, units(c.answer, c.letters)...)
	to := append([]Row{unit(c.u2), unit(c.v2)}, units(c.answer2, c.letters)...)
	l := Layer{Heads: []Head{c.lookup(Row{{pointer, 2 * c.beta}}, from, to)}}
	for i := range from { // no value is ever below 0
		old, found := from[i][0].Index, to[i][0].Index
		l.Neurons = append(l.Neurons, Neuron{unit(old), 0, Row{{old, -1}}}, Neuron{unit(found), 0, Row{{old, 1}, {found, -1}}})
	}
	return l
}

// model has the layers that p needs: both doublings only if p isn't a power of 2.
func (c hops) model() *Model {
	m := &Model{Width: c.width, Scale: 1, Layers: []Layer{c.previous(), c.induct()}, Schedule: []int{0, 1}, Loops: 1}
	layer := map[int]int{} // by pointer
	for t := c.turns() - 3; t >= 0; t-- {
		pointer := c.u
		if (c.p-1)>>t&1 != 0 {
			pointer = c.v
		}
		if _, ok := layer[pointer]; !ok {
			layer[pointer] = len(m.Layers)
			m.Layers = append(m.Layers, c.double(pointer))
		}
		m.Schedule = append(m.Schedule, layer[pointer])
	}
	return m
}

// input is the state of letters from 0.
func (c hops) input(letters []int) [][]float64 {
	x := make([][]float64, c.n+1)
	for i := range x {
		x[i] = make([]float64, c.width)
		if i > 0 {
			x[i][letters[i-1]] = 1
		} else {
			x[i][c.start] = 1
		}
		x[i][c.pos], x[i][c.pos2], x[i][c.u], x[i][c.one] = float64(i), float64(i*i), float64(i), 1
	}
	return x
}

// walk is find_1 of each position.
type walk []int

// find is find_q.
func (w walk) find(q, i int) int {
	for range q {
		i = w[i]
	}
	return i
}

func (c hops) first(letters []int) walk {
	first := make(walk, c.n+1)
	for i := 2; i <= c.n; i++ {
		for j := i; j >= 2; j-- {
			if letters[j-2] == letters[i-1] {
				first[i] = j
				break
			}
		}
	}
	return first
}

// exact are the states after each turn, with the pointers found by walking.
func (c hops) exact(letters []int) [][][]float64 {
	first := c.first(letters)
	var states [][][]float64
	q := 0
	for turn := range c.turns() {
		if turn >= 2 {
			q = 2*q + (c.p-1)>>(c.turns()-1-turn)&1
		}
		x := c.input(letters)
		for i := range x {
			if i >= 2 {
				x[i][c.prev+letters[i-2]] = 1
			}
			if turn == 0 {
				continue
			}
			u, v := first.find(q, i), first.find(q+1, i)
			x[i][c.u], x[i][c.v] = float64(u), float64(v)
			if v > 0 {
				x[i][c.answer+letters[v-1]] = 1
			}
		}
		states = append(states, x)
	}
	return states
}

// HopsConfig is sequences of letters to be hopped through.
type HopsConfig struct {
	Hops      int     // p
	Length    int     // n
	Letters   int     // S
	Sharpness float64 // β: the scores of neighbouring positions differ by it or more
	Examples  int     // random sequences in which neighbours differ; of 100 the first with p hops from the last position, if there is one
	Seed      uint64
}

// NewHops builds the layers of the type hops and compiles them into one by [Loop]: R = 3 heads if p is a power of 2 above 1
// (2 for p = 1, else at most 4), width 4·S + 8 + R + 2, ⌈log₂ p⌉ + 2 loops.
func NewHops(cfg HopsConfig) (*Construction, error) {
	if err := checkExamples(cfg.Examples); err != nil {
		return nil, err
	}
	if err := checkHops(cfg.Hops, cfg.Length, cfg.Letters); err != nil {
		return nil, err
	}
	if err := checkSharpness(cfg.Sharpness); err != nil {
		return nil, err
	}
	h := newHops(cfg.Hops, cfg.Length, cfg.Letters, cfg.Sharpness)
	m := h.model()
	rng := rand.New(rand.NewPCG(cfg.Seed, 1))
	var all [][]int
	var inputs [][][]float64
	for range cfg.Examples {
		letters := h.draw(rng)
		for tries := 1; tries < 100 && h.first(letters).find(h.p, h.n) == 0; tries++ {
			letters = h.draw(rng)
		}
		all, inputs = append(all, letters), append(inputs, h.input(letters))
	}
	l, err := Loop(m, inputs...)
	if err != nil {
		return nil, err
	}
	r, s := len(m.Layers), cfg.Letters
	c := &Construction{
		Name:  "p-hop",
		About: fmt.Sprintf("%d hops in %d letters by %d loops of one layer", h.p, h.n, h.turns()),
		Step:  "loop",
		Model: l.Model, trainable: func() (*Trainable, error) { return h.trainable(l) },
		Slots: l.slots(h.slots()),
		Notes: append(l.notes(), fmt.Sprintf("scores of a look-up differ by %g or more, so that softmax gives the others less than exp(−%g)", h.beta, h.beta)),
		Sizes: sizes(l.Model,
			Size{Name: "layers", Bound: 1},
			Size{Name: "loops", Bound: h.turns(), Formula: "⌈log₂ p⌉ + 2"},
			Size{Name: "width", Bound: 4*s + 8 + r + 2, Formula: "4·S + 8 + R + 2"},
			Size{Name: "heads", Bound: r, Formula: "R"},
			Size{Name: "head width", Bound: s + 2, Formula: "S + 2"},
			Size{Name: "hidden size", Bound: r*(2*(s+2)+1) + h.turns() + 2, Formula: "R·(f + 1) + L + 2, f = 2·(S + 2)"}),
	}
	for _, letters := range all {
		c.Examples = append(c.Examples, &hopsExample{l, h, letters})
	}
	return c, nil
}

// draw returns a sequence in which neighbours differ.
func (c hops) draw(rng *rand.Rand) []int {
	letters := make([]int, c.n)
	for i := range letters {
		if i == 0 {
			letters[i] = rng.IntN(c.letters)
		} else {
			letters[i] = (letters[i-1] + 1 + rng.IntN(c.letters-1)) % c.letters
		}
	}
	return letters
}

func (c hops) slots() []Slot {
	return []Slot{{"letter", 0, c.letters, Bit, "one-hot"}, {"pos", c.pos, 2, Whole, "the position and its square"}, {"first", c.start, 1, Bit, "1 at position 0"},
		{"prev", c.prev, c.letters, Bit, "the letter before"}, {"u", c.u, 1, Whole, "pointer: find_q"}, {"v", c.v, 1, Whole, "pointer: find_{q+1}"},
		{"answer", c.answer, c.letters, Bit, "the letter at v"}, {"u₂, v₂, a₂", c.u2, 2 + c.letters, Zero, "what a look-up found, within a loop"}, {"one", c.one, 1, Bit, "1"}}
}

type hopsExample struct {
	*Looped
	hops
	letters []int
}

func (e *hopsExample) Input() [][]float64 { return e.Looped.Input(e.input(e.letters)) }

func (e *hopsExample) Exact(Arithmetic) [][][]float64 {
	states := e.exact(e.letters)
	for t, x := range states {
		states[t] = e.state(x, t+1)
	}
	return states
}

// Right counts the positions whose pointer and letter are right.
func (e *hopsExample) Right(last, exact [][]float64) (right, answers int) {
	got, want := e.Output(last), e.Output(exact)
	for i := 1; i <= e.n; i++ {
		answers++
		if math.Round(got[i][e.v]) == want[i][e.v] && (want[i][e.v] == 0 || e.letter(got[i]) == e.letter(want[i])) {
			right++
		}
	}
	return right, answers
}

// letter is the number of a position's answer.
func (e *hopsExample) letter(x []float64) int {
	best := 0
	for t := range e.hops.letters {
		if x[e.answer+t] > x[e.answer+best] {
			best = t
		}
	}
	return best
}

// Tokens is the letters behind the two tokens #.
func (e *hopsExample) Tokens() []int {
	start := e.hops.letters
	return append([]int{start, start}, e.letters...)
}

// Trace shows the second pointer of each position after each loop, of long sequences at the end.
func (e *hopsExample) Trace(states [][][]float64) *run.Trace {
	const shown = 20
	w := window{max(1, e.n+1-shown)}
	t := &run.Trace{About: "The pointer of each position after each loop; · where there are not as many hops.", Columns: []string{"position"}}
	row := func(label string, loop int, cell func(i int) run.TraceCell) {
		r := run.TraceRow{Label: label, Loop: loop}
		for i := w.first; i <= e.n; i++ {
			r.Cells = append(r.Cells, cell(i))
		}
		t.Rows = append(t.Rows, r)
	}
	text := func(letter int) string { return string(rune('a' + letter)) }
	for i := w.first; i <= e.n; i++ {
		t.Columns = append(t.Columns, strconv.Itoa(i))
	}
	row("letter", 0, func(i int) run.TraceCell { return run.TraceCell{Text: text(e.letters[i-1])} })
	nothing := run.TraceCell{Text: "·", Tone: faint}
	q := 0
	var walk []string
	var before [][]float64
	for n, x := range states {
		x := e.Output(x)
		if n == 0 {
			row("loop 1: letter before", 1, func(i int) run.TraceCell {
				for c := range e.hops.letters {
					if x[i][e.prev+c] > 0.5 {
						return run.TraceCell{Text: text(c), From: w.from(i - 1)}
					}
				}
				return nothing
			})
			before = x
			continue
		}
		bit := 0
		if n >= 2 {
			bit = (e.p - 1) >> (e.turns() - 1 - n) & 1
			q = 2*q + bit
		}
		hops := fmt.Sprintf("%d hops", q+1)
		if q == 0 {
			hops = "1 hop"
		}
		row(fmt.Sprintf("loop %d: %s", n+1, hops), n+1, func(i int) run.TraceCell {
			v := int(math.Round(x[i][e.v]))
			if v == 0 {
				return nothing
			}
			c := run.TraceCell{Text: strconv.Itoa(v)}
			switch {
			case n == 1:
				c.From = w.from(v)
			case bit == 1:
				c.From = w.from(int(math.Round(before[i][e.v])))
			default:
				c.From = w.from(int(math.Round(before[i][e.u])))
			}
			if i == e.n {
				c.Tone = strong
			}
			return c
		})
		walk = append(walk, fmt.Sprintf("%.0f after %s", math.Round(x[e.n][e.v]), hops))
		before = x
	}
	last := e.Output(states[len(states)-1])
	row("answer", 0, func(i int) run.TraceCell {
		if math.Round(last[i][e.v]) == 0 {
			return nothing
		}
		c := run.TraceCell{Text: text(e.letter(last[i]))}
		if i == e.n {
			c.Tone = strong
		}
		return c
	})
	t.Note = fmt.Sprintf("position %d points at %s", e.n, strings.Join(walk, ", "))
	return t
}
