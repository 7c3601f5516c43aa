package metal

import "fmt"

// NewDryRun is a device that computes nothing. A program can be compiled for it, to count what its launches would move and
// compute on a chip.
func NewDryRun(c Chip) Device { return &dryRun{chip: c} }

type dryRun struct {
	chip      Chip
	buffers   [][]byte
	pipelines uint32
	tickets   uint32
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
	p.buffers = append(p.buffers, make([]byte, n))
	return Buffer(len(p.buffers)), nil
}

func (p *dryRun) Bytes(b Buffer) []byte { return p.buffers[b-1] }

func (p *dryRun) FreeBuffer(b Buffer) { p.buffers[b-1] = nil }

func (p *dryRun) Submit([][]Launch, int) (Ticket, error) {
	p.tickets++
	return Ticket(p.tickets), nil
}

func (p *dryRun) Poll(Ticket) Progress { return Progress{Ended: true} }
func (p *dryRun) Reset() error         { return nil }
func (p *dryRun) Condition() Condition { return Condition{} }
func (p *dryRun) Close() error         { return nil }
