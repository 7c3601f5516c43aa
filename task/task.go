// Package task makes synthetic reasoning tasks with exact samplers: the answer
// to every question is known, examples are made on the fly, and the training and
// held-out questions are disjoint by construction.
//
// A sample is a pure function of (seed, index, split), so training can stop and
// resume, or share the making of a batch among goroutines, without a change to
// a single token.
//
// # The split
//
// Which split a question belongs to is a fixed function of the question alone:
// a 64-bit hash of it is held out when its low bits are zero, which is true of
// one question in [HeldOutOneIn]. No seed enters, so a question trained on under
// one seed can never be a held-out question under another. A sampler draws until
// the question falls in the split asked for, so within a split the law of the
// questions is the task's own. Held-out samples therefore cost about sixteen
// draws, training samples about one.
//
// A task may hash less than the whole question, so that questions that are much alike
// are in the same split, and keep in training what there is too little of to divide:
// i-GSM hashes the solution's template, and holds out none of the shortest.
//
// A split with a handful of questions measures nothing, so a constructor refuses
// a task in which either split has fewer than 100 different questions.
package task

import (
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"

	"coil/metric"
)

// Split names one of the two disjoint sets of questions.
type Split int

const (
	Train Split = iota
	HeldOut
)

// String returns "train" or "held-out".
func (s Split) String() string {
	switch s {
	case Train:
		return "train"
	case HeldOut:
		return "held-out"
	}
	return fmt.Sprintf("Split(%d)", int(s))
}

// HeldOutOneIn says that one question in this many is held out. It is a power of
// two, and part of what makes old and new results comparable: changing it moves
// questions from one split to the other.
const HeldOutOneIn = 16

// Ignore is the target of a position that carries no loss.
const Ignore = -1

// Example is one sequence. Targets[i] is what a model should say after reading
// Tokens[:i+1], or Ignore. Both slices have the length Task.Length and belong to
// the caller. Kind is an index into Task.Kinds.
type Example struct {
	Tokens, Targets []int32
	Kind            int
}

// Task is one family of questions. It is immutable and safe for concurrent use.
type Task interface {
	// Name is the task's name in configurations: "p-hop", "addition", "i-gsm",
	// "group-word", "assignment", "teacher", "noise", "text".
	Name() string
	// Length is the number of tokens of every sequence.
	Length() int
	// Vocabulary is the text of each token.
	Vocabulary() []string
	// Kinds names the sorts of question that evaluation reports apart, at least
	// one. Training may draw from only some of them.
	Kinds() []string
	// Metric is what the task is judged by.
	Metric() metric.Metric
	// NewSampler returns a sampler with its own scratch memory.
	NewSampler() Sampler
	// Explain prints an example so that a person can follow it by hand. It fails
	// on an example that is not one of this task's.
	Explain(w io.Writer, ex Example) error
}

// Sampler makes examples. Its methods do not allocate; they use the sampler's
// scratch memory, so each goroutine needs a sampler of its own. Every example
// has at least one target.
type Sampler interface {
	// Sample writes into ex the example of (seed, index, split): always the same
	// one, whatever was sampled before. Its kind is uniform among those trained,
	// unless the task has a law of its own, and it is what SampleKind gives for
	// that kind.
	Sample(seed, index uint64, split Split, ex *Example)
	// SampleKind is Sample for a given kind, trained or not.
	SampleKind(seed, index uint64, split Split, kind int, ex *Example)
}

// Parted is a task whose targets evaluation can report apart by what they ask.
type Parted interface {
	Task
	// Parts names the parts of all examples: the digits of a sum, say. None: the targets are all alike.
	Parts() []string
	// Part writes for each target of an example its part, an index into Parts, to the target's position in parts, which is as long as
	// the example. It leaves the positions without targets as they are, and fails on an example that is not one of this task's.
	Part(ex Example, parts []int) error
}

