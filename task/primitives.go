package task

import (
	"slices"
	"strings"
)

// Primitive is a question as text, with several answers to choose from.
type Primitive struct {
	// Shots are questions of the same kind with their answers, each with the empty line that separates it from the next
	// question.
	Shots []string
	// Question ends with "Answer:".
	Question string
	// Choices are what may follow: each number of the question once, in the order in which they stand, as in " 22\n".
	Choices []string
	// Right is the index of the right choice.
	Right int
}

// Primitives are the reasoning primitives by which language models are compared: variable assignment at depths 0 and 1, each as
// equations and as a program, with 5 variables and numbers from 1 to 25, as text. [Assignment] defines the questions and their
// law, and names the source. Questions are of the held-out split. Not for concurrent use.
type Primitives struct {
	sampler *assignmentSampler
	example Example
}

// NewPrimitives returns primitives with a number of shots.
func NewPrimitives(shots int) (*Primitives, error) {
	c := Assignment{Variables: 5, Values: 25, Depth: []int{0, 1}, Format: bothFormat, Shots: shots, Loss: lossLast}
	t, err := c.New()
	if err != nil {
		return nil, err
	}
	return &Primitives{t.NewSampler().(*assignmentSampler), NewExample(t)}, nil
}

// Kinds names the primitives.
func (p *Primitives) Kinds() []string { return p.sampler.Kinds() }

// Question returns the question of a kind with this index: always the same for a seed.
func (p *Primitives) Question(seed, index uint64, kind int) Primitive {
	t := p.sampler.assignment
	p.sampler.SampleKind(seed, index, HeldOut, kind, &p.example)
	questions, err := t.parse(p.example)
	if err != nil {
		panic(err) // the sampler has just made it
	}
	_, f := t.kind(kind)
	var made Primitive
	for _, q := range questions[:t.shots] {
		made.Shots = append(made.Shots, t.text(f, q)+t.said(q)+"\n\n")
	}
	last := questions[t.shots]
	made.Question = t.text(f, last)
	var numbers []int32
	for _, x := range last.right {
		if x >= valueToken && !slices.Contains(numbers, x) {
			numbers = append(numbers, x)
			made.Choices = append(made.Choices, " "+t.texts[x]+"\n")
		}
	}
	made.Right = slices.Index(numbers, last.answer())
	return made
}

// text is a question in the words of a format, up to where the answer goes.
func (t *assignment) text(f *notation, q assignmentQuestion) string {
	var b strings.Builder
	b.WriteString(f.opening)
	for i, x := range q.left {
		b.WriteString(t.texts[x] + f.is + t.texts[q.right[i]] + "\n")
	}
	b.WriteString(f.asking + t.texts[q.asked] + ending)
	return b.String()
}

// said is the answer as it follows the text of q.
func (t *assignment) said(q assignmentQuestion) string { return " " + t.texts[q.answer()] }
