// Package doctor examines a GPU: it compiles every shader, holds the backend to the conformance suite, measures its kernels,
// and says whether training can be trusted to it. Nobody who wrote the kernels had a Mac, so this is what proves them on
// one.
package doctor

import (
	"fmt"
	"time"

	"coil/backend/conformance"
	"coil/metal"
	"coil/shaders"
)

// Report is all that an examination found, to be sent to whoever can use it.
type Report struct {
	Version   string     `json:"coil"`
	Time      time.Time  `json:"time"`
	System    System     `json:"system"`
	GPU       GPU        `json:"gpu"`
	Shaders   []Shader   `json:"shaders"`
	Kernels   []Finding  `json:"conformance"`
	Speeds    []Speed    `json:"speeds,omitempty"`
	Steps     []StepTime `json:"training_steps,omitempty"`
	Problems  []string   `json:"problems"` // empty: all is well
	Seconds   float64    `json:"seconds"`
	Stopped   bool       `json:"stopped,omitempty"`
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

// GPU is what the device says of itself.
type GPU struct {
	metal.Description
	Condition metal.Condition `json:"condition"`
	After     metal.Condition `json:"condition_after"`
	Chip      metal.Chip      `json:"chip"` // published figures, for the cores that there are; zero if not known
}

// Shader is a file of shaders as the device's compiler took it.
type Shader struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

// Finding is one subject of the conformance suite.
type Finding struct {
	Subject   string   `json:"subject"`
	Precision string   `json:"precision"`
	Trials    int      `json:"trials"`
	Worst     float64  `json:"worst_error"` // as a share of what is tolerated
	Failures  []string `json:"failures,omitempty"`
	Seconds   float64  `json:"seconds"`
}

// Options of an examination.
type Options struct {
	Version string
	// Short runs a part of the suite and measures nothing: what a first training run does.
	Short bool
	// Progress, if not nil, is told what was found as it is found: a Shader, Finding, Speed or StepTime.
	Progress func(any)
	// Stop, if not nil, is asked from time to time; true ends the examination early.
	Stop func() bool

	less *less // for tests
}

// less is an examination that takes an emulator less time.
type less struct {
	every   int      // of the suite, such a part is run; in the full form 0 is all
	sizes   sizes    // of the operations that are measured
	presets []string // whose steps are measured
	batch   int      // of those steps
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
	timed := &stopwatch{Device: d}
	defer timed.Device.Close()
	if r.compile(timed, tell) {
		err := r.examine(timed, o, tell)
		if err != nil {
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

// compile compiles every shader.
func (r *Report) compile(d metal.Device, tell func(any)) bool {
	for _, name := range shaders.Names() {
		begin := time.Now()
		s := Shader{Name: name}
		if _, err := d.Library(name, shaders.Source(name)); err != nil {
			s.Error = err.Error()
			r.problem("shader %s does not compile", name)
		}
		s.Seconds = time.Since(begin).Seconds()
		r.Shaders = append(r.Shaders, s)
		tell(s)
	}
	return len(r.Problems) == 0
}

// examine runs the conformance suite in both precisions, and measures.
func (r *Report) examine(d *stopwatch, o Options, tell func(any)) error {
	stopped := func() bool {
		r.Stopped = r.Stopped || o.Stop != nil && o.Stop()
		return r.Stopped
	}
	for _, bfloat := range []bool{false, true} {
		m, err := metal.New(keepOpen{d}, metal.Options{BFloat16: bfloat})
		if err != nil {
			r.problem("%v", err)
			return nil
		}
		c := conformance.Options{}
		if o.Short {
			c.Every = every
		}
		if o.less != nil {
			c.Every = o.less.every
		}
		if bfloat {
			c.BFloat = metal.BFloats
		}
		begin := time.Now()
		conformance.Check(m, c, func(f conformance.Finding) bool {
			x := Finding{f.Subject, m.Info().Kernels, f.Trials, f.Worst, f.Failures, time.Since(begin).Seconds()}
			begin = time.Now()
			if len(x.Failures) > 0 {
				r.problem("%s, %s: %d wrong", x.Subject, x.Precision, len(x.Failures))
			}
			r.Kernels = append(r.Kernels, x)
			tell(x)
			return !stopped()
		})
		if err := m.Close(); err != nil {
			return err
		}
		if r.Stopped {
			return nil
		}
	}
	if o.Short || len(r.Problems) > 0 {
		return nil
	}
	return r.measure(d, o.less, stopped, tell)
}

// keepOpen is a device that outlives the backend on it.
type keepOpen struct{ metal.Device }

func (keepOpen) Close() error { return nil }

// stopwatch measures how long the device takes to encode.
type stopwatch struct {
	metal.Device
	encode   time.Duration
	launches int
}

func (s *stopwatch) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	begin := time.Now()
	t, err := s.Device.Submit(lists, slot)
	s.encode += time.Since(begin)
	for _, l := range lists {
		s.launches += len(l)
	}
	return t, err
}
