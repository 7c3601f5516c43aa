package theory

import (
	"fmt"
	"iter"
	"math"
)

// Term is one weight and the coordinate of the state that it belongs to.
type Term struct {
	Index  int
	Weight float64
}

// Row is a sparse vector of the width of a state. Where it reads a state x, it stands for Σ Weight·x[Index]; where it
// writes a value v, it adds v·Weight to each x[Index].
type Row []Term

// unit is the vector that is 1 at index i.
func unit(i int) Row { return Row{{i, 1}} }

// units are the n unit vectors from index i on: the identity between coordinates i to i+n−1 and a head's values.
func units(i, n int) []Row {
	rows := make([]Row, n)
	for k := range rows {
		rows[k] = unit(i + k)
	}
	return rows
}

// Head is one attention head. Its query and key have a number for each row of Query and Key, and Out[c] writes value c.
type Head struct {
	Query, Key []Row
	Value, Out []Row
}

// Neuron is one hidden unit of the feed-forward layer: relu(In·x + Bias)·Out.
type Neuron struct {
	In   Row
	Bias float64
	Out  Row
}

// Layer is attention and then a feed-forward layer, each added to the state. The feed-forward layer adds the units of its
// tables, its neurons and its bias, in this order.
type Layer struct {
	Heads   []Head
	Tables  []Table
	Neurons []Neuron
	Bias    Row
}

// Model is layers, run in the order of Schedule, and that Loops times.
type Model struct {
	Width    int
	Scale    float64 // of the scores of attention
	Layers   []Layer
	Schedule []int
	Loops    int
}

// Depth is how many layers a state passes.
func (m *Model) Depth() int { return len(m.Schedule) * m.Loops }

// Check returns an error unless m can run: sizes are positive, every weight is finite, every index is a coordinate of the
// state, and the schedule names layers that exist.
func (m *Model) Check() error {
	switch {
	case m.Width < 1:
		return fmt.Errorf("width %d, want at least 1", m.Width)
	case !(m.Scale > 0) || math.IsInf(m.Scale, 0):
		return fmt.Errorf("attention scale %g, want a finite number above 0", m.Scale)
	case len(m.Layers) == 0:
		return fmt.Errorf("no layers, want at least 1")
	case m.Loops < 1:
		return fmt.Errorf("%d loops, want at least 1", m.Loops)
	}
	if err := checkSchedule(m.Schedule, len(m.Layers)); err != nil {
		return err
	}
	for i := range m.Layers {
		if err := m.Layers[i].check(m.Width); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return nil
}

// checkSchedule returns an error unless the schedule has an entry, and each is the number of one of the layers.
func checkSchedule(schedule []int, layers int) error {
	if len(schedule) == 0 {
		return fmt.Errorf("the schedule is empty, want at least one layer")
	}
	for depth, r := range schedule {
		if r < 0 || r >= layers {
			return fmt.Errorf("the schedule has layer %d at depth %d, want 0 to %d", r, depth, layers-1)
		}
	}
	return nil
}

func (l *Layer) check(width int) error {
	var rows []Row
	for i, h := range l.Heads {
		if len(h.Query) != len(h.Key) || len(h.Value) != len(h.Out) {
			return fmt.Errorf("head %d has %d queries for %d keys and %d values for %d outputs, want as many", i, len(h.Query), len(h.Key), len(h.Value), len(h.Out))
		}
		rows = append(rows, h.Query...)
		rows = append(rows, h.Key...)
		rows = append(rows, h.Value...)
		rows = append(rows, h.Out...)
	}
	for i, n := range l.Neurons {
		if math.IsNaN(n.Bias) || math.IsInf(n.Bias, 0) {
			return fmt.Errorf("neuron %d has the bias %g, want a finite number", i, n.Bias)
		}
		rows = append(rows, n.In, n.Out)
	}
	for _, t := range l.Tables {
		if err := t.check(width); err != nil {
			return err
		}
		rows = append(rows, t.In)
	}
	for _, r := range append(rows, l.Bias) {
		for _, t := range r {
			if t.Index < 0 || t.Index >= width {
				return fmt.Errorf("a weight for coordinate %d, want 0 to %d", t.Index, width-1)
			}
			if math.IsNaN(t.Weight) || math.IsInf(t.Weight, 0) {
				return fmt.Errorf("a weight is %g, want a finite number", t.Weight)
			}
		}
	}
	return nil
}

// neurons are all hidden units, those of the tables first.
func (l *Layer) neurons() iter.Seq[Neuron] {
	return func(yield func(Neuron) bool) {
		for i := range l.Tables {
			for n := range l.Tables[i].neurons() {
				if !yield(n) {
					return
				}
			}
		}
		for _, n := range l.Neurons {
			if !yield(n) {
				return
			}
		}
	}
}

// hidden is the number of hidden units.
func (l *Layer) hidden() int {
	n := len(l.Neurons)
	for _, t := range l.Tables {
		n += t.Order * t.Order
	}
	return n
}

// parameters is the number of weights of the layer with full matrices: Q, K, V and O of each head, W₁, b₁, W₂ and b₂.
func (l *Layer) parameters(width int) int {
	n := l.hidden()*(2*width+1) + width
	for _, h := range l.Heads {
		n += 2 * width * (len(h.Query) + len(h.Value))
	}
	return n
}

// nonzero is how many of them are there.
func (l *Layer) nonzero() int {
	n := len(l.Bias)
	for _, h := range l.Heads {
		for _, rows := range [][]Row{h.Query, h.Key, h.Value, h.Out} {
			for _, r := range rows {
				n += len(r)
			}
		}
	}
	for _, u := range l.Neurons {
		n += len(u.In) + len(u.Out)
		if u.Bias != 0 {
			n++
		}
	}
	for _, t := range l.Tables {
		n += t.Order * t.Order * (3*t.Bits + len(t.In) + 1)
	}
	return n
}
