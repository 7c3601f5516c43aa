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

// Assignment configures variable assignment, a reasoning primitive: some letters
// are assigned numbers, and the question asks for the number of one of them. At
// depth 1, an equal number of other letters are assigned one of the first letters
// each, all different, and the question asks for one of these; depth d adds such
// aliases of aliases d times. As text with 3 variables and depth 1:
//
//	The following is a set of simple mathematical equations.
//
//	n=22
//	r=16
//	c=7
//	a=r
//	v=c
//	h=n
//	What is the numerical value of v?
//	Answer:
//
// or the same as a short Python program. The answer is 7. A model reads and writes
// whole words: each letter, number, line end and fixed phrase is a token, and
// phrases that differ between the two formats are different tokens,
//
//	math n = 22 ; r = 16 ; c = 7 ; a = r ; v = c ; h = n ; math? v :
//
// The target is at the last token. With S shots, S questions of the same kind come
// first, each with its answer. Padding without loss follows examples that are
// shorter than the longest kind. With V variables and largest depth D,
//
//	Length = (S+1)·(4V(D+1) + 4) + S
//
// The distribution: letters are uniform without repeats out of 26, and numbers are
// uniform and independent in 1 … Values. The letters of each depth stand together,
// in uniform order, after the letters that they refer to, and refer to them one to
// one, uniformly. The letter asked for is uniform among those of the last depth. So
// guessing one of the numbers in the question is right with probability
//
//	1/V + (1 − 1/V)/Values
//
// because the position may be right or the numbers equal: 23.2 % with 5 variables
// and 25 values.
//
// The split ignores the format and the order of lines within a depth: a question
// is the set of its lines and the letter asked for. Shots are of the same split as
// the question that follows them.
//
// Source: the reasoning primitives of Saunshi et al., "On the inductive bias of
// stacking towards improving reasoning", arXiv 2409.19044, also used in arXiv
// 2502.17416: language models that were trained on other text answer questions of
// depths 0 and 1 with 5 variables, 25 values and 5 shots; the papers put guessing at
// 1/V. The tokens, the mask and depths above 1 are ours.
type Assignment struct {
	// Variables is V, the number of variables of each depth, at least 2; all depths
	// together have at most the 26 letters.
	Variables int `toml:"variables" help:"variables of each depth, 2 or more; all depths together at most 26" limits:"[2,26]"`
	// Values says that numbers go from 1 to it, at least 2.
	Values int `toml:"values" help:"largest number; the least is 1" limits:"[2,65536]"`
	// Depth lists the depths that training draws from, uniformly, each at least 0.
	Depth []int `toml:"depth" help:"depths that training mixes: 0 asks for a variable that has a number, 1 for an alias of one, 2 for an alias of that, …"`
	// Evaluate lists depths for evaluation to report besides the trained ones, which it
	// may repeat.
	Evaluate []int `toml:"evaluate" help:"further depths that evaluation reports"`
	// Format is "math", "code", or "both": each as often as the other.
	Format AssignmentFormat `toml:"format" help:"math (equations), code (a program) or both"`
	// Shots is S, the number of questions with answers that go before.
	Shots int `toml:"shots" help:"questions with answers before the question" limits:"[0,256]"`
	// Loss is "every": at each answer, including those of the shots, or "last": only at
	// the answer of the last question. Without shots, they are the same.
	Loss LossAt `toml:"loss" help:"every: at each answer, including those of the shots; last: at the last answer only"`
}

// AssignmentFormat is how assignments are written.
type AssignmentFormat string

// The values of AssignmentFormat.
const (
	mathFormat AssignmentFormat = "math"
	codeFormat AssignmentFormat = "code"
	bothFormat AssignmentFormat = "both"
)

// Values lists them.
func (AssignmentFormat) Values() []string {
	return []string{string(mathFormat), string(codeFormat), string(bothFormat)}
}

// Tokens 0 to 25 are the letters; those from valueToken on are the numbers from 1.
const (
	isToken   int32 = 26 + iota // between the sides of an assignment
	endToken                    // of an assignment
	mathToken                   // the beginning of a question, …
	codeToken
	mathAskToken // … the words before the letter asked for …
	codeAskToken
	answerToken // … and those after it
	blankToken  // padding
	valueToken
)

