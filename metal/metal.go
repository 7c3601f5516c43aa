// Package metal is the backend for Apple GPUs.
//
// A recording becomes a list of launches, with pipelines, bindings, grids and barriers resolved, which is replayed once a
// step. Everything that is decided about launches is decided here, above the Device interface, and so is tested without
// a Mac on the emulator (package emulator); package bridge is the device on a Mac.
package metal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"coil/backend"
	"coil/format"
	"coil/graph"
	"coil/shaders"
)

// Options of the backend. The zero value is what a user gets.
type Options struct {
	BFloat16 bool          // keep activations in bfloat: half the memory and traffic, 8 bits of precision
	Memory   int64         // bytes to use at most; 0: three quarters of what the device recommends
	Target   time.Duration // GPU time of a command buffer; 0: 30 ms
	Timeout  time.Duration // how long a command buffer may take; 0: 30 s
	Cores    int           // of the GPU; 0: not known
	Tensors  *Tensors      // operations of Metal 4; nil: no product uses them
	Variants Variants      // of kernels; nil: those that Preferred returns, less what a test of the device rules out
}

// Metal is a backend.
type Metal struct {
	device   Device
	options  Options
	chip     chip
	info     backend.Info
	variants Variants
	tensors  Tensors
	max      int64 // bytes of a buffer

	libraries map[string]Library // by their sources
	sources   map[string]string  // of files, in the form that the variants want
	limits    map[string]int     // see lowering
	pipelines map[string]Pipeline

	buffers  int64 // bytes of buffers
	programs int64 // other bytes that programs hold
	journal  Buffer
	number   uint32 // of the last step that was started

	flights  []flight      // in the order in which they were started
	pace     float64       // measured over estimated time of a command buffer
	target   time.Duration // of a command buffer
	lost     error         // why nothing more can run
	failures int           // in a row
}

// depth is how many steps may be in flight, slots how many the batch has room for: one more, so that the host can fill
// one while the GPU works on the others.
const (
	depth = 2
	slots = depth + 1
)

// leastFamily is the first family of GPUs that the plainest kernels are made for: it has threadgroups of 1024 threads and 32
// KiB of memory. The virtual GPU of a Mac in a virtual machine is of this family.
const leastFamily = 5

