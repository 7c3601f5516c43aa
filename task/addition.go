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
)

// Addition configures the addition of many numbers in one go, without
// intermediate steps: operands uniform in [0, 10^Digits − 1], zero-padded to
// Digits digits, and an answer zero-padded to the width W of the largest
// possible sum. Two operands of 3 digits in a task of at most 8 (W = 4) read
//
//	tokens   3 1 5 + 1 2 0 = 0 4 3 · · ·
//	targets  _ _ _ _ _ _ _ 0 4 3 5 _ _ _
//
// where · is the padding on the right and _ no loss. The last digit of the answer
// is never read, only asked for, so for at most N operands
//
//	Length = N·(Digits+1) + W − 1
//
// Source: Saunshi et al., arXiv 2502.17416, which trains on a uniform mixture of
// 2, 4, 8, 16, 32 operands of 3 digits and evaluates 24 as well; the tokens and
// the mask are our reading, as the paper does not give them.
type Addition struct {
	// Digits is the number of digits of each operand, 1 to 9.
	Digits int `toml:"digits" help:"digits of each operand, 1 to 9" limits:"[1,9]"`
	// Operands lists the operand counts that training draws from, uniformly; each
	// 2 to 256.
	Operands []int `toml:"operands" help:"operand counts that training mixes"`
	// Evaluate lists operand counts for evaluation to report besides the trained
	// ones, which it may repeat.
	Evaluate []int `toml:"evaluate" help:"further operand counts that evaluation reports"`
	// Order says which digit of the answer comes first: the "most" or the "least"
	// significant. Operands always begin with the most significant.
	Order DigitOrder `toml:"order" help:"digit of the answer that comes first: the most or the least significant"`
}

// DigitOrder is which digit of the sum comes first.
type DigitOrder string

// The values of DigitOrder.
const (
	mostFirst  DigitOrder = "most"
	leastFirst DigitOrder = "least"
)

// Values lists them.
func (DigitOrder) Values() []string { return []string{string(mostFirst), string(leastFirst)} }

const (
	minOperands = 2
	maxOperands = 256
)

// Tokens 0 to 9 are the digits.
const (
	plusToken int32 = 10 + iota
	equalsToken
	padToken
)

// SetDefault sets all keys to their defaults.
func (c *Addition) SetDefault() {
	*c = Addition{Digits: 3, Operands: []int{2, 4, 8, 16, 32}, Evaluate: []int{8, 16, 24, 32}, Order: "most"}
}

// Check returns an error if c is impossible, as far as it can know without making the task.
func (c Addition) Check() error {
	if err := schema.Check("addition.", &c); err != nil {
		return err
	}
	if len(c.Operands) == 0 {
		return fmt.Errorf("addition: operands = [], want at least one number of operands")
	}
	for _, list := range []struct {
		key    string
		counts []int
	}{{"operands", c.Operands}, {"evaluate", c.Evaluate}} {
		for i, n := range list.counts {
			if n < minOperands || n > maxOperands {
				return fmt.Errorf("addition: %s = %v: %d, want %d to %d", list.key, list.counts, n, minOperands, maxOperands)
			}
			if slices.Contains(list.counts[:i], n) {
				return fmt.Errorf("addition: %s = %v: %d occurs twice, want each once", list.key, list.counts, n)
			}
		}
	}
	return nil
}

// New makes the task.
func (c Addition) New() (Task, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	t := &addition{digits: c.Digits, limit: 1, leastFirst: c.Order == leastFirst}
	for range c.Digits {
		t.limit *= 10
	}
	t.counts = slices.Concat(c.Operands, c.Evaluate)
	slices.Sort(t.counts)
	t.counts = slices.Compact(t.counts)
	for kind, n := range t.counts {
		if slices.Contains(c.Operands, n) {
			t.trained = append(t.trained, kind)
		}
	}
	t.most = t.counts[len(t.counts)-1]
	t.width = len(strconv.FormatUint(uint64(t.most)*(t.limit-1), 10))

	for _, n := range t.counts {
		if q := t.countQuestions(n); !q.enough() {
			return nil, fmt.Errorf("addition: digits = %d and %d operands leave only %d training and %d held-out questions (order aside), want at least %d of each: take more digits or operands",
				c.Digits, n, q[Train], q[HeldOut], minQuestions)
		}
	}
	return t, nil
}

type addition struct {
	digits     int    // of each operand
	limit      uint64 // 10^digits
	counts     []int  // operand count of each kind, ascending
	trained    []int  // kinds that training draws from
	most       int    // largest operand count
	width      int    // digits of the answer
	leastFirst bool
}

func (t *addition) Name() string { return "addition" }

func (t *addition) Length() int { return t.most*(t.digits+1) + t.width - 1 }

func (t *addition) Vocabulary() []string {
	return []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "+", "=", "·"}
}

func (t *addition) Kinds() []string {
	kinds := make([]string, len(t.counts))
	for k, n := range t.counts {
		kinds[k] = fmt.Sprintf("n=%d", n)
	}
	return kinds
}

// Parts are the digits of the answer, the first for the ones.
func (t *addition) Parts() []string {
	parts := make([]string, t.width)
	for i := range parts {
		parts[i] = fmt.Sprintf("digit %d", i+1)
	}
	return parts
}