// SetDefault sets all keys to their defaults.
func (c *Assignment) SetDefault() {
	*c = Assignment{Variables: 5, Values: 25, Depth: []int{0, 1}, Evaluate: []int{}, Format: "both", Loss: "last"}
}

// Check returns an error if c is impossible, as far as it can know without making the task.
func (c Assignment) Check() error {
	if err := schema.Check("assignment.", &c); err != nil {
		return err
	}
	if len(c.Depth) == 0 {
		return fmt.Errorf("assignment: depth = [], want at least one depth")
	}
	deepest := len(alphabet)/c.Variables - 1
	for _, list := range []struct {
		key    string
		depths []int
	}{{"depth", c.Depth}, {"evaluate", c.Evaluate}} {
		for i, d := range list.depths {
			if d < 0 || d > deepest {
				return fmt.Errorf("assignment: %s = %v: %d, want 0 to %d with variables = %d: each depth takes as many letters, and there are %d; or take fewer variables",
					list.key, list.depths, d, deepest, c.Variables, len(alphabet))
			}
			if slices.Contains(list.depths[:i], d) {
				return fmt.Errorf("assignment: %s = %v: %d occurs twice, want each once", list.key, list.depths, d)
			}
		}
	}
	return nil
}

// New makes the task.
func (c Assignment) New() (Task, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	t := &assignment{variables: c.Variables, values: c.Values, shots: c.Shots, every: c.Loss == lossEvery}
	t.texts = append(strings.Split(alphabet, ""), "=", ";", "math", "code", "math?", "code?", ":", "·")
	for v := range c.Values {
		t.texts = append(t.texts, strconv.Itoa(v+1))
	}
	switch c.Format {
	case mathFormat:
		t.formats = []notation{mathematics}
	case codeFormat:
		t.formats = []notation{program}
	case bothFormat:
		t.formats = []notation{mathematics, program}
	}
	t.depths = slices.Concat(c.Depth, c.Evaluate)
	slices.Sort(t.depths)
	t.depths = slices.Compact(t.depths)
	for kind := range t.Kinds() {
		if depth, _ := t.kind(kind); slices.Contains(c.Depth, depth) {
			t.trained = append(t.trained, kind)
		}
	}
	// Of questions there are enough: the fewest, C(26,2)·2·2² = 2600, are those with
	// two variables and two values at depth 0.
	return t, nil
}

// notation is a way to write a question: its tokens, and its text.
type notation struct {
	name       string
	begin, ask int32

	opening, is, asking string
}

// ending is the words after the letter asked for, in both formats.
const ending = "?\nAnswer:"

var (
	mathematics = notation{string(mathFormat), mathToken, mathAskToken,
		"The following is a set of simple mathematical equations.\n\n", "=",
		"What is the numerical value of "}
	program = notation{string(codeFormat), codeToken, codeAskToken,
		"The following is a very short Python program. Use the program to resolve the value of the variable in the question.\nProgram:\n", " = ",
		"\nQuestion:\nWhat is the value of "}
)

type assignment struct {
	variables int // of each depth
	values    int
	depths    []int // ascending
	formats   []notation
	trained   []int // kinds that training draws from
	shots     int
	every     bool
	texts     []string // of the tokens
}

func (t *assignment) Name() string { return "assignment" }

// size is the number of tokens of a question of that depth, without its answer.
func (t *assignment) size(depth int) int { return 4*t.variables*(depth+1) + 4 }

func (t *assignment) Length() int {
	return (t.shots+1)*t.size(t.depths[len(t.depths)-1]) + t.shots
}

func (t *assignment) Vocabulary() []string { return slices.Clone(t.texts) }

// Kinds is every depth in every format.
func (t *assignment) Kinds() []string {
	var kinds []string
	for _, depth := range t.depths {
		for _, f := range t.formats {
			kinds = append(kinds, fmt.Sprintf("depth %d %s", depth, f.name))
		}
	}
	return kinds
}

func (t *assignment) kind(k int) (depth int, f *notation) {
	return t.depths[k/len(t.formats)], &t.formats[k%len(t.formats)]
}

// Metric is accuracy: each answer belongs to a separate question.
func (t *assignment) Metric() metric.Metric { return metric.Accuracy }

func (t *assignment) NewSampler() Sampler {
	lines := t.variables * (t.depths[len(t.depths)-1] + 1)
	return &assignmentSampler{assignment: t, left: make([]int32, lines), right: make([]int32, lines)}
}