// New starts the backend on a device, which it then owns.
func New(d Device, o Options) (*Metal, error) {
	what := d.Description()
	if what.Family < leastFamily {
		return nil, fmt.Errorf("metal: coil has no kernels for the family of %s; it needs Apple%d or later, which every Mac with Apple silicon has",
			what.Name, leastFamily)
	}
	if o.BFloat16 && !what.HasBFloat() {
		return nil, fmt.Errorf("metal: --bfloat16 needs a GPU of family Apple%d or later, and %s is of family Apple%d; train without it", bfloatFamily, what.Name, what.Family)
	}
	probe := o.Variants == nil
	if probe {
		o.Variants = Preferred(what)
	} else if err := o.Variants.Check(); err != nil {
		return nil, err
	}
	if o.Memory == 0 {
		o.Memory = what.WorkingSet / 4 * 3
	}
	if o.Target == 0 {
		o.Target = defaultTarget
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	m := &Metal{device: d, options: o, chip: chip{cores: o.Cores, scores: scoreFloats, partials: partialFloats}, max: what.MaxBuffer, variants: o.Variants, target: o.Target, pace: 1,
		libraries: map[string]Library{}, sources: map[string]string{}, limits: map[string]int{}, pipelines: map[string]Pipeline{}}
	m.info = backend.Info{Name: "metal", Device: what.Name, Kernels: "float32", Workers: 1, Memory: o.Memory, Depth: depth}
	if o.BFloat16 {
		m.info.Kernels = "bfloat16"
	}
	var err error
	if m.journal, err = d.NewBuffer(journalBytes); err != nil {
		return nil, errors.Join(fmt.Errorf("metal: %w", err), d.Close())
	}
	if probe {
		m.probe()
	}
	m.startTensors(o.Tensors)
	return m, nil
}

// probe drops the variants that rely on what a GPU turns out to lack.
func (m *Metal) probe() {
	if m.variants.of(attentionSubject) != attentionRegisters {
		return
	}
	err := m.checkMatrices()
	if err == nil {
		return
	}
	reason, fault := err.Error(), (*KernelError)(nil)
	if errors.As(err, &fault) {
		reason = fault.reason()
	}
	m.variants, _ = m.variants.Plainer(m.device.Description(), attentionSubject, reason)
}

// Info describes the device.
func (m *Metal) Info() backend.Info {
	i := m.info
	i.Variants = m.Variants()
	return i
}

// Device is what the backend runs on.
func (m *Metal) Device() Device { return m.device }

// Peak implements [backend.Rated], by the table of [Chips]: 0 for a chip that is not there.
func (m *Metal) Peak() float64 {
	c, _ := ChipNamed(m.info.Device)
	return c.WithCores(m.options.Cores).TFLOPS * 1e12
}

// Condition is how the device is doing.
func (m *Metal) Condition() backend.Condition {
	c := m.device.Condition()
	return backend.Condition{Memory: m.buffers + m.programs, Thermal: int(c.Thermal) - int(ThermalNominal), LowPower: c.LowPower}
}

// Close waits for steps in flight and releases the device.
func (m *Metal) Close() error {
	m.settle(len(m.flights)) // the error has been returned with the results
	m.flights = nil
	return m.device.Close()
}

// groupTokens is how many tokens a group has at most. More do not make the GPU faster, and their activations take memory.
const groupTokens = 1 << 15

// GroupSize returns the whole batch, or its largest divisor with at most 32,768 tokens.
func (m *Metal) GroupSize(batch, length int) int {
	limit := max(1, min(batch, groupTokens/length))
	for g := limit; g > 1; g-- {
		if batch%g == 0 {
			return g
		}
	}
	return 1
}

// source is a file of shaders in the form that the variants want.
func (m *Metal) source(file string) string {
	s, ok := m.sources[file]
	if !ok {
		s = shaders.Source(file, m.variants.Definitions(m.device.Description())...)
		m.sources[file] = s
	}
	return s
}

// library returns a source, compiled when it is first asked for.
func (m *Metal) library(file, source string) (Library, error) {
	if lib, ok := m.libraries[source]; ok {
		return lib, nil
	}
	lib, err := m.device.Library(file, source)
	if err != nil {
		return 0, err
	}
	m.libraries[source] = lib
	return lib, nil
}

// threadsConstant is the index of the function constant that says how many threads a threadgroup has.
const threadsConstant = 1000

// pipeline returns the pipeline of a launch, made when it is first asked for.
func (m *Metal) pipeline(x launch) (Pipeline, error) {
	all := make([]Constant, 0, firstConstant+1+len(x.constants))
	for i := range firstConstant {
		c := Constant{Index: i, Type: ConstantBool}
		if i < len(x.args) && x.args[i].bf16 {
			c.Bits = 1
		}
		all = append(all, c)
	}
	all = append(all, x.constants...)
	if !x.grid {
		all = append(all, Constant{threadsConstant, ConstantUint, uint32(x.size())})
	}
	fault := &KernelError{Subject: SubjectOf(x.file), Shader: x.file, Device: m.info.Device}
	lib, err := m.library(x.file, m.source(x.file))
	if err != nil {
		fault.Err = err
		return 0, fault
	}
	key := binary.AppendUvarint(append([]byte(x.kernel), 0), uint64(lib))
	for _, c := range all {
		key = binary.AppendUvarint(key, uint64(c.Index))
		key = binary.LittleEndian.AppendUint32(append(key, byte(c.Type)), c.Bits)
	}
	p, ok := m.pipelines[string(key)]
	fault.Kernel = x.kernel
	if !ok {
		if p, err = m.device.Pipeline(lib, x.kernel, all); err != nil {
			fault.Err = err
			return 0, fault
		}
		m.pipelines[string(key)] = p
	}
	if n := m.device.MaxThreads(p); n < x.size() {
		fault.Err = &threadsError{x.size(), n}
		return 0, fault
	}
	return p, nil
}

// fits returns an error if the free memory is less than need; its Buffers are new ones.
func (m *Metal) fits(need backend.Memory) error {
	need.Buffers += m.buffers
	if have := m.options.Memory - m.programs; need.Total() > have {
		return &backend.MemoryError{Need: need, Have: have}
	}
	return nil
}

// buffer is parameters, moments or averages.
type buffer struct {
	m    *Metal
	id   Buffer
	data []float32
}

// NewBuffer allocates zeros.
func (m *Metal) NewBuffer(n int) (graph.Buffer, error) {
	if n < 1 {
		return nil, fmt.Errorf("buffer of %d values", n)
	}
	bytes := int64(n) * 4
	if bytes > m.max {
		return nil, fmt.Errorf("metal: a buffer of %s; the largest that this device has is %s", format.Bytes(bytes), format.Bytes(m.max))
	}
	if err := m.fits(backend.Memory{Buffers: bytes}); err != nil {
		return nil, err
	}
	id, err := m.device.NewBuffer(int(bytes))
	if err != nil {
		return nil, fmt.Errorf("metal: %w", err)
	}
	m.buffers += bytes
	return &buffer{m, id, floats(m.device.Bytes(id))}, nil
}

func (b *buffer) Len() int { return len(b.data) }

func (b *buffer) Write(offset int, src []float32) error {
	if offset < 0 || offset+len(src) > len(b.data) {
		return fmt.Errorf("buffer of %d values: write of %d at %d", len(b.data), len(src), offset)
	}
	if err := b.m.settle(len(b.m.flights)); err != nil {
		return err
	}
	copy(b.data[offset:], src)
	return nil
}

func (b *buffer) Read(offset int, dst []float32) error {
	if offset < 0 || offset+len(dst) > len(b.data) {
		return fmt.Errorf("buffer of %d values: read of %d at %d", len(b.data), len(dst), offset)
	}
	if err := b.m.settle(len(b.m.flights)); err != nil {
		return err
	}
	copy(dst, b.data[offset:])
	return nil
}

func (b *buffer) Free() {
	b.m.settle(len(b.m.flights)) // an error is kept for the next caller
	b.m.device.FreeBuffer(b.id)
	b.m.buffers -= int64(len(b.data)) * 4
	b.data = nil
}
