package metal

import (
	"fmt"
	"sync"
)

// NewDryRun is a device that computes nothing. A program can be compiled for it, to count what its launches would move and
// compute on a chip. A buffer takes memory once its bytes are asked for.
func NewDryRun(c Chip) Device { return &dryRun{chip: c} }

type dryRun struct {
	chip      Chip
	mu        sync.Mutex // of buffers
	buffers   []dryBuffer
	pipelines uint32
	tickets   uint32
}

type dryBuffer struct {
	size int
	data []byte // nil until it is wanted
}

func (p *dryRun) Description() Description {
	return Description{Name: p.chip.Name, Family: 7, Unified: true, WorkingSet: 1 << 40, MaxBuffer: 1 << 40, ThreadgroupBytes: 32 << 10}
}

func (p *dryRun) Library(string, string) (Library, error) { return 1, nil }

func (p *dryRun) Pipeline(Library, string, []Constant) (Pipeline, error) {
	p.pipelines++
	return Pipeline(p.pipelines), nil
}

func (p *dryRun) MaxThreads(Pipeline) int { return 1024 }

func (p *dryRun) NewBuffer(n int) (Buffer, error) {
	if n <= 0 {
		return 0, fmt.Errorf("buffer of %d bytes", n)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buffers = append(p.buffers, dryBuffer{size: n})
	return Buffer(len(p.buffers)), nil
}

func (p *dryRun) Bytes(b Buffer) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := &p.buffers[b-1]
	if x.data == nil && x.size > 0 {
		x.data = make([]byte, x.size)
	}
	return x.data
}

func (p *dryRun) FreeBuffer(b Buffer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buffers[b-1] = dryBuffer{}
}

func (p *dryRun) Submit([][]Launch, int) (Ticket, error) {
	p.tickets++
	return Ticket(p.tickets), nil
}

func (p *dryRun) Poll(Ticket) Progress { return Progress{Ended: true} }
func (p *dryRun) Reset() error         { return nil }
func (p *dryRun) Condition() Condition { return Condition{} }
func (p *dryRun) Close() error         { return nil }
