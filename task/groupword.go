package task

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"coil/config/schema"
	"coil/metric"
)

// GroupWord configures the word problem of a finite group: given elements
// g_1 … g_n, find their product. The first is applied first,
//
//	(a·b)(x) = b(a(x))
//
// and the target at i is g_1·g_2·…·g_i. For the word 213 132 in S3, whose first
// letter exchanges 1 and 2 and whose second exchanges 2 and 3, 1 goes to 2 and on
// to 3, 2 goes to 1, and 3 goes to 2: the targets are 213 and 312. (Applied in the
// opposite order they would give 231.) Words are uniform, so every product is as
// likely as any other, and a guess is right with probability 1/|G|.
//
// A word shorter than the longest is followed by padding, without loss.
//
// Sources: Saunshi et al., arXiv 2502.17416, Theorem 5.1: one layer looped
// ⌈log2 n⌉ times can compose n elements of any finite group; the paper trains
// nothing on it. Merrill, Petty, Sabharwal, "The illusion of state in state-space
// models", arXiv 2404.08819, trains models to predict every prefix product in the
// groups Z60, A4xZ5 and A5, all of order 60; Merrill, Sabharwal, "A little depth
// goes a long way", arXiv 2503.03961, transformers of growing depth on A5. The hard
// groups are those that aren't solvable, such as S5 and A5: their word problem is
// complete for NC1 (Barrington, "Bounded-width polynomial-size branching programs
// recognize exactly those languages in NC1", 1989), while transformers of a fixed
// depth and logarithmic precision stay within TC0 (Merrill, Sabharwal, "The
// parallelism tradeoff", arXiv 2207.00729). So unless the two classes are equal, no
// such transformer solves it for words of every length.
type GroupWord struct {
	// Group is the name of the group: S3 to S7, A3 to A7, Zm for m ≥ 2, Dn for n ≥ 3
	// (of order 2n), or a direct product of those such as A4xZ5.
	Group string `toml:"group" help:"S3 to S7, A3 to A7, Z2 and up, D3 and up, or a product such as A4xZ5"`
	// Lengths lists the word lengths n that training draws from, uniformly.
	Lengths []int `toml:"lengths" help:"word lengths that training mixes"`
	// Evaluate lists word lengths for evaluation to report besides the trained ones,
	// which it may repeat.
	Evaluate []int `toml:"evaluate" help:"further word lengths that evaluation reports"`
	// Loss is "every": at each position of the word, or "last": only at its last
	// one. The split divides whole words, so with "every" a held-out word may start
	// like a training word.
	Loss LossAt `toml:"loss" help:"every: the product so far at each position of the word; last: at its last position only"`
}

// maxWord catches slips of the pen; nothing in the sampler needs it.
const maxWord = 1 << 16

// SetDefault sets all keys to their defaults.
func (c *GroupWord) SetDefault() {
	*c = GroupWord{Group: "S3", Lengths: []int{8}, Evaluate: []int{}, Loss: "every"}
}

// Check returns an error if c is impossible, as far as it can know without making the task.
func (c GroupWord) Check() error {
	if err := schema.Check("group-word.", &c); err != nil {
		return err
	}
	if _, err := newGroup(c.Group); err != nil {
		return fmt.Errorf("group-word: group = %q, %w", c.Group, err)
	}
	if len(c.Lengths) == 0 {
		return fmt.Errorf("group-word: lengths = [], want at least one length")
	}
	for _, list := range []struct {
		key     string
		lengths []int
	}{{"lengths", c.Lengths}, {"evaluate", c.Evaluate}} {
		for i, n := range list.lengths {
			if n < 1 || n > maxWord {
				return fmt.Errorf("group-word: %s = %v: %d, want 1 to %d", list.key, list.lengths, n, maxWord)
			}
			if slices.Contains(list.lengths[:i], n) {
				return fmt.Errorf("group-word: %s = %v: %d occurs twice, want each once", list.key, list.lengths, n)
			}
		}
	}
	return nil
}

// New makes the task.
func (c GroupWord) New() (Task, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	g, err := newGroup(c.Group)
	if err != nil {
		return nil, err
	}
	t := &groupWord{group: g, name: c.Group, every: c.Loss == lossEvery}
	t.lengths = slices.Concat(c.Lengths, c.Evaluate)
	slices.Sort(t.lengths)
	t.lengths = slices.Compact(t.lengths)
	for kind, n := range t.lengths {
		if slices.Contains(c.Lengths, n) {
			t.trained = append(t.trained, kind)
		}
	}
	for _, n := range t.lengths {
		if q := countSequences(n, g.order); !q.enough() {
			return nil, fmt.Errorf("group-word: words of length %d in %s leave only %d training and %d held-out questions, want at least %d of each: take a greater length or a larger group",
				n, c.Group, q[Train], q[HeldOut], minQuestions)
		}
	}
	return t, nil
}

type groupWord struct {
	*group
	name    string // of the group
	lengths []int  // word length of each kind, ascending
	trained []int  // kinds that training draws from
	every   bool
}

func (t *groupWord) Name() string { return "group-word" }

func (t *groupWord) Length() int { return t.lengths[len(t.lengths)-1] }

// Vocabulary is the elements, and the padding if there are words of several
// lengths.
func (t *groupWord) Vocabulary() []string {
	vocabulary := slices.Clone(t.texts)
	if len(t.lengths) > 1 {
		vocabulary = append(vocabulary, "·")
	}
	return vocabulary
}

