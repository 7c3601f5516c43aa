package task

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"coil/config/schema"
	"coil/metric"
)

// Teacher configures the imitation of a random transformer, the teacher: after a prompt of random tokens, what does it say?
//
// With write = m > 0 the prompt is followed by m dummies #, and their targets are the tokens that the teacher writes greedily
// after the prompt, one after the other: its chain of thought. With write = 0 the target at each position of the prompt is
// the token that the teacher would write next.
//
// A token is asked for only if it is certain, so that no rounding decides it: its logit leads by a thousandth of the
// largest logit's size or more. What the teacher writes after a token that isn't certain isn't asked for.
//
// The teacher has the architecture of [Network], and its weights follow from the key weights.
type Teacher struct {
	Vocabulary int     `toml:"vocabulary" help:"number of tokens, without #" limits:"[2,256]"`
	Prompt     int     `toml:"prompt" help:"tokens of the prompt" limits:"[1,4096]"`
	Write      int     `toml:"write" help:"tokens that the teacher writes after it; 0 asks for the next token at each position of the prompt" limits:"[0,4096]"`
	Layers     int     `toml:"layers" help:"layers of the teacher" limits:"[1,64]"`
	Schedule   []int   `toml:"schedule" help:"order in which its layers run, from 0; empty: each once"`
	Width      int     `toml:"width" help:"width of the teacher" limits:"[1,1024]"`
	Heads      int     `toml:"heads" help:"heads of each of its layers" limits:"[1,64]"`
	HeadWidth  int     `toml:"head_width" help:"width of a head" limits:"[1,256]"`
	Hidden     int     `toml:"hidden" help:"width of its feed-forward layers" limits:"[1,65536]"`
	Scale      float64 `toml:"scale" help:"factor of attention's scores; 0 is 1/sqrt(head_width)" limits:"[0,1e6]"`
	Weights    uint64  `toml:"weights" help:"seed of its weights"`
}

// SetDefault sets all keys to their defaults.
func (c *Teacher) SetDefault() {
	*c = Teacher{Vocabulary: 8, Prompt: 4, Write: 8, Layers: 2, Schedule: []int{}, Width: 16, Heads: 2, HeadWidth: 8, Hidden: 64, Scale: 1, Weights: 1}
}

// mostDepth is the largest depth of a teacher's schedule.
const mostDepth = 1 << 10

// Check returns an error if c is impossible, as far as it can know without making the task.
func (c Teacher) Check() error {
	if err := schema.Check("teacher.", &c); err != nil {
		return err
	}
	for depth, r := range c.Schedule {
		if r < 0 || r >= c.Layers {
			return fmt.Errorf("teacher: schedule has layer %d at depth %d, want 0 to %d", r, depth, c.Layers-1)
		}
	}
	if len(c.Schedule) > mostDepth {
		return fmt.Errorf("teacher: schedule has %d entries, want at most %d", len(c.Schedule), mostDepth)
	}
	const most = 1 << 24
	if n := float64(c.Layers) * float64(c.Width) * (4*float64(c.Heads)*float64(c.HeadWidth) + 2*float64(c.Hidden)); n > most {
		return fmt.Errorf("teacher: the layers have %.3g weights, want at most %d", n, most)
	}
	return nil
}

// New makes the task.
func (c Teacher) New() (Task, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if n := countSequences(c.Prompt, c.Vocabulary); !n.enough() {
		return nil, fmt.Errorf("teacher: vocabulary = %d, prompt = %d leave only %d training and %d held-out questions, want at least %d of each: take a larger vocabulary or a longer prompt",
			c.Vocabulary, c.Prompt, n[Train], n[HeldOut], minQuestions)
	}
	return &teacher{c, c.Network()}, nil
}

type teacher struct {
	Teacher
	network *Network
}

func (t *teacher) Name() string { return "teacher" }
func (t *teacher) Length() int  { return t.Prompt + t.Write }

// Vocabulary is the tokens' numbers, and # if there are dummies.
func (t *teacher) Vocabulary() []string {
	texts := make([]string, t.Teacher.Vocabulary)
	for i := range texts {
		texts[i] = strconv.Itoa(i)
	}
	if t.Write > 0 {
		texts = append(texts, "#")
	}
	return texts
}

func (t *teacher) Kinds() []string { return []string{"teacher"} }

// Metric is accuracy: each token is a separate question.
func (t *teacher) Metric() metric.Metric { return metric.Accuracy }