type assignmentSampler struct {
	*assignment
	rng         rng
	left, right []int32 // scratch: the lines of a question
}

func (s *assignmentSampler) Sample(seed, index uint64, split Split, ex *Example) {
	s.rng.seed(seed, index, kindStream)
	kind := s.trained[s.rng.below(uint64(len(s.trained)))]
	s.SampleKind(seed, index, split, kind, ex)
}

func (s *assignmentSampler) SampleKind(seed, index uint64, split Split, kind int, ex *Example) {
	depth, f := s.kind(kind)
	s.rng.seed(seed, index, questionStream+uint64(kind))
	lines := s.variables * (depth + 1)
	q := assignmentQuestion{left: s.left[:lines], right: s.right[:lines]}
	end := 0 // of what is written
	for i := range s.shots + 1 {
		for {
			s.draw(&q)
			if inSplit(q.hash(), split) {
				break
			}
		}
		end = s.write(end, f, q, i < s.shots, ex)
	}
	s.pad(end, ex)
	ex.Kind = kind
}

// assignmentQuestion is lines of assignments, and the letter asked for.
type assignmentQuestion struct {
	left, right []int32 // tokens of the sides of each line
	asked       int32
}

// draw draws a question with the number of lines of q.
func (s *assignmentSampler) draw(q *assignmentQuestion) {
	var letters [len(alphabet)]int32
	for i := range letters {
		letters[i] = int32(i)
	}
	for i := range q.left {
		j := i + int(s.rng.below(uint64(len(letters)-i)))
		letters[i], letters[j] = letters[j], letters[i]
		q.left[i] = letters[i]
	}
	for i := range s.variables {
		q.right[i] = valueToken + int32(s.rng.below(uint64(s.values)))
	}
	for from := s.variables; from < len(q.left); from += s.variables {
		block := q.right[from:][:s.variables]
		copy(block, q.left[from-s.variables:])
		for i := len(block) - 1; i > 0; i-- {
			j := s.rng.below(uint64(i + 1))
			block[i], block[j] = block[j], block[i]
		}
	}
	q.asked = q.left[len(q.left)-1-int(s.rng.below(uint64(s.variables)))]
}

// hash is the hash of a question: the set of its lines, and the letter asked for.
func (q assignmentQuestion) hash() uint64 {
	h := uint64(0)
	for i, x := range q.left {
		h += mix(uint64(x)<<32 | uint64(q.right[i]))
	}
	return mix(h + mix(uint64(q.asked)))
}

// answer returns the token of the number that the letter asked for has.
func (q assignmentQuestion) answer() int32 {
	var stands [len(alphabet)]int32
	for i, x := range q.left {
		stands[x] = q.right[i]
		if q.right[i] < valueToken {
			stands[x] = stands[q.right[i]]
		}
	}
	return stands[q.asked]
}

// write writes q, and if it is a shot its answer, behind the first end tokens of
// ex, and returns the new end.
func (t *assignment) write(end int, f *notation, q assignmentQuestion, shot bool, ex *Example) int {
	put := func(token int32) {
		ex.Tokens[end], ex.Targets[end] = token, Ignore
		end++
	}
	put(f.begin)
	for i, x := range q.left {
		put(x)
		put(isToken)
		put(q.right[i])
		put(endToken)
	}
	put(f.ask)
	put(q.asked)
	put(answerToken)
	answer := q.answer()
	if t.every || !shot {
		ex.Targets[end-1] = answer
	}
	if shot {
		put(answer)
	}
	return end
}

// pad completes an example after its first end tokens.
func (t *assignment) pad(end int, ex *Example) {
	for i := end; i < len(ex.Tokens); i++ {
		ex.Tokens[i], ex.Targets[i] = blankToken, Ignore
	}
}

