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

// LoopedConfig is a random transformer to be compiled into one looped layer.
type LoopedConfig struct {
	Shape
	Schedule   []int // the layer at each depth, from 0
	Vocabulary int   // V, the tokens that it reads
	Length     int   // positions n
	Scale      float64
	Examples   int // random texts
	Seed       uint64
}

// teacher is the transformer as the task teacher has it.
func (c LoopedConfig) teacher() task.Teacher {
	return task.Teacher{Vocabulary: c.Vocabulary, Prompt: c.Length, Layers: c.Layers, Schedule: c.Schedule, Width: c.Width, Heads: c.Heads,
		HeadWidth: c.HeadWidth, Hidden: c.Hidden, Scale: c.Scale, Weights: c.Seed}
}

// MaxDepth is the largest depth of a schedule.
const MaxDepth = 1 << 10

// RandomSchedule has each of a number of layers at least once, if the depth permits, in random order.
func RandomSchedule(layers, depth int, seed uint64) []int {
	rng := rand.New(rand.NewPCG(seed, 3))
	s := make([]int, depth)
	for i := range s {
		if s[i] = i; i >= layers {
			s[i] = rng.IntN(layers)
		}
	}
	rng.Shuffle(depth, func(i, j int) { s[i], s[j] = s[j], s[i] })
	return s
}

// NewLooped compiles random layers on a schedule into one looped layer, as [Looped] says. The examples' exact states are
// those that the layers themselves compute.
func NewLooped(c LoopedConfig) (*Construction, error) {
	if err := c.Shape.Check(); err != nil {
		return nil, err
	}
	if err := checkExamples(c.Examples); err != nil {
		return nil, err
	}
	if err := checkSchedule(c.Schedule, c.Layers); err != nil {
		return nil, err
	}
	if len(c.Schedule) > MaxDepth {
		return nil, fmt.Errorf("a schedule of %d layers, want at most %d", len(c.Schedule), MaxDepth)
	}
	if err := checkLength(c.Length); err != nil {
		return nil, err
	}
	if err := checkVocabulary(c.Vocabulary); err != nil {
		return nil, err
	}
	d := NewDecoder(c.teacher().Network())
	d.Scale = c.Scale
	of := task.Default()
	of.Name, of.Teacher = "teacher", c.teacher()
	return newLooped(d, of, randomTexts(rand.New(rand.NewPCG(c.Seed, 2)), c.Examples, c.Length, c.Vocabulary), c.Shape)
}

// checkVocabulary returns an error unless a random transformer can have a vocabulary of v tokens.
func checkVocabulary(v int) error {
	if v < 2 || v > 256 {
		return fmt.Errorf("%d tokens in the vocabulary, want 2 to 256", v)
	}
	return nil
}

func checkLength(n int) error {
	const most = 1 << 12
	if n < 1 || n > most {
		return fmt.Errorf("%d positions, want 1 to %d", n, most)
	}
	return nil
}

// newLooped compiles a decoder's layers, and runs them on texts, which are questions of a task.
func newLooped(d *Decoder, of task.Config, texts [][]int, s Shape) (*Construction, error) {
	m := d.Model
	var inputs [][][]float64
	for _, text := range texts {
		inputs = append(inputs, d.embed(text))
	}
	l, err := Loop(m, inputs...)
	if err != nil {
		return nil, err
	}
	depth := m.Depth()
	c := &Construction{
		Name:  "looped",
		About: fmt.Sprintf("%d layers on a schedule of %d as one layer, looped %s", s.Layers, depth, format.Plural(depth, "time")),
		Step:  "loop",
		Model: l.Model, trainable: func() (*Trainable, error) { return d.looped(of, inputs) },
		Slots: l.slots(nil),
		Notes: l.notes(),
		Sizes: sizes(l.Model,
			Size{Name: "layers", Bound: 1},
			Size{Name: "loops", Bound: depth, Formula: "L"},
			Size{Name: "width", Bound: s.Width + s.Layers + 2, Formula: "d + R + 2"},
			Size{Name: "heads", Bound: s.Layers * s.Heads, Formula: "R·H"},
			Size{Name: "head width", Bound: s.HeadWidth + 1, Formula: "w + 1"},
			Size{Name: "hidden size", Bound: s.Layers*(s.Hidden+1) + depth + 2, Formula: "R·(f + 1) + L + 2"}),
	}
	c.Notes = append(c.Notes, fmt.Sprintf("the %d layers themselves have %d parameters", s.Layers, measured(m)["parameters"]))
	for i, x := range inputs {
		c.Examples = append(c.Examples, &loopedExample{l, x, texts[i], len(d.Tokens)})
	}
	return c, nil
}

