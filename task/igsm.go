package task

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"coil/config/schema"
	"coil/metric"
)

// IGSM configures i-GSM, arithmetic over a graph of quantities: definitions in random order, some of which are not needed,
// and a question,
//
//	E#J := E#I .  I#N := 2 * ( J#P + E#J ) .  E#I := 4 .  F#K := E#J - E#I .  J#P := E#J + 3 .  I#N ?
//
// all modulo Modulus. The answer is I#N = 2·(J#P + E#J) = 2·(0 + 4) = 1 modulo 7. It is one token, and the only target;
// there is no chain of thought.
//
// The quantities are the edges of a graph of entities in Levels levels; edges go from one level to the next. E#I is the
// number of I that an E has. The letters of a level are fixed (A to D, E to H and so on, at width 4); a problem has a random
// choice of them, and of the edges. A definition is a constant; or the sum of one to three quantities, or the difference of
// two, possibly with a constant as the last summand or as a factor of the whole, in brackets.
//
// # Operations
//
// A definition with k operands, including its constant, takes max(1, k−1) operations. A problem has the operations of the
// definitions that its answer needs. Their number s is drawn first, as Law says. The distribution of the problems with s
// operations is that of Ye et al. without abstract quantities:
//
//   - Sizes: the number m of necessary definitions is uniform from n to s, where n is the larger of two uniform draws from 1
//     to s. The smallest number w0 and the largest number w1 of entities of a level are the smaller and the larger of two
//     draws from 2 to Width, in which w has probability ∝ exp(−(r − x_w)²), with r = (s−1)/(Edges−1) and x_w evenly spaced
//     from 0.2 to 0.8. The number e of edges is the smaller of two uniform draws from (Levels−1)·w0 to Edges, but at most
//     (Levels−1)·w1². If m > e, then m is e. Sizes with which s operations are impossible are drawn again.
//   - Graph: every level has w0 entities. While there is no room for e edges, a random level with fewer than w1 entities gets
//     another one; after that, more are added while tosses of a coin, whose bias is drawn for the problem, say so and e edges
//     can reach them. Each entity below the first level gets a random parent; random other edges complete the e.
//   - Necessary definitions, of m of the edges, in the order in which they are solved: each is an operand of the next, so
//     the last, which the question asks for, needs all of them. Operations are added to random definitions up to s in all,
//     so that none has more than four operands; further operands are drawn from the earlier definitions.
//   - Distractors, of all other edges. With probability 1/2, a distractor is made from earlier distractors of this kind, and
//     otherwise from any earlier definitions. It has one operand, and with probability 1/2 each a second, a third and a
//     fourth.
//
// Where there is a choice, a constant is among the operands with probability 1/2 or more, and always among four. Beside
// other operands, it is a summand or a factor with even odds, and two quantities are a sum or a difference. Constants are
// uniform, but no factor is 0. The order of the definitions, and of the operands in each, is uniform.
//
// If the modulus is prime, all answers except 0 are equally likely: multiplying all constants except the factors by a number
// multiplies the answer by it and preserves the distribution. 0 is likelier, as in b := a, c := b − a.
//
// # The split
//
// Solution templates are held out, so that a model can't learn them by heart. A template is the solution without names and
// values of constants: the number of operations, and for the quantity asked for, and recursively for those that it is made
// of, whether there is a constant, as a summand or a factor, and whether there is a sum or a difference. It ignores the order
// of summands, of the definitions and of the steps, and whether a quantity is used twice or two are made in the same way.
// Ye et al. hash the text of a solution in which names and numbers are replaced; two problems with the same text have the
// same template here, so their templates are never in both splits either.
//
// Fewer than 5 operations have too few templates to hold any out (one of 1, three of 2, 180 of 4). Those belong to training,
// so held-out problems are harder on average than training problems.
//
// # Questions
//
// A model learns little from one target in a sequence. With Ask "every", a problem ends with a question for each quantity, in
// random order; the last question is the one that evaluation uses:
//
//	... I#N := 2 * ( J#P + E#J ) .  J#P ?  E#I ?  F#K ?  E#J ?  I#N ?
//
// In training, the target of each question is its answer, except where the solution template is held out. Held-out problems
// have the same questions and only the target of the last one. No answer is among the tokens, so none gives another away.
//
// # Kinds
//
// The kinds are ranges of the number of operations with equal shares of the held-out problems, so that the mean over kinds is
// the accuracy on all problems. A number of operations at which two ranges meet is in both kinds. In training, the first kind
// also has the problems with fewer than 5 operations.
//
// Sources: Saunshi et al., arXiv 2502.17416 (four levels, symbols, modulo 7, no abstract quantities, and an example; it
// prints no brackets, but its solution computes them); Ye et al., "Physics of language models: part 2.1", arXiv
// 2407.20311, and their code (the generator; 15 operations and 20 edges are their iGSM-med). Their problems sometimes have two
// or three levels, and four quantities in a sum, which the example does not have. The tokens are our reading. Saunshi et al.
// built their own version and refer to Ye et al. for all details; it differs slightly from this one, because their example has
// an entity below the first level without a parent, and a needed definition that is not an operand of the next.
type IGSM struct {
	// Modulus is what all arithmetic is modulo, 2 to 100.
	Modulus int `toml:"modulus" help:"modulus of the arithmetic, 2 to 100" limits:"[2,100]"`
	// Levels is the number of levels of entities, at least 2. Levels·Width letters are needed, and there are 26.
	Levels int `toml:"levels" help:"levels of entities, at least 2; levels times width is at most 26" limits:"[2,13]"`
	// Width is the largest number of entities of a level, at least 2.
	Width int `toml:"width" help:"most entities of a level, at least 2"`
	// Edges is the largest number of edges of the graph, and so of definitions of a problem: (Levels−1)·Width to
	// (Levels−1)·Width².
	Edges int `toml:"edges" help:"most edges of the graph, and so most definitions of a problem"`
	// Operations is the largest number of operations of a problem, 5 to 64.
	Operations int `toml:"operations" help:"most operations of a problem, 5 to 64"`
	// Operands is the largest number of operands of a definition, including its constant, 2 to 4. The distribution above is for 4;
	// with fewer, a definition is full sooner.
	Operands int `toml:"operands" help:"most operands of a definition, including its constant, 2 to 4" limits:"[2,4]"`
	// Law says how many operations a problem has: "light", the smaller of two uniform draws from 1 to Operations, so that
	// few are likelier; or "fixed", Operations.
	Law IGSMLaw `toml:"law" help:"number of operations: light (up to the most, small numbers are likelier) or fixed (the most)"`
	// Evaluate lists further numbers of operations that evaluation reports, each as a kind, 5 to 64. They may exceed Operations.
	Evaluate []int `toml:"evaluate" help:"further numbers of operations that evaluation reports, 5 to 64"`
	// Names says how E#I is read: "whole", as one token; or "letters", as three, so that names have something in common
	// but sequences are nearly twice as long.
	Names IGSMNames `toml:"names" help:"tokens of a name such as E#I: whole (one) or letters (three)"`
	// Ask says what a problem asks for: "one" quantity, or "every" one, in training with a target for each. With "every",
	// evaluation uses the last question.
	Ask IGSMAsk `toml:"ask" help:"what a problem asks for: one quantity, or every one, to learn more from each problem"`
	// Length is the number of tokens of a sequence. Shorter problems are padded on the left, so that the question always ends at
	// the last position, which has the answer as target. Longer problems are drawn again with the same number of operations. 0
	// has room for the longest.
	Length int `toml:"length" help:"tokens of a sequence; longer problems are drawn again; 0 has room for every problem" limits:"[0,65536]"`
}

