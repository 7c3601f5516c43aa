package task

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"coil/config/schema"
	"coil/metric"

	"gonum.org/v1/gonum/mathext"
)

// PHop configures the p-hop task. One hop from a position looks for the last
// earlier occurrence of the letter there, and goes to the position after it; the
// answer is the letter p hops away. With positions from 1,
//
//	find_1(v, i) = max({0} ∪ {j ≤ i : v_{j−1} = v_i})
//	find_p(v, i) = find_1(v, find_{p−1}(v, i))
//
// and the target at i is v_{find_p(v, i)}; there is no target where find_p(v, i) = 0. For
// baebcabebdea, two hops from the last position go a → b (position 7) → c
// (position 5). Note j = i: where v_{i−1} = v_i a hop stays at i.
//
// Sources: Sanford, Hsu, Telgarsky, "Transformers, parallel computation, and
// logarithmic depth", arXiv 2402.09268 (definition, no-repeats sampler, loss at
// every position); Saunshi et al., "Reasoning with latent thoughts: on the power
// of looped transformers", arXiv 2502.17416 (planted hops).
type PHop struct {
	// Letters is the size of the alphabet, 3 to 26. With two letters a sequence
	// without repeats could only alternate.
	Letters int `toml:"letters" help:"size of the alphabet, 3 to 26" limits:"[3,26]"`
	// Length is the number of letters n of a sequence.
	Length int `toml:"length" help:"letters of a sequence" limits:"[3,65536]" also:"seq_len,block_size,context_length,max_seq_len,sequence_length,seq_length"`
	// Hops is p.
	Hops int `toml:"hops" help:"hops p to follow" limits:"[1,]"`
	// Sampler is "no-repeats": uniform among sequences in which neighbours differ
	// (and some position with loss has p hops); a hop is then about Letters−1
	// positions long, so answers lie close. Or "planted": exactly p hops from the
	// last position, spread over the whole sequence, about n/p positions each.
	Sampler PHopSampler `toml:"sampler" help:"no-repeats (uniform, neighbours different) or planted (p hops over the whole sequence)"`
	// Loss is "every": at each position that has p hops, or "last": only at the
	// last position. The split divides whole sequences, so with "every" the early
	// positions of a held-out sequence may end a prefix that training has seen.
	Loss LossAt `toml:"loss" help:"every: at each position that has p hops; last: at the last position only"`
}

// PHopSampler is how sequences of the p-hop task are drawn.
type PHopSampler string

// The values of PHopSampler.
const (
	noRepeats PHopSampler = "no-repeats"
	planted   PHopSampler = "planted"
)

// Values lists them.
func (PHopSampler) Values() []string { return []string{string(noRepeats), string(planted)} }

// LossAt says which answers of a sequence have a loss.
type LossAt string

// The values of LossAt.
const (
	lossEvery LossAt = "every"
	lossLast  LossAt = "last"
)

// Values lists them.
func (LossAt) Values() []string { return []string{string(lossEvery), string(lossLast)} }

// minHopsExist is the smallest acceptable probability that p hops exist from the
// last position of a no-repeats sequence. Below it sampling is mostly redrawing,
// and what survives is no longer like a plain sequence.
const minHopsExist = 0.1

// SetDefault sets all keys to their defaults.
func (c *PHop) SetDefault() {
	*c = PHop{Letters: 4, Length: 64, Hops: 4, Sampler: "no-repeats", Loss: "every"}
}

// Check returns an error if c is impossible, as far as it can know without making the task.
func (c PHop) Check() error {
	if err := schema.Check("p-hop.", &c); err != nil {
		return err
	}
	switch c.Sampler {
	case planted:
		if most := (c.Length - 1) / 2; c.Hops > most {
			return fmt.Errorf("p-hop: hops = %d, want at most %d: a planted hop takes two letters of its own, so p hops need length ≥ 2p+1, and length = %d",
				c.Hops, most, c.Length)
		}
	case noRepeats:
		if p := c.hopsExist(c.Hops); p < minHopsExist {
			most := min(c.Hops, c.Length) - 1
			for most > 0 && c.hopsExist(most) < minHopsExist {
				most--
			}
			return fmt.Errorf("p-hop: hops = %d, want at most %d for length = %d, letters = %d, sampler = %q: that number of hops exists in a share of only %.2g of the sequences, want %g; or take a longer sequence",
				c.Hops, most, c.Length, c.Letters, c.Sampler, p, minHopsExist)
		}
	}
	return nil
}

// New makes the task.
func (c PHop) New() (Task, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	t := &phop{c}
	if n := t.countQuestions(); !n.enough() {
		return nil, fmt.Errorf("p-hop: length = %d, letters = %d, hops = %d leave only %d training and %d held-out questions, want at least %d of each: take a longer sequence",
			c.Length, c.Letters, c.Hops, n[Train], n[HeldOut], minQuestions)
	}
	return t, nil
}

