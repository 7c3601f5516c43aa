package cpu

import (
	"fmt"
	"sync/atomic"
	"time"

	"coil/backend"
	"coil/backend/cpu/gemm"
	"coil/graph"
)

// maxLanes is how many copies of the accumulators there are at most, and with it how many workers can run groups at
// the same time. Programs whose copies would take more than laneMemory bytes have fewer.
const (
	maxLanes   = 8
	laneMemory = 512 << 20
)

// program is a compiled recording.
type program struct {
	c       *CPU
	rec     *graph.Recorder
	memory  backend.Memory
	group   []kernel
	step    []kernel
	packed  []*packedWeight
	workers []*worker
	lanes   [][]float32 // copies of the accumulators
	zeroed  []span      // the parts of a lane that must be zero before its first group
	floats  [][]float32 // outputs, by storage
	ints    [][]int32   // inputs, by storage
	offsets []int       // of accumulators in a lane, of temporaries in their arena; by storage
	scalars []float32

	results []float32
	pending bool

	profiling         bool
	packTime, addTime time.Duration   // packing weights, adding up lanes
	stepTimes         []time.Duration // of each operation of the step part
	stepCalls         int

	runLane, reducePart, packPart func(worker, part int) // made once, so that a step allocates nothing
	stepPart                      []func(worker, part int)
}

// kernel is a lowered operation. In the group part one worker runs all parts in turn; in the step part they are spread
// over the workers, and end, if any, follows.
type kernel struct {
	parts int
	run   func(w *worker, part int)
	end   func(w *worker)

	scratch int       // floats of a worker's scratch that it takes
	matmul  gemm.Need // of the worker's matmul
}

// needs gives a kernel scratch.
func (k kernel) needs(scratch int, matmul gemm.Need) kernel {
	k.scratch, k.matmul = scratch, matmul
	return k
}

// worker is what one goroutine works with.
type worker struct {
	arena   []float32 // temporaries of the group part
	step    []float32 // temporaries of the step part, which all workers share
	lane    []float32 // in the step part, the first
	group   int       // the group being run
	first   bool      // it is the first of its lane
	gemm    gemm.Scratch
	scratch []float32
	err     error

	position atomic.Int32 // see program.Position; here because a worker's memory is its own

	times []time.Duration // of each operation of the group part, while profiling
	calls int             // groups run while profiling
}

// packedWeight is a weight that is packed when a step begins, since every group multiplies with it.
type packedWeight struct {
	view  graph.Tensor
	trans bool
	k, n  int

	memory []float32
	data   gemm.Packed
}

// take notes the memory of a program, or returns an error if there is not enough.
func (c *CPU) take(m backend.Memory) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.Buffers = 0 // they are there already
	err := c.fits(m)
	if err == nil {
		c.programs += m.Own()
	}
	return err
}

func (p *program) Memory() backend.Memory { return p.memory }

func (p *program) Close() {
	if p.c != nil {
		p.c.mu.Lock()
		p.c.programs -= p.memory.Own()
		p.c.mu.Unlock()
	}
	*p = program{}
}

// Run runs one step to its end.
func (p *program) Run(s backend.Step) error {
	if p.pending {
		return fmt.Errorf("cpu: run before the results of the last step were taken")
	}
	err := s.Check(p.rec)
	if err != nil {
		return fmt.Errorf("cpu: %w", err)
	}
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
	pool.run(len(p.lanes), p.runLane)
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
	if len(p.lanes) > 1 {
		pool.run((len(p.lanes[0])+chunk-1)/chunk, p.reducePart)
	}
	p.addTime += time.Since(begin)
	w := p.workers[0]
	w.position.Store(int32(len(p.group)))
	for _, w := range p.workers {
		w.lane = p.lanes[0]
	}
	for i, k := range p.step {
		begin := time.Now()
		pool.run(k.parts, p.stepPart[i])
		if k.end != nil {
			k.end(w)
		}
		p.stepTimes[i] += time.Since(begin)
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
		base = p.lanes[0][p.offsets[t.Storage-1]:]
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

// lane runs all groups of one lane, in their order.
func (p *program) lane(worker, lane int) {
	w := p.workers[worker]
	w.lane = p.lanes[lane]
	for _, s := range p.zeroed {
		clear(w.lane[s.lo:s.hi])
	}
	for g := lane; g < p.rec.Groups(); g += len(p.lanes) {
		w.group, w.first = g, g == lane
		var last time.Time
		if p.profiling {
			last = time.Now()
			w.calls++
		}
		for i := range p.group {
			w.position.Store(int32(i))
			k := &p.group[i]
			for part := range k.parts {
				k.run(w, part)
			}
			if k.end != nil {
				k.end(w)
			}
			if p.profiling {
				now := time.Now()
				w.times[i] += now.Sub(last)
				last = now
			}
		}
	}
}

// chunk is how many elements of a long vector one part works on.
const chunk = 16384

// reduce adds a chunk of all lanes to the first, in their order.
func (p *program) reduce(_, part int) {
	lo := part * chunk
	hi := min(lo+chunk, len(p.lanes[0]))
	dst := p.lanes[0][lo:hi]
	for _, l := range p.lanes[1:] {
		p.c.vec.Add(dst, dst, l[lo:hi], 1, 1)
	}
}
