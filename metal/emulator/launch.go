//go:build linux && amd64

package emulator

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"

	"github.com/ebitengine/purego"
)

// The types below are those of runtime/rt.cpp.

const (
	cBinds   = 32
	cellSize = 40
	maxFault = 32 // of a launch
)

type constantValue struct {
	At   uint64
	Bits uint32
	Size uint32
}

type cMem struct{ At, Size, Shadow, Undefined uint64 }

type cBind struct {
	Lo, Hi     uint64
	Mem, Flags uint32
}

const (
	bound    = 1
	writable = 2
)

type cFault struct {
	Kind, Site, Site2, Size          uint32
	PC, PC2, Off                     uint64
	Buf                              int32
	Tid, Tid2, Group, Write, Launch2 uint32
	Text                             [88]byte
}

type cDispatch struct {
	Entry                          uintptr
	Image                          [2]uint64
	Groups, Threads                [3]uint32
	Order, Checked                 uint32
	Seed                           uint64
	Launch, Segment                uint32
	LimitMS                        uint64
	NConst, NMem, NFault, MaxFault uint32
	Aborted, Flush                 uint32
	Consts, Faults                 uint64
	Bind                           [cBinds]cBind
	Mem                            [cBinds]cMem
}

// call is what one launch at a time needs.
type call struct {
	d      cDispatch
	faults [maxFault]cFault
}

// Codes of command buffers that fail, as Metal counts them.
const (
	codeInternal  = 1
	codeTimeout   = 2
	codePageFault = 4
)

// run runs one launch, which belongs to cmd. It reports whether more can run after it. segment is the number of the first
// launch since the last barrier, ran the pipelines since then.
func (d *Device) run(cmd *command, l *launch, segment uint32, ran map[uint32]*pipeline) bool {
	d.launches++
	if l.Pipeline == 0 || int(l.Pipeline) > len(d.pipelines) {
		cmd.fail(codeInternal, fmt.Sprintf("launch of pipeline %d, which does not exist", l.Pipeline))
		return false
	}
	p := d.pipelines[l.Pipeline-1]
	ran[d.launches] = p
	c := &d.call.d
	*c = cDispatch{
		Entry: p.entry, Image: p.lib.image, Groups: l.Groups, Threads: l.Threads, Order: uint32(d.o.Order),
		Seed: d.o.Seed*0x9e3779b97f4a7c15 + uint64(d.launches), Launch: d.launches, Segment: segment,
		LimitMS: uint64(d.o.TimeLimit.Milliseconds()), NConst: uint32(len(p.constants)), MaxFault: maxFault, Faults: addr(&d.call.faults[0]),
	}
	if d.o.Checked {
		c.Checked = 1
	}
	if d.o.Flush {
		c.Flush = 1
	}
	if len(p.constants) > 0 {
		c.Consts = addr(&p.constants[0])
	}
	if faults := d.bind(c, p, l); faults != nil {
		cmd.fail(codeInternal, faults...)
		return false
	}
	// The run time sees these addresses; Go does not move what lies on the heap.
	purego.SyscallN(d.dispatch, d.pool, uintptr(addr(c)))
	runtime.KeepAlive(p)
	runtime.KeepAlive(d)
	seen := map[string]bool{}
	for i := range d.call.faults[:c.NFault] {
		f := &d.call.faults[i]
		// Loops unrolled by the compiler report one place of the source several times.
		text, place := p.describe(f, ran)
		if !seen[place] {
			seen[place] = true
			cmd.fail(f.code(), text)
		}
	}
	if d.o.GPU.Wrong[p.kernel.Name] {
		d.spoil(p, l)
	}
	return c.Aborted == 0
}

// spoil changes the first float of a launch's first result.
func (d *Device) spoil(p *pipeline, l *launch) {
	for _, pr := range p.kernel.Params {
		if pr.Attr == "buffer" && !pr.Const {
			b := d.buffer(l.Bind[pr.Index].Buffer).data[l.offset[pr.Index]:]
			x := math.Float32frombits(binary.LittleEndian.Uint32(b))
			binary.LittleEndian.PutUint32(b, math.Float32bits(1.5*x+1))
			return
		}
	}
}