// hopsExist returns the probability that p hops exist from the last position of
// a sequence without repeats. Read from right to left, each letter after the
// neighbour is the one sought with probability q = 1/(S−1), whatever came before,
// so the hops' lengths are independent and geometric, and p of them fit before
// position 2 if n−2 trials have p successes:
//
//	P = P(Binomial(n−2, q) ≥ p) = I_q(p, n−1−p)
func (c PHop) hopsExist(p int) float64 {
	if p > c.Length-2 {
		return 0
	}
	return mathext.RegIncBeta(float64(p), float64(c.Length-1-p), 1/float64(c.Letters-1))
}

type phop struct{ PHop }

func (t *phop) Name() string         { return "p-hop" }
func (t *phop) Length() int          { return t.PHop.Length }
func (t *phop) Vocabulary() []string { return strings.Split(alphabet[:t.Letters], "") }

func (t *phop) Kinds() []string {
	if t.Hops == 1 {
		return []string{"1 hop"}
	}
	return []string{fmt.Sprintf("%d hops", t.Hops)}
}

// Metric is accuracy: each position is a separate question.
func (t *phop) Metric() metric.Metric { return metric.Accuracy }

func (t *phop) NewSampler() Sampler { return t.sampler() }

func (t *phop) sampler() *phopSampler {
	n := t.Length() + 1
	return &phopSampler{phop: t, walker: walker{hop: make([]int32, n), far: make([]int32, n)}}
}

// countQuestions draws until both splits have shown enough different questions.
// Those it finds exist; and where there are barely enough, about 1600 in all,
// this many draws find nearly every one.
func (t *phop) countQuestions() tally {
	const draws = 1 << 16
	s, ex := t.sampler(), NewExample(t)
	s.rng.seed(0, 0, questionStream)
	var n tally
	seen := make(map[uint64]bool)
	for i := 0; i < draws && !n.enough(); i++ {
		s.draw(ex.Tokens)
		if q := hashTokens(ex.Tokens); !seen[q] && s.answer(ex.Tokens, ex.Targets) {
			seen[q] = true
			n.add(q)
		}
	}
	return n
}

type phopSampler struct {
	*phop
	rng    rng
	walker walker
}

func (s *phopSampler) Sample(seed, index uint64, split Split, ex *Example) {
	s.SampleKind(seed, index, split, 0, ex)
}

func (s *phopSampler) SampleKind(seed, index uint64, split Split, kind int, ex *Example) {
	if kind != 0 {
		panic(fmt.Sprintf("task: p-hop has one kind, not a kind %d", kind))
	}
	s.rng.seed(seed, index, questionStream)
	for {
		s.draw(ex.Tokens)
		if inSplit(hashTokens(ex.Tokens), split) && s.answer(ex.Tokens, ex.Targets) {
			break
		}
	}
	ex.Kind = kind
}

// draw writes random letters into v [n].
func (s *phopSampler) draw(v []int32) {
	if s.Sampler == planted {
		s.drawPlanted(v)
	} else {
		s.drawNoRepeats(v)
	}
}

// drawNoRepeats draws uniformly among sequences in which neighbours differ.
func (s *phopSampler) drawNoRepeats(v []int32) {
	v[0] = s.letter()
	for i := 1; i < len(v); i++ {
		v[i] = s.letterBut(v[i-1])
	}
}

// drawPlanted draws a sequence with p hops at disjoint pairs of positions. The
// n−1 positions before the last are a uniformly random arrangement of p pairs
// and n−1−2p single positions, laid out here from right to left. Let c be the
// letter that the walk looks for at this point: at first the last letter. The walk
// finds it in a pair (c, x), x ≠ c, and looks for x next. A single letter must not
// be c, because the walk would find it instead; left of all pairs, the walk is over
// and any letter is allowed. After p pairs, c is the answer.
func (s *phopSampler) drawPlanted(v []int32) {
	i := len(v) - 1
	c := s.letter()
	v[i] = c
	pairs := s.Hops
	for items := len(v) - 1 - pairs; items > 0; items-- {
		i--
		switch {
		case pairs == 0:
			v[i] = s.letter()
		case s.rng.below(uint64(items)) < uint64(pairs):
			x := s.letterBut(c)
			v[i] = x
			i--
			v[i] = c
			c = x
			pairs--
		default:
			v[i] = s.letterBut(c)
		}
	}
}

// letter returns a uniform letter.
func (s *phopSampler) letter() int32 { return int32(s.rng.below(uint64(s.Letters))) }

// letterBut returns a uniform letter other than c.
func (s *phopSampler) letterBut(c int32) int32 {
	x := int32(s.rng.below(uint64(s.Letters - 1)))
	if x >= c {
		x++
	}
	return x
}

// answer writes the targets [n] for the letters v [n], and reports whether there
// is any.
func (s *phopSampler) answer(v, targets []int32) bool {
	if s.Loss == lossLast {
		for i := range targets {
			targets[i] = Ignore
		}
		j := s.walker.last(v, s.Hops)
		if j == 0 {
			return false
		}
		targets[len(v)-1] = v[j-1]
		return true
	}
	found := false
	for i, j := range s.walker.all(v, s.Hops)[1:] {
		if j == 0 {
			targets[i] = Ignore
		} else {
			targets[i] = v[j-1]
			found = true
		}
	}
	return found
}

