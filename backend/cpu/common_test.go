package cpu

import (
	"math/rand/v2"
	"slices"
	"testing"

	"coil/backend"
	"coil/graph"
)

// The gradient of a large embedding is the sum over the tokens in the order of the batch, for any number of workers and step after
// step, while those of positions are added up in replicas beside it.
func TestScatteredEmbedding(t *testing.T) {
	const rows, width, tokens, groups = scatteredRows + 6, 8, 30, 11
	rng := rand.New(rand.NewPCG(3, 4))
	values, every := make([]float32, tokens*groups*width), make([]int32, tokens*groups)
	for i := range values {
		values[i] = float32(rng.NormFloat64())
	}
	for i := range every {
		every[i] = int32(i)
	}
	for _, workers := range []int{1, 3} {
		b, err := New(Options{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		r := graph.NewRecorder(1, groups)
		buffer, err := b.NewBuffer(len(values))
		if err == nil {
			err = buffer.Write(0, values)
		}
		if err != nil {
			t.Fatal(err)
		}
		from := r.Parameter(buffer)
		from.Rows, from.Cols, from.Stride = tokens*groups, width, width
		ids, dy, table, positions := r.Input(tokens), r.Temporary(tokens, width), r.Accumulator(rows, width), r.Accumulator(tokens, width)
		r.Record(&graph.Embedding{Table: from, Index: r.Input(tokens), Y: dy})
		r.Record(&graph.EmbeddingBackward{Index: ids, DY: dy, DTable: table, DPositions: positions})
		r.Result(table)
		r.Result(positions)
		compiled, err := b.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		if p := compiled.(*program); p.scatter == nil || len(p.replicas[1]) != tokens*width {
			t.Fatal("the gradient of the embedding is in every replica")
		}
		for step := range 2 {
			given := make([]int32, tokens*groups)
			for i := range given {
				given[i] = int32(rng.IntN(rows) * rng.IntN(2)) // about half of them are equal
			}
			given[5+step] = rows - 1
			want := make([]float32, rows*width)
			total := make([]float64, tokens*width)
			for i, id := range given {
				for j, d := range values[i*width:][:width] {
					want[int(id)*width+j] += d
					total[i%tokens*width+j] += float64(d)
				}
			}
			if err := compiled.Run(backend.Args{Inputs: [][]int32{given, every}}); err != nil {
				t.Fatal(err)
			}
			results := make([]float32, r.ResultLen())
			if err := compiled.Results(results); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(results[:len(want)], want) {
				t.Errorf("%d workers, step %d: the gradient of the embedding is not the sum in the order of the batch", workers, step)
			}
			for i, x := range results[len(want):] {
				if d := float64(x) - total[i]; d > 1e-5 || d < -1e-5 { // eleven normal values
					t.Fatalf("%d workers, step %d: gradient of the positions %d is %g, want %g", workers, step, i, x, total[i])
				}
			}
		}
		compiled.Close()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
