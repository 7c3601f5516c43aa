package cpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"coil/autodiff"
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

// The gradients of the embedding and the head are common, and those between them are in every replica. All are the same sums as if
// every replica had them, as it does with a head of several passes; and so are those of a head that is the embedding.
func TestCommonGradients(t *testing.T) {
	const tokens, groups, width, classes = headRows + 4, 9, 16, 1030
	for _, tied := range []bool{false, true} {
		rng := rand.New(rand.NewPCG(5, 6))
		size := classes*width + tokens*width
		if !tied {
			size += width * classes
		}
		values, ids := make([]float32, size), make([]int32, (tokens+1)*groups)
		for i := range values {
			values[i] = float32(rng.NormFloat64())
		}
		for i := range ids {
			ids[i] = int32(rng.IntN(classes))
		}
		gradients := func(workers, headFloats, laneMemory, common int) []float32 {
			b, err := New(Options{Workers: workers})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			b.headFloats, b.laneMemory = headFloats, laneMemory
			buffer, err := b.NewBuffer(size)
			if err == nil {
				err = buffer.Write(0, values)
			}
			if err != nil {
				t.Fatal(err)
			}
			r := graph.NewRecorder(1, groups)
			weights, grads := r.Parameter(buffer), r.Accumulator(1, size)
			view := func(offset, rows, cols int) graph.Tensor {
				v := weights
				v.Offset, v.Rows, v.Cols, v.Stride = offset, rows, cols, cols
				return v
			}
			table, positions := view(0, classes, width), view(classes*width, tokens, width)
			w := table
			if !tied {
				w = view(classes*width+tokens*width, width, classes)
			}
			tape := autodiff.NewTape(r, true)
			tape.Watch(weights, grads)
			x := tape.Embedding(table, r.Input(tokens), positions)
			tape.CrossEntropy(autodiff.CrossEntropy{X: x, W: w, Transpose: tied, Targets: r.Input(tokens), Loss: r.Temporary(tokens, 1), Weight: 1, Chunk: 64 * classes})
			tape.Backward()
			r.Result(grads)
			compiled, err := b.Compile(r)
			if err != nil {
				t.Fatal(err)
			}
			defer compiled.Close()
			if p := compiled.(*program); len(p.common.spans) != common || len(p.replicas[1]) != (size-p.common.floats+15)/16*16 {
				t.Fatalf("tied=%v: common gradients are %v, and %d floats are in every replica", tied, p.common.spans, len(p.replicas[1]))
			}
			results := make([]float32, size)
			for range 2 {
				err := compiled.Run(backend.Args{Inputs: [][]int32{ids[:tokens*groups], ids[groups:]}})
				if err == nil {
					err = compiled.Results(results)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			return results
		}
		common, without := 2, 1
		if tied {
			common, without = 1, 0
		}
		got, want := gradients(1, headFloats, laneMemory, common), gradients(1, 1, laneMemory, without)
		most := 0.0
		for _, x := range want {
			most = max(most, math.Abs(float64(x)))
		}
		for i, x := range want {
			if math.Abs(float64(got[i]-x)) > 1e-6*most {
				t.Fatalf("tied=%v: gradient %d is %g, in replicas %g", tied, i, got[i], x)
			}
		}
		for _, x := range []struct{ workers, laneMemory int }{{2, laneMemory}, {3, 1}, {20, laneMemory}} {
			if !slices.Equal(gradients(x.workers, headFloats, x.laneMemory, common), got) {
				t.Errorf("tied=%v: %d workers make other bits than one", tied, x.workers)
			}
		}
	}
}