// IGSMLaw is how the number of operations is drawn.
type IGSMLaw string

// The values of IGSMLaw.
const (
	lightLaw IGSMLaw = "light"
	fixedLaw IGSMLaw = "fixed"
)

// Values lists them.
func (IGSMLaw) Values() []string { return []string{string(lightLaw), string(fixedLaw)} }

// IGSMNames is how quantities are named.
type IGSMNames string

// The values of IGSMNames.
const (
	wholeNames  IGSMNames = "whole"
	letterNames IGSMNames = "letters"
)

// Values lists them.
func (IGSMNames) Values() []string { return []string{string(wholeNames), string(letterNames)} }

// IGSMAsk is which quantities are asked for.
type IGSMAsk string

// The values of IGSMAsk.
const (
	askOne   IGSMAsk = "one"
	askEvery IGSMAsk = "every"
)

// Values lists them.
func (IGSMAsk) Values() []string { return []string{string(askOne), string(askEvery)} }

const (
	maxLetters    = 26
	maxOperations = 64

	// leastHeldOut is the fewest operations of a held-out problem.
	leastHeldOut = 5
	// mostKinds is into how many kinds the law of the operations is divided at most.
	mostKinds = 5
	// mostOperands is the largest number of operands of a definition, and mostSummands that of the quantities among them.
	mostOperands = 4
	mostSummands = mostOperands - 1
	// minFit is the smallest acceptable share of the problems, of each number of operations, that fit into a sequence.
	// Below it sampling is mostly redrawing, and the problems that are left are no longer like all.
	minFit = 0.9
)