func (t *groupWord) Kinds() []string {
	kinds := make([]string, len(t.lengths))
	for k, n := range t.lengths {
		kinds[k] = fmt.Sprintf("n=%d", n)
	}
	return kinds
}

// Parts are the lengths of the products.
func (t *groupWord) Parts() []string {
	parts := make([]string, t.Length())
	for i := range parts {
		parts[i] = fmt.Sprintf("length %d", i+1)
	}
	return parts
}

// Part is the number of elements up to the target.
func (t *groupWord) Part(ex Example, parts []int) error {
	if err := t.check(ex); err != nil {
		return err
	}
	for i, target := range ex.Targets {
		if target != Ignore {
			parts[i] = i
		}
	}
	return nil
}

// Metric is accuracy: each position is a separate question.
func (t *groupWord) Metric() metric.Metric { return metric.Accuracy }

func (t *groupWord) NewSampler() Sampler { return &groupWordSampler{groupWord: t} }

type groupWordSampler struct {
	*groupWord
	rng rng
}

func (s *groupWordSampler) Sample(seed, index uint64, split Split, ex *Example) {
	s.rng.seed(seed, index, kindStream)
	kind := s.trained[s.rng.below(uint64(len(s.trained)))]
	s.SampleKind(seed, index, split, kind, ex)
}

func (s *groupWordSampler) SampleKind(seed, index uint64, split Split, kind int, ex *Example) {
	word := ex.Tokens[:s.lengths[kind]]
	s.rng.seed(seed, index, questionStream+uint64(kind))
	for {
		for i := range word {
			word[i] = int32(s.rng.below(uint64(s.order)))
		}
		if inSplit(hashTokens(word), split) {
			break
		}
	}
	s.pad(len(word), ex)
	ex.Kind = kind
}

// pad completes an example after a word of n elements.
func (t *groupWord) pad(n int, ex *Example) {
	product := int32(0)
	for i := range ex.Targets {
		ex.Targets[i] = Ignore
		if i >= n {
			ex.Tokens[i] = int32(t.order)
			continue
		}
		product = t.times(product, ex.Tokens[i])
		if t.every || i == n-1 {
			ex.Targets[i] = product
		}
	}
}

// Explain shows the word from top to bottom, and beside every element how the
// product of those above it is multiplied by it.
func (t *groupWord) Explain(w io.Writer, ex Example) error {
	if err := t.check(ex); err != nil {
		return err
	}
	n := t.lengths[ex.Kind]
	var b bytes.Buffer
	fmt.Fprintf(&b, "the product of %d elements of %s, the first applied first\n%s\n\n", n, t.name, t.about)
	digits, width := len(fmt.Sprint(t.Length())), len("target")
	for _, text := range t.texts {
		width = max(width, len(text))
	}
	row := func(i int, token, target, way string) {
		line := fmt.Sprintf("%*d  %s  %s  %s", digits, i, cell(token, width), cell(target, width), way)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	fmt.Fprintf(&b, "%*s  %s  target\n", digits, "", cell("token", width))
	product := int32(0)
	for i, k := range ex.Tokens[:n] {
		way := ""
		before := product
		product = t.times(product, k)
		if i > 0 {
			way = fmt.Sprintf("%s·%s = %s: %s", t.texts[before], t.texts[k], t.texts[product], t.show(before, k))
		}
		target := "_"
		if ex.Targets[i] != Ignore {
			target = t.texts[ex.Targets[i]]
		}
		row(i+1, t.texts[k], target, way)
	}
	if pads := t.Length() - n; pads > 0 {
		fmt.Fprintf(&b, "\nand padding up to position %d, without loss\n", t.Length())
	}
	fmt.Fprintf(&b, "\nanswer  %s\n", t.texts[product])
	_, err := w.Write(b.Bytes())
	return err
}

// cell fills text up with spaces to width characters.
func cell(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// check verifies that ex is an example of t.
func (t *groupWord) check(ex Example) error {
	n := t.Length()
	if len(ex.Tokens) != n || len(ex.Targets) != n {
		return fmt.Errorf("group-word: an example has %d tokens and targets, not %d and %d", n, len(ex.Tokens), len(ex.Targets))
	}
	if ex.Kind < 0 || ex.Kind >= len(t.lengths) {
		return fmt.Errorf("group-word: kind %d, want 0 to %d", ex.Kind, len(t.lengths)-1)
	}
	word := t.lengths[ex.Kind]
	for i, k := range ex.Tokens[:word] {
		if k < 0 || int(k) >= t.order {
			return fmt.Errorf("group-word: token %d at position %d, want 0 to %d", k, i+1, t.order-1)
		}
	}
	want := NewExample(t)
	copy(want.Tokens, ex.Tokens[:word])
	t.pad(word, &want)
	for i := range n {
		if ex.Tokens[i] != want.Tokens[i] {
			return fmt.Errorf("group-word: token %d at position %d, want padding, %d", ex.Tokens[i], i+1, want.Tokens[i])
		}
		if ex.Targets[i] != want.Targets[i] {
			return fmt.Errorf("group-word: target %d at position %d, want %d", ex.Targets[i], i+1, want.Targets[i])
		}
	}
	return nil
}
