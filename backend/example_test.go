package backend_test

import (
	"fmt"

	"coil/backend"
	"coil/backend/cpu"
	"coil/graph"
)

// A product is recorded once, compiled for a backend, and run with inputs that change: here a table's rows, looked up by
// index, times a matrix.
func Example() {
	b, err := cpu.New(cpu.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()

	r := graph.NewRecorder(1, 1) // one group of one sequence
	table := r.Constant(3, 2, []float32{1, 0, 0, 1, 1, 1})
	x, y := r.Temporary(2, 2), r.Output(2, 2)
	r.Record(&graph.Embedding{Table: table, Index: r.Input(2), Y: x})
	r.Record(&graph.Matmul{A: x, B: r.Constant(2, 2, []float32{1, 2, 3, 4}), C: y})
	p, err := b.Compile(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	for _, rows := range [][]int32{{0, 2}, {1, 1}} {
		got := make([]float32, 4)
		if err := p.Run(backend.Args{Inputs: [][]int32{rows}}); err != nil {
			fmt.Println(err)
		}
		if err := p.Results(nil); err != nil {
			fmt.Println(err)
		}
		if err := p.Output(y, got); err != nil {
			fmt.Println(err)
		}
		fmt.Println(rows, got)
	}
	// Output:
	// [0 2] [1 2 4 6]
	// [1 1] [3 4 3 4]
}