// SetDefault sets all keys to their defaults.
func (c *IGSM) SetDefault() {
	*c = IGSM{Modulus: 7, Levels: 4, Width: 4, Edges: 20, Operations: 15, Operands: 4, Law: "light", Evaluate: []int{},
		Names: "whole", Ask: "one"}
}

// Check returns an error if c is impossible, as far as it can know without making the task.
func (c IGSM) Check() error {
	if err := schema.Check("i-gsm.", &c); err != nil {
		return err
	}
	if most := maxLetters / c.Levels; c.Width < 2 || c.Width > most {
		return fmt.Errorf("i-gsm: width = %d, want 2 to %d with levels = %d: there are %d letters to name entities",
			c.Width, most, c.Levels, maxLetters)
	}
	if least, most := (c.Levels-1)*c.Width, (c.Levels-1)*c.Width*c.Width; c.Edges < least || c.Edges > most {
		return fmt.Errorf("i-gsm: edges = %d, want %d to %d with levels = %d, width = %d: from one for each entity below the first level to all that there may be",
			c.Edges, least, most, c.Levels, c.Width)
	}
	possible := c.operationsOf(c.Edges)
	check := func(what string, ops int) error {
		if ops < leastHeldOut || ops > maxOperations {
			return fmt.Errorf("i-gsm: %s, want %d to %d operations: with fewer there are too few solution templates to hold any out",
				what, leastHeldOut, maxOperations)
		}
		if ops > possible {
			return fmt.Errorf("i-gsm: %s, want at most %d operations, the most that the definitions can have with edges = %d, operands = %d; or take more edges",
				what, possible, c.Edges, c.Operands)
		}
		return nil
	}
	if err := check(fmt.Sprintf("operations = %d", c.Operations), c.Operations); err != nil {
		return err
	}
	for i, n := range c.Evaluate {
		if err := check(fmt.Sprintf("evaluate = %v: %d", c.Evaluate, n), n); err != nil {
			return err
		}
		if slices.Contains(c.Evaluate[:i], n) {
			return fmt.Errorf("i-gsm: evaluate = %v: %d occurs twice, want each once", c.Evaluate, n)
		}
	}
	return nil
}

// New makes the task.
func (c IGSM) New() (Task, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	c.Evaluate = slices.Clone(c.Evaluate)
	t := &igsm{IGSM: c, longest: c.longest()}
	t.length = c.Length
	if t.length == 0 {
		t.length = t.longest
	}
	t.nameTokens()
	t.makeLaw()
	t.makeKinds()
	t.makeWeights()
	for s := 1; s < len(t.drawn); s++ {
		if !t.drawn[s] {
			continue
		}
		n, fit := t.examine(s)
		if s >= leastHeldOut && !n.enough() {
			return nil, fmt.Errorf("i-gsm: operations: %d of them with edges = %d leave only %d training and %d held-out solution templates, want at least %d of each: take more edges or other numbers of operations",
				s, c.Edges, n[Train], n[HeldOut], minQuestions)
		}
		if fit < minFit {
			return nil, fmt.Errorf("i-gsm: length = %d fits a share of only %.2g of the problems with %d operations, want %g: take a longer sequence (0 is room for all, %d tokens), fewer edges or fewer operations",
				c.Length, fit, s, minFit, t.longest)
		}
	}
	return t, nil
}

