package run

import "coil/metric"

// Setup is what is trained from here on, and on what.
type Setup struct {
	Model          string        `json:"model"`            // "1⊗4", "4⊗(1,4,1)"
	LayersPerBlock int           `json:"layers_per_block"` // k
	Loops          []int         `json:"loops"`            // of each block
	Looped         int           `json:"looped"`           // index of the block whose loops are counted
	Parameters     int64         `json:"parameters"`
	FLOPs          int64         `json:"flops_per_token"` // of a forward pass
	Task           string        `json:"task"`
	Kinds          []string      `json:"kinds"`  // of examples
	Metric         metric.Metric `json:"metric"` // what the task is judged by
	Steps          int           `json:"steps"`  // in all
	Batch          int           `json:"batch"`  // sequences in a step
	Length         int           `json:"length"` // tokens of a sequence
	Backend        string        `json:"backend"`
	Device         string        `json:"device"`
	Kernels        string        `json:"kernels,omitempty"`
	Variants       []Variant     `json:"variants,omitempty"`
	Workers        int           `json:"workers,omitempty"`
	Memory         int64         `json:"memory"`       // bytes, as planned
	MemoryLimit    int64         `json:"memory_limit"` // bytes that the backend may take
}

// Count is how often the looped block runs.
func (s *Setup) Count() int {
	if s.Looped < 0 || s.Looped >= len(s.Loops) { // what is read may be garbled
		return 0
	}
	return s.Loops[s.Looped]
}

// Depth is how many layers a token passes.
func (s *Setup) Depth() int {
	depth := 0
	for _, n := range s.Loops {
		depth += n * s.LayersPerBlock
	}
	return depth
}
