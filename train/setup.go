package train

import (
	"coil/backend"
	"coil/run"
)

// Variants converts the variants of a backend for a run.
func Variants(i backend.Info) (all []run.Variant) {
	for _, v := range i.Variants {
		all = append(all, run.Variant(v))
	}
	return all
}

// setup describes the training.
func (t *Trainer) setup() *run.Setup {
	a, i := t.Model.Architecture, t.backend.Info()
	return &run.Setup{Model: a.String(), Blocks: a.Sizes, Loops: a.Loops, Looped: a.Looped(), LoopSchedule: t.Config.Loops.Schedule,
		Parameters: int64(t.Model.Size), FLOPs: t.Model.FLOPs(), Task: t.Task.Name(), Kinds: t.Task.Kinds(), Metric: t.Task.Metric(),
		Steps: t.Config.Train.Steps, Time: t.Config.Train.Time, Batch: t.Config.Train.Batch, Length: t.Model.Length,
		Backend: i.Name, Device: i.Device, Kernels: i.Kernels, Variants: Variants(i), Workers: i.Workers, Memory: t.Memory.Total(), MemoryLimit: i.Memory, Peak: t.peak}
}
