package run

import (
	"slices"

	"coil/metric"
)

// Setup is what is trained from here on, and on what.
type Setup struct {
	Model        string        `json:"model"`                   // "1⊗4", "4⊗(1,4,1)", "2/4⊗3/2"
	Blocks       []int         `json:"blocks"`                  // layers of each block
	Loops        []int         `json:"loops"`                   // of each block
	Looped       int           `json:"looped"`                  // index of the block whose loops are counted
	LoopSchedule string        `json:"loop_schedule,omitempty"` // loops.schedule
	Parameters   int64         `json:"parameters"`
	FLOPs        int64         `json:"flops_per_token"` // of a forward pass
	Task         string        `json:"task"`
	Kinds        []string      `json:"kinds"`          // of examples
	Metric       metric.Metric `json:"metric"`         // what the task is judged by
	Steps        int           `json:"steps"`          // in all
	Time         float64       `json:"time,omitempty"` // seconds of training after which it ends earlier; 0 sets no limit
	Batch        int           `json:"batch"`          // sequences in a step
	Length       int           `json:"length"`         // tokens of a sequence
	Backend      string        `json:"backend"`
	Device       string        `json:"device"`
	Kernels      string        `json:"kernels,omitempty"`
	Variants     []Variant     `json:"variants,omitempty"`
	Workers      int           `json:"workers,omitempty"`
	Memory       int64         `json:"memory"`               // bytes, as planned
	MemoryLimit  int64         `json:"memory_limit"`         // bytes that the backend may take
	Peak         float64       `json:"peak_flops,omitempty"` // of the device in a second, in float32; 0 if it is not known
}

// Count is how often the looped block runs.
func (s *Setup) Count() int {
	if s.Looped < 0 || s.Looped >= len(s.Loops) { // what is read may be garbled
		return 0
	}
	return s.Loops[s.Looped]
}

// WithCount is s with another loop count of the looped block.
func (s *Setup) WithCount(loops int) Setup {
	other := *s
	if s.Looped >= 0 && s.Looped < len(s.Loops) { // what is read may be garbled
		other.Loops = slices.Clone(s.Loops)
		other.Loops[s.Looped] = loops
	}
	return other
}

// Depth is how many layers a token passes.
func (s *Setup) Depth() int {
	depth := 0
	for b, n := range s.Loops[:min(len(s.Loops), len(s.Blocks))] { // what is read may be garbled
		depth += n * s.Blocks[b]
	}
	return depth
}

// Layers is how many distinct layers there are.
func (s *Setup) Layers() int {
	layers := 0
	for _, n := range s.Blocks {
		layers += n
	}
	return layers
}

// Share is the share of training that is done after a number of steps that have taken some seconds: of the steps, or of the time if
// more of that is used.
func (s *Setup) Share(steps int, seconds float64) float64 {
	share := 0.0
	if s.Steps > 0 {
		share = float64(steps) / float64(s.Steps)
	}
	if s.Time > 0 {
		share = max(share, seconds/s.Time)
	}
	return min(1, max(0, share))
}