// mostOperations is the largest number of operations of the i-th necessary definition, from 0. Its operands can only be the
// definitions before it and a constant.
func (c IGSM) mostOperations(i int) int { return max(1, min(i+1, c.Operands)-1) }

// operationsOf is the largest number of operations of m definitions.
func (c IGSM) operationsOf(m int) int {
	n := 0
	for i := range m {
		n += c.mostOperations(i)
	}
	return n
}

// definitionsFor is the fewest definitions that take s operations.
func (c IGSM) definitionsFor(s int) int {
	m := 0
	for n := 0; n < s || m == 0; m++ {
		n += c.mostOperations(m)
	}
	return m
}

// igsm is the task. The tokens are the numbers below the modulus, the symbols, and the names or letters.
type igsm struct {
	IGSM
	length, longest int // tokens of a sequence, and of the longest problem
	vocabulary      []string
	names           []string // of the quantities; that from entity a of level i to b of the next is (i·Width + a)·Width + b

	cumulative []uint64   // [most operations + 1]: the weight of up to s operations
	drawn      []bool     // by number of operations: whether there are such problems
	kinds      []igsmKind // those trained, then the others
	trained    int        // kinds
	widths     [][]uint64 // by operations: the cumulative weights of the widths from 2
}

// Symbols, from token Modulus on.
const (
	defineSymbol int32 = iota
	plusSymbol
	minusSymbol
	timesSymbol
	openSymbol
	closeSymbol
	stopSymbol
	askSymbol
	padSymbol
	nameSymbol // the first name; or #, then the letters
)

func (t *igsm) symbol(k int32) int32 { return int32(t.Modulus) + k }

func (t *igsm) nameTokens() {
	letter := func(level, entity int) string { return string(rune('A' + level*t.Width + entity)) }
	for i := range t.Levels - 1 {
		for a := range t.Width {
			for b := range t.Width {
				t.names = append(t.names, letter(i, a)+"#"+letter(i+1, b))
			}
		}
	}
	for n := range t.Modulus {
		t.vocabulary = append(t.vocabulary, strconv.Itoa(n))
	}
	t.vocabulary = append(t.vocabulary, ":=", "+", "-", "*", "(", ")", ".", "?", "·")
	if t.Names == wholeNames {
		t.vocabulary = append(t.vocabulary, t.names...)
		return
	}
	t.vocabulary = append(t.vocabulary, "#")
	for i := range t.Levels {
		for a := range t.Width {
			t.vocabulary = append(t.vocabulary, letter(i, a))
		}
	}
}

// nameLength is the number of tokens of a name.
func (c IGSM) nameLength() int {
	if c.Names == wholeNames {
		return 1
	}
	return 3
}

// questions returns the number of questions of a problem, given its number of definitions.
func (c IGSM) questions(definitions int) int {
	if c.Ask == askEvery {
		return definitions
	}
	return 1
}

// longest is the length of a problem with all edges, each defined with the largest number of operands.
func (c IGSM) longest() int {
	n := c.questions(c.Edges) * (c.nameLength() + 1)
	for i := range c.Edges {
		d := definition{quantities: min(i, c.Operands-1), constant: factor}
		if i == 0 {
			d.constant = summand
		}
		n += d.length(c.nameLength())
	}
	return n
}

// makeLaw sets the weights of the numbers of operations.
func (t *igsm) makeLaw() {
	t.cumulative = make([]uint64, t.Operations+1)
	for s := 1; s <= t.Operations; s++ {
		var weight uint64
		switch {
		case t.Law == lightLaw:
			weight = uint64(2*(t.Operations-s) + 1) // of Operations² pairs, this number has s as the smaller
		case s == t.Operations:
			weight = 1
		}
		t.cumulative[s] = t.cumulative[s-1] + weight
	}
}

// An igsmKind is a range of a line that is as long as the weight of all numbers of operations times the number of trained
// kinds. On it the numbers of operations follow each other, each as long as its own weight times that number. So all
// ranges are whole, and a uniform place in one has a number of operations by the law.
type igsmKind struct {
	name         string
	train, held  uint64 // start of the range, in each split
	end          uint64
	operations   int // if not 0, there is no range: the number of
	fewest, most int // operations, in training
}

