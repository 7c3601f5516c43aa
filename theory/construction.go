package theory

import (
	"fmt"
	"math"
	"time"

	"coil/run"
)

// Construction is a model that a theorem says exists, with examples for which the exact state after every loop is known.
type Construction struct {
	Name     string   // of its command
	About    string   // the construction, with its sizes
	Step     string   // what the examples' exact states are known after: "loop", or "depth" for each layer
	Sizes    []Size   // beside those of the theorem
	Notes    []string // what its exactness depends on
	Slots    []Slot   // what the coordinates of a state are
	Model    *Model
	Examples []Example

	trainable func() (*Trainable, error)
}

// Example is an input of a construction and what must come of it.
type Example interface {
	// Input is the state before the first loop.
	Input() [][]float64
	// Exact returns the state that must be reached after each step, all of equally many layers; NaN where it may be anything.
	Exact(Arithmetic) [][][]float64
	// Right counts the answers in the last state that are right, given the exact one, and all answers.
	Right(last, exact [][]float64) (right, answers int)
	// Trace shows a person what the states after the steps say.
	Trace(states [][][]float64) *run.Trace
	// Tokens is the example as a run of the construction reads it.
	Tokens() []int
}

// Size is one of a construction's sizes.
type Size struct {
	Name    string `json:"name"`
	Built   int    `json:"built"`
	Bound   int    `json:"bound,omitempty"`   // by the theorem; 0 if it gives none
	Formula string `json:"formula,omitempty"` // of the bound
}

// Slot is coordinates of a state that belong together.
type Slot struct {
	Name  string `json:"name"`
	At    int    `json:"at"` // of the first
	Width int    `json:"width"`
	Kind  Kind   `json:"kind"`
	About string `json:"about"`
}

// Kind is the values that the coordinates of a slot have between loops.
type Kind string

// The kinds. All but Real are discrete.
const (
	Real  Kind = "real"  // any number
	Whole Kind = "whole" // whole numbers: pointers, counters
	Bit   Kind = "bit"   // 0 and 1: one-hot codes, flags
	Sign  Kind = "sign"  // −1 and 1: binary codes
	Zero  Kind = "zero"  // nothing: used within a loop only
)

// snap returns the nearest of the values.
func (k Kind) snap(v float64) float64 {
	switch k {
	case Whole:
		return math.Round(v)
	case Bit:
		return min(max(math.Round(v), 0), 1)
	case Sign:
		return math.Copysign(1, v)
	case Zero:
		return 0
	}
	return v
}

// Outcome is what a run of a construction's examples came to.
type Outcome struct {
	Arithmetic Arithmetic
	Difference []float64 // the largest from the exact state after each step, before it is snapped
	Snapped    bool
	Right      int // answers
	Answers    int
	Time       time.Duration // of running the model
}

// Largest is the largest difference after any step.
func (o Outcome) Largest() float64 {
	var largest float64
	for _, d := range o.Difference {
		largest = max(largest, d)
	}
	return largest
}

// Run runs all examples. If snap is set, every discrete slot is set to the nearest of its values after each step, which no
// transformer does: it shows how much of a difference is drift that adds up over loops, and how much a single loop makes.
func (c *Construction) Run(a Arithmetic, snap bool) Outcome {
	o := Outcome{Arithmetic: a, Snapped: snap}
	for _, e := range c.Examples {
		exact := e.Exact(a)
		if len(o.Difference) == 0 {
			o.Difference = make([]float64, len(exact))
		}
		begun := time.Now()
		step := 0
		last := c.eachLoop(e, a, snap, len(exact), func(x [][]float64) {
			o.Difference[step] = max(o.Difference[step], difference(x, exact[step]))
			step++
		})
		o.Time += time.Since(begun)
		right, answers := e.Right(last, exact[len(exact)-1])
		o.Right, o.Answers = o.Right+right, o.Answers+answers
	}
	return o
}

// eachLoop runs an example in that number of steps.
func (c *Construction) eachLoop(e Example, a Arithmetic, snap bool, steps int, after func(x [][]float64)) [][]float64 {
	layers := c.Model.Depth() / steps
	return c.Model.Run(e.Input(), a, func(depth int, x [][]float64) {
		if depth%layers != 0 {
			return
		}
		after(x)
		if snap {
			c.snap(x)
		}
	})
}

// snap sets the discrete slots of x to the nearest of their values.
func (c *Construction) snap(x [][]float64) {
	for _, row := range x {
		for _, s := range c.Slots {
			for j := s.At; j < s.At+s.Width; j++ {
				row[j] = s.Kind.snap(row[j])
			}
		}
	}
}

// difference is the largest absolute difference of x from the exact state; infinite if x isn't a number.
func difference(x, exact [][]float64) float64 {
	var largest float64
	for i, row := range exact {
		for j, want := range row {
			switch d := math.Abs(x[i][j] - want); {
			case math.IsNaN(want):
			case math.IsNaN(d):
				return math.Inf(1)
			default:
				largest = max(largest, d)
			}
		}
	}
	return largest
}

// measured are the sizes that m has, each the largest of a layer.
func measured(m *Model) map[string]int {
	s := map[string]int{"layers": len(m.Layers), "loops": m.Loops, "depth": m.Depth(), "width": m.Width}
	for i := range m.Layers {
		l := &m.Layers[i]
		s["heads"] = max(s["heads"], len(l.Heads))
		for _, h := range l.Heads {
			s["head width"] = max(s["head width"], len(h.Query), len(h.Value))
		}
		s["hidden size"] = max(s["hidden size"], l.hidden())
		s["parameters"] += l.parameters(m.Width)
		s["not zero"] += l.nonzero()
	}
	return s
}

// sizes lays the sizes of m beside bounds, which also say the order. The parameters come last, those that aren't 0 too.
func sizes(m *Model, bounds ...Size) []Size {
	built := measured(m)
	for i := range bounds {
		bounds[i].Built = built[bounds[i].Name]
	}
	return append(bounds, Size{Name: "parameters", Built: built["parameters"]}, Size{Name: "not zero", Built: built["not zero"]})
}

// checkExamples returns an error unless there is something to run.
func checkExamples(n int) error {
	const most = 1 << 10
	if n < 1 || n > most {
		return fmt.Errorf("%d examples, want 1 to %d", n, most)
	}
	return nil
}
