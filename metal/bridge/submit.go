//go:build (darwin && arm64 && cgo) || standin

package bridge

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/progrium/darwinkit/objc"

	"coil/metal"
)

// maxBinds is how many buffers a launch can bind.
const maxBinds = len(metal.Launch{}.Bind)

// encoding is what Submit works with.
type encoding struct {
	run   func() // Device.encode; making it at each Submit would allocate
	lists [][]metal.Launch
	slot  uint64
	err   error
	made  objc.Object // the committed command buffer, retained

	// What the encoder holds.
	pipeline metal.Pipeline
	bound    [maxBinds]bound

	commandBuffer, encoder, commit *message

	setPipeline, setBuffer, setOffset, barrier, dispatch, endEncoding *message // to the encoder
}

type bound struct {
	buffer metal.Buffer
	offset uint64
}

func newEncoding() encoding {
	return encoding{
		commandBuffer: newMessage("commandBufferWithUnretainedReferences", typeID),
		encoder:       newMessage("computeCommandEncoderWithDispatchType:", typeID, typeUint),
		commit:        newMessage("commit", typeVoid),
		setPipeline:   newMessage("setComputePipelineState:", typeVoid, typeID),
		setBuffer:     newMessage("setBuffer:offset:atIndex:", typeVoid, typeID, typeUint, typeUint),
		setOffset:     newMessage("setBufferOffset:atIndex:", typeVoid, typeUint, typeUint),
		barrier:       newMessage("memoryBarrierWithScope:", typeVoid, typeUint),
		dispatch:      newMessage("dispatchThreadgroups:threadsPerThreadgroup:", typeVoid, typeMTLSize, typeMTLSize),
		endEncoding:   newMessage("endEncoding", typeVoid),
	}
}

// Submit encodes the launches into a command buffer and commits it. All Go allocates for it is what darwinkit's
// autorelease pool takes: two small objects a command buffer.
func (d *Device) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	e := &d.encoding
	e.lists, e.slot, e.err = lists, uint64(slot), nil
	defer func() { e.lists = nil }()
	for i, list := range lists {
		for j := range list {
			if err := d.check(&list[j], e.slot); err != nil {
				return 0, fmt.Errorf("launch %d of list %d: %w", j, i, err)
			}
		}
	}
	objc.WithAutoreleasePool(e.run)
	if e.err != nil {
		return 0, e.err
	}
	return d.flights.add(e.made), nil
}

// check finds what Metal would end the process for, or not notice.
func (d *Device) check(l *metal.Launch, slot uint64) error {
	if l.Pipeline == 0 || int(l.Pipeline) > len(d.pipelines) {
		return fmt.Errorf("no pipeline %d", l.Pipeline)
	}
	if int(l.Binds) > maxBinds {
		return fmt.Errorf("%d buffers", l.Binds)
	}
	for i, b := range l.Bind[:l.Binds] {
		if b.Buffer == 0 || int(b.Buffer) > len(d.buffers) || d.buffers[b.Buffer-1].object.IsNil() {
			return fmt.Errorf("buffer(%d): no buffer %d", i, b.Buffer)
		}
		if at, n := b.Offset+slot*uint64(b.Slot), len(d.buffers[b.Buffer-1].bytes); at >= uint64(n) {
			return fmt.Errorf("buffer(%d): offset %d in a buffer of %d bytes", i, at, n)
		}
	}
	g, t := l.Groups, l.Threads
	if g[0] == 0 || g[1] == 0 || g[2] == 0 {
		return fmt.Errorf("a grid of %v threadgroups", g)
	}
	if n, limit := uint64(t[0])*uint64(t[1])*uint64(t[2]), uint64(d.pipelines[l.Pipeline-1].threads); n == 0 || n > limit {
		return fmt.Errorf("threadgroups of %v threads: the pipeline's limit is %d", t, limit)
	}
	return nil
}