// Part counts the digits of the answer from the ones.
func (t *addition) Part(ex Example, parts []int) error {
	if _, err := t.parse(ex); err != nil {
		return err
	}
	digit := 0
	for i, target := range ex.Targets {
		if target == Ignore {
			continue
		}
		if parts[i] = digit; !t.leastFirst {
			parts[i] = t.width - 1 - digit
		}
		digit++
	}
	return nil
}

// Metric is exact match: a sum with a wrong digit is wrong.
func (t *addition) Metric() metric.Metric { return metric.ExactMatch }

func (t *addition) NewSampler() Sampler {
	return &additionSampler{addition: t, operands: make([]uint64, t.most)}
}

// countQuestions enumerates the sums of n operands in ascending order, each
// counted once whatever its order, until both splits have enough.
func (t *addition) countQuestions(n int) tally {
	var count tally
	operands := make([]uint64, n)
	for {
		count.add(hashSum(operands))
		if count.enough() {
			return count
		}
		i := n - 1
		for i >= 0 && operands[i] == t.limit-1 {
			i--
		}
		if i < 0 {
			return count
		}
		next := operands[i] + 1
		for ; i < n; i++ {
			operands[i] = next
		}
	}
}

type additionSampler struct {
	*addition
	rng      rng
	operands []uint64 // scratch [most]
}

func (s *additionSampler) Sample(seed, index uint64, split Split, ex *Example) {
	s.rng.seed(seed, index, kindStream)
	kind := s.trained[s.rng.below(uint64(len(s.trained)))]
	s.SampleKind(seed, index, split, kind, ex)
}

func (s *additionSampler) SampleKind(seed, index uint64, split Split, kind int, ex *Example) {
	operands := s.operands[:s.counts[kind]]
	s.rng.seed(seed, index, questionStream+uint64(kind))
	for {
		for i := range operands {
			operands[i] = s.rng.below(s.limit)
		}
		if inSplit(hashSum(operands), split) {
			break
		}
	}
	s.write(operands, ex)
	ex.Kind = kind
}

// write spells the sum of operands out in ex.
func (t *addition) write(operands []uint64, ex *Example) {
	tokens, targets := ex.Tokens, ex.Targets
	end := 0 // of what is written
	sum := uint64(0)
	for _, a := range operands {
		sum += a
		for i := t.digits - 1; i >= 0; i-- {
			tokens[end+i] = int32(a % 10)
			a /= 10
		}
		tokens[end+t.digits] = plusToken
		end += t.digits + 1
	}
	tokens[end-1] = equalsToken
	for i := range tokens[end:] {
		tokens[end+i] = padToken
	}

	for i := range targets {
		targets[i] = Ignore
	}
	answer := targets[end-1:][:t.width]
	for i := range answer {
		at := i
		if !t.leastFirst {
			at = t.width - 1 - i
		}
		answer[at] = int32(sum % 10)
		sum /= 10
	}
	copy(tokens[end:], answer[:t.width-1])
}

// hashSum is the hash of an addition question, the multiset of its operands. It
// ignores their order, so that no reordering of a training sum is held out. It
// also ignores the padding of digits.
func hashSum(operands []uint64) uint64 {
	h := uint64(0)
	for _, a := range operands {
		h += mix(a)
	}
	return mix(h)
}

// Explain shows the sum with its running totals, then what the model reads and
// what it is asked for.
func (t *addition) Explain(w io.Writer, ex Example) error {
	operands, err := t.parse(ex)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	order := "most"
	if t.leastFirst {
		order = "least"
	}
	fmt.Fprintf(&b, "the sum of %d numbers in %d digits, %s significant first\n\n", len(operands), t.width, order)
	total := uint64(0)
	for i, a := range operands {
		total += a
		if i == 0 {
			fmt.Fprintf(&b, "  %0*d\n", t.digits, a)
		} else {
			fmt.Fprintf(&b, "+ %0*d = %*d\n", t.digits, a, t.width, total)
		}
	}
	fmt.Fprintf(&b, "\ntokens  %s\n", Render(t, ex.Tokens))
	fmt.Fprintf(&b, "targets %s\n", strings.TrimRight(Render(t, ex.Targets), "_"))
	_, err = w.Write(b.Bytes())
	return err
}

// parse reads the operands back. It fails if ex is not what write writes for them.
func (t *addition) parse(ex Example) ([]uint64, error) {
	n := t.Length()
	if len(ex.Tokens) != n || len(ex.Targets) != n {
		return nil, fmt.Errorf("addition: an example has %d tokens and targets, not %d and %d", n, len(ex.Tokens), len(ex.Targets))
	}
	if ex.Kind < 0 || ex.Kind >= len(t.counts) {
		return nil, fmt.Errorf("addition: kind %d, want 0 to %d", ex.Kind, len(t.counts)-1)
	}
	operands := make([]uint64, t.counts[ex.Kind])
	for i := range operands {
		for _, d := range ex.Tokens[i*(t.digits+1):][:t.digits] {
			if d < 0 || d > 9 {
				return nil, fmt.Errorf("addition: token %d in operand %d, want a digit", d, i+1)
			}
			operands[i] = 10*operands[i] + uint64(d)
		}
	}
	want := NewExample(t)
	t.write(operands, &want)
	if !slices.Equal(ex.Tokens, want.Tokens) || !slices.Equal(ex.Targets, want.Targets) {
		return nil, fmt.Errorf("addition: %s with targets %s is no sum; want %s, %s",
			Render(t, ex.Tokens), Render(t, ex.Targets), Render(t, want.Tokens), Render(t, want.Targets))
	}
	return operands, nil
}
