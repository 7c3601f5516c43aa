package theory

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"coil/format"
	"coil/run"
	"coil/task"
)

// Decoder is a transformer that continues a text: token t at position i, from 1, enters as Tokens[t] + Positions[i−1], and the
// next token is the one whose Head row has the largest product with the last state.
type Decoder struct {
	*Model
	Tokens    [][]float64 // [V, d]
	Positions [][]float64 // [n+m, d]
	Head      [][]float64 // [V, d]
}

// NewDecoder returns the decoder that a network is.
func NewDecoder(n *task.Network) *Decoder {
	return &Decoder{Model: &Model{Width: len(n.Tokens[0]), Scale: n.Scale, Layers: networkLayers(n.Layers), Schedule: n.Schedule, Loops: 1},
		Tokens: n.Tokens, Positions: n.Positions, Head: n.Head}
}

// embed is the state that tokens enter as.
func (d *Decoder) embed(tokens []int) [][]float64 {
	x := make([][]float64, len(tokens))
	for i, t := range tokens {
		x[i] = make([]float64, d.Width)
		for j := range x[i] {
			x[i][j] = d.Tokens[t][j] + d.Positions[i][j]
		}
	}
	return x
}

// Decode continues a prompt greedily by m tokens. The gap is the smallest difference, over the tokens, of the two largest
// logits.
func (d *Decoder) Decode(prompt []int, m int, a Arithmetic) (tokens []int, gap float64) {
	tokens, gap = append(tokens, prompt...), math.Inf(1)
	for range m {
		last := d.Run(d.embed(tokens), a, nil)[len(tokens)-1]
		best, first, second := 0, math.Inf(-1), math.Inf(-1)
		for c, head := range d.Head {
			logit := product(head, last)
			if logit > first {
				best, first, second = c, logit, first
			} else {
				second = max(second, logit)
			}
		}
		tokens, gap = append(tokens, best), min(gap, first-second)
	}
	return tokens, gap
}

// thought is the model of L + 4 layers that, run m times on n tokens and m dummies, writes the m tokens that a decoder of L
// layers writes one after the other (Theorem 5.4 of Saunshi et al., the second of the poster).
//
// With d the width of the decoder and V its tokens a position has d + (d + 4·V + 6) numbers:
//
//	h          d, the state of the decoder; 0 between loops
//	E          V, the token, one-hot; 0 at a dummy that has none yet
//	P          d, the position's vector
//	pos, pos²  2, its number i from 1 and the square
//	u          1, i − n
//	t          1, the number of the loop from 1
//	one        1, always 1
//	S, G, N    3·V, for the choice of the next token; 0 between loops
//	M          1, whether the position has no token yet; 0 between loops
//
// One loop runs these layers:
//
//	embed   h += Σ_c Tokens[c]·E_c + P
//	        the L layers of the decoder, on h
//	score   S_c = Σ_k relu(⟨Head[k] − Head[c], h⟩), 0 for the token with the largest logit
//	choose  G_c = relu(1 − S_c/Gap), one-hot if the two largest logits differ by Gap or more; S = 0; M = relu(u−t+1) − relu(u−t), 1 if u ≥ t
//	shift   a head that looks up pos − 1 copies G there to N; E += relu(N+M−1) − relu(E+M−1); h, G, N and M become 0; t += 1
//
// So loop t writes the token of position n + t, and, at positions after it, one that later loops replace.
type thought struct {
	*Decoder
	n, m int
	gap  float64
	beta float64

	e, p, pos, pos2, u, t, one int
	s, g, next, mask, width    int
}

func newThought(d *Decoder, n, m int, gap, beta float64) thought {
	w, v := d.Width, len(d.Tokens)
	c := thought{Decoder: d, n: n, m: m, gap: gap, beta: beta, e: w, p: w + v, pos: 2*w + v}
	c.pos2, c.u, c.t, c.one = c.pos+1, c.pos+2, c.pos+3, c.pos+4
	c.s, c.g, c.next, c.mask = c.pos+5, c.pos+5+v, c.pos+5+2*v, c.pos+5+3*v
	c.width = c.mask + 1
	return c
}

