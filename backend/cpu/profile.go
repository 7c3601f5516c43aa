package cpu

import (
	"time"

	"coil/backend"
)

// Profile starts measuring the operations of the body, from zero, or stops. The rest is always measured.
func (p *program) Profile(on bool) {
	p.profiling = on
	if !on {
		return
	}
	p.packTime, p.addTime, p.stepCalls = 0, 0, 0
	clear(p.updateTimes)
	for _, w := range p.workers {
		w.calls, w.times = 0, make([]time.Duration, len(p.group))
	}
}

// Times returns the operations' times. What all workers do together counts for each of them.
func (p *program) Times() []backend.OpTime {
	workers := float64(p.c.info.Workers)
	var out []backend.OpTime
	out = append(out, backend.OpTime{Name: "pack weights", Calls: p.stepCalls, Seconds: workers * p.packTime.Seconds()})
	for i, op := range p.rec.Body() {
		t := backend.OpTime{Name: op.Name(), Op: op}
		if h := p.heads.of(i); h != nil {
			if i != h.first {
				continue
			}
			t.Name, t.Op, t.Fused = "head", h.loss, h.ops()
		}
		for _, w := range p.workers {
			if w.times != nil {
				t.Calls += w.calls
				t.Seconds += w.times[i].Seconds()
			}
		}
		out = append(out, t)
	}
	out = append(out, backend.OpTime{Name: "add up gradients", Calls: p.stepCalls, Seconds: workers * p.addTime.Seconds()})
	for i, op := range p.rec.Update() {
		out = append(out, backend.OpTime{Name: op.Name(), Op: op, Update: true, Calls: p.stepCalls, Seconds: workers * p.updateTimes[i].Seconds()})
	}
	return out
}
