package metal_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"coil/config"
	"coil/metal"
	"coil/thorough"
	"coil/train"
)

// declared is a device that knows the parameters of every kernel from its source, and refuses launches that bind something
// else, or at an offset that Metal does not take: one of a buffer of the device address space is a multiple of 4, of the
// constant address space a multiple of 256 (Metal Feature Set Tables, minimum constant buffer offset alignment of Mac2).
// What a kernel may write must be known as written, and the rest must not, or barriers stand in the wrong places.
type declared struct {
	metal.Device
	b       *metal.Metal // nil: what launches read and write is not checked
	sources map[metal.Library]string
	kernels map[metal.Pipeline]kernelBuffers
	checked int // binds
}

// kernelBuffers are a kernel's buffers.
type kernelBuffers struct {
	name    string
	buffers []declaration
}

// declaration is a buffer as a kernel's parameter has it.
type declaration struct {
	align  uint64
	writes bool // not const
}

func newDeclared(d metal.Device) *declared {
	return &declared{Device: d, sources: map[metal.Library]string{}, kernels: map[metal.Pipeline]kernelBuffers{}}
}

func (d *declared) Library(name, source string) (metal.Library, error) {
	lib, err := d.Device.Library(name, source)
	d.sources[lib] += source // a device on paper gives all the same name
	return lib, err
}

func (d *declared) Pipeline(lib metal.Library, kernel string, constants []metal.Constant) (metal.Pipeline, error) {
	p, err := d.Device.Pipeline(lib, kernel, constants)
	if err == nil {
		d.kernels[p] = kernelBuffers{kernel, buffersOf(d.sources[lib], kernel)}
	}
	return p, err
}

func (d *declared) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	for _, list := range lists {
		for i := range list {
			if err := d.check(&list[i], slot); err != nil {
				return 0, err
			}
		}
	}
	return d.Device.Submit(lists, slot)
}

func (d *declared) check(l *metal.Launch, slot int) error {
	k := d.kernels[l.Pipeline]
	if len(k.buffers) == 0 || int(l.Binds) != len(k.buffers) {
		return fmt.Errorf("kernel %q has %d buffers, %d are bound", k.name, len(k.buffers), l.Binds)
	}
	for i, b := range l.Bind[:l.Binds] {
		d.checked++
		x := k.buffers[i]
		if b.Offset%x.align != 0 || uint64(b.Slot)%x.align != 0 {
			return fmt.Errorf("kernel %s: buffer %d is bound at offset %d + slot·%d, no multiple of %d", k.name, i, b.Offset, b.Slot, x.align)
		}
		if d.b != nil {
			if reads, writes, missing := d.b.Access(l, i); !missing && (writes != x.writes || !reads && !writes) {
				return fmt.Errorf("kernel %s: buffer %d: read %v, written %v; it may write: %v", k.name, i, reads, writes, x.writes)
			}
		}
		if at, n := b.Offset+uint64(slot)*uint64(b.Slot), len(d.Bytes(b.Buffer)); at >= uint64(n) {
			return fmt.Errorf("kernel %s: buffer %d is bound at offset %d of %d bytes", k.name, i, at, n)
		}
	}
	return nil
}

var parameterRE = regexp.MustCompile(`(device|constant)\s+(const\b)?[^()\[]*\[\[\s*buffer\((\d+)\)\s*\]\]`)

// buffersOf reads a kernel's parameters.
func buffersOf(source, kernel string) (buffers []declaration) {
	function := kernel
	if m := regexp.MustCompile(`host_name\("` + kernel + `"\)[^;]*?(\w+)<[^;]*;`).FindStringSubmatch(source); m != nil {
		function = m[1]
	}
	at := regexp.MustCompile(`kernel void\s+` + function + `\s*\(`).FindStringIndex(source)
	if at == nil {
		return nil
	}
	text, _, _ := strings.Cut(source[at[1]:], "{")
	for _, m := range parameterRE.FindAllStringSubmatch(text, -1) {
		if i, err := strconv.Atoi(m[3]); err != nil || i != len(buffers) {
			return nil
		}
		if m[1] == "constant" {
			buffers = append(buffers, declaration{align: 256})
		} else {
			buffers = append(buffers, declaration{4, m[2] == ""})
		}
	}
	return buffers
}

// TestBuffersOf shows that a kernel's parameters are read as they are.
func TestBuffersOf(t *testing.T) {
	const source = `
kernel void two(device const float* x [[buffer(0)]],
                constant Params& p [[ buffer(1) ]], uint i [[thread_position_in_grid]]) { x[i] }
template <uint n> kernel void many(constant uint& n [[buffer(0)]], device void* y [[buffer(1)]], device float* z [[buffer(2)]]) {}
template [[host_name("many_4")]] [[kernel]] decltype(many<4>) many<4>;`
	for kernel, want := range map[string][]declaration{"two": {{4, false}, {256, false}}, "many_4": {{256, false}, {4, true}, {4, true}}, "absent": nil} {
		if got := buffersOf(source, kernel); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", kernel, got, want)
		}
	}
}

// TestPresetsBindAsDeclared: in a training step of every preset, in both precisions, launches bind what their kernels
// declare. TestConformance checks the same of its own programs.
func TestPresetsBindAsDeclared(t *testing.T) {
	for _, name := range thorough.Cases(t, 40, "presets", slices.Sorted(maps.Keys(config.Presets()))) {
		for _, p := range precisions {
			c, err := config.Preset(name)
			if err != nil {
				t.Fatal(err)
			}
			d := newDeclared(metal.NewDryRun(metal.Chip{Name: "paper"}))
			b := on(t, d, p.options)
			d.b = b
			tr, err := train.New(c, b, nil)
			if err != nil {
				t.Fatal(err)
			}
			m, err := tr.Measure()
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Step(); err != nil {
				t.Errorf("%s in %s: %v", name, p.name, err)
			}
			if d.checked < 300 {
				t.Errorf("%s in %s: only %d offsets were checked", name, p.name, d.checked)
			}
			tr.Close()
			b.Close()
		}
	}
}
