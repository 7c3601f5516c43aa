package metal_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"coil/metal"
	"coil/train"
)

// aligned is a device that knows the parameters of every kernel from its source, and refuses launches that bind something
// else, or at an offset that Metal does not take: one of a buffer of the device address space is a multiple of 4, of the
// constant address space a multiple of 256 (Metal Feature Set Tables, minimum constant buffer offset alignment of Mac2).
type aligned struct {
	metal.Device
	sources map[metal.Library]string
	kernels map[metal.Pipeline]kernelBuffers
	checked int // binds
}

// kernelBuffers are the alignments of a kernel's buffers.
type kernelBuffers struct {
	name   string
	aligns []uint64
}

func newAligned(d metal.Device) *aligned {
	return &aligned{Device: d, sources: map[metal.Library]string{}, kernels: map[metal.Pipeline]kernelBuffers{}}
}

func (d *aligned) Library(name, source string) (metal.Library, error) {
	lib, err := d.Device.Library(name, source)
	d.sources[lib] += source // a device on paper gives all the same name
	return lib, err
}

func (d *aligned) Pipeline(lib metal.Library, kernel string, constants []metal.Constant) (metal.Pipeline, error) {
	p, err := d.Device.Pipeline(lib, kernel, constants)
	if err == nil {
		d.kernels[p] = kernelBuffers{kernel, buffersOf(d.sources[lib], kernel)}
	}
	return p, err
}

func (d *aligned) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	for _, list := range lists {
		for i := range list {
			if err := d.check(&list[i], slot); err != nil {
				return 0, err
			}
		}
	}
	return d.Device.Submit(lists, slot)
}

func (d *aligned) check(l *metal.Launch, slot int) error {
	k := d.kernels[l.Pipeline]
	if len(k.aligns) == 0 || int(l.Binds) != len(k.aligns) {
		return fmt.Errorf("kernel %q has %d buffers, %d are bound", k.name, len(k.aligns), l.Binds)
	}
	for i, b := range l.Bind[:l.Binds] {
		d.checked++
		if b.Offset%k.aligns[i] != 0 || uint64(b.Slot)%k.aligns[i] != 0 {
			return fmt.Errorf("kernel %s: buffer %d is bound at offset %d + slot·%d, no multiple of %d", k.name, i, b.Offset, b.Slot, k.aligns[i])
		}
		if at, n := b.Offset+uint64(slot)*uint64(b.Slot), len(d.Bytes(b.Buffer)); at >= uint64(n) {
			return fmt.Errorf("kernel %s: buffer %d is bound at offset %d of %d bytes", k.name, i, at, n)
		}
	}
	return nil
}

var parameterRE = regexp.MustCompile(`(?s)(device|constant)\s[^()]*?\[\[\s*buffer\((\d+)\)\s*\]\]`)

// buffersOf reads a kernel's parameters.
func buffersOf(source, kernel string) (aligns []uint64) {
	function := kernel
	if m := regexp.MustCompile(`host_name\("` + kernel + `"\)[^;]*?(\w+)<[^;]*;`).FindStringSubmatch(source); m != nil {
		function = m[1]
	}
	at := regexp.MustCompile(`\bkernel void\s+` + function + `\s*\(`).FindStringIndex(source)
	if at == nil {
		return nil
	}
	text, _, _ := strings.Cut(source[at[1]:], "{")
	for _, m := range parameterRE.FindAllStringSubmatch(text, -1) {
		if i, err := strconv.Atoi(m[2]); err != nil || i != len(aligns) {
			return nil
		}
		aligns = append(aligns, map[string]uint64{"device": 4, "constant": 256}[m[1]])
	}
	return aligns
}

// TestBuffersOf shows that a kernel's parameters are read as they are.
func TestBuffersOf(t *testing.T) {
	const source = `
kernel void two(device const float* x [[buffer(0)]],
                constant Params& p [[ buffer(1) ]], uint i [[thread_position_in_grid]]) { x[i] }
template <uint n> kernel void many(constant uint& n [[buffer(0)]], device void* y [[buffer(1)]], device float* z [[buffer(2)]]) {}
template [[host_name("many_4")]] [[kernel]] decltype(many<4>) many<4>;`
	for kernel, want := range map[string][]uint64{"two": {4, 256}, "many_4": {256, 4, 4}, "absent": nil} {
		if got := buffersOf(source, kernel); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", kernel, got, want)
		}
	}
}

// TestAlignmentOfPresets: in a training step of every preset, in both precisions and in each slot, every offset that is
// bound is one that Metal takes. TestConformance checks the same of its own programs.
func TestAlignmentOfPresets(t *testing.T) {
	for name := range train.Presets() {
		for _, p := range precisions {
			c, err := train.Preset(name)
			if err != nil {
				t.Fatal(err)
			}
			d := newAligned(metal.OnPaper(metal.Chip{Name: "paper"}))
			b := on(t, d, p.options)
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
