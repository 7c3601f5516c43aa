package cpu

import (
	"fmt"
	"sync/atomic"
	"time"

	"coil/backend"
	"coil/backend/cpu/gemm"
	"coil/graph"
)

// maxReplicas is how many copies of the accumulators there are at most, and with it how many groups run at
// the same time. Programs whose copies would take more than replicaMemory bytes have fewer.
const (
	maxReplicas   = 8
	replicaMemory = 512 << 20
)

// laneMemory is the usual [CPU.laneMemory].
const laneMemory = 192 << 20

// program is a compiled recording.
type program struct {
	c        *CPU
	rec      *graph.Recorder
	memory   backend.Memory
	heads    heads
	group    []kernel
	step     []kernel
	packed   []*packedWeight
	workers  []*worker
	replicas [][]float32    // copies of the accumulators, all but the first without what is common
	ended    []atomic.Int32 // how many groups of each replica have run
	common   common
	turns    [][]atomic.Int32 // of heads with common gradients
	scatter  *scatter         // nil: there is none
	lanes    []lane           // by leader
	chunks   []span           // of what is in every replica
	zeroed   []span           // the parts of a replica that must be zero before its first group
	floats   [][]float32      // what has memory of its own, by storage
	ints     [][]int32        // inputs, by storage
	offsets  []int            // of accumulators in a replica, of temporaries in their arena; by storage
	rows     []int            // of temporaries with gaps behind their rows: how long these are; 0 for others; by storage
	scalars  []float32

	accumulators          int // floats of the first replica
	groupArena, stepArena int // floats
	age                   int // of the slabs when the program was given its parts

	results []float32
	pending bool

	profiling         bool
	packTime, addTime time.Duration   // packing weights, adding up replicas
	updateTimes       []time.Duration // of each operation of the update
	stepCalls         int

	leaders    int          // workers that run groups
	crew       int          // workers that run the body: leaders and helpers
	crowded    bool         // there are more workers than processors: who has no work must not keep one busy
	next, left atomic.Int32 // the run to begin next, and how many have not ended

	bodyRunner, reducePart, packPart, scatterPart func(worker, part int) // made once, so that a step allocates nothing
	stepPart                                      []func(worker, part int)
}

// kernel is a lowered operation. Its parts write to different places: any workers may run them at the same time. In the body a
// group's leader and who helps it run them, in the update all workers, and end, if any, follows.
type kernel struct {
	parts int
	run   func(w *worker, part int)
	end   func(w *worker)

	then []kernel // of the body: each begins when the one before has ended
	work float64  // the share of the operation's work that it does, if there are several kernels

	scratch int       // floats of a worker's scratch that it takes
	matmul  gemm.Need // of the worker's matmul
}

// all is the kernel and those that follow it.
func (k *kernel) all() []*kernel {
	ks := []*kernel{k}
	for i := range k.then {
		ks = append(ks, &k.then[i])
	}
	return ks
}

// shared reports whether several workers can run it.
func (k *kernel) shared() bool { return k.parts > 1 && k.parts <= mostParts }

// needs gives a kernel scratch.
func (k kernel) needs(scratch int, matmul gemm.Need) kernel {
	k.scratch, k.matmul = scratch, matmul
	return k
}

// worker is what one goroutine works with.
type worker struct {
	need    need
	own     []float32 // memory for the temporaries of the body, if it leads lanes
	arena   []float32 // temporaries of the body: its own, or those of the leader that it helps
	step    []float32 // temporaries of the update, which all workers share
	lane    *lane     // in which it works
	replica []float32 // in the update, the first
	whole   bool      // the replica has what is common: it is the first
	group   int       // the group being run
	first   bool      // it is the first of its replica
	gemm    gemm.Scratch
	scratch []float32
	err     error

	position atomic.Int32 // see program.Position; here because a worker's memory is its own

	times []time.Duration // of each operation of the body, while profiling
	calls int             // groups run while profiling
}

// packedWeight is a weight that is packed at the start of a step, because every group multiplies with it.
type packedWeight struct {
	view  graph.Tensor
	trans bool
	k, n  int

	memory []float32
	data   gemm.Packed
}

func (p *program) Memory() backend.Memory { return p.memory }

func (p *program) Close() {
	if p.c != nil {
		p.c.drop(p)
	}
	*p = program{}
}

