package metal_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"coil/backend"
	"coil/graph"
	"coil/metal/emulator"
	"coil/thorough"
)

// Values in all numbers about the length of a segment, among many that are not there, with rows of vectors and of single
// elements, and gradients that are parts of wider ones.
func TestEmbeddingBackwardOfSegments(t *testing.T) {
	const vocabulary, length = 1000, 50
	counts := map[int32]int{3: 1, 4: 31, 5: 32, 6: 33, 700: 63, 8: 64, 9: 65, 10: 96, 11: 97, 500: 700, 999: 18}
	var ids []int32
	for v, n := range counts {
		for range n {
			ids = append(ids, v)
		}
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	rows := len(ids)
	if rows%length != 0 {
		t.Fatalf("%d rows", rows)
	}
	for _, c := range thorough.Cases(t, 3, "shapes", []struct{ cols, pad int }{{136, 4}, {136, 0}, {37, 3}}) {
		stride := c.cols + 2*c.pad
		dy := normals(rows*stride, 2)
		got := resultsOf(t, emulator.Options{Checked: true}, backend.Args{Inputs: [][]int32{ids}}, func(r *recording) {
			part := func(t graph.Tensor) graph.Tensor { return t.Columns(c.pad, c.pad+c.cols) }
			table, positions := r.Accumulator(vocabulary, stride), r.Accumulator(length, stride)
			op := &graph.EmbeddingBackward{Index: r.Input(rows), DY: part(shaped(r.values(dy), rows, stride, stride)), DTable: part(table), DPositions: part(positions)}
			r.Record(op)
			r.Record(op)
			r.Result(table)
			r.Result(positions)
		})
		want, abs := make([]float64, len(got)), make([]float64, len(got))
		add := func(row, from int) {
			for j := c.pad; j < c.pad+c.cols; j++ {
				v := float64(dy[from*stride+j])
				want[row*stride+j] += 2 * v
				abs[row*stride+j] += 2 * math.Abs(v)
			}
		}
		for i, v := range ids {
			add(int(v), i)
			add(vocabulary+i%length, i)
		}
		for i, g := range got {
			if d := math.Abs(float64(g) - want[i]); !(d <= sumError(rows, abs[i])) {
				t.Fatalf("[%d,%d] of %d columns is %g, want %g", i/stride, i%stride, c.cols, g, want[i])
			}
		}
	}
}
