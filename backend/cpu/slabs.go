package cpu

import (
	"coil/backend"
	"coil/backend/cpu/gemm"
)

// slabs are the memory in which all programs of a backend work, one at a time: what is in it does not outlive a run. Each part is as
// large as the program that takes most of it.
type slabs struct {
	live  map[*program]bool
	parts [3][]float32 // accumulators, activations, workspace
	age   int          // grows when a part is replaced
}

// Together implements [backend.Sharer].
func (c *CPU) Together(ms ...backend.Memory) backend.Memory {
	var all backend.Memory
	for _, m := range ms {
		all.Buffers = max(all.Buffers, m.Buffers)
		all.State += m.State
		all.Accumulators = max(all.Accumulators, m.Accumulators)
		all.Activations = max(all.Activations, m.Activations)
		all.Workspace = max(all.Workspace, m.Workspace)
		all.Constants += m.Constants
		all.Batch += m.Batch
	}
	return all
}

// together is the memory of the programs that are open, and of more.
func (s *slabs) together(c *CPU, more ...backend.Memory) backend.Memory {
	for p := range s.live {
		more = append(more, p.memory)
	}
	return c.Together(more...)
}

// take notes the memory of a program, or returns an error if there is not enough.
func (c *CPU) take(p *program) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, after := c.slabs.together(c), c.slabs.together(c, p.memory)
	state := p.memory.State
	more := backend.Memory{Buffers: -state, State: state, // all buffers are there already, and state is among them
		Accumulators: after.Accumulators - before.Accumulators, Activations: after.Activations - before.Activations,
		Workspace: after.Workspace - before.Workspace, Constants: p.memory.Constants, Batch: p.memory.Batch}
	if err := c.fits(more); err != nil {
		return err
	}
	c.slabs.live[p] = true
	c.programs = after.Own()
	return nil
}

// drop gives back the memory of a program.
func (c *CPU) drop(p *program) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.slabs.live, p)
	rest := c.slabs.together(c)
	c.programs = rest.Own()
	for i, bytes := range [...]int64{rest.Accumulators, rest.Activations, rest.Workspace} {
		if int64(len(c.slabs.parts[i]))*4 > bytes {
			c.slabs.parts[i] = nil
			c.slabs.age++
		}
	}
}

// enter cuts what a program works in, unless it has been there since the memory was last replaced.
func (p *program) enter() {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	s := &p.c.slabs
	var parts [3][]float32
	for i, bytes := range [...]int64{p.memory.Accumulators, p.memory.Activations, p.memory.Workspace} {
		if n := int(bytes / 4); len(s.parts[i]) < n {
			s.parts[i] = gemm.Aligned(n)
			hugePages(s.parts[i])
			s.age++
		}
		parts[i] = s.parts[i]
	}
	if p.age == s.age {
		return
	}
	p.age = s.age
	p.replicas[0] = cut(&parts[0], p.accumulators)
	for i := 1; i < len(p.replicas); i++ {
		p.replicas[i] = cut(&parts[0], p.accumulators-p.common.floats)
	}
	p.common.data = p.replicas[0]
	if p.scatter != nil {
		p.scatter.dy = cut(&parts[0], p.scatter.len(p.rec))
	}
	step := cut(&parts[1], p.stepArena)
	for i, w := range p.workers {
		w.step, w.replica = step, p.replicas[0]
		if i < p.leaders {
			w.own = cut(&parts[1], p.groupArena)
		}
		w.scratch = cut(&parts[2], w.need.scratch)
		w.gemm = w.need.gemm.Cut(cut(&parts[2], w.need.gemm.Len()))
	}
	for _, w := range p.packed {
		w.memory = cut(&parts[2], p.c.gemm.PackedLen(w.k, w.n))
	}
}
