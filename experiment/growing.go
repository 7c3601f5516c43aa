package experiment

import (
	"errors"
	"fmt"

	"coil/backend"
	"coil/loop"
	"coil/run"
	"coil/train"
)

// Growing trains a cell in stages. Each stage is larger than the one before and starts with its layers, grown as
// [loop.Growth] says. The last stage is the cell's own configuration.
type Growing struct {
	Method string  `toml:"method"`
	Block  int     `toml:"block"`
	Stages []Stage `toml:"stages"` // the first ones, without the last
}

// Stage is a model that is trained on the way: the cell's configuration with these layers and steps.
type Stage struct {
	Layers string `toml:"layers"`
	Steps  int    `toml:"steps"`
}

func (g Growing) growth() loop.Growth { return loop.Growth{Method: g.Method, Block: g.Block} }

// stages are the cells that come before c, without their models.
func (c Cell) stages(combination []Point) ([]Cell, error) {
	var grow *Growing
	for _, p := range combination {
		if p.Grow != nil && grow != nil {
			return nil, errors.New("two of its choices have stages of growth: only one can")
		} else if p.Grow != nil {
			grow = p.Grow
		}
	}
	if grow == nil {
		return nil, nil
	}
	if len(grow.Stages) == 0 {
		return nil, errors.New("grow has no stages, as in stages = [{ layers = \"2x1\", steps = 500 }]")
	}
	var early []Cell
	for i, s := range grow.Stages {
		stage := Cell{Name: fmt.Sprintf("%s_stage%d", c.Name, i+1), Labels: append(c.Labels[:len(c.Labels):len(c.Labels)], fmt.Sprintf("stage %d", i+1)),
			Seed: c.Seed, Config: c.Config, grow: grow}
		stage.Config.Model.Layers, stage.Config.Train.Steps = s.Layers, s.Steps
		early = append(early, stage)
	}
	return early, nil
}

// makeStages sets the models of the cells that come before c, whose own is set.
func (m maker) makeStages(c *Cell) error {
	for i := range c.early {
		if err := m.make(&c.early[i]); err != nil {
			return fmt.Errorf("stage %d: %w", i+1, err)
		}
	}
	for i, stage := range c.early {
		next := *c
		if i+1 < len(c.early) {
			next = c.early[i+1]
		}
		if _, err := stage.model.Architecture.Grow(next.model.Architecture, c.grow.growth()); err != nil {
			return fmt.Errorf("stage %d: %w", i+1, err)
		}
	}
	return nil
}

// trainEarly trains the remaining stages before the last, and returns the checkpoint that the last stage starts with.
func (f *Folder) trainEarly(c Cell, b backend.Backend, report func(train.Report), next func() run.Command) (run.Checkpoint, error) {
	var from run.Checkpoint
	for _, stage := range c.early {
		if err := f.trainStage(stage, from, b, report, next); err != nil {
			return from, err
		}
		r, err := run.View(f.RunPath(stage))
		if err != nil {
			return from, err
		}
		if from, err = r.Latest(); err != nil {
			return from, err
		}
	}
	return from, nil
}

// trainStage brings a stage to its end.
func (f *Folder) trainStage(stage Cell, from run.Checkpoint, b backend.Backend, report func(train.Report), next func() run.Command) error {
	if r, err := run.View(f.RunPath(stage)); err == nil && ended(r) {
		return stage.isOf(r)
	}
	t, err := train.New(stage.Config, b, report)
	if err != nil {
		return err
	}
	defer t.Close()
	r, err := f.begin(stage, from, t, b)
	if err != nil {
		return err
	}
	defer r.Close()
	return t.Run(r, next)
}
