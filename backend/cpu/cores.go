package cpu

import "coil/graph"

// Cores is how the work of a step spreads over a number of workers, by counting.
type Cores struct {
	Workers  int     `json:"workers"`
	Lanes    int     `json:"lanes"`        // groups that run at the same time, if there are as many workers
	Team     int     `json:"team"`         // workers to a lane, at most
	Busy     int     `json:"busy"`         // workers that have work in the body of a step
	Shared   float64 `json:"shared"`       // the part of the body's work that is in operations which several workers of a lane share
	Barriers int     `json:"barriers"`     // points of a step at which workers wait for each other: those of a lane, and those of all
	Balance  float64 `json:"balance"`      // the mean work of a worker over that of the one with the most
	Memory   int64   `json:"memory_bytes"` // that the program takes
}

// floatWork is the work of reading or writing a float, in FLOPs, beside the operation's own: about what it takes from a cache.
const floatWork = 16

// Cores counts how the body of a recording spreads over a number of workers, were there as many. The work of an operation is its
// FLOPs, and 16 for each float that it reads or writes.
func (c *CPU) Cores(r *graph.Recorder, workers int) (Cores, error) {
	l, err := c.layout(r, workers)
	if err != nil {
		return Cores{}, err
	}
	p := l.program
	// A lane has whole workers: the slowest has the fewest.
	least := max(1, p.crew/l.laneCount)
	rounds := (r.Groups() + p.leaders - 1) / p.leaders // of groups, in the lane that has the most
	if p.leaders < l.replicas && len(p.common.ordered) == 0 {
		rounds = 0
		for lane := 0; lane < l.replicas; lane += p.leaders { // each leader runs several lanes in turn
			rounds += (r.Groups() - lane + l.replicas - 1) / l.replicas
		}
	}
	x := Cores{Workers: workers, Lanes: l.laneCount, Team: (p.crew + l.laneCount - 1) / l.laneCount, Busy: p.crew, Memory: l.memory.Own()}
	var all, shared, longest float64
	barriers := 0
	works := make([]float64, len(p.group)) // by kernel: that of a head does the work of all its operations
	for i, op := range r.Body() {
		first, _ := p.heads.span(i)
		info := graph.Describe(op)
		works[first] += float64(info.FLOPs)
		for _, t := range append(info.Reads, info.Writes...) {
			works[first] += floatWork * float64(t.Size())
		}
	}
	for i, work := range works {
		all += work
		for _, k := range p.group[i].all() {
			part := work
			if len(p.group[i].then) > 0 {
				part *= k.work
			}
			if !k.shared() || p.crew == p.leaders {
				longest += part
				continue
			}
			longest += part * float64((k.parts+least-1)/least) / float64(k.parts)
			shared += part
			barriers++
		}
	}
	x.Shared = shared / all
	x.Balance = all * float64(r.Groups()) / float64(workers) / (longest * float64(rounds))
	x.Barriers = barriers*rounds + 3 + len(r.Update()) // packing, the body, adding up
	return x, nil
}

// Groups is the number of groups of a batch.
func (p *program) Groups() int { return p.rec.Groups() }

// Cores counts how the program would spread over a number of workers: see [CPU.Cores].
func (p *program) Cores(workers int) (Cores, error) { return p.c.Cores(p.rec, workers) }