// walker computes find_p. Its tables are indexed by positions from 1; entry 0
// stands for "nowhere", and a hop from nowhere leads nowhere.
type walker struct {
	hop, far []int32 // [n+1]
}

// hops fills hop[i] = find_1(v, i), in O(n).
func (w *walker) hops(v []int32) {
	var after [26]int32 // position after the last occurrence of each letter so far
	w.hop[0] = 0
	for i, c := range v {
		if i > 0 {
			after[v[i-1]] = int32(i + 1)
		}
		w.hop[i+1] = after[c]
	}
}

// last returns find_p(v, n), in O(n + p).
func (w *walker) last(v []int32, p int) int {
	w.hops(v)
	j := int32(len(v))
	for range p {
		j = w.hop[j]
	}
	return int(j)
}

// all returns find_p(v, i) for every i, in O(n log p): hop is squared over and
// over, and far collects the powers that make up p.
func (w *walker) all(v []int32, p int) []int32 {
	w.hops(v)
	for i := range w.far {
		w.far[i] = int32(i)
	}
	for {
		if p&1 != 0 {
			for i, j := range w.far {
				w.far[i] = w.hop[j]
			}
		}
		if p >>= 1; p == 0 {
			return w.far
		}
		// In place: hop[i] ≤ i, so going from the right, every entry read is still the old
		// one (hop[i] = i reads itself and stays).
		for i, j := range slices.Backward(w.hop) {
			w.hop[i] = w.hop[j]
		}
	}
}

// Explain shows the letters under a ruler, the targets, and the walk from the
// last position that has a target: in the picture, the last digit of the number
// of hops made to get there.
func (t *phop) Explain(w io.Writer, ex Example) error {
	start, err := t.check(ex)
	if err != nil {
		return err
	}
	v, n := ex.Tokens, t.Length()
	text := func(i int) string { return alphabet[v[i-1]:][:1] } // by position from 1

	marks := bytes.Repeat([]byte(" "), n)
	mark := func(i, hop int) { marks[i-1] = byte('0' + hop%10) }
	mark(start, 0)

	var steps bytes.Buffer
	fmt.Fprintf(&steps, "start   at %d: %s\n", start, text(start))
	wk := t.sampler().walker
	wk.hops(v)
	i := start
	for k := range t.Hops {
		j := int(wk.hop[i])
		fmt.Fprintf(&steps, "hop %-3d the last %s before %d is at %d; after it, at %d: %s\n", k+1, text(i), i, j-1, j, text(j))
		mark(j, k+1)
		i = j
	}

	var b bytes.Buffer
	fmt.Fprintf(&b, "%s from position %d\n\n", t.Kinds()[0], start)
	const width = 60
	for from := 1; from <= n; from += width {
		to := min(from+width-1, n)
		fmt.Fprintf(&b, "        %s\n", ruler(from, to))
		fmt.Fprintf(&b, "letters %s\n", Render(t, v[from-1:to]))
		fmt.Fprintf(&b, "targets %s\n", Render(t, ex.Targets[from-1:to]))
		fmt.Fprintf(&b, "walk    %s\n\n", bytes.TrimRight(marks[from-1:to], " "))
	}
	b.Write(steps.Bytes())
	fmt.Fprintf(&b, "answer  %s\n", text(i))
	_, err = w.Write(b.Bytes())
	return err
}

// check verifies that ex is an example of t and returns the last position, from
// 1, that has a target.
func (t *phop) check(ex Example) (start int, err error) {
	n := t.Length()
	if len(ex.Tokens) != n || len(ex.Targets) != n || ex.Kind != 0 {
		return 0, fmt.Errorf("p-hop: an example has %d tokens, %d targets, kind 0; not %d, %d, %d", n, n, len(ex.Tokens), len(ex.Targets), ex.Kind)
	}
	for i, c := range ex.Tokens {
		if c < 0 || int(c) >= t.Letters {
			return 0, fmt.Errorf("p-hop: token %d at position %d, want 0 to %d", c, i+1, t.Letters-1)
		}
	}
	want := make([]int32, n)
	if !t.sampler().answer(ex.Tokens, want) {
		return 0, fmt.Errorf("p-hop: no position of the sequence has %s", t.Kinds()[0])
	}
	for i, c := range want {
		if ex.Targets[i] != c {
			return 0, fmt.Errorf("p-hop: target %d at position %d, want %d", ex.Targets[i], i+1, c)
		}
		if c != Ignore {
			start = i + 1
		}
	}
	return start, nil
}

// ruler returns a ruler for positions from … to, where from is 1 more than a
// multiple of 10. The last digit of a number is at its position.
func ruler(from, to int) []byte {
	b := bytes.Repeat([]byte("-"), to-from+1)
	for i := from; i <= to; i++ {
		switch i % 10 {
		case 5:
			b[i-from] = '+'
		case 0:
			s := strconv.Itoa(i)
			copy(b[i-from+1-len(s):], s)
		}
	}
	return b
}

const alphabet = "abcdefghijklmnopqrstuvwxyz"
