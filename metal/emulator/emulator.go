//go:build linux && amd64

package emulator

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"

	"coil/metal"
	"coil/shaders"
)

// What Metal allows.
const (
	maxThreads       = 1024 // in a threadgroup
	threadgroupBytes = 32 << 10
	maxBuffer        = 4 << 30
)

// Device is an emulated GPU.
type Device struct {
	o        Options
	compiler *compiler
	runtime  uintptr // its library
	dispatch uintptr // its function
	pool     uintptr // its threads

	mu        sync.Mutex // guards what follows, since Poll may run launches at any time
	libraries []*library
	pipelines []*pipeline
	windows   func(l *metal.Launch, bind int) (length int, ok bool)
	buffers   []*buffer
	commands  []*command // submitted, and their end not yet reported
	ticket    metal.Ticket
	launches  uint32 // that have run
	call      call
}

// library is a compiled source.
type library struct {
	*unit
	file    string
	handle  uintptr
	image   [2]uint64 // addresses of its begin and end
	layouts map[string][]layout
	lines   *lineTable // made when there is a fault
}

// layout is of what a parameter points to, 0 if that is void.
type layout struct{ size, align uint64 }

type pipeline struct {
	lib       *library
	kernel    *kernelDecl
	layouts   []layout
	entry     uintptr
	constants []constantValue
	off       map[string]bool           // function constants that are set to zero
	tgLength  [maxThreadgroupParams]int // of threadgroup arguments, in bytes
}

var _ metal.Device = (*Device)(nil)

// Open makes an emulated GPU. Where the emulator cannot run, the error wraps ErrUnavailable.
func Open(o Options) (*Device, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.TimeLimit <= 0 {
		o.TimeLimit = time.Minute
	}
	c, err := newCompiler(o)
	if err != nil {
		return nil, err
	}
	// The run time stays loaded: it has become the process's handler of signals.
	rt, err := purego.Dlopen(c.runtime, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	d := &Device{o: o, compiler: c, runtime: rt}
	if d.dispatch, err = purego.Dlsym(rt, "msl_dispatch"); err != nil {
		return nil, err
	}
	if d.pool, err = callSymbol(rt, "msl_open", uintptr(o.Workers)); err != nil {
		return nil, err
	}
	return d, nil
}

func callSymbol(handle uintptr, name string, args ...uintptr) (uintptr, error) {
	f, err := purego.Dlsym(handle, name)
	if err != nil {
		return 0, err
	}
	r, _, _ := purego.SyscallN(f, args...)
	return r, nil
}

// Description says what the device is.
func (d *Device) Description() metal.Description {
	family := d.o.GPU.Family
	switch {
	case d.o.Tensors:
		family = 10
	case family == 0:
		family = 9
	}
	return metal.Description{Name: "emulator", Family: family, Unified: true, Tensors: d.o.Tensors, WorkingSet: maxBuffer, MaxBuffer: maxBuffer, ThreadgroupBytes: threadgroupBytes}
}

// Library compiles a source. Its error is a *CompileError if the source is at fault.
func (d *Device) Library(name, source string) (metal.Library, error) {
	if text, ok := d.o.GPU.Libraries[name]; ok {
		return 0, &CompileError{Name: name, Output: text}
	}
	if shaders.NeedsMetal4(source) && !d.o.Tensors {
		return 0, &CompileError{Name: name, Output: fmt.Sprintf("%s.metal: fatal error: '%s' file not found", name, tensorHeader)}
	}
	file, u, err := d.compiler.library(name, source, d.o.Checked, d.o.Functions)
	if err != nil {
		return 0, err
	}
	l := &library{unit: u, file: file, layouts: map[string][]layout{}}
	if l.handle, err = purego.Dlopen(file, purego.RTLD_NOW|purego.RTLD_LOCAL); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.libraries = append(d.libraries, l)
	for i := range l.image {
		at, err := callSymbol(l.handle, "msl_image", uintptr(i))
		if err != nil {
			return 0, err
		}
		l.image[i] = uint64(at)
	}
	for _, k := range u.Kernels {
		for i := range k.Params {
			both, err := callSymbol(l.handle, "msl_layout_"+k.Name, uintptr(i))
			if err != nil {
				return 0, err
			}
			l.layouts[k.Name] = append(l.layouts[k.Name], layout{uint64(both) >> 32, uint64(both) & (1<<32 - 1)})
		}
	}
	return metal.Library(len(d.libraries)), nil
}

// Pipeline makes a kernel ready. Every function constant that the kernel reads must be set.
func (d *Device) Pipeline(lib metal.Library, kernel string, constants []metal.Constant) (metal.Pipeline, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if lib == 0 || int(lib) > len(d.libraries) {
		return 0, fmt.Errorf("there is no library %d", lib)
	}
	p := &pipeline{lib: d.libraries[lib-1]}
	for i := range p.lib.Kernels {
		if p.lib.Kernels[i].Name == kernel {
			p.kernel = &p.lib.Kernels[i]
		}
	}
	if p.kernel == nil {
		return 0, fmt.Errorf("there is no kernel %s", kernel)
	}
	if text, ok := d.o.GPU.Pipelines[kernel]; ok {
		return 0, errors.New(text)
	}
	if what := p.kernel.lacks(d.o.GPU, d.Description().Family); what != "" {
		return 0, errors.New("Encountered unlowered function call to air." + what)
	}
	p.layouts = p.lib.layouts[kernel]
	var err error
	if p.entry, err = purego.Dlsym(p.lib.handle, "msl_entry_"+kernel); err != nil {
		return 0, err
	}
	set := map[int]bool{}
	p.off = map[string]bool{}
	for _, c := range constants {
		i := slices.IndexFunc(p.lib.Constants, func(x constantDecl) bool { return x.Index == c.Index })
		switch {
		case i < 0:
			err = fmt.Errorf("kernel %s: the source has no function constant %d", kernel, c.Index)
		case set[c.Index]:
			err = fmt.Errorf("kernel %s: function constant %d is set twice", kernel, c.Index)
		case p.lib.Constants[i].Type != c.Type:
			err = fmt.Errorf("kernel %s: function constant %s has another type", kernel, p.lib.Constants[i].Name)
		case c.Type == metal.ConstantBool && c.Bits > 1:
			err = fmt.Errorf("kernel %s: function constant %s is a bool and has bits %#x", kernel, p.lib.Constants[i].Name, c.Bits)
		}
		if err != nil {
			return 0, err
		}
		set[c.Index] = true
		at, err := purego.Dlsym(p.lib.handle, fmt.Sprintf("msl_fc_%d", c.Index))
		if err != nil {
			return 0, err
		}
		v := constantValue{At: uint64(at), Bits: c.Bits, Size: 4}
		if c.Type == metal.ConstantBool {
			v.Size = 1
		}
		p.constants = append(p.constants, v)
		p.off[p.lib.Constants[i].Name] = c.Bits == 0
	}
	for _, c := range p.lib.Constants {
		if !set[c.Index] && slices.Contains(p.kernel.Uses, c.Index) {
			return 0, fmt.Errorf("kernel %s reads function constant %d (%s), which is not set", kernel, c.Index, c.Name)
		}
	}
	d.pipelines = append(d.pipelines, p)
	return metal.Pipeline(len(d.pipelines)), nil
}

// SetThreadgroupMemory gives a pipeline's [[threadgroup(index)]] argument its length, as an encoder does on a Mac.
func (d *Device) SetThreadgroupMemory(p metal.Pipeline, index, bytes int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.pipelines[p-1]
	if index < 0 || index >= maxThreadgroupParams || bytes <= 0 || bytes%16 != 0 {
		return fmt.Errorf("threadgroup memory %d of %d bytes: the index is from 0 to %d, and the length a multiple of 16", index, bytes, maxThreadgroupParams-1)
	}
	at, err := purego.Dlsym(x.lib.handle, fmt.Sprintf("msl_tg_%d", index))
	if err != nil {
		return err
	}
	x.tgLength[index] = bytes
	x.constants = append(x.constants, constantValue{At: uint64(at), Bits: uint32(bytes), Size: 4})
	return nil
}

// MaxThreads is the largest threadgroup of a pipeline.
func (d *Device) MaxThreads(p metal.Pipeline) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.threadLimit(d.pipelines[p-1])
}