// Run runs one step to its end.
func (p *program) Run(s backend.Args) error {
	if p.pending {
		return fmt.Errorf("cpu: run before the results of the last step were taken")
	}
	err := s.Check(p.rec)
	if err != nil {
		return fmt.Errorf("cpu: %w", err)
	}
	p.enter()
	copy(p.scalars[1:], s.Scalars)
	for i, st := range p.rec.Storages() {
		if st.Space == graph.Input {
			copy(p.ints[i], s.Inputs[st.Number])
		}
	}
	defer p.workers[0].position.Store(-1)
	pool := p.c.pool
	begin := time.Now()
	pool.run(len(p.packed), p.packPart)
	p.packTime += time.Since(begin)
	p.next.Store(0)
	p.left.Store(int32(p.runs()))
	for i := range p.ended {
		p.ended[i].Store(0)
	}
	for _, turns := range p.turns {
		for i := range turns {
			turns[i].Store(0)
		}
	}
	pool.run(p.crew, p.bodyRunner)
	for _, w := range p.workers {
		if err == nil {
			err = w.err
		}
		w.err = nil
	}
	if err != nil {
		return err
	}
	begin = time.Now()
	if len(p.replicas) > 1 {
		pool.run(len(p.chunks), p.reducePart)
	}
	if p.scatter != nil {
		pool.run(scatterParts, p.scatterPart)
	}
	p.addTime += time.Since(begin)
	w := p.workers[0]
	w.position.Store(int32(len(p.group)))
	for _, w := range p.workers {
		w.replica, w.whole = p.replicas[0], true
	}
	for i, k := range p.step {
		begin := time.Now()
		pool.run(k.parts, p.stepPart[i])
		if k.end != nil {
			k.end(w)
		}
		p.updateTimes[i] += time.Since(begin)
	}
	p.stepCalls++
	out := p.results
	for _, t := range p.rec.Results() {
		copy(out, p.host(t))
		out = out[t.Size():]
	}
	p.pending = true
	return nil
}

// host returns the elements of a dense result.
func (p *program) host(t graph.Tensor) []float32 {
	s := p.rec.Storages()[t.Storage-1]
	base := p.floats[t.Storage-1]
	switch s.Space {
	case graph.Accumulator:
		base = p.replicas[0][p.offsets[t.Storage-1]:]
	case graph.Temporary:
		base = p.workers[0].step[p.offsets[t.Storage-1]:]
	}
	return base[t.Offset : t.Offset+t.Size()]
}

func (p *program) Results(dst []float32) error {
	if !p.pending {
		return fmt.Errorf("cpu: results of a step that was not run")
	}
	if len(dst) != len(p.results) {
		return fmt.Errorf("cpu: %d results asked, the program has %d", len(dst), len(p.results))
	}
	copy(dst, p.results)
	p.pending = false
	return nil
}

func (p *program) Output(t graph.Tensor, dst []float32) error {
	all := p.floats[t.Storage-1]
	if p.rec.Storages()[t.Storage-1].Space != graph.Output || len(dst) != len(all) {
		return fmt.Errorf("cpu: output of %d values asked, the batch has %d", len(dst), len(all))
	}
	copy(dst, all)
	return nil
}

// Position is where the first worker is: see [backend.Positioner].
func (p *program) Position() int { return int(p.workers[0].position.Load()) }

// pack packs one weight.
func (p *program) pack(_, part int) {
	w := p.packed[part]
	w.data = p.c.gemm.Pack(w.memory, w.trans, w.k, w.n, p.floats[w.view.Storage-1][w.view.Offset:], w.view.Stride)
}

// runs is how many runs a step has: each is all groups of a replica, or a single group, if groups have turns and so must run in
// the order of the batch.
func (p *program) runs() int {
	if len(p.common.ordered) > 0 {
		return p.rec.Groups()
	}
	return len(p.replicas)
}

// runGroups runs the groups of one run, in their order.
func (p *program) runGroups(w *worker, l *lane, run int) {
	replica := run % len(p.replicas)
	l.leader = w
	w.lane, w.arena, w.replica, w.whole = l, w.own, p.replicas[replica], replica == 0
	for g := run; g < p.rec.Groups(); g += p.runs() {
		before := g / len(p.replicas) // groups of the replica
		for i := 0; int(p.ended[replica].Load()) < before; i++ {
			p.pause(i)
		}
		if before == 0 {
			for _, s := range p.zeroed {
				n := 0
				if !w.whole {
					n = p.common.before(s.lo)
				}
				clear(w.replica[s.lo-n : s.hi-n])
			}
		}
		w.group, w.first = g, before == 0
		var last time.Time
		if p.profiling {
			last = time.Now()
			w.calls++
		}
		for i := range p.group {
			w.position.Store(int32(i))
			p.runKernel(l, i, &p.group[i])
			if p.profiling {
				now := time.Now()
				w.times[i] += now.Sub(last)
				last = now
			}
		}
		p.ended[replica].Add(1)
	}
}

// chunk is how many elements of a long vector one part works on.
const chunk = 16384

// reduce adds a chunk of all replicas to the first, in their order.
func (p *program) reduce(_, part int) {
	s := p.chunks[part]
	n := p.common.before(s.lo)
	dst := p.replicas[0][s.lo:s.hi]
	for _, r := range p.replicas[1:] {
		p.c.vec.Add(dst, dst, r[s.lo-n:s.hi-n], 1, 1)
	}
}
