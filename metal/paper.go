package metal

import "fmt"

// OnPaper is a device that computes nothing. A program can be compiled for it, to count what its launches would move and
// compute on a chip.
func OnPaper(c Chip) Device { return &paper{chip: c} }

type paper struct {
	chip      Chip
	buffers   [][]byte
	pipelines uint32
	tickets   uint32
}

func (p *paper) Description() Description {
	return Description{Name: p.chip.Name, Family: 7, Unified: true, WorkingSet: 1 << 40, MaxBuffer: 1 << 40, ThreadgroupBytes: 32 << 10}
}

func (p *paper) Library(string, string) (Library, error) { return 1, nil }

func (p *paper) Pipeline(Library, string, []Constant) (Pipeline, error) {
	p.pipelines++
	return Pipeline(p.pipelines), nil
}

func (p *paper) MaxThreads(Pipeline) int { return 1024 }

func (p *paper) NewBuffer(n int) (Buffer, error) {
	if n <= 0 {
		return 0, fmt.Errorf("buffer of %d bytes", n)
	}
	p.buffers = append(p.buffers, make([]byte, n))
	return Buffer(len(p.buffers)), nil
}

func (p *paper) Bytes(b Buffer) []byte { return p.buffers[b-1] }

func (p *paper) FreeBuffer(b Buffer) { p.buffers[b-1] = nil }

func (p *paper) Submit([][]Launch, int) (Ticket, error) {
	p.tickets++
	return Ticket(p.tickets), nil
}

func (p *paper) Poll(Ticket) Progress { return Progress{Ended: true} }
func (p *paper) Reset() error         { return nil }
func (p *paper) Condition() Condition { return Condition{} }
func (p *paper) Close() error         { return nil }