// checkThought returns an error unless d has what n tokens and m more need.
func checkThought(d *Decoder, n, m int) error {
	switch {
	case n < 1 || m < 1:
		return fmt.Errorf("a prompt of %d tokens and %d more, want at least 1 of each", n, m)
	case n+m > len(d.Positions):
		return fmt.Errorf("a prompt of %d tokens and %d more, want at most %d in all: the positions that the model has", n, m, len(d.Positions))
	case len(d.Tokens) < 2 || len(d.Head) != len(d.Tokens):
		return fmt.Errorf("%d tokens and a head for %d, want as many and at least 2", len(d.Tokens), len(d.Head))
	}
	return d.Check()
}

func (c thought) model() *Model {
	m := &Model{Width: c.width, Scale: c.Scale, Loops: c.m}
	m.Layers = append(m.Layers, c.embed())
	for range c.Loops {
		for _, r := range c.Schedule {
			m.Layers = append(m.Layers, c.Layers[r])
		}
	}
	m.Layers = append(m.Layers, c.score(), c.choose(), c.shift())
	for i := range m.Layers {
		m.Schedule = append(m.Schedule, i)
	}
	return m
}

func (c thought) embed() Layer {
	var l Layer
	for token, vector := range c.Tokens {
		out := make(Row, len(vector))
		for j, v := range vector {
			out[j] = Term{j, v}
		}
		l.Neurons = append(l.Neurons, Neuron{unit(c.e + token), 0, out})
	}
	for j := range c.Width {
		l.Neurons = append(l.Neurons, Neuron{unit(c.p + j), 0, unit(j)}, Neuron{Row{{c.p + j, -1}}, 0, Row{{j, -1}}})
	}
	return l
}

func (c thought) score() Layer {
	var l Layer
	for token, own := range c.Head {
		for k, other := range c.Head {
			if k == token {
				continue
			}
			in := make(Row, len(own))
			for j := range own {
				in[j] = Term{j, other[j] - own[j]}
			}
			l.Neurons = append(l.Neurons, Neuron{in, 0, unit(c.s + token)})
		}
	}
	return l
}

func (c thought) choose() Layer {
	var l Layer
	for k := range c.Tokens {
		l.Neurons = append(l.Neurons, Neuron{Row{{c.s + k, -1 / c.gap}}, 1, unit(c.g + k)}, Neuron{unit(c.s + k), 0, Row{{c.s + k, -1}}})
	}
	left := Row{{c.u, 1}, {c.t, -1}}
	l.Neurons = append(l.Neurons, Neuron{left, 1, unit(c.mask)}, Neuron{left, 0, Row{{c.mask, -1}}})
	return l
}

func (c thought) shift() Layer {
	v := len(c.Tokens)
	l := Layer{
		Heads: []Head{{
			Query: []Row{{{c.pos, 2 * c.beta}, {c.one, -2 * c.beta}}, {{c.one, -c.beta}}}, Key: []Row{unit(c.pos), unit(c.pos2)},
			Value: units(c.g, v), Out: units(c.next, v),
		}},
		Bias: unit(c.t),
	}
	for k := range v {
		e, g, next := c.e+k, c.g+k, c.next+k
		l.Neurons = append(l.Neurons,
			Neuron{Row{{next, 1}, {c.mask, 1}}, -1, unit(e)},
			Neuron{Row{{e, 1}, {c.mask, 1}}, -1, Row{{e, -1}}},
			Neuron{unit(g), 0, Row{{g, -1}}},
			Neuron{unit(next), 0, Row{{next, -1}}})
	}
	l.Neurons = append(l.Neurons, Neuron{unit(c.mask), 0, Row{{c.mask, -1}}})
	for j := range c.Width {
		l.Neurons = append(l.Neurons, clearing(j)...)
	}
	return l
}

// input is the state of a text of n + m positions before loop t. Positions from n + t on have no token yet.
func (c thought) input(tokens []int, t int) [][]float64 {
	x := make([][]float64, c.n+c.m)
	for i := range x {
		x[i] = make([]float64, c.width)
		if i+1 < c.n+t {
			x[i][c.e+tokens[i]] = 1
		}
		copy(x[i][c.p:c.p+c.Width], c.Positions[i])
		pos := float64(i + 1)
		x[i][c.pos], x[i][c.pos2], x[i][c.u], x[i][c.t], x[i][c.one] = pos, pos*pos, pos-float64(c.n), float64(t), 1
	}
	return x
}

