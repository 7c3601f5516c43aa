// Package doctor examines a GPU: it compiles every shader, holds the backend to the conformance suite, measures its kernels,
// and says whether training can be trusted to it. Nobody who wrote the kernels had a Mac, so this is what proves them on
// one.
package doctor

import (
	"fmt"
	"slices"
	"time"

	"coil/backend"
	"coil/backend/conformance"
	"coil/metal"
)

// Report is the result of an examination, for bug reports.
type Report struct {
	Version   string         `json:"coil"`
	Time      time.Time      `json:"time"`
	System    System         `json:"system"`
	GPU       GPU            `json:"gpu"`
	Variants  metal.Variants `json:"variants"` // of kernels that training uses on it, and why no faster ones
	Shaders   []Shader       `json:"shaders"`
	Kernels   []Finding      `json:"conformance"`
	Speeds    []Speed        `json:"speeds,omitempty"`
	Steps     []StepTime     `json:"training_steps,omitempty"`
	Rates     []Rate         `json:"rates,omitempty"` // none if the chip's figures are not known
	Problems  []string       `json:"problems"`        // empty: all is well
	Seconds   float64        `json:"seconds"`
	Stopped   bool           `json:"stopped,omitempty"`
	condition func() metal.Condition
}

// System is the computer.
type System struct {
	Model    string `json:"model,omitempty"` // "Mac15,9"
	OS       string `json:"os,omitempty"`    // "macOS 15.1"
	Build    string `json:"build,omitempty"` // "24B83"
	Memory   int64  `json:"memory_bytes,omitempty"`
	GPUCores int    `json:"gpu_cores,omitempty"`
	Power    string `json:"power,omitempty"` // "AC Power", "Battery Power"
}

// GPU describes the device.
type GPU struct {
	metal.Description
	Condition metal.Condition `json:"condition"`
	After     metal.Condition `json:"condition_after"`
	Chip      metal.Chip      `json:"chip"` // published figures for this number of cores; zero if unknown
}

// Shader is a file of shaders as the device's compiler took it.
type Shader struct {
	Name    string   `json:"name"`
	Form    []string `json:"form,omitempty"` // definitions that choose a plainer form of it
	Seconds float64  `json:"seconds"`
	Error   string   `json:"error,omitempty"`
}

// Finding is one subject of the conformance suite.
type Finding struct {
	Subject   string   `json:"subject"`
	Precision string   `json:"precision"`
	Trials    int      `json:"trials"`
	Worst     float64  `json:"worst_error"` // as a share of the tolerance; at most the largest float32
	Failures  []string `json:"failures,omitempty"`
	Replaced  bool     `json:"replaced,omitempty"` // by a plainer variant, with which it does not fail
	Seconds   float64  `json:"seconds"`
}

// Options of an examination.
type Options struct {
	Version string
	// Short runs part of the suite and measures nothing, as the first training run does.
	Short bool
	// Speed measures, and does not run the suite.
	Speed bool
	// Progress, if not nil, is called with each result as it is found: a Shader, Finding, Speed, StepTime or Rate.
	Progress func(any)
	// Stop, if not nil, is asked from time to time; true ends the examination early.
	Stop func() bool

	less *less // for tests
}

// less is an examination that takes an emulator less time.
type less struct {
	every   int           // of the suite, such a part is run; in the full form 0 is all
	parts   []string      // of the suite; nil: all
	sizes   sizes         // of the operations that are measured
	presets []string      // whose steps are measured
	batch   int           // of those steps
	time    time.Duration // for which a step is repeated, at least once
}

// suite names the parts of the conformance suite that the examination runs.
func (o Options) suite() []string {
	if o.less != nil && o.less.parts != nil {
		return o.less.parts
	}
	return conformance.Subjects()
}

// every is how many cases of the suite the short form leaves out for each that it runs.
const every = 12

// Examine examines a device. It takes the device over: it is closed when Examine returns.
func Examine(d metal.Device, o Options) (*Report, error) {
	begin := time.Now()
	r := &Report{Version: o.Version, Time: begin.Round(time.Second), System: system(), Problems: []string{}}
	r.GPU.Description, r.GPU.Condition, r.condition = d.Description(), d.Condition(), d.Condition
	if c, ok := metal.ChipNamed(r.GPU.Name); ok {
		r.GPU.Chip = c.WithCores(r.System.GPUCores)
	}
	tell := func(x any) {
		if o.Progress != nil {
			o.Progress(x)
		}
	}
	watch := &stopwatch{Device: d}
	defer watch.Device.Close()
	r.Variants = metal.Preferred(d.Description())
	if m, err := metal.New(keepOpen{watch}, metal.Options{}); err != nil {
		r.problem("%v", err)
	} else if r.Variants, err = m.Variants(), m.Close(); err != nil {
		return nil, err
	} else if r.compile(watch, tell) {
		if err := r.examine(watch, o, tell); err != nil {
			return nil, err
		}
	}
	r.GPU.After = r.condition()
	r.Seconds = time.Since(begin).Seconds()
	return r, nil
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// examine runs the conformance suite in the precisions that the GPU has, and measures, as the options want.
func (r *Report) examine(d *stopwatch, o Options, tell func(any)) error {
	stopped := func() bool {
		r.Stopped = r.Stopped || o.Stop != nil && o.Stop()
		return r.Stopped
	}
	p := &prover{r, d, o, tell, stopped}
	for _, bfloat := range []bool{false, true} {
		if o.Speed || bfloat && !d.Description().HasBFloat() {
			continue
		}
		before := slices.Clone(r.Variants)
		if err := p.prove(bfloat); err != nil {
			return err
		}
		// If bfloat16 replaced a variant, float32 must be proved again.
		if bfloat && !slices.EqualFunc(before, r.Variants, func(a, b backend.Variant) bool { return a.Name == b.Name }) {
			if err := p.prove(false); err != nil {
				return err
			}
		}
		if r.Stopped {
			return nil
		}
	}
	if o.Short || len(r.Problems) > 0 {
		return nil
	}
	return r.measure(d, o, stopped, tell)
}

// timed calls f and returns how long it took.
func timed(f func() error) (seconds float64, err error) {
	begin := time.Now()
	err = f()
	return time.Since(begin).Seconds(), err
}

// keepOpen is a device that outlives the backend on it.
type keepOpen struct{ metal.Device }

func (keepOpen) Close() error { return nil }

// stopwatch measures how long the device takes to encode.
type stopwatch struct {
	metal.Device
	encode   time.Duration
	commands int // command buffers
	launches int
}

func (s *stopwatch) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	begin := time.Now()
	t, err := s.Device.Submit(lists, slot)
	s.encode += time.Since(begin)
	s.commands++
	for _, l := range lists {
		s.launches += len(l)
	}
	return t, err
}
