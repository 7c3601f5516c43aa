package experiment

import (
	"fmt"
	"time"

	"coil/backend"
	"coil/train"
)

// Work is how many FLOPs the cell takes: three forward passes for each token of training, one for each token of evaluation.
func (c Cell) Work() float64 {
	o, e := c.Config.Train, c.Config.Evaluate
	sequences := 3 * float64(o.Steps) * float64(o.Batch)
	examples := float64(e.Final) * 2 // at the end of training, and when it is measured
	if e.Every > 0 {
		examples += float64(o.Steps/e.Every) * float64(e.Examples)
	}
	sequences += examples * float64(c.kinds)
	work := sequences * float64(c.model.Length) * float64(c.model.FLOPs())
	for _, stage := range c.early {
		work += stage.Work()
	}
	return work
}

// Cost is what an experiment takes.
type Cost struct {
	Cells   int
	Left    int     // cells that are not finished
	Work    float64 // FLOPs of all cells
	Seconds float64 // for those that are left, if they use the machine as the measured steps did
	Memory  int64   // bytes that a cell takes at most, as far as the measured steps tell
}

// sampleTokens is about how many tokens a measured step has, and sampleTime how long a size of model is measured.
const (
	sampleTokens = 8192
	sampleTime   = 150 * time.Millisecond
)

// Estimate measures training steps of each size of model in the grid on the backend, and works out what the cells will take.
// done tells which cells need not be counted.
func Estimate(cells []Cell, b backend.Backend, done func(Cell) bool) (Cost, error) {
	cost := Cost{Cells: len(cells)}
	rates := map[string]float64{}
	for _, c := range cells {
		work := c.Work()
		cost.Work += work
		if done != nil && done(c) {
			continue
		}
		cost.Left++
		m := c.model
		kind := fmt.Sprint(c.Config.Model.Width, c.Config.Model.Hidden, c.Config.Model.Heads, m.Length, m.Vocabulary)
		if rates[kind] == 0 {
			rate, memory, err := speed(c, b)
			if err != nil {
				return cost, fmt.Errorf("%s: %w", c.Title(), err)
			}
			rates[kind], cost.Memory = rate, max(cost.Memory, memory)
		}
		cost.Seconds += work / rates[kind]
	}
	return cost, nil
}

// speed measures the FLOPs a second of a cell's training steps, with fewer sequences than it has, and the memory that it takes.
func speed(c Cell, b backend.Backend) (rate float64, memory int64, err error) {
	config := c.Config
	config.Train.Batch = max(1, min(config.Train.Batch, sampleTokens/c.model.Length))
	config.Evaluate.Examples = 1
	t, err := train.New(config, b, nil)
	if err != nil {
		return 0, 0, err
	}
	defer t.Close()
	measure, err := t.Measure()
	if err != nil {
		return 0, 0, err
	}
	if err := measure.Step(); err != nil { // to warm up
		return 0, 0, err
	}
	begin := time.Now()
	for n := 1; ; n++ {
		if err := measure.Step(); err != nil {
			return 0, 0, err
		}
		if took := time.Since(begin); took >= sampleTime {
			return float64(n) * float64(measure.FLOPs()) / took.Seconds(), t.Memory.Total(), nil
		}
	}
}