// NewExample returns an example of the right size for t's samplers to fill.
func NewExample(t Task) Example {
	return Example{Tokens: make([]int32, t.Length()), Targets: make([]int32, t.Length())}
}

// Render joins the texts of tokens, with spaces between if some text of the vocabulary has several characters. It also
// takes targets: Ignore becomes "_". A number that is no token becomes "?". Tokens of a [Language] are decoded to text on one
// line, with ↵ for the end of a line and ¶ for that of a document.
func Render(t Task, tokens []int32) string {
	if l, ok := t.(Language); ok {
		return renderText(l.Tokenizer(), tokens)
	}
	vocabulary := t.Vocabulary()
	space := ""
	if slices.ContainsFunc(vocabulary, func(s string) bool { return utf8.RuneCountInString(s) > 1 }) {
		space = " "
	}
	var b strings.Builder
	for i, k := range tokens {
		if i > 0 {
			b.WriteString(space)
		}
		switch {
		case k == Ignore:
			b.WriteByte('_')
		case k < 0 || int(k) >= len(vocabulary):
			b.WriteByte('?')
		default:
			b.WriteString(vocabulary[k])
		}
	}
	return b.String()
}

// minQuestions is the fewest different questions either split may have. The
// standard error of an accuracy measured on 100 questions is up to 5 points;
// with fewer, held-out accuracy can hardly distinguish two models.
const minQuestions = 100

// tally counts different questions by split.
type tally [2]int

func (t *tally) add(question uint64) {
	if inSplit(question, HeldOut) {
		t[HeldOut]++
	} else {
		t[Train]++
	}
}

func (t tally) enough() bool { return min(t[Train], t[HeldOut]) >= minQuestions }

// countSequences counts the questions that are sequences of n tokens from a
// vocabulary of the given size. It enumerates them like an odometer until both
// splits have enough or there are no more.
func countSequences(n, tokens int) tally {
	var count tally
	v := make([]int32, n)
	for !count.enough() {
		count.add(hashTokens(v))
		i := 0
		for i < len(v) && int(v[i]) == tokens-1 {
			v[i] = 0
			i++
		}
		if i == len(v) {
			break
		}
		v[i]++
	}
	return count
}

// inSplit reports whether the question with this hash belongs to split.
func inSplit(question uint64, split Split) bool {
	return (question%HeldOutOneIn == 0) == (split == HeldOut)
}

// hashTokens is the hash of a question that is the whole sequence: FNV-1a
// over the tokens, mixed so that the low bits depend on all of it.
func hashTokens(v []int32) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, k := range v {
		h = (h ^ uint64(k)) * 0x100000001b3
	}
	return mix(h)
}

// mix is one step of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a bijection
// under which every bit of x affects every bit of the result.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Each (seed, index) has a stream that picks the kind and one that draws the
// question for each kind. If they were one stream, the kind would reveal part of
// the question, and questions of different kinds would start alike.
const (
	kindStream     uint64 = 0
	questionStream uint64 = 1 // plus the kind
)

// rng draws uniform integers. The bounded draw is here rather than taken from
// rand.Rand because the standard library fixes only the output of its PCG, and
// a change to the draw would change every example.
type rng struct{ pcg rand.PCG }

// seed starts the stream of (seed, index). For one stream no two pairs (seed,
// index) give the same state, as mix is a bijection.
func (r *rng) seed(seed, index, stream uint64) {
	high := mix(seed ^ mix(stream))
	r.pcg.Seed(high, mix(high^index))
}

// below returns a uniform integer in [0, n), n > 0, exactly: it takes the high
// word of n·x, x a random 64-bit word, and rejects the 2^64 mod n smallest low
// words, which would make some results more frequent than others (Lemire, "Fast
// Random Integer Generation in an Interval", 2019).
func (r *rng) below(n uint64) uint64 {
	high, low := bits.Mul64(r.pcg.Uint64(), n)
	if low < n {
		for reject := -n % n; low < reject; {
			high, low = bits.Mul64(r.pcg.Uint64(), n)
		}
	}
	return high
}
