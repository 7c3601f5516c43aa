package train

import (
	"fmt"

	"coil/backend"
)

// Measure runs training steps by themselves, to measure them: always the same batch, no evaluation, nothing written.
type Measure struct {
	t       *Trainer
	step    *compiledStep
	batch   *batch
	metrics Metrics
}

// Measure prepares the step at the model's own loop count.
func (t *Trainer) Measure() (*Measure, error) {
	st, err := t.step(t.Model.Architecture.Count())
	if err != nil {
		return nil, err
	}
	b := newBatch(t.Task, t.Config.Train.Batch)
	b.fill(t.Config.Train.Seed, 0)
	return &Measure{t: t, step: st, batch: b}, nil
}

// Step runs one training step.
func (m *Measure) Step() error {
	if err := m.step.start(m.t.Config.Train, m.t.done, 0, m.batch); err != nil {
		return err
	}
	if err := m.step.finish(m.t.Config, m.batch.count, &m.metrics); err != nil {
		return err
	}
	if notFinite(m.metrics.Loss) {
		return fmt.Errorf("the loss of the measured step is %g", m.metrics.Loss)
	}
	m.t.done++
	return nil
}

// Program is the step's program.
func (m *Measure) Program() backend.Program { return m.step.program }

// Loss of the last step.
func (m *Measure) Loss() float64 { return m.metrics.Loss }

// Tokens of one step.
func (m *Measure) Tokens() int { return m.t.batchTokens() }

// FLOPs of one step.
func (m *Measure) FLOPs() int64 {
	return m.t.Model.TrainFLOPsAt(m.t.Model.Architecture.Count()) * int64(m.Tokens())
}
