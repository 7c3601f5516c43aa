package train

import (
	"coil/backend"
	"coil/config"
	"coil/graph"
	"coil/model"
	"coil/optim"
)

// state is what a run changes: the weights, what the optimizer keeps and the average of the weights.
type state struct {
	optimizer optim.Optimizer
	weights   graph.Buffer
	moments   []*moment
	average   graph.Buffer // nil if there is none
}

// moment is one kind of tensor that the optimizer keeps, with those of all parameters in one buffer.
type moment struct {
	name   string
	parts  []momentPart
	len    int
	buffer graph.Buffer
}

// momentPart is the tensor of one parameter.
type momentPart struct {
	optim.State
	parameter string
	offset    int
}

// key is the name in a checkpoint: "first_moment/head.weight".
func (p momentPart) key() string { return p.Name + "/" + p.parameter }

// momentsOf lays out what an optimizer keeps for parameters, without buffers.
func momentsOf(o optim.Optimizer, parameters []optim.Parameter) []*moment {
	var moments []*moment
	of := func(name string) *moment {
		for _, m := range moments {
			if m.name == name {
				return m
			}
		}
		moments = append(moments, &moment{name: name})
		return moments[len(moments)-1]
	}
	for _, p := range parameters {
		for _, s := range o.States(p) {
			m := of(s.Name)
			m.parts = append(m.parts, momentPart{s, p.Name, m.len})
			m.len += s.Len()
		}
	}
	return moments
}

// optimized are a model's parameters as the optimizer sees them.
func optimized(m *model.Model) []optim.Parameter {
	var ps []optim.Parameter
	for _, p := range m.Parameters {
		ps = append(ps, optim.Parameter{Name: p.Name, Rows: p.Rows, Cols: p.Cols, Decay: p.Decay, Parts: p.Parts})
	}
	return ps
}

// newState allocates all buffers, or none if the device lacks the memory for all.
func newState(b backend.Backend, m *model.Model, c config.Train) (*state, error) {
	o, err := c.NewOptimizer()
	if err != nil {
		return nil, err
	}
	s := &state{optimizer: o, moments: momentsOf(o, optimized(m))}
	type want struct {
		n    int
		into *graph.Buffer
	}
	wanted := []want{{m.Size, &s.weights}}
	for _, x := range s.moments {
		wanted = append(wanted, want{x.len, &x.buffer})
	}
	if c.Average > 0 {
		wanted = append(wanted, want{m.Size, &s.average})
	}
	var need int64
	for _, w := range wanted {
		need += int64(w.n) * 4
	}
	if have := b.Info().Memory; need > have {
		return nil, &backend.MemoryError{Need: backend.Memory{Buffers: need}, Have: have}
	}
	for _, w := range wanted {
		var err error
		if *w.into, err = b.NewBuffer(w.n); err != nil {
			s.free()
			return nil, err
		}
	}
	return s, nil
}

// begin writes the first weights from an offset on, which are also the first average.
func (s *state) begin(offset int, weights []float32) error {
	if err := s.weights.Write(offset, weights); err != nil || s.average == nil {
		return err
	}
	return s.average.Write(offset, weights)
}

// free frees the existing buffers.
func (s *state) free() {
	buffers := []graph.Buffer{s.weights, s.average}
	for _, m := range s.moments {
		buffers = append(buffers, m.buffer)
	}
	for _, b := range buffers {
		if b != nil {
			b.Free()
		}
	}
}

// evaluated is the buffer whose weights are evaluated.
func (s *state) evaluated() graph.Buffer {
	if s.average != nil {
		return s.average
	}
	return s.weights
}

// weightsOf are the parameters with their gradients and what the optimizer keeps for them, in the update of r.
func (s *state) weightsOf(r *graph.Recorder, m *model.Model, weights, grads graph.Tensor) []optim.Weight {
	kept := map[string][]graph.Tensor{} // by name of the state, of the parameters that are still to come
	for _, x := range s.moments {
		all := r.Parameter(x.buffer)
		for _, p := range x.parts {
			kept[x.name] = append(kept[x.name], all.Columns(p.offset, p.offset+p.Len()))
		}
	}
	xs, gs := m.Views(weights), m.Views(grads)
	var ws []optim.Weight
	for i, p := range optimized(m) {
		w := optim.Weight{Parameter: p, X: xs[i], Grad: gs[i]}
		for _, st := range s.optimizer.States(p) {
			w.States = append(w.States, kept[st.Name][0])
			kept[st.Name] = kept[st.Name][1:]
		}
		ws = append(ws, w)
	}
	return ws
}