func (d *Device) threadLimit(p *pipeline) int {
	most := maxThreads
	if p.kernel.MaxThreads > 0 {
		most = p.kernel.MaxThreads
	}
	if d.o.GPU.MaxThreads > 0 {
		most = min(most, d.o.GPU.MaxThreads)
	}
	return most
}

// lacks is what of a kernel a GPU of a family lacks, "" if nothing.
func (k *kernelDecl) lacks(g GPU, family int) string {
	for _, word := range k.Needs {
		if slices.Contains(g.Lacks, word) {
			return word
		}
		for _, f := range features {
			if strings.HasPrefix(word, f.prefix) {
				if family < f.family {
					return word
				}
				break
			}
		}
	}
	return ""
}

// SetWindows lets f say how many bytes a launch may touch from where a bind points to, so that a stray access is seen that
// stays in the buffer. f is called in Submit, with Submit's own launches. Without f, and where ok is false, it may touch
// all that follows in the buffer. Only a checked device looks.
func (d *Device) SetWindows(f func(l *metal.Launch, bind int) (length int, ok bool)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.windows = f
}

// Condition is always good.
func (d *Device) Condition() metal.Condition { return metal.Condition{Thermal: metal.ThermalNominal} }

// Close frees everything.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pool == 0 {
		return nil
	}
	_, err := callSymbol(d.runtime, "msl_close", d.pool)
	d.pool = 0
	for _, l := range d.libraries {
		err = errors.Join(err, purego.Dlclose(l.handle))
	}
	for _, b := range d.buffers {
		err = errors.Join(err, b.unmap())
	}
	d.libraries, d.pipelines, d.buffers, d.commands = nil, nil, nil, nil
	return err
}

// addr is the address of what p points to, for the run time.
func addr[T any](p *T) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }
