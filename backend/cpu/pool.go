package cpu

import (
	"sync"
	"sync/atomic"
)

// pool runs a job's parts on a fixed number of workers; the caller is the first.
type pool struct {
	workers int
	wake    []chan struct{}
	done    sync.WaitGroup
	next    atomic.Int64
	parts   int
	job     func(worker, part int)
}

func newPool(workers int) *pool {
	p := &pool{workers: workers, wake: make([]chan struct{}, workers)}
	for w := 1; w < workers; w++ {
		wake := make(chan struct{}, 1)
		p.wake[w] = wake
		go func() {
			for range wake {
				p.work(w)
				p.done.Done()
			}
		}()
	}
	return p
}

func (p *pool) close() {
	for _, c := range p.wake[1:] {
		close(c)
	}
	p.wake = p.wake[:1]
}

// run calls job for every part in [0, parts), each on one worker, and returns when all have ended.
func (p *pool) run(parts int, job func(worker, part int)) {
	helpers := min(p.workers, parts) - 1
	if helpers <= 0 {
		for i := range parts {
			job(0, i)
		}
		return
	}
	p.job, p.parts = job, parts
	p.next.Store(0)
	p.done.Add(helpers)
	for w := 1; w <= helpers; w++ {
		p.wake[w] <- struct{}{}
	}
	p.work(0)
	p.done.Wait()
}

func (p *pool) work(w int) {
	for i := int(p.next.Add(1)) - 1; i < p.parts; i = int(p.next.Add(1)) - 1 {
		p.job(w, i)
	}
}
