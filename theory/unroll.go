package theory

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"

	"coil/loop"
	"coil/run"
	"coil/task"
)

// NewStack returns the model of an architecture: block b of its layers runs loops[b] times, one block after the other.
func NewStack(a loop.Architecture, width int, scale float64, layers []Layer) (*Model, error) {
	if len(layers) != a.Layers() {
		return nil, fmt.Errorf("%s has %d layers, not %d", a, a.Layers(), len(layers))
	}
	m := &Model{Width: width, Scale: scale, Layers: layers, Schedule: schedule(a), Loops: 1}
	return m, m.Check()
}

// schedule is the layer that runs at each depth.
func schedule(a loop.Architecture) (order []int) {
	for b, loops := range a.Loops {
		for range loops {
			for i := range a.Sizes[b] {
				order = append(order, a.First(b)+i)
			}
		}
	}
	return order
}

// Unroll returns the model that has a layer of its own for every depth, run once: k·L⊗1 for k⊗L.
func Unroll(m *Model) *Model {
	u := &Model{Width: m.Width, Scale: m.Scale, Loops: 1}
	for depth := range m.Depth() {
		u.Schedule = append(u.Schedule, depth)
		u.Layers = append(u.Layers, m.Layers[m.Schedule[depth%len(m.Schedule)]])
	}
	return u
}

// Roll returns the architecture with the fewest distinct layers that runs the same layers as m in the same order, and its
// model: k⊗L, or blocks with loop counts of their own. Of several with as few layers it is the one with the fewest blocks.
// Layers are the same if all their weights are.
func Roll(m *Model) (loop.Architecture, *Model) {
	order, layers := m.order()
	best := loop.Equal(len(order), 1)
	for k := 1; k < len(order); k++ {
		if len(order)%k != 0 {
			continue
		}
		var a loop.Architecture
		for at := 0; at < len(order); at += k {
			if at > 0 && reflect.DeepEqual(order[at-k:at], order[at:at+k]) {
				a.Loops[len(a.Loops)-1]++
			} else {
				a.Sizes, a.Loops = append(a.Sizes, k), append(a.Loops, 1)
			}
		}
		if a.Layers() < best.Layers() || a.Layers() == best.Layers() && len(a.Loops) < len(best.Loops) {
			best = a
		}
	}
	rolled := &Model{Width: m.Width, Scale: m.Scale, Schedule: schedule(best), Loops: 1}
	depth := 0
	for b, loops := range best.Loops {
		for i := range best.Sizes[b] {
			rolled.Layers = append(rolled.Layers, layers[order[depth+i]])
		}
		depth += best.Sizes[b] * loops
	}
	return best, rolled
}

// order returns the layer that runs at each depth, as a number of the list of those that differ.
func (m *Model) order() (order []int, layers []Layer) {
	number := make([]int, len(m.Layers))
	for i := range m.Layers {
		number[i] = -1
		for k := range layers {
			if reflect.DeepEqual(layers[k], m.Layers[i]) {
				number[i] = k
				break
			}
		}
		if number[i] < 0 {
			number[i] = len(layers)
			layers = append(layers, m.Layers[i])
		}
	}
	for depth := range m.Depth() {
		order = append(order, number[m.Schedule[depth%len(m.Schedule)]])
	}
	return order, layers
}

// UnrolledConfig is a random looped model to be unrolled and rolled up again.
type UnrolledConfig struct {
	Architecture loop.Architecture
	Shape        // Layers follows from the architecture
	Vocabulary   int
	Length       int
	Scale        float64
	Examples     int
	Seed         uint64
}

// NewUnrolled unrolls a random model of an architecture into one with a layer for each depth, and rolls that up again by
// comparing weights. What is run is the rolled model; the exact states are those of the unrolled one.
func NewUnrolled(cfg UnrolledConfig) (*Construction, error) {
	a := cfg.Architecture
	cfg.Layers = a.Layers()
	if err := cfg.Shape.Check(); err != nil {
		return nil, err
	}
	if err := checkExamples(cfg.Examples); err != nil {
		return nil, err
	}
	if err := checkLength(cfg.Length); err != nil {
		return nil, err
	}
	if err := checkVocabulary(cfg.Vocabulary); err != nil {
		return nil, err
	}
	random := LoopedConfig{Shape: cfg.Shape, Schedule: schedule(a), Vocabulary: cfg.Vocabulary, Length: cfg.Length, Scale: cfg.Scale, Seed: cfg.Seed}.teacher()
	d := NewDecoder(random.Network())
	m, err := NewStack(a, cfg.Width, cfg.Scale, d.Layers)
	if err != nil {
		return nil, err
	}
	flat := Unroll(m)
	back, rolled := Roll(flat)
	c := &Construction{
		Name:  "unroll",
		About: fmt.Sprintf("%s as %d⊗1, and that as %s", a, flat.Depth(), back),
		Step:  "depth",
		Model: rolled, trainable: func() (*Trainable, error) {
			of := task.Default()
			of.Name, of.Teacher = "teacher", random
			return (&Decoder{rolled, d.Tokens, d.Positions, d.Head}).trainable(of)
		},
		Slots: []Slot{{"x", 0, cfg.Width, Real, "the state"}},
		Notes: []string{fmt.Sprintf("unrolled there are %d layers with %d parameters", flat.Depth(), measured(flat)["parameters"])},
		Sizes: sizes(rolled,
			Size{Name: "layers", Bound: a.Layers(), Formula: "k for each block"},
			Size{Name: "depth", Bound: a.Depth(), Formula: "k·Σ loops"}),
	}
	for _, text := range randomTexts(rand.New(rand.NewPCG(cfg.Seed, 2)), cfg.Examples, cfg.Length, cfg.Vocabulary) {
		c.Examples = append(c.Examples, &unrolledExample{a, back, flat, rolled, d.embed(text), text})
	}
	return c, nil
}

type unrolledExample struct {
	from, back   loop.Architecture
	flat, rolled *Model
	input        [][]float64
	text         []int
}

func (e *unrolledExample) Input() [][]float64 { return e.input }

func (e *unrolledExample) Exact(a Arithmetic) [][][]float64 {
	var states [][][]float64
	e.flat.Run(e.input, a, func(_ int, x [][]float64) { states = append(states, convert[float64](x)) })
	return states
}

// Right counts the numbers that are equal to the last bit.
func (e *unrolledExample) Right(last, exact [][]float64) (right, answers int) {
	for i, row := range last {
		for j, v := range row {
			answers++
			if v == exact[i][j] {
				right++
			}
		}
	}
	return right, answers
}

// Tokens is the text.
func (e *unrolledExample) Tokens() []int { return e.text }

// Trace shows which layer runs at each depth.
func (e *unrolledExample) Trace(states [][][]float64) *run.Trace {
	t := &run.Trace{About: "The layer that runs at each depth.", Columns: []string{"depth"}}
	flat, rolled := run.TraceRow{Label: fmt.Sprintf("layer of %d⊗1", len(states))}, run.TraceRow{Label: fmt.Sprintf("layer of %s", e.back)}
	for d := range states {
		t.Columns = append(t.Columns, strconv.Itoa(d+1))
		layer := e.rolled.Schedule[d]
		flat.Cells = append(flat.Cells, run.TraceCell{Text: strconv.Itoa(e.flat.Schedule[d]), Tone: layer + 1})
		rolled.Cells = append(rolled.Cells, run.TraceCell{Text: strconv.Itoa(layer), Tone: layer + 1, From: []int{d}})
	}
	t.Rows = []run.TraceRow{flat, rolled}
	return t
}