// makeKinds divides the law into the largest number of kinds, mostKinds or fewer, that differ in their operations.
func (t *igsm) makeKinds() {
	small := t.cumulative[leastHeldOut-1]
	held := t.cumulative[t.Operations] - small // every kind's, times the number of kinds
	for t.trained = mostKinds; t.trained > 0; t.trained-- {
		t.kinds = t.kinds[:0]
		alike := false
		for k := range uint64(t.trained) {
			kind := igsmKind{held: uint64(t.trained)*small + k*held}
			kind.end = kind.held + held
			if k > 0 {
				kind.train = kind.held
			}
			kind.fewest, kind.most = t.operations(kind.train), t.operations(kind.end-1)
			switch {
			case kind.fewest < leastHeldOut:
				kind.name = fmt.Sprintf("ops≤%d", kind.most)
			case kind.fewest < kind.most:
				kind.name = fmt.Sprintf("ops=%d-%d", kind.fewest, kind.most)
			default:
				kind.name = fmt.Sprintf("ops=%d", kind.most)
			}
			if k > 0 {
				before := t.kinds[k-1]
				alike = alike || kind.most == before.most && kind.fewest == t.operations(before.held)
			}
			t.kinds = append(t.kinds, kind)
		}
		if !alike {
			break
		}
	}
	for _, s := range slices.Sorted(slices.Values(t.Evaluate)) {
		kind := igsmKind{name: fmt.Sprintf("ops=%d", s), operations: s, fewest: s, most: s}
		if !slices.ContainsFunc(t.kinds, func(k igsmKind) bool { return k.name == kind.name }) {
			t.kinds = append(t.kinds, kind)
		}
	}
	t.drawn = make([]bool, maxOperations+1)
	for _, kind := range t.kinds {
		for s := kind.fewest; s <= kind.most; s++ {
			t.drawn[s] = true
		}
	}
}

// operations is the number of operations at the place x of the line that igsmKind describes.
func (t *igsm) operations(x uint64) int {
	s := 1
	for uint64(t.trained)*t.cumulative[s] <= x {
		s++
	}
	return s
}

// makeWeights tabulates the laws of the width, as integers: so far rounded, they are the same whatever way a processor
// computes them.
func (t *igsm) makeWeights() {
	t.widths = make([][]uint64, len(t.drawn))
	for s := 1; s < len(t.drawn); s++ {
		r := float64(s-1) / float64(t.Edges-1)
		total := uint64(0)
		for w := 2; w <= t.Width; w++ {
			x := 0.5
			if t.Width > 2 {
				x = 0.2 + 0.6*float64(w-2)/float64(t.Width-2)
			}
			total += uint64(math.Round(math.Exp(-(r-x)*(r-x)) * (1 << 24)))
			t.widths[s] = append(t.widths[s], total)
		}
	}
}

// examine draws problems of s operations until both splits have enough templates. It returns the number of different
// templates, and the share of the first problems that fit into a sequence. If there are barely enough templates, about 1600
// in all, this number of draws finds nearly all. Where a sequence has room for every problem, none is measured.
func (t *igsm) examine(s int) (n tally, fit float64) {
	const draws, problems = 1 << 18, 256
	z := t.sampler()
	z.rng.seed(0, uint64(s), questionStream)
	seen := make(map[uint64]bool)
	measured := problems
	if t.length >= t.longest {
		measured, fit = 0, 1
	}
	for i := 0; i < measured || s >= leastHeldOut && i < draws && !n.enough(); i++ {
		e := z.necessary(s)
		if q := z.template(s); !seen[q] {
			seen[q] = true
			n.add(q)
		}
		if i < measured {
			z.rest(e)
			if t.fits(&z.question) {
				fit += 1. / problems
			}
		}
	}
	return n, fit
}

func (t *igsm) Name() string         { return "i-gsm" }
func (t *igsm) Length() int          { return t.length }
func (t *igsm) Vocabulary() []string { return slices.Clone(t.vocabulary) }

func (t *igsm) Kinds() []string {
	names := make([]string, len(t.kinds))
	for k, kind := range t.kinds {
		names[k] = kind.name
	}
	return names
}

// Metric is accuracy: a held-out example has one target.
func (t *igsm) Metric() metric.Metric { return metric.Accuracy }

func (t *igsm) NewSampler() Sampler { return t.sampler() }
