// Package emulator runs Metal compute kernels on a Linux CPU, so that they can be proved without a Mac.
//
// A Metal source is compiled, unmodified, by clang as C++ for OpenCL with a metal_stdlib of our own, which checks address
// spaces as strictly as Apple's compiler, and runs with every GPU thread as a fiber. The checked form watches every access
// to memory: overruns, data races, reads of what nobody wrote, barriers and SIMD operations in divergent code, and launches
// that want a barrier between them are errors with file and line.
//
// The rules that Metal sources must keep are in lint.go, translate.go and entry.go, each with the message that an author sees. What
// the emulator's library lacks is an error too; what it has must have Apple's signature.
//
// Not seen are: what else Apple's compiler may reject; a GPU's order of sums, and of its arithmetic's precision what Flush
// and Functions do not imitate; registers, occupancy and speed; the order of memory between threadgroups. Memory is
// watched by pairs of bytes, and of several readers the last one is remembered. A stray access that ends in something else
// that is bound goes unseen, without SetWindows also one that stays in the buffer, and so does all that a test does not
// run. A fast device sees only barriers and SIMD operations in divergent code, accesses outside of whole buffers, divisions
// by zero, and launches without end.
package emulator

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrUnavailable is wrapped by the error of Open where the emulator cannot run. The error says what is missing.
var ErrUnavailable = errors.New("the Metal emulator is not available")

// Options of an emulator.
type Options struct {
	Checked   bool          // watch every access to memory; some twenty times slower
	Order     Order         // of everything that Metal leaves open
	Seed      uint64        // of a random order
	Workers   int           // threads that run threadgroups; 0: Go's number. A checked device has always one
	TimeLimit time.Duration // of a launch, in processor time, as a GPU has one; 0: a minute
	Flush     bool          // numbers below the smallest normal one are zero, as operands and as results: Metal allows it
	Tensors   bool          // the GPU has units for Metal 4's tensors, as M5 has
	Functions Functions     // how exact the functions of Metal's library are
	RowMajor  bool          // the threads of a SIMD-group hold a matrix row by row, as no GPU of Apple's is known to
	Quick     bool          // compile quickly, to code that runs two or three times slower
	GPU       GPU           // what it pretends to be; the zero value is a GPU of family Apple9 without a fault
	Cache     string        // folder of compiled sources; "": $COIL_EMULATOR_CACHE, or coil-emulator in the user's cache
}

// GPU is what an emulator pretends to be: a plainer GPU, or one that gets something wrong.
type GPU struct {
	Family     int               // of Apple's GPUs; 0: 9. Its pipelines lack what the family lacks
	Lacks      []string          // functions of the library that no pipeline of it can have
	MaxThreads int               // of a threadgroup of any pipeline; 0: 1024
	Libraries  map[string]string // what the compiler says to these libraries
	Pipelines  map[string]string // what it says to these kernels
	Wrong      map[string]bool   // kernels whose first result is not what it should be
}

// Order of what may happen in any order: threadgroups, SIMD-groups and threads of a launch, launches between two barriers,
// and whether a command buffer runs as soon as it is submitted or as late as it is asked for.
type Order uint8

const (
	Forward Order = iota // everything by number, at once
	Reverse              // from the last to the first, as late as possible
	Random               // by the seed
)

func (o Order) String() string { return [...]string{"forward", "reverse", "random"}[o] }

// Functions says how far the functions of Metal's library are from what they should be. What the Metal Shading Language
// Specification promises stands in its version 4.1, section 8.4. A function called with the same arguments errs the same
// way, up or down as a hash of the arguments says.
type Functions uint8

const (
	CLibrary     Functions = iota // as the C library's: nearly exact
	WorstPrecise                  // as wrong as table 8.1 allows, that of precise functions
	WorstFast                     // as wrong as table 8.2 allows, that of fast functions, division among them
)

func (f Functions) String() string {
	return [...]string{"C library", "worst precise functions", "worst fast functions"}[f]
}

// CompileError is a Metal source that is not accepted.
type CompileError struct {
	Name   string // of the library
	Diags  []Diag // rules that the source breaks
	Output string // what clang says
}

func (e *CompileError) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s does not compile:\n", e.Name)
	for _, d := range e.Diags {
		fmt.Fprintln(&s, d)
	}
	s.WriteString(e.Output)
	return strings.TrimSpace(s.String())
}

// Diag is one broken rule.
type Diag struct {
	File string
	Line int
	Text string
}

func (d Diag) String() string { return fmt.Sprintf("%s:%d: error: %s", d.File, d.Line, d.Text) }