// Explain shows the question as text, after the shots if there are any, then the
// way to the answer, and what the model reads and is asked for.
func (t *assignment) Explain(w io.Writer, ex Example) error {
	questions, err := t.parse(ex)
	if err != nil {
		return err
	}
	depth, f := t.kind(ex.Kind)
	var b bytes.Buffer
	for i, q := range questions {
		b.WriteString(t.text(f, q))
		if i < t.shots {
			b.WriteString(t.said(q) + "\n")
		}
		b.WriteString("\n")
	}

	q := questions[t.shots]
	fmt.Fprintf(&b, "\nanswer  %s", t.texts[q.asked])
	for x := q.asked; x < valueToken; {
		x = q.right[slices.Index(q.left, x)]
		fmt.Fprintf(&b, " = %s", t.texts[x])
	}
	b.WriteString("\n")

	end := (t.shots+1)*t.size(depth) + t.shots
	const width = 72
	tokens, targets := "", ""
	flush := func() {
		fmt.Fprintf(&b, "\ntokens %s\ntargets%s\n", tokens, targets)
		tokens, targets = "", ""
	}
	for i, k := range ex.Tokens[:end] {
		token, target := t.texts[k], "_"
		if ex.Targets[i] != Ignore {
			target = t.texts[ex.Targets[i]]
		}
		column := max(len(token), len(target))
		if len(tokens)+1+column > width {
			flush()
		}
		tokens += fmt.Sprintf(" %*s", column, token)
		targets += fmt.Sprintf(" %*s", column, target)
	}
	flush()
	if end < t.Length() {
		fmt.Fprintf(&b, "\nand padding up to position %d, without loss\n", t.Length())
	}
	_, err = w.Write(b.Bytes())
	return err
}

// parse reads the questions back, and fails if ex is not what the sampler could
// have made.
func (t *assignment) parse(ex Example) ([]assignmentQuestion, error) {
	n := t.Length()
	if len(ex.Tokens) != n || len(ex.Targets) != n {
		return nil, fmt.Errorf("assignment: an example has %d tokens and targets, not %d and %d", n, len(ex.Tokens), len(ex.Targets))
	}
	if kinds := len(t.depths) * len(t.formats); ex.Kind < 0 || ex.Kind >= kinds {
		return nil, fmt.Errorf("assignment: kind %d, want 0 to %d", ex.Kind, kinds-1)
	}
	depth, f := t.kind(ex.Kind)
	questions := make([]assignmentQuestion, t.shots+1)
	want, end := NewExample(t), 0
	for i := range questions {
		q := &questions[i]
		for line := range t.variables * (depth + 1) {
			at := end + 1 + 4*line
			q.left, q.right = append(q.left, ex.Tokens[at]), append(q.right, ex.Tokens[at+2])
		}
		q.asked = ex.Tokens[end+t.size(depth)-2]
		if err := t.check(*q); err != nil {
			return nil, fmt.Errorf("assignment: question %d of %d: %w", i+1, len(questions), err)
		}
		end = t.write(end, f, *q, i < t.shots, &want)
	}
	t.pad(end, &want)
	for i, k := range want.Tokens {
		if ex.Tokens[i] != k {
			return nil, fmt.Errorf("assignment: token %d at position %d, want %d", ex.Tokens[i], i+1, k)
		}
		if ex.Targets[i] != want.Targets[i] {
			return nil, fmt.Errorf("assignment: target %d at position %d, want %d", ex.Targets[i], i+1, want.Targets[i])
		}
	}
	return questions, nil
}

// check verifies that q is a question: each letter is assigned once, those of depth 0
// to numbers, those of a higher depth to all letters of the depth below, and the
// letter asked for is of the last depth.
func (t *assignment) check(q assignmentQuestion) error {
	for i, x := range q.left {
		if x < 0 || int(x) >= len(alphabet) || slices.Contains(q.left[:i], x) {
			return fmt.Errorf("token %d is on the left of line %d, want a letter that isn't in those before", x, i+1)
		}
		below := q.left[max(0, i/t.variables-1)*t.variables:][:t.variables]
		same := q.right[i/t.variables*t.variables : i]
		switch x := q.right[i]; {
		case i < t.variables && (x < valueToken || int(x-valueToken) >= t.values):
			return fmt.Errorf("token %d is on the right of line %d, want a number", x, i+1)
		case i >= t.variables && (!slices.Contains(below, x) || slices.Contains(same, x)):
			return fmt.Errorf("token %d is on the right of line %d, want a letter of the depth below that has no alias yet", x, i+1)
		}
	}
	if !slices.Contains(q.left[len(q.left)-t.variables:], q.asked) {
		return fmt.Errorf("token %d is asked for, want a letter of the last depth", q.asked)
	}
	return nil
}
