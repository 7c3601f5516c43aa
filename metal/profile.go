package metal

import (
	"coil/backend"
)

// Profile starts measuring, from zero, or stops: see [backend.Profiler].
func (p *program) Profile(on bool) {
	p.profiling = on
	if !on {
		return
	}
	p.profiled = 0
	if p.times == nil {
		p.times = make([]float64, len(p.steps))
	}
	clear(p.times)
}

// spend divides the GPU's time for a command buffer over its launches.
func (p *program) spend(x *command, seconds float64) {
	if !p.profiling {
		return
	}
	all := 0.0
	for _, e := range p.estimates[x.from:x.to] {
		all += e
	}
	for i := x.from; i < x.to; i++ {
		p.times[i] += seconds * p.estimates[i] / all
	}
}

// Times returns the time of each operation over the steps that ended since Profile. What a command buffer took was
// measured by the GPU; within one it is an estimate: it is divided over the launches in the proportion of what each
// should take by its FLOPs and bytes.
func (p *program) Times() []backend.OpTime {
	var out []backend.OpTime
	for _, op := range p.rec.Body() {
		out = append(out, backend.OpTime{Name: op.Name(), Op: op, Calls: p.profiled * p.rec.Groups()})
	}
	for _, op := range p.rec.Update() {
		out = append(out, backend.OpTime{Name: op.Name(), Op: op, Update: true, Calls: p.profiled})
	}
	out = append(out, backend.OpTime{Name: "clear and copy", Calls: p.profiled})
	for i, seconds := range p.times {
		at := p.steps[i].at
		if p.steps[i].op == nil {
			at = len(out) - 1
		}
		out[at].Seconds += seconds
	}
	return out
}
