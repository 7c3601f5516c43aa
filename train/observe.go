package train

import (
	"slices"
	"time"

	"coil/backend"
	"coil/graph"
	"coil/machine"
	"coil/run"
)

// observer collects what a report tells beside the metrics: where a step's time went, and how the machine is doing.
type observer struct {
	values map[string]run.Number // of the machine, as last read
	read   time.Time
	shares map[string]run.Number // of the last step that was profiled
}

// readEvery is how often the machine is asked at most.
const readEvery = time.Second

// machine adds what the machine tells to the values of a report.
func (o *observer) machine(b backend.Backend, into map[string]run.Number) {
	if time.Since(o.read) >= readEvery {
		o.read, o.values = time.Now(), readMachine(b)
	}
	for name, v := range o.values {
		into[name] = v
	}
}

func readMachine(b backend.Backend) map[string]run.Number {
	v := map[string]run.Number{}
	put := func(name string, x float64) {
		if x > 0 {
			v[name] = run.Number(x)
		}
	}
	m := machine.Read()
	put("memory", float64(m.Resident))
	put("memory_peak", float64(m.Peak))
	put("temperature", m.Temperature)
	if m.Power != machine.PowerUnknown {
		v["on_battery"] = flag(m.Power == machine.Battery)
	}
	if d, ok := b.(backend.Monitor); ok {
		c := d.Condition()
		put("memory", float64(c.Memory))
		if c.Thermal >= 0 {
			v["thermal"] = run.Number(c.Thermal)
		}
		v["low_power"] = flag(c.LowPower)
	}
	return v
}

func flag(b bool) run.Number {
	if b {
		return 1
	}
	return 0
}

// profile begins to measure the operations of the next step.
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

// shares are those of the kinds of work in a step's time, as time_<kind>.
func shares(times []backend.OpTime) map[string]run.Number {
	seconds, all := map[graph.Kind]float64{}, 0.0
	for _, t := range times {
		seconds[t.Kind()] += t.Seconds
		all += t.Seconds
	}
	v := map[string]run.Number{}
	if all > 0 {
		for _, k := range slices.Concat(graph.Kinds, []graph.Kind{backend.Other}) {
			v["time_"+string(k)] = run.Number(seconds[k] / all)
		}
	}
	return v
}
