package train

import (
	"slices"
	"time"

	"coil/backend"
	"coil/graph"
	"coil/machine"
	"coil/run"
)

// observer collects the parts of a report besides the metrics: where a step's time went, and the state of the machine.
type observer struct {
	last   run.Machine // as last read
	read   time.Time
	shares map[string]run.Number // of the last step that was profiled, by kind of operation
}

// readEvery is how often the machine is asked at most.
const readEvery = time.Second

// machine is how the machine is doing.
func (o *observer) machine(b backend.Backend) run.Machine {
	if time.Since(o.read) >= readEvery {
		o.read, o.last = time.Now(), readMachine(b)
	}
	return o.last
}

func readMachine(b backend.Backend) run.Machine {
	var v run.Machine
	put := func(into **run.Number, x float64) {
		if x > 0 {
			*into = new(run.Number(x))
		}
	}
	m := machine.Read()
	put(&v.Memory, float64(m.Resident))
	put(&v.MemoryPeak, float64(m.Peak))
	put(&v.Temperature, m.Temperature)
	if m.Power != machine.PowerUnknown {
		v.OnBattery = new(m.Power == machine.Battery)
	}
	if d, ok := b.(backend.Monitor); ok {
		c := d.Condition()
		put(&v.Memory, float64(c.Memory))
		if c.Thermal >= 0 {
			v.Thermal = new(run.Number(c.Thermal))
		}
		v.LowPower = new(c.LowPower)
	}
	return v
}

// profile starts measuring the operations of the next step.
func (o *observer) profile(st *compiledStep) {
	if p, ok := st.program.(backend.Profiler); ok {
		p.Profile(true)
	}
}

// profiled ends that, after the step.
func (o *observer) profiled(st *compiledStep) {
	p, ok := st.program.(backend.Profiler)
	if !ok {
		return
	}
	o.shares = shares(p.Times())
	p.Profile(false)
}

// shares returns the shares of the kinds of work in a step's time.
func shares(times []backend.OpTime) map[string]run.Number {
	seconds, all := map[graph.Kind]float64{}, 0.0
	for _, t := range times {
		seconds[t.Kind()] += t.Seconds
		all += t.Seconds
	}
	v := map[string]run.Number{}
	if all > 0 {
		for _, k := range slices.Concat(graph.Kinds, []graph.Kind{backend.Other}) {
			v[string(k)] = run.Number(seconds[k] / all)
		}
	}
	return v
}
