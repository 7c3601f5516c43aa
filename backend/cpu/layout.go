package cpu

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"coil/backend"
	"coil/backend/cpu/gemm"
	"coil/graph"
)

// layout is a lowered recording, before it has memory.
type layout struct {
	*program
	replicas            int
	laneCount           int // groups that run at the same time, if there are workers to lead them
	tables              map[turnKey]*turnTable
	all, shared, update need // of all operations; of those that workers without a replica help with or run; of the update alone
}

// need is the memory that operations take of a worker.
type need struct {
	scratch int // floats
	gemm    gemm.Need
}

func (n *need) add(k kernel) { n.scratch, n.gemm = max(n.scratch, k.scratch), n.gemm.Max(k.matmul) }

// len is the floats in all.
func (n *need) len() int { return round(n.scratch) + n.gemm.Len() }

// layout places everything and lowers every operation to a function over slices, for a number of workers.
func (c *CPU) layout(r *graph.Recorder, workers int) (*layout, error) {
	if err := r.Err(); err != nil {
		return nil, err
	}
	heads := c.findHeads(r)
	p := &program{c: c, rec: r, heads: heads, rows: c.gappedRows(r, heads), offsets: make([]int, len(r.Storages())), scalars: make([]float32, r.Scalars()+1),
		results: make([]float32, r.ResultLen()), floats: make([][]float32, len(r.Storages())), ints: make([][]int32, len(r.Storages()))}
	size := heads.size(c.gemm, r)
	group, step, err := graph.PlanArenas(r, func(i int) int { return p.withGaps(i, size(i)) }, heads.span)
	if err != nil {
		return nil, err
	}
	p.groupArena, p.stepArena = group.Len, step.Len
	l := &layout{program: p, tables: map[turnKey]*turnTable{}}
	for i, s := range r.Storages() {
		bytes := int64(s.Len) * 4
		switch s.Space {
		case graph.Parameter, graph.State:
			b, ok := s.Buffer.(*buffer)
			if !ok {
				return nil, fmt.Errorf("cpu: a buffer of another backend")
			}
			p.floats[i] = b.data
			if s.Space == graph.State {
				p.memory.State += bytes * int64(r.Groups())
			} else {
				p.memory.Buffers += bytes
			}
		case graph.Constant:
			p.floats[i] = s.Data
			p.memory.Constants += bytes
		case graph.Accumulator:
			p.offsets[i] = p.accumulators
			p.accumulators += round(s.Len)
		case graph.Input, graph.Output:
			p.memory.Batch += bytes * int64(r.Groups())
		case graph.Temporary:
			if p.offsets[i] = group.Offsets[i]; s.Update {
				p.offsets[i] = step.Offsets[i]
			}
		}
	}
	lw := lowering{p: p, packs: map[packKey]*packedWeight{}, tables: l.tables}
	lw.findCommon()
	l.replicas = min(r.Groups(), maxReplicas)
	replica := int64(p.accumulators-p.common.floats) * 4
	for l.replicas > 2 && int64(l.replicas)*replica > replicaMemory {
		l.replicas /= 2
	}
	l.laneCount = l.replicas
	if longestInput(r) > groupTokens { // workers lose little by sharing the operations of a sequence that long
		for l.laneCount > 1 && l.laneCount*round(p.groupArena)*4 > workers*c.laneMemory {
			l.laneCount /= 2
		}
	}
	lw.team = (workers + l.laneCount - 1) / l.laneCount
	if err := l.lower(&lw); err != nil {
		return nil, err
	}
	parts := 1
	for i := range p.group {
		for _, k := range p.group[i].all() {
			parts = max(parts, k.parts)
		}
	}
	p.leaders = min(workers, l.laneCount)
	p.crew = p.leaders
	if lw.team > 1 { // with fewer workers, all lead; to help at the end of a step would make a leader wait for a helper that others keep from its core
		p.crew = min(workers, l.laneCount*parts)
	}
	p.crowded = workers > runtime.GOMAXPROCS(0)
	floats := l.replicas*round(p.accumulators-p.common.floats) + p.common.floats + round(p.scatter.len(r))
	p.memory.Accumulators = int64(floats) * 4
	p.memory.Activations = int64(p.leaders*round(p.groupArena)+round(p.stepArena)) * 4
	for i := range workers {
		p.memory.Workspace += int64(l.need(i).len()) * 4
	}
	for _, w := range p.packed {
		p.memory.Workspace += int64(round(c.gemm.PackedLen(w.k, w.n))) * 4
	}
	for key := range l.tables {
		p.memory.Constants += int64(key.len()) * 4
	}
	return l, nil
}

