package cpu_test

import (
	"testing"

	"coil/backend"
	"coil/backend/cpu"
	"coil/graph"
	"coil/graph/graphtest"
)

// The backend runs every operation.
func TestOperations(t *testing.T) {
	b, err := cpu.New(cpu.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i := range graphtest.Examples(graph.NewRecorder(1, 1)) {
		r := graph.NewRecorder(1, 1)
		op := graphtest.Examples(r)[i]
		r.Record(op)
		p, err := b.Compile(r)
		if err != nil {
			t.Errorf("%s: %v", op.Name(), err)
			continue
		}
		var s backend.Args
		for _, st := range r.Storages() {
			if st.Space == graph.Input {
				s.Inputs = append(s.Inputs, make([]int32, st.Len))
			}
		}
		s.Scalars = make([]float32, r.Scalars())
		if err := p.Run(s); err != nil {
			t.Errorf("%s: %v", op.Name(), err)
		}
		p.Close()
	}
}