func (t *teacher) NewSampler() Sampler {
	return &teacherSampler{teacher: t, pass: t.network.pass(t.Length())}
}

type teacherSampler struct {
	*teacher
	pass *networkPass
	rng  rng
}

func (s *teacherSampler) Sample(seed, index uint64, split Split, ex *Example) {
	s.SampleKind(seed, index, split, 0, ex)
}

func (s *teacherSampler) SampleKind(seed, index uint64, split Split, kind int, ex *Example) {
	if kind != 0 {
		panic(fmt.Sprintf("task: teacher has one kind, not a kind %d", kind))
	}
	s.rng.seed(seed, index, questionStream)
	prompt := ex.Tokens[:s.Prompt]
	for {
		for i := range prompt {
			prompt[i] = int32(s.rng.below(uint64(s.Teacher.Vocabulary)))
		}
		if inSplit(hashTokens(prompt), split) && s.answer(ex) {
			break
		}
	}
	ex.Kind = kind
}

// certain is by how much a logit must lead, relative to the largest in size.
const certain = 1e-3

// answer completes an example after its prompt, and reports whether it has a target.
func (s *teacherSampler) answer(ex *Example) (asked bool) {
	s.pass.begin()
	var next int
	sure := true
	for i, token := range ex.Tokens[:s.Prompt] {
		var lead float64
		next, lead = s.pass.read(int(token))
		ex.Targets[i] = Ignore
		if s.Write == 0 && lead >= certain {
			ex.Targets[i], asked = int32(next), true
		}
		sure = lead >= certain
	}
	for i := s.Prompt; i < len(ex.Tokens); i++ {
		ex.Tokens[i], ex.Targets[i] = int32(s.Teacher.Vocabulary), Ignore
		if !sure {
			continue
		}
		ex.Targets[i], asked = int32(next), true
		if i+1 < len(ex.Tokens) {
			var lead float64
			next, lead = s.pass.read(next)
			sure = lead >= certain
		}
	}
	return asked
}

// Explain shows the tokens above their targets.
func (t *teacher) Explain(w io.Writer, ex Example) error {
	if err := t.check(ex); err != nil {
		return err
	}
	var b bytes.Buffer
	if t.Write > 0 {
		fmt.Fprintf(&b, "what a random transformer of %d layers writes at the positions # after the prompt, token after token\n", t.Layers)
	} else {
		fmt.Fprintf(&b, "what a random transformer of %d layers would write after each token\n", t.Layers)
	}
	const each = 20
	digits := len(strconv.Itoa(t.Teacher.Vocabulary - 1))
	vocabulary := t.Vocabulary()
	row := func(name string, v []int32) {
		b.WriteString(name)
		for _, k := range v {
			text := "_"
			if k != Ignore {
				text = vocabulary[k]
			}
			fmt.Fprintf(&b, " %*s", digits, text)
		}
		b.WriteByte('\n')
	}
	for from := 0; from < t.Length(); from += each {
		to := min(from+each, t.Length())
		b.WriteByte('\n')
		row("tokens ", ex.Tokens[from:to])
		row("targets", ex.Targets[from:to])
	}
	_, err := w.Write(b.Bytes())
	return err
}

// check verifies that ex is an example of t.
func (t *teacher) check(ex Example) error {
	n := t.Length()
	if len(ex.Tokens) != n || len(ex.Targets) != n || ex.Kind != 0 {
		return fmt.Errorf("teacher: an example has %d tokens, %d targets, kind 0; not %d, %d, %d", n, n, len(ex.Tokens), len(ex.Targets), ex.Kind)
	}
	want := NewExample(t)
	copy(want.Tokens, ex.Tokens[:t.Prompt])
	for i, k := range want.Tokens[:t.Prompt] {
		if k < 0 || int(k) >= t.Teacher.Vocabulary {
			return fmt.Errorf("teacher: token %d at position %d, want 0 to %d", k, i+1, t.Teacher.Vocabulary-1)
		}
	}
	if s := t.NewSampler().(*teacherSampler); !s.answer(&want) {
		return fmt.Errorf("teacher: no token of the answer is certain")
	}
	for i := range n {
		if ex.Tokens[i] != want.Tokens[i] || ex.Targets[i] != want.Targets[i] {
			return fmt.Errorf("teacher: token %d with target %d at position %d, want %d with %d", ex.Tokens[i], ex.Targets[i], i+1, want.Tokens[i], want.Targets[i])
		}
	}
	return nil
}
