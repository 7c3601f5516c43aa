// Package backend says what a backend is: it compiles the recording of package graph into programs and runs them on a
// device.
package backend

import (
	"errors"
	"fmt"

	"coil/format"
	"coil/graph"
)

// A Backend runs programs on one device.
type Backend interface {
	// Info describes the backend and its device.
	Info() Info

	// NewBuffer allocates n float32, all zero, that live until Free: weights, optimizer moments, averages. Programs
	// share them by recording them with [graph.Recorder.Parameter] or [graph.Recorder.State].
	NewBuffer(n int) (graph.Buffer, error)

	// GroupSize returns how many sequences of the given length a group should hold, for a batch of that many
	// sequences. It divides batch.
	GroupSize(batch, length int) int

	// Plan returns the memory that Compile would take for the recording.
	Plan(*graph.Recorder) (Memory, error)

	// Compile turns a recording into a program. It returns the recording's own error if there is one, and a
	// [*MemoryError] if the machine has not the memory for it.
	Compile(*graph.Recorder) (Program, error)

	// Close stops the backend's workers. No program may run after it.
	Close() error
}

// A Monitor is a [Backend] whose device reports its state.
type Monitor interface {
	Condition() Condition
}

// A Rated is a [Backend] that knows how fast its device can be.
type Rated interface {
	// Peak is the most multiply-adds in float32 that the device does in a second, each counted as two; 0 if that is not known.
	Peak() float64
}

// Condition is how a device is doing.
type Condition struct {
	Memory   int64 // bytes that buffers and programs have
	Thermal  int   // 0 nominal, 1 fair, 2 serious, 3 critical; −1 if it is not known
	LowPower bool  // the user has chosen to save power
}

// Info describes a backend and its device.
type Info struct {
	Name    string // "cpu", "metal"
	Device  string // the processor, in its maker's words
	Kernels string // which kernels were chosen: "avx512", "portable", …
	Workers int    // threads or cores that run groups at the same time
	Memory  int64  // bytes that programs and buffers may take together
	Depth   int    // steps that may be in flight before their results are read; at least 1

	// Variants say which of several kernels are used for a kind of work, if the backend has such; they may change when a
	// program is compiled.
	Variants []Variant
}

// Variant is how a backend does a kind of work for which it has several kernels.
type Variant struct {
	Subject string `json:"subject"`          // the kind of work: "attention"
	Name    string `json:"variant"`          // how it is done: "fused"
	Reason  string `json:"reason,omitempty"` // why it is not done by the fastest kernels
}

// A Program is a compiled recording. It allocates nothing while it runs. Not for concurrent use.
type Program interface {
	// Memory is the planned memory of the program, without the buffers that it shares.
	Memory() Memory

	// Run starts one step. It may return before the step has ended, but keeps no reference to s. Scalars and inputs are in the
	// order in which they were recorded; each input has the values of the whole batch.
	Run(s Args) error

	// Results waits for the oldest step whose results have not been taken, and copies the tensors marked with
	// [graph.Recorder.Result], one after the other, to dst.
	Results(dst []float32) error

	// Output copies what the last step wrote to an output, for the whole batch.
	Output(t graph.Tensor, dst []float32) error

	Close()
}

// Args is what changes from one run of a program to the next.
type Args struct {
	Scalars []float32
	Inputs  [][]int32
}

// Check returns an error unless s has the scalars and inputs of the recording.
func (s Args) Check(r *graph.Recorder) error {
	if len(s.Scalars) != r.Scalars() {
		return fmt.Errorf("step with %d scalars, the program has %d", len(s.Scalars), r.Scalars())
	}
	if len(s.Inputs) != r.Inputs() {
		return fmt.Errorf("step with %d inputs, the program has %d", len(s.Inputs), r.Inputs())
	}
	for _, st := range r.Storages() {
		if st.Space == graph.Input && len(s.Inputs[st.Number]) != st.Len*r.Groups() {
			return fmt.Errorf("input %d has %d values, the program wants %d", st.Number, len(s.Inputs[st.Number]), st.Len*r.Groups())
		}
	}
	for _, start := range r.Starts() {
		st := r.Storages()[start.At.Storage-1]
		for g := range r.Groups() {
			for i, p := range s.Inputs[st.Number][g*st.Len+start.At.Offset:][:start.At.Len] {
				if p < 0 || int(p) > start.Most {
					return fmt.Errorf("sequence %d begins at position %d, want at least 0 and at most %d", g*start.At.Len+i, p, start.Most)
				}
			}
		}
	}
	return nil
}

// Memory is the planned memory of a program in bytes.
type Memory struct {
	Buffers      int64 // weights, moments and averages that the recording uses, shared between programs
	State        int64 // what lives from run to run for each sequence: keys and values; shared too
	Accumulators int64 // gradients and sums, times the number of copies that are added up
	Activations  int64 // the arenas of all workers
	Workspace    int64 // packed weights, scratch
	Constants    int64 // what is given or computed once, such as tables of angles
	Batch        int64 // inputs and outputs
}

// Total is the sum of all parts, shared buffers included.
func (m Memory) Total() int64 {
	return m.Buffers + m.State + m.Accumulators + m.Activations + m.Workspace + m.Constants + m.Batch
}

// Own is the memory of the program itself: everything except the shared buffers and state.
func (m Memory) Own() int64 { return m.Total() - m.Buffers - m.State }

// A Sharer is a [Backend] whose programs work in the same memory, one at a time.
type Sharer interface {
	// Together is the memory of several programs.
	Together(ms ...Memory) Memory
}

// Together is the memory that several programs with the same buffers take on b.
func Together(b Backend, ms ...Memory) Memory {
	if s, ok := b.(Sharer); ok {
		return s.Together(ms...)
	}
	var all Memory
	for _, m := range ms {
		all.Buffers = max(all.Buffers, m.Buffers)
		all.State += m.State
		all.Accumulators += m.Accumulators
		all.Activations += m.Activations
		all.Workspace += m.Workspace
		all.Constants += m.Constants
		all.Batch += m.Batch
	}
	return all
}

// ErrMemory is what a [*MemoryError] wraps.
var ErrMemory = errors.New("not enough memory")

// MemoryError says that a program does not fit the device.
type MemoryError struct {
	Need Memory
	Have int64 // bytes
}

func (e *MemoryError) Error() string {
	n := e.Need
	return fmt.Sprintf("not enough memory: the program needs %s (activations %s, gradients %s, weights and moments %s, keys and values %s, workspace %s, batch %s) "+
		"and the device has %s", format.Bytes(n.Total()), format.Bytes(n.Activations), format.Bytes(n.Accumulators), format.Bytes(n.Buffers),
		format.Bytes(n.State), format.Bytes(n.Workspace+n.Constants), format.Bytes(n.Batch), format.Bytes(e.Have))
}

func (e *MemoryError) Unwrap() error { return ErrMemory }