// exact are the states after each loop; what E is where later loops write it is free.
func (c thought) exact(tokens []int) [][][]float64 {
	var states [][][]float64
	for t := range c.m {
		x := c.input(tokens, t+2)
		for i := c.n + t + 1; i < len(x); i++ {
			for k := range c.Tokens {
				x[i][c.e+k] = math.NaN()
			}
		}
		states = append(states, x)
	}
	return states
}

// read returns the token of each position.
func (c thought) read(x [][]float64) []int {
	tokens := make([]int, len(x))
	for i, row := range x {
		for k := range c.Tokens {
			if row[c.e+k] > row[c.e+tokens[i]] {
				tokens[i] = k
			}
		}
	}
	return tokens
}

// ThoughtConfig is a random decoder whose chain of thought is to be done by looping.
type ThoughtConfig struct {
	Shape
	Vocabulary int     // V
	Prompt     int     // n
	Tokens     int     // m
	Scale      float64 // of the decoder's attention, and so of all
	Gap        float64 // a token is exact if the two largest logits differ by so much or more
	Sharpness  float64 // β of the look-up: the scores of neighbouring positions differ by it or more
	Examples   int     // random prompts
	Seed       uint64
}

// teacher is the decoder as the task teacher has it.
func (c ThoughtConfig) teacher() task.Teacher {
	return task.Teacher{Vocabulary: c.Vocabulary, Prompt: c.Prompt, Write: c.Tokens, Layers: c.Layers, Schedule: []int{}, Width: c.Width, Heads: c.Heads,
		HeadWidth: c.HeadWidth, Hidden: c.Hidden, Scale: c.Scale, Weights: c.Seed}
}

// NewThought builds the model of the type thought for a random decoder: L + 4 layers, width 2·d + 4·V + 6, m loops.
func NewThought(cfg ThoughtConfig) (*Construction, error) {
	if err := cfg.Shape.Check(); err != nil {
		return nil, err
	}
	if err := checkExamples(cfg.Examples); err != nil {
		return nil, err
	}
	if err := checkVocabulary(cfg.Vocabulary); err != nil {
		return nil, err
	}
	if cfg.Prompt < 1 || cfg.Tokens < 1 || cfg.Prompt+cfg.Tokens > 1<<12 {
		return nil, fmt.Errorf("a prompt of %d tokens and %d more, want at least 1 of each and at most %d in all", cfg.Prompt, cfg.Tokens, 1<<12)
	}
	if !(cfg.Gap >= 1e-9) || cfg.Gap > 1e9 {
		return nil, fmt.Errorf("gap %g, want 1e-9 to 1e9", cfg.Gap)
	}
	if err := checkSharpness(cfg.Sharpness); err != nil {
		return nil, err
	}
	d, rng := NewDecoder(cfg.teacher().Network()), rand.New(rand.NewPCG(cfg.Seed, 2))
	return newThoughts(d, randomTexts(rng, cfg.Examples, cfg.Prompt, cfg.Vocabulary), cfg)
}