// longestInput is the length of a group's longest input: the number of its tokens.
func longestInput(r *graph.Recorder) (n int) {
	for _, s := range r.Storages() {
		if s.Space == graph.Input {
			n = max(n, s.Len)
		}
	}
	return n
}

// need is the memory that operations take of a worker.
func (l *layout) need(worker int) *need {
	switch {
	case worker < l.leaders:
		return &l.all
	case worker < l.crew:
		return &l.shared
	}
	return &l.update
}

// lower lowers both parts.
func (l *layout) lower(lw *lowering) error {
	p := l.program
	add := func(i int, op graph.Op) (k kernel, err error) {
		if h := p.heads.of(i); h == nil || lw.inUpdate {
			k, err = lw.lower(op)
		} else if i == h.first { // it does the work of all its operations
			k = lw.head(h)
		}
		l.all.add(k)
		if lw.inUpdate {
			l.update.add(k)
		}
		if lw.inUpdate || slices.ContainsFunc(k.all(), (*kernel).shared) {
			l.shared.add(k)
		}
		return k, err
	}
	for i, op := range p.rec.Body() {
		k, err := add(i, op)
		if err != nil {
			return err
		}
		p.group = append(p.group, k)
		lw.touch(op)
	}
	for _, s := range complement(p.common.spans, p.accumulators) {
		for lo := s.lo; lo < s.hi; lo += chunk {
			p.chunks = append(p.chunks, span{lo, min(s.hi, lo+chunk)})
		}
	}
	p.zeroed = complement(append(lw.written, p.common.spans...), p.accumulators)
	lw.inUpdate = true
	for i, op := range p.rec.Update() {
		k, err := add(i, op)
		if err != nil {
			return err
		}
		p.step = append(p.step, k)
		p.stepPart = append(p.stepPart, func(w, part int) { k.run(p.workers[w], part) })
	}
	return nil
}

// Plan returns the memory that Compile would take.
func (c *CPU) Plan(r *graph.Recorder) (backend.Memory, error) {
	l, err := c.layout(r, c.info.Workers)
	if err != nil {
		return backend.Memory{}, err
	}
	return l.memory, nil
}

// Compile lowers the recording and takes its memory.
func (c *CPU) Compile(r *graph.Recorder) (backend.Program, error) {
	l, err := c.layout(r, c.info.Workers)
	if err != nil {
		return nil, err
	}
	p := l.program
	if err := c.take(p); err != nil {
		return nil, err
	}
	p.scalars[0] = 1
	for i, s := range r.Storages() {
		switch s.Space {
		case graph.Input:
			p.ints[i] = make([]int32, s.Len*r.Groups())
		case graph.Output:
			p.floats[i] = make([]float32, s.Len*r.Groups())
		}
	}
	p.ended = make([]atomic.Int32, l.replicas)
	p.lanes = make([]lane, p.leaders)
	for i := range p.lanes {
		p.lanes[i].number = i
	}
	p.replicas = make([][]float32, l.replicas)
	for i := range c.info.Workers {
		p.workers = append(p.workers, &worker{need: *l.need(i)})
	}
	p.enter()
	for key, table := range l.tables {
		table.fill(key)
	}
	p.workers[0].position.Store(-1)
	p.updateTimes = make([]time.Duration, len(p.step))
	p.bodyRunner, p.reducePart, p.packPart = p.runBody, p.reduce, p.pack
	p.scatterPart = p.addRows
	return p, nil
}