// bind checks the geometry and the memory of a launch and fills in what the kernel will see.
func (d *Device) bind(c *cDispatch, p *pipeline, l *launch) (faults []string) {
	bad := func(format string, a ...any) {
		faults = append(faults, p.kernel.Name+": bad launch: "+fmt.Sprintf(format, a...))
	}
	groups, threads := uint64(1), uint64(1)
	for i := range 3 {
		groups *= uint64(l.Groups[i])
		threads *= uint64(l.Threads[i])
		if l.Groups[i] >= 1<<20 || l.Threads[i] > maxThreads { // keeps the products in range
			groups = 0
		}
	}
	most := d.threadLimit(p)
	switch {
	case groups == 0 || threads == 0 || groups*threads >= 1<<32-1:
		bad("%d threadgroups of %d threads", l.Groups, l.Threads)
	case threads > uint64(most):
		bad("%d threads in a threadgroup, more than %d", threads, most)
	}
	if int(l.Binds) > len(l.Bind) {
		bad("%d binds", l.Binds)
		return faults
	}
	var declared [len(l.Bind)]bool
	for i := range p.kernel.Params {
		pr := &p.kernel.Params[i]
		if pr.Attr == "threadgroup" && p.tgLength[pr.Index] == 0 {
			bad("threadgroup memory %d (%s) has no length", pr.Index, pr.Name)
		}
		if pr.Attr != "buffer" {
			continue
		}
		if pr.Index >= int(l.Binds) || l.Bind[pr.Index].Buffer == 0 {
			if off, set := p.off[pr.If]; pr.If != "" && (off || !set) {
				continue
			}
			bad("buffer %d (%s) is not bound", pr.Index, pr.Name)
			continue
		}
		declared[pr.Index] = true
		if err := d.bindOne(c, pr, p.layouts[i], l); err != nil {
			bad("buffer %d (%s): %v", pr.Index, pr.Name, err)
		}
	}
	for i := range int(l.Binds) {
		if l.Bind[i].Buffer != 0 && !declared[i] {
			bad("buffer %d is bound, but the kernel has no such parameter", i)
		}
	}
	return faults
}

func (d *Device) bindOne(c *cDispatch, pr *param, lay layout, l *launch) error {
	bind, offset := l.Bind[pr.Index], l.offset[pr.Index]
	b := d.buffer(bind.Buffer)
	if b == nil {
		return fmt.Errorf("buffer %d of the device does not exist or has been freed", bind.Buffer)
	}
	align := max(lay.align, 4)
	if offset%align != 0 {
		return fmt.Errorf("offset %d is not a multiple of %d", offset, align)
	}
	if offset >= uint64(len(b.data)) {
		return fmt.Errorf("offset %d is past the end of the buffer, which has %d bytes", offset, len(b.data))
	}
	length := min(l.window[pr.Index], uint64(len(b.data))-offset)
	if pr.isReference() && length < lay.size {
		return fmt.Errorf("%d bytes are bound, %s needs %d", length, pr.Type, lay.size)
	}
	base := addr(&b.data[0])
	mem := uint32(0)
	for mem < c.NMem && c.Mem[mem].At != base {
		mem++
	}
	if mem == c.NMem {
		c.NMem++
		c.Mem[mem] = cMem{At: base, Size: uint64(len(b.data))}
		if d.o.Checked {
			if b.shadow == nil {
				s, err := reserve((len(b.data) + 1) / 2 * cellSize)
				if err != nil {
					return err
				}
				b.shadow = s
			}
			c.Mem[mem].Shadow = addr(&b.shadow[0])
			if b.undefined != nil {
				c.Mem[mem].Undefined = addr(&b.undefined[0])
			}
		}
	}
	x := cBind{Lo: base + offset, Hi: base + offset + length, Mem: mem, Flags: bound}
	if !pr.Const {
		x.Flags |= writable
	}
	c.Bind[pr.Index] = x
	return nil
}
