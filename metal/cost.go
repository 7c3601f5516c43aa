package metal

import (
	"slices"

	"coil/backend"
	"coil/graph"
)

// Cost is what one operation of a program asks of the GPU.
type Cost struct {
	Op       graph.Op // nil for launches without one: clearing accumulators, the journal, copying results
	With     graph.Op // the operation after Op, if the same launches do it; otherwise nil
	Kernels  []string // one for each launch
	Barriers int      // launches that wait for those before
	FLOPs    int64    // of matmuls, a multiplication and an addition being two
	Moved    int64    // bytes that the launches read and write
	Least    int64    // bytes of the operands, each read or written once
}

// Costs returns what each operation of a program costs, in the order of the launches; nil if p is not of this backend.
//
// Moved counts every argument of a launch once, and again as often as the launch returns to it after more bytes than a
// cache holds.
func Costs(p backend.Program) []Cost {
	q, ok := p.(*program)
	if !ok {
		return nil
	}
	var costs []Cost
	group := -2
	for i, s := range q.steps {
		last := len(costs) - 1
		if last < 0 || s.op == nil || costs[last].Op != s.op || s.group != group {
			costs = append(costs, Cost{Op: s.op, With: s.with, Least: q.minTraffic(s)})
			last++
		}
		c := &costs[last]
		c.Kernels = append(c.Kernels, s.kernel)
		if q.launches[i].Barrier {
			c.Barriers++
		}
		c.FLOPs += s.flops
		c.Moved += s.traffic()
		group = s.group
	}
	return costs
}

// moved is how many bytes a launch reads and writes.
func (x launch) traffic() int64 {
	n := x.retraffic
	for _, a := range x.args {
		bytes := a.traffic
		if bytes == 0 {
			bytes = a.length
		}
		for _, kind := range []access{reads, writes} {
			if a.access&kind != 0 {
				n += int64(bytes)
			}
		}
	}
	return n
}

// least is what the operation of a launch must move, and the one lowered together with it; for a launch of none, what it
// moves. What the first writes the second need not read.
func (p *program) minTraffic(s recordedLaunch) int64 {
	if s.op == nil {
		return s.launch.traffic()
	}
	size := func(t graph.Tensor) int64 {
		if p.bf16[t.Storage-1] {
			return 2 * int64(t.Size())
		}
		return 4 * int64(t.Size())
	}
	var n int64
	f := graph.Describe(s.op)
	reads, writes := f.Reads, f.Writes
	if s.with != nil {
		made := writes
		with := graph.Describe(s.with)
		in, out := with.Reads, with.Writes
		passed := func(t graph.Tensor) bool {
			return slices.ContainsFunc(made, func(m graph.Tensor) bool { return m.Storage == t.Storage })
		}
		reads = append(reads, slices.DeleteFunc(in, passed)...)
		if slices.ContainsFunc(out, passed) {
			writes = append(made, slices.DeleteFunc(out, passed)...)
		} else {
			writes = out // the result is not used further
		}
	}
	for _, ts := range [][]graph.Tensor{reads, writes} {
		seen := map[graph.Tensor]bool{}
		for _, t := range ts {
			if !seen[t] {
				seen[t] = true
				n += size(t)
			}
		}
	}
	for _, x := range f.Indices {
		n += 4 * int64(x.Len)
	}
	return n
}
