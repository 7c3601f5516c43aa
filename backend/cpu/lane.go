package cpu

import (
	"runtime"
	"sync/atomic"
	"time"
)

// lane is a leader, a worker that runs groups, and the group that it runs. An operation that has several parts is open
// to all workers that lead no lane. Which worker runs a part does not matter to the bits: parts write to different places.
type lane struct {
	number int
	leader *worker
	op     int     // that is open, in the body
	kernel *kernel // that is open: the operation's, or one that follows it

	// turn is the number of the operation that is open, 32 bits, how many parts it has, 16 bits, and how many of them were
	// claimed, 16 bits: one word, so that nobody claims a part of an operation that has ended.
	turn atomic.Uint64
	done atomic.Int32 // parts

	_ [64]byte // a cache line that no other lane writes to
}

// mostParts is how many parts an operation can have that is open to others.
const mostParts = 1<<16 - 1

// open lets others claim parts of an operation. All parts of the one before are done.
func (l *lane) open(op int, k *kernel) {
	l.op, l.kernel = op, k
	l.done.Store(0)
	l.turn.Store((l.turn.Load()>>32+1)<<32 | uint64(k.parts)<<16)
}

// claim returns a part that nobody else runs, or -1 if there is none.
func (l *lane) claim() int {
	for {
		t := l.turn.Load()
		parts, claimed := t>>16&mostParts, t&mostParts
		if claimed >= parts {
			return -1
		}
		if l.turn.CompareAndSwap(t, t+1) {
			return int(claimed)
		}
	}
}

// runBody runs groups, as long as there are any, and then helps those who still run some.
func (p *program) runBody(worker, _ int) {
	w := p.workers[worker]
	if worker < p.leaders {
		for run := int(p.next.Add(1)) - 1; run < p.runs(); run = int(p.next.Add(1)) - 1 {
			p.runGroups(w, &p.lanes[worker], run)
			p.left.Add(-1)
		}
	}
	if p.crew > p.leaders {
		p.help(w, worker%len(p.lanes))
	}
}

// runKernel runs a kernel of an operation, and those that follow it.
func (p *program) runKernel(l *lane, op int, k *kernel) {
	if k.shared() && p.crew > p.leaders {
		p.runParts(l, op, k)
	} else {
		for part := range k.parts {
			k.run(l.leader, part)
		}
	}
	if k.end != nil {
		k.end(l.leader)
	}
	for i := range k.then {
		p.runKernel(l, op, &k.then[i])
	}
}

// runParts runs a kernel with several parts, with whoever helps.
func (p *program) runParts(l *lane, op int, k *kernel) {
	l.open(op, k)
	for part := l.claim(); part >= 0; part = l.claim() {
		k.run(l.leader, part)
		l.done.Add(1)
	}
	for int(l.done.Load()) < k.parts {
		runtime.Gosched()
	}
}

// A worker without work looks for some this many times, a few hundred microseconds in all, before it sleeps between looks.
const (
	looks = 2000
	nap   = 20 * time.Microsecond
)

// help runs parts of any lane, the first one first, until all groups have run.
func (p *program) help(w *worker, first int) {
	for fruitless := 0; p.left.Load() > 0; {
		fruitless++
		for i := range p.lanes {
			l := &p.lanes[(first+i)%len(p.lanes)]
			for part := l.claim(); part >= 0; part = l.claim() {
				fruitless = 0
				p.helpWith(w, l, part)
			}
		}
		if fruitless > 0 {
			p.pause(fruitless)
		}
	}
}

// pause lets other goroutines run, or sleeps, before the next of many looks for work.
func (p *program) pause(fruitless int) {
	if fruitless < looks && !p.crowded {
		runtime.Gosched()
	} else {
		time.Sleep(nap)
	}
}

// helpWith runs a part for the leader of a lane, with the worker's own scratch.
func (p *program) helpWith(w *worker, l *lane, part int) {
	var begin time.Time
	if p.profiling {
		begin = time.Now()
	}
	lead := l.leader
	w.lane, w.arena, w.replica, w.whole, w.group, w.first = l, lead.arena, lead.replica, lead.whole, lead.group, lead.first
	op := l.op
	l.kernel.run(w, part)
	if p.profiling {
		w.times[op] += time.Since(begin)
	}
	l.done.Add(1)
}
