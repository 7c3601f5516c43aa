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
	work := 3 * float64(o.Steps) * float64(o.Batch) * float64(c.model.Length) * c.Config.TrainingFLOPs(c.model)
	examples := float64(e.Final) * 2 // at the end of training, and when it is measured
	if e.Every > 0 {
		examples += float64(o.Steps/e.Every) * float64(e.Examples)
	}
	work += examples * float64(c.kinds) * float64(c.model.Length) * float64(c.model.FLOPs())
	work += float64(c.reading) * float64(c.model.FLOPs())
	for _, stage := range c.early {
		work += stage.Work()
	}
	return work
}

// Cost is the cost of an experiment.
type Cost struct {
	Cells   int
	Left    int     // cells that are not finished
	Work    float64 // FLOPs of all cells
	Seconds float64 // for the remaining cells, if they use the machine as the measured steps did
	Memory  int64   // largest memory of a cell in bytes, according to the measured steps
}

// sampleTokens is about how many tokens a measured step has, and sampleTime how long a size of model is measured.
const (
	sampleTokens = 8192
	sampleTime   = 150 * time.Millisecond
)

// Tally is what the cells take as far as it is known without measuring. done says which cells need not be counted.
func Tally(cells []Cell, done func(Cell) bool) Cost {
	cost := Cost{Cells: len(cells)}
	for _, c := range cells {
		cost.Work += c.Work()
		if !done(c) {
			cost.Left++
		}
	}
	return cost
}

// Estimate measures training steps of each size of model in the grid on the backend, unless speeds has them, and computes the
// cost of the cells. done reports whether a cell is not counted.
func Estimate(cells []Cell, b backend.Backend, done func(Cell) bool, speeds *Speeds) (Cost, error) {
	cost := Tally(cells, done)
	for _, c := range cells {
		if done(c) {
			continue
		}
		s, known := speeds.of(c)
		if !known {
			var err error
			if s, err = measureSpeed(c, b); err != nil {
				return cost, fmt.Errorf("%s: %w", c.Title(), err)
			}
			speeds.add(c, s)
		}
		cost.Memory = max(cost.Memory, s.Memory)
		cost.Seconds += c.Work() / s.Rate
	}
	return cost, nil
}

// sampleBatch is how many sequences a measured step of the cell has.
func (c Cell) sampleBatch() int {
	return max(1, min(c.Config.Train.Batch, sampleTokens/c.model.Length))
}

// measureSpeed measures training steps of a cell, with no more sequences than it has.
func measureSpeed(c Cell, b backend.Backend) (Speed, error) {
	config := c.Config
	config.Train.Batch, config.Train.Accumulate = c.sampleBatch(), 1
	config.Evaluate.Examples = 1
	t, err := train.New(config, b, nil)
	if err != nil {
		return Speed{}, err
	}
	defer t.Close()
	measure, err := t.Measure()
	if err != nil {
		return Speed{}, err
	}
	if err := measure.Step(); err != nil { // to warm up
		return Speed{}, err
	}
	begin := time.Now()
	for n := 1; ; n++ {
		if err := measure.Step(); err != nil {
			return Speed{}, err
		}
		if took := time.Since(begin); took >= sampleTime {
			return Speed{float64(n) * float64(measure.FLOPs()) / took.Seconds(), t.Memory.Total()}, nil
		}
	}
}
