package task

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"coil/config/schema"
	"coil/metric"
)

// Noise configures sequences of uniform random tokens; the target at each
// position is the token that comes next. No model does better than a guess among
// Vocabulary tokens, so what noise is for is measuring speed: the sizes are free,
// every position has a loss, and a batch is made in next to no time.
//
// A sampler draws Length+1 tokens. The question is the Length of them that are
// read: the last is only asked for, and has no part in the split.
type Noise struct {
	// Vocabulary is the number of tokens, 2 to 262144.
	Vocabulary int `toml:"vocabulary" help:"number of tokens to draw from, 2 to 262144" limits:"[2,262144]"`
	// Length is the number of tokens of a sequence, 1 to 65536.
	Length int `toml:"length" help:"tokens of a sequence, 1 to 65536" limits:"[1,65536]"`
}

// SetDefault sets all keys to their defaults.
func (c *Noise) SetDefault() {
	*c = Noise{Vocabulary: 64, Length: 64}
}

// Check returns an error if c is impossible, as far as it can know without making the task.
func (c Noise) Check() error {
	if err := schema.Check("noise.", &c); err != nil {
		return err
	}
	return nil
}

// New makes the task.
func (c Noise) New() (Task, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	t := &noise{c}
	if n := countSequences(c.Length, c.Vocabulary); !n.enough() {
		return nil, fmt.Errorf("noise: vocabulary = %d, length = %d leave only %d training and %d held-out questions, want at least %d of each: take a larger vocabulary or a longer sequence",
			c.Vocabulary, c.Length, n[Train], n[HeldOut], minQuestions)
	}
	return t, nil
}

type noise struct{ Noise }

func (t *noise) Name() string { return "noise" }
func (t *noise) Length() int  { return t.Noise.Length }

// Vocabulary is the tokens' numbers.
func (t *noise) Vocabulary() []string {
	texts := make([]string, t.Noise.Vocabulary)
	for i := range texts {
		texts[i] = strconv.Itoa(i)
	}
	return texts
}

func (t *noise) Kinds() []string { return []string{"noise"} }

// Metric is accuracy: each position is a separate guess.
func (t *noise) Metric() metric.Metric { return metric.Accuracy }

func (t *noise) NewSampler() Sampler { return &noiseSampler{noise: t} }

type noiseSampler struct {
	*noise
	rng rng
}

func (s *noiseSampler) Sample(seed, index uint64, split Split, ex *Example) {
	s.SampleKind(seed, index, split, 0, ex)
}

func (s *noiseSampler) SampleKind(seed, index uint64, split Split, kind int, ex *Example) {
	if kind != 0 {
		panic(fmt.Sprintf("task: noise has one kind, not a kind %d", kind))
	}
	s.rng.seed(seed, index, questionStream)
	for {
		s.draw(ex.Tokens)
		if inSplit(hashTokens(ex.Tokens), split) {
			break
		}
	}
	last := copy(ex.Targets, ex.Tokens[1:])
	s.draw(ex.Targets[last:])
	ex.Kind = kind
}

// draw writes uniform random tokens into v.
func (s *noiseSampler) draw(v []int32) {
	for i := range v {
		v[i] = int32(s.rng.below(uint64(s.Noise.Vocabulary)))
	}
}

// Explain shows the tokens above their targets.
func (t *noise) Explain(w io.Writer, ex Example) error {
	if err := t.check(ex); err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "random tokens: each target is the token that comes next, and there is nothing to follow\n")
	digits := len(strconv.Itoa(t.Noise.Vocabulary - 1))
	const width = 60
	row := func(name string, v []int32) {
		b.WriteString(name)
		for _, k := range v {
			fmt.Fprintf(&b, " %*d", digits, k)
		}
		b.WriteByte('\n')
	}
	n, each := t.Length(), width/(digits+1)
	for from := 0; from < n; from += each {
		to := min(from+each, n)
		b.WriteByte('\n')
		row("tokens ", ex.Tokens[from:to])
		row("targets", ex.Targets[from:to])
	}
	_, err := w.Write(b.Bytes())
	return err
}

// check verifies that ex is an example of t.
func (t *noise) check(ex Example) error {
	n := t.Length()
	if len(ex.Tokens) != n || len(ex.Targets) != n || ex.Kind != 0 {
		return fmt.Errorf("noise: an example has %d tokens, %d targets, kind 0; not %d, %d, %d", n, n, len(ex.Tokens), len(ex.Targets), ex.Kind)
	}
	for i, k := range ex.Tokens {
		if k < 0 || int(k) >= t.Noise.Vocabulary {
			return fmt.Errorf("noise: token %d at position %d, want 0 to %d", k, i+1, t.Noise.Vocabulary-1)
		}
		if i > 0 && ex.Targets[i-1] != k {
			return fmt.Errorf("noise: target %d at position %d, want %d", ex.Targets[i-1], i, k)
		}
	}
	if k := ex.Targets[n-1]; k < 0 || int(k) >= t.Noise.Vocabulary {
		return fmt.Errorf("noise: target %d at position %d, want 0 to %d", k, n, t.Noise.Vocabulary-1)
	}
	return nil
}
