package metal_test

import (
	"slices"
	"testing"

	"coil/backend"
	"coil/graph"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
)

// shut is a device on which the gate stays closed.
type shut struct {
	metal.Device
	gate map[metal.Pipeline]bool
}

func (d *shut) Pipeline(lib metal.Library, kernel string, constants []metal.Constant) (metal.Pipeline, error) {
	p, err := d.Device.Pipeline(lib, kernel, constants)
	d.gate[p] = kernel == "journal_gate"
	return p, err
}

func (d *shut) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	var open [][]metal.Launch
	for _, list := range lists {
		open = append(open, slices.DeleteFunc(slices.Clone(list), func(x metal.Launch) bool { return d.gate[x.Pipeline] }))
	}
	return d.Device.Submit(open, slot)
}

// Where the gate is closed, no optimizer changes anything; where it is open, each changes all of its state.
func TestOptimizersAskTheGate(t *testing.T) {
	const rows, cols = 70, 12
	for _, closed := range []bool{true, false} {
		var d metal.Device = emulatortest.Open(t, emulator.Options{Checked: true})
		if closed {
			d = &shut{d, map[metal.Pipeline]bool{}}
		}
		b, err := metal.New(d, metal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for name, record := range map[string]func(x, grad graph.Tensor, state func(n int) graph.Tensor) graph.Op{
			"adamw": func(x, grad graph.Tensor, state func(n int) graph.Tensor) graph.Op {
				m, v := state(rows*cols), state(rows*cols)
				return &graph.AdamW{X: x.Flat(), Grad: grad.Flat(), M: m, V: v, Beta1: 0.5, Beta2: 0.5}
			},
			"average": func(x, grad graph.Tensor, state func(n int) graph.Tensor) graph.Op {
				return &graph.EMA{X: grad, Mean: x}
			},
			"muon": func(x, grad graph.Tensor, state func(n int) graph.Tensor) graph.Op {
				return &graph.Muon{X: x, M: shaped(state(rows*cols), rows, cols, cols), O: grad, Grad: grad, Scale: 1, Beta: 0.5}
			},
			"adafactor": func(x, grad graph.Tensor, state func(n int) graph.Tensor) graph.Op {
				return &graph.Adafactor{X: x, Grad: grad, RowV: state(rows), ColV: state(cols), Eps: 0.1, Clip: 1}
			},
			"adafactor of a vector": func(x, grad graph.Tensor, state func(n int) graph.Tensor) graph.Op {
				return &graph.Adafactor{X: x.Flat(), Grad: grad.Flat(), ColV: state(rows * cols), Eps: 0.1, Clip: 1}
			},
		} {
			r := &recording{graph.NewRecorder(1, 1), t, b}
			half := r.Scalar()
			var states []graph.Tensor
			before := []float32{}
			state := func(n int) graph.Tensor {
				values := normals(n, uint64(10+len(states)))
				for i, v := range values {
					values[i] = 1 + v*v
				}
				before = append(before, values...)
				states = append(states, r.values(values))
				return states[len(states)-1]
			}
			x, grad := shaped(state(rows*cols), rows, cols, cols), shaped(r.values(normals(rows*cols, 9)), rows, cols, cols)
			r.BeginUpdate()
			op := record(x, grad, state)
			switch o := op.(type) {
			case *graph.EMA:
				o.Decay = half
			case *graph.Adafactor:
				o.Beta = half
			}
			r.Record(op)
			for _, s := range states {
				r.Result(s)
			}
			p, err := b.Compile(r.Recorder)
			if err != nil {
				t.Fatal(err)
			}
			after := make([]float32, r.ResultLen())
			if err := p.Run(backend.Args{Scalars: []float32{0.5}}); err != nil {
				t.Fatal(err)
			}
			if err := p.Results(after); err != nil {
				t.Fatal(err)
			}
			p.Close()
			changed := 0
			for i := range after {
				if after[i] != before[i] {
					changed++
				}
			}
			if closed && changed > 0 || !closed && changed < len(after) {
				t.Errorf("%s, gate closed %v: %d of %d values changed", name, closed, changed, len(after))
			}
		}
	}
}