func newThoughts(d *Decoder, prompts [][]int, cfg ThoughtConfig) (*Construction, error) {
	if err := checkThought(d, cfg.Prompt, cfg.Tokens); err != nil {
		return nil, err
	}
	t := newThought(d, cfg.Prompt, cfg.Tokens, cfg.Gap, cfg.Sharpness)
	m := t.model()
	if err := m.Check(); err != nil {
		return nil, err
	}
	w, v, layers := d.Width, len(d.Tokens), d.Depth()
	hidden := max(cfg.Hidden, v+2*w, v*(v-1), 2*v+2, 4*v+1+2*w)
	c := &Construction{
		Name:  "cot",
		About: fmt.Sprintf("%s of chain of thought by %s of %d layers", format.Plural(t.m, "token"), format.Plural(t.m, "loop"), len(m.Layers)),
		Step:  "loop",
		Model: m, trainable: func() (*Trainable, error) { return t.trainable(cfg.teacher()) },
		Slots: []Slot{{"h", 0, w, Zero, "state of the decoder, within a loop"}, {"E", t.e, v, Bit, "the token, one-hot; 0 if there is none yet"},
			{"P", t.p, w, Real, "vector of the position"}, {"pos", t.pos, 2, Whole, "the position and its square"}, {"u", t.u, 1, Whole, "pos − n"},
			{"t", t.t, 1, Whole, "number of the next loop"}, {"one", t.one, 1, Bit, "1"}, {"S, G, N, M", t.s, 3*v + 1, Zero, "choice of the next token, within a loop"}},
		Sizes: sizes(m,
			Size{Name: "layers", Bound: layers + 4, Formula: "L + 4"},
			Size{Name: "loops", Bound: t.m, Formula: "m"},
			Size{Name: "width", Bound: 2*w + 4*v + 6, Formula: "2·d + 4·V + 6"},
			Size{Name: "heads", Bound: max(cfg.Heads, 1), Formula: "H"},
			Size{Name: "head width", Bound: max(cfg.HeadWidth, v, 2), Formula: "max(w, V)"},
			Size{Name: "hidden size", Bound: hidden, Formula: "max(f, V·(V − 1), 2·d + 4·V + 1)"}),
	}
	smallest := math.Inf(1)
	for _, prompt := range prompts {
		e := &thoughtExample{thought: t, prompt: prompt}
		e.tokens, e.smallest = d.Decode(prompt, t.m, Arithmetic{})
		smallest = min(smallest, e.smallest)
		c.Examples = append(c.Examples, e)
	}
	note := "so every token is exact"
	if smallest < t.gap {
		note = "so some tokens may be mixtures: build it for a smaller gap"
	}
	c.Notes = append(c.Notes, fmt.Sprintf("a token is exact if the two largest logits differ by %g or more; the smallest gap here is %.3g, %s", t.gap, smallest, note))
	return c, nil
}

type thoughtExample struct {
	thought
	prompt, tokens []int
	smallest       float64 // gap of two logits
}

func (e *thoughtExample) Input() [][]float64 { return e.input(e.prompt, 1) }

// Exact has the tokens that the decoder decodes in the same arithmetic.
func (e *thoughtExample) Exact(a Arithmetic) [][][]float64 {
	tokens := e.tokens
	if a != (Arithmetic{}) {
		tokens, _ = e.Decode(e.prompt, e.m, a)
	}
	return e.exact(tokens)
}

// Right counts the tokens after the prompt.
func (e *thoughtExample) Right(last, exact [][]float64) (right, answers int) {
	want := e.read(exact)
	for i, token := range e.read(last) {
		if i >= e.n {
			answers++
			if token == want[i] {
				right++
			}
		}
	}
	return right, answers
}

// Tokens is the prompt, and a dummy # for each token to write.
func (e *thoughtExample) Tokens() []int {
	tokens := slices.Clone(e.prompt)
	for range e.m {
		tokens = append(tokens, len(e.Decoder.Tokens))
	}
	return tokens
}

// Trace shows the tokens of all positions after each loop; in brackets those that later loops replace.
func (e *thoughtExample) Trace(states [][][]float64) *run.Trace {
	t := &run.Trace{About: "The token of each position. What stands in brackets is replaced by a later loop.", Columns: []string{"position"}}
	start := run.TraceRow{Label: "start"}
	for i := range e.n + e.m {
		t.Columns = append(t.Columns, strconv.Itoa(i+1))
		c := run.TraceCell{Text: "#", Tone: faint}
		if i < e.n {
			c = run.TraceCell{Text: strconv.Itoa(e.prompt[i])}
		}
		start.Cells = append(start.Cells, c)
	}
	t.Rows = append(t.Rows, start)
	for n, x := range states {
		row := run.TraceRow{Label: fmt.Sprintf("loop %d", n+1), Loop: n + 1}
		for i, token := range e.read(x) {
			c := run.TraceCell{Text: strconv.Itoa(token)}
			switch {
			case i > e.n+n:
				c = run.TraceCell{Text: fmt.Sprintf("(%d)", token), Tone: faint}
			case i == e.n+n:
				c.Tone, c.From = strong, []int{i - 1}
			}
			row.Cells = append(row.Cells, c)
		}
		t.Rows = append(t.Rows, row)
	}
	decoder := run.TraceRow{Label: "decoder"}
	for _, token := range e.tokens {
		decoder.Cells = append(decoder.Cells, run.TraceCell{Text: strconv.Itoa(token)})
	}
	t.Rows = append(t.Rows, decoder)
	return t
}
