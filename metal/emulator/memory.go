//go:build linux && amd64

package emulator

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"coil/metal"
)

// buffer is memory between inaccessible pages. It ends where the second guard begins, so an overrun faults at once.
type buffer struct {
	mapped    []byte // with the pages around
	data      []byte
	shadow    []byte // cells of the run time, in a checked device that has used the buffer
	undefined []byte // 1 for every byte that must be written before it is read, if there is one
	freed     bool
}

const (
	page  = 4096
	guard = 256 * page
)

// reserve maps memory that takes room only where it is touched.
func reserve(bytes int) ([]byte, error) {
	return unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
}

// NewBuffer allocates zeroed memory.
func (d *Device) NewBuffer(n int) (metal.Buffer, error) {
	if n <= 0 || n > maxBuffer {
		return 0, fmt.Errorf("a buffer cannot have %d bytes", n)
	}
	body := (n + page - 1) / page * page
	m, err := unix.Mmap(-1, 0, body+2*guard, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return 0, err
	}
	if err := unix.Mprotect(m[guard:guard+body], unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return 0, errors.Join(err, unix.Munmap(m))
	}
	at := guard + (body-n)&^15 // vectors must stay aligned
	d.mu.Lock()
	defer d.mu.Unlock()
	d.buffers = append(d.buffers, &buffer{mapped: m, data: m[at : at+n : at+n]})
	return metal.Buffer(len(d.buffers)), nil
}

// buffer returns a buffer in use, or nil.
func (d *Device) buffer(b metal.Buffer) *buffer {
	if b == 0 || int(b) > len(d.buffers) || d.buffers[b-1].freed {
		return nil
	}
	return d.buffers[b-1]
}

func (d *Device) mustBuffer(b metal.Buffer) *buffer {
	x := d.buffer(b)
	if x == nil {
		panic(fmt.Sprintf("emulator: buffer %d does not exist or has been freed", b))
	}
	return x
}

// Bytes is the memory of a buffer. It panics if there is no such buffer.
func (d *Device) Bytes(b metal.Buffer) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mustBuffer(b).data
}

// FreeBuffer makes the memory inaccessible, for the host too: to touch it is a fault of memory. It panics if there is no such
// buffer. A command buffer in flight that uses it fails.
func (d *Device) FreeBuffer(b metal.Buffer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.mustBuffer(b)
	for _, c := range d.commands {
		if c.uses(b) {
			c.fail(codeInternal, fmt.Sprintf("buffer %d was freed while it was in flight", b))
		}
	}
	x.freed = true
	err := errors.Join(unix.Madvise(x.mapped[guard:len(x.mapped)-guard], unix.MADV_DONTNEED), unix.Mprotect(x.mapped, unix.PROT_NONE), x.dropShadow())
	if err != nil {
		panic(fmt.Sprintf("emulator: buffer %d: %v", b, err))
	}
}

// MarkUndefined says that memory holds nothing of use: a checked device reports a read that comes before a write of a
// launch. It fills the memory with bits that are no number in any float format.
func (d *Device) MarkUndefined(b metal.Buffer, offset, length int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.mustBuffer(b)
	for i := range x.data[offset : offset+length] {
		x.data[offset+i] = 0xff
	}
	if !d.o.Checked {
		return
	}
	if x.undefined == nil {
		m, err := reserve(len(x.data))
		if err != nil {
			panic(fmt.Sprintf("emulator: buffer %d: %v", b, err))
		}
		x.undefined = m
	}
	for i := range x.undefined[offset : offset+length] {
		x.undefined[offset+i] = 1
	}
}

func (b *buffer) dropShadow() (err error) {
	if b.shadow != nil {
		err = unix.Munmap(b.shadow)
	}
	if b.undefined != nil {
		err = errors.Join(err, unix.Munmap(b.undefined))
	}
	b.shadow, b.undefined = nil, nil
	return err
}

func (b *buffer) unmap() error { return errors.Join(b.dropShadow(), unix.Munmap(b.mapped)) }