// encode is Submit's part in the autorelease pool.
func (d *Device) encode() {
	e := &d.encoding
	buffer := e.commandBuffer.send(d.queue).object()
	if buffer.IsNil() {
		e.err = errors.New("no command buffer from Metal")
		return
	}
	encoder := e.encoder.send(buffer, dispatchTypeConcurrent).object()
	if encoder.IsNil() {
		e.err = errors.New("no encoder from Metal")
		return
	}
	class := encoder.Class()
	e.setPipeline.bind(encoder, class)
	e.setBuffer.bind(encoder, class)
	e.setOffset.bind(encoder, class)
	e.barrier.bind(encoder, class)
	e.dispatch.bind(encoder, class)
	e.endEncoding.bind(encoder, class)
	e.pipeline, e.bound = 0, [maxBinds]bound{}
	for _, list := range e.lists {
		for i := range list {
			d.launch(&list[i])
		}
	}
	e.endEncoding.sendBound()
	e.commit.send(buffer)
	e.made = buffer.Retain()
}

// launch encodes one launch: of its pipeline and buffers what the encoder does not hold already.
func (d *Device) launch(l *metal.Launch) {
	e := &d.encoding
	if l.Barrier {
		e.barrier.sendBound(barrierScopeBuffers)
	}
	if l.Pipeline != e.pipeline {
		e.setPipeline.sendBound(address(d.pipelines[l.Pipeline-1].object.Ptr()))
		e.pipeline = l.Pipeline
	}
	for i := range int(l.Binds) {
		b := &l.Bind[i]
		now := bound{b.Buffer, b.Offset + e.slot*uint64(b.Slot)}
		switch was := e.bound[i]; {
		case was == now:
		case was.buffer == now.buffer:
			e.setOffset.sendBound(now.offset, uint64(i))
		default:
			e.setBuffer.sendBound(address(d.buffers[now.buffer-1].object.Ptr()), now.offset, uint64(i))
		}
		e.bound[i] = now
	}
	g, t := l.Groups, l.Threads
	e.dispatch.sendBound(uint64(g[0]), uint64(g[1]), uint64(g[2]), uint64(t[0]), uint64(t[1]), uint64(t[2]))
}

// flights are the command buffers that are on their way.
type flights struct {
	mu   sync.Mutex
	list []flight
	last metal.Ticket

	status, fault, code, localizedDescription, start, end *message
}

type flight struct {
	ticket metal.Ticket
	object objc.Object
}

func newFlights() flights {
	return flights{
		status:               newMessage("status", typeUint),
		fault:                newMessage("error", typeID),
		code:                 newMessage("code", typeInt),
		localizedDescription: newMessage("localizedDescription", typeID),
		start:                newMessage("GPUStartTime", typeDouble),
		end:                  newMessage("GPUEndTime", typeDouble),
	}
}

func (f *flights) add(o objc.Object) metal.Ticket {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last++; f.last == 0 { // none
		f.last++
	}
	f.list = append(f.list, flight{f.last, o})
	return f.last
}

// drop forgets all, and reports whether all had ended.
func (f *flights) drop() (ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ended = true
	for i := range f.list {
		ended = ended && f.status.send(f.list[i].object).uint() >= statusCompleted
		release(&f.list[i].object)
	}
	f.list = f.list[:0]
	return ended
}

// Poll reports how far a command buffer is.
func (d *Device) Poll(t metal.Ticket) metal.Progress {
	f := &d.flights
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.list, func(x flight) bool { return x.ticket == t })
	if i < 0 {
		return metal.Progress{Ended: true, Err: fmt.Errorf("no command buffer in flight has ticket %d", t)}
	}
	o := f.list[i].object
	status := f.status.send(o).uint()
	if status < statusCompleted {
		return metal.Progress{}
	}
	f.list = slices.Delete(f.list, i, i+1)
	return f.result(o, status)
}

// result takes the result from a command buffer that has ended, and lets go of it.
func (f *flights) result(o objc.Object, status uint64) (p metal.Progress) {
	objc.WithAutoreleasePool(func() {
		p.Ended, p.Seconds = true, f.end.send(o).double()-f.start.send(o).double()
		if fault := f.fault.send(o).object(); !fault.IsNil() || status != statusCompleted {
			e := &metal.CommandError{Text: text(f.localizedDescription, fault.Ptr())}
			if !fault.IsNil() {
				e.Code = int(int64(f.code.send(fault).uint()))
			}
			p.Err = e
		}
		o.Release()
	})
	return p
}