// notes say what the compiled layer's exactness depends on.
func (l *Looped) notes() []string {
	return []string{fmt.Sprintf("exact for inputs whose scores stay below %.0f and whose neurons' inputs stay below %.0f in size", l.Mask/2, l.Bar)}
}

// slots are those of the original, or one of real numbers, and those that looping adds.
func (l *Looped) slots(original []Slot) []Slot {
	if original == nil {
		original = []Slot{{"x", 0, l.From.Width, Real, "the state of the original"}}
	}
	return append(slices.Clip(original),
		Slot{"turn", l.turn(0), len(l.From.Layers), Bit, "0 at the layer whose turn it is, 1 elsewhere"},
		Slot{"loop", l.loop(), 1, Whole, "number of the loop, from 0"},
		Slot{"start", l.start(), 1, Bit, "1 at #"})
}

// state is the expected state after a number of loops, if the original's is x there.
func (l *Looped) state(x [][]float64, loops int) [][]float64 {
	y := l.Input(x)
	next := l.From.Schedule[loops%l.From.Depth()%len(l.From.Schedule)]
	for i := range y {
		for r := range l.From.Layers {
			y[i][l.turn(r)] = 1
		}
		y[i][l.turn(next)], y[i][l.loop()] = 0, float64(loops)
	}
	return y
}

type loopedExample struct {
	*Looped
	input      [][]float64
	text       []int
	vocabulary int // the number of tokens, and of #
}

func (e *loopedExample) Input() [][]float64 { return e.Looped.Input(e.input) }

func (e *loopedExample) Exact(a Arithmetic) [][][]float64 {
	var states [][][]float64
	e.From.Run(e.input, a, func(depth int, x [][]float64) { states = append(states, e.state(x, depth)) })
	return states
}

// Right counts the numbers of the output that are the original's, to the last bit.
func (e *loopedExample) Right(last, exact [][]float64) (right, answers int) {
	want := e.Output(exact)
	for i, row := range e.Output(last) {
		for j, v := range row {
			answers++
			if v == want[i][j] {
				right++
			}
		}
	}
	return right, answers
}

// Tokens is the text behind #.
func (e *loopedExample) Tokens() []int { return append([]int{e.vocabulary}, e.text...) }

// Trace shows which layer has its turn in each loop, and how far the state moves.
func (e *loopedExample) Trace(states [][][]float64) *run.Trace {
	t := &run.Trace{About: fmt.Sprintf("● is the layer whose turn a loop is. A token # stands in front of %d positions.", len(e.input)), Columns: []string{"layer"}}
	for r := range e.From.Layers {
		t.Columns = append(t.Columns, strconv.Itoa(r))
	}
	t.Columns = append(t.Columns, "largest |x|", "moved by")
	before, had := e.Input(), -1
	for n, x := range states {
		row := run.TraceRow{Label: fmt.Sprintf("loop %d", n+1), Loop: n + 1}
		now := 0 // by what the state says, not by the schedule
		for r := range e.From.Layers {
			if before[1][e.turn(r)] < before[1][e.turn(now)] {
				now = r
			}
		}
		for r := range e.From.Layers {
			c := run.TraceCell{Text: "·", Tone: faint}
			if r == now {
				c = run.TraceCell{Text: "●", Tone: r + 1}
				if had >= 0 {
					c.From = []int{had}
				}
			}
			row.Cells = append(row.Cells, c)
		}
		had = now
		var largest, moved float64
		for i, out := range e.Output(x) {
			for j, v := range out {
				largest, moved = max(largest, math.Abs(v)), max(moved, math.Abs(v-before[i+1][j]))
			}
		}
		row.Cells = append(row.Cells, run.TraceCell{Text: fmt.Sprintf("%.4f", largest)}, run.TraceCell{Text: fmt.Sprintf("%.4f", moved)})
		t.Rows = append(t.Rows, row)
		before = x
	}
	return t
}
