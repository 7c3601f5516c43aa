package bench

import (
	"cmp"
	"fmt"
	"slices"

	"coil/backend"
	"coil/config"
	"coil/graph"
	"coil/metal"
	"coil/train"
)

// Launches counts the work of a training step on an Apple GPU, without using one.
type Launches struct {
	Name     string       `json:"name"`
	Model    string       `json:"model"`
	Tokens   int          `json:"tokens"` // of a step
	Layers   int          `json:"layers"` // that a step runs: layers times loops
	Launches int          `json:"launches"`
	PerLayer float64      `json:"launches_per_layer"` // of the looped block, forward and backward
	Barriers int          `json:"barriers"`
	FLOPs    int64        `json:"flops"`
	Moved    int64        `json:"moved_bytes"`
	Least    int64        `json:"least_bytes"`
	Memory   int64        `json:"memory_bytes"`
	Ops      []LaunchKind `json:"operations"`
	Assumed  metal.Rates  `json:"assumed"`
	Chips    []Prediction `json:"predictions"`

	costs []metal.Cost
}

// LaunchKind sums up the launches of one operation and shape.
type LaunchKind struct {
	Name      string  `json:"name"`
	Calls     int     `json:"calls"`
	Launches  int     `json:"launches"` // of one call
	FLOPs     int64   `json:"flops"`    // of one call
	Moved     int64   `json:"moved_bytes"`
	Least     int64   `json:"least_bytes"`
	Ratio     float64 `json:"moved_over_least"`
	Intensity float64 `json:"flops_per_byte"`
}

// Prediction is the predicted time of a step on a chip.
type Prediction struct {
	Chip    metal.Chip `json:"chip"`
	Seconds float64    `json:"seconds"`
	Rate    float64    `json:"tokens_per_second"`
	Share   float64    `json:"share_of_peak"`
}

// CountLaunches lowers the training step of a configuration as the Metal backend does, on paper.
func CountLaunches(name string, c config.Config, o metal.Options) (*Launches, error) {
	d := metal.NewDryRun(metal.Chip{Name: "paper"})
	if o.Variants == nil { // New would test a device that computes nothing
		o.Variants = metal.Preferred(d.Description())
	}
	b, err := metal.New(d, o)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	count := func() (*Subject, error) {
		t, err := train.Compile(c, b)
		return newSubject(name, t, err)
	}
	s, err := count()
	if err != nil {
		return nil, err
	}
	l := &Launches{Name: name, Model: s.t.Model.Architecture.String(), Tokens: s.m.Tokens(), Memory: s.t.Memory.Total(),
		Layers: s.t.Model.Architecture.Depth(), Assumed: metal.AssumedRates()}
	l.costs = metal.Costs(s.m.Program())
	kinds := map[string]*LaunchKind{}
	for _, x := range l.costs {
		name := kindOf(x)
		k := kinds[name]
		if k == nil {
			k = &LaunchKind{Name: name, Launches: len(x.Kernels), FLOPs: x.FLOPs, Moved: x.Moved, Least: x.Least}
			k.Ratio, k.Intensity = ratio(x.Moved, x.Least), ratio(x.FLOPs, x.Moved)
			kinds[name] = k
		}
		k.Calls++
		l.Launches += len(x.Kernels)
		l.Barriers += x.Barriers
		l.FLOPs += x.FLOPs
		l.Moved += x.Moved
		l.Least += x.Least
	}
	for _, k := range kinds {
		l.Ops = append(l.Ops, *k)
	}
	// The difference to a step with twice the loops is the looped block's.
	a := s.t.Model.Architecture
	s.Close()
	c.Model.Layers = a.WithCount(2 * a.Count()).String()
	longer, err := count()
	if err != nil {
		return nil, err
	}
	defer longer.Close()
	for _, x := range metal.Costs(longer.m.Program()) {
		l.PerLayer += float64(len(x.Kernels))
	}
	l.PerLayer = (l.PerLayer - float64(l.Launches)) / float64(a.Sizes[a.Looped()]*a.Count())
	slices.SortFunc(l.Ops, func(a, b LaunchKind) int {
		return cmp.Or(-cmp.Compare(int64(a.Calls)*a.FLOPs, int64(b.Calls)*b.FLOPs), -cmp.Compare(int64(a.Calls)*a.Moved, int64(b.Calls)*b.Moved),
			cmp.Compare(a.Name, b.Name))
	})
	for _, chip := range metal.Chips {
		l.Chips = append(l.Chips, l.Predict(chip))
	}
	return l, nil
}

// Predict returns the time of a step on a chip by [metal.Predict], at the assumed rates.
func (l *Launches) Predict(chip metal.Chip) Prediction {
	p := Prediction{Chip: chip, Seconds: metal.Predict(l.costs, chip, l.Assumed)}
	p.Rate = float64(l.Tokens) / p.Seconds
	p.Share = float64(l.FLOPs) / p.Seconds / (chip.TFLOPS * 1e12)
	return p
}

// kindOf names operations that cost the same.
func kindOf(c metal.Cost) string {
	if c.Op == nil {
		return c.Kernels[0]
	}
	name := kind(backend.OpTime{Name: c.Op.Name(), Op: c.Op})
	if m, ok := c.Op.(*graph.Matmul); ok {
		rows, cols, inner := m.Shape()
		name = fmt.Sprintf("%s %d×%d×%d", name, rows, inner, cols)
		if c.With != nil {
			name += ", " + c.With.Name()
		}
		return name
	}
	y := graph.Describe(c.Op).Writes[0]
	return fmt.Sprintf("%s %d×%d", name, y.Rows, y.Cols)
}

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
