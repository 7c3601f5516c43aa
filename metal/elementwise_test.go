package metal_test

import (
	"fmt"
	"testing"

	"coil/backend"
	"coil/graph"
	"coil/metal/emulator"
)

// Grids of many threadgroups, tall and narrow, wide, and flat.
func TestAddOfManyThreadgroups(t *testing.T) {
	for _, c := range []struct{ rows, cols, stride int }{
		{3000, 1, 2}, {3000, 5, 7}, {700, 12, 16}, {3, 3000, 3001}, {5, 3000, 3004}, {1, 40_001, 40_001}, {100, 400, 400},
	} {
		t.Run(fmt.Sprintf("[%d,%d] of %d", c.rows, c.cols, c.stride), func(t *testing.T) {
			x, y, row := normals(c.rows*c.stride, 1), normals(c.rows*c.stride, 2), normals(c.cols, 3)
			got := resultsOf(t, emulator.Options{}, backend.Args{}, func(r *recording) {
				a, b := shaped(r.values(x), c.rows, c.cols, c.stride), shaped(r.values(y), c.rows, c.cols, c.stride)
				one := shaped(r.values(row), 1, c.cols, c.cols)
				r.BeginUpdate()
				full := r.result(c.rows, c.stride)
				r.Record(&graph.Fill{Y: full, Value: 9})
				sum := full.Columns(0, c.cols)
				r.Record(&graph.Add{A: a, B: b, Y: sum, Alpha: 2, Beta: 1})
				r.Record(&graph.Add{A: sum, B: one, Y: sum, Alpha: 1, Beta: 4})
			})
			for i, g := range got {
				want := float32(9)
				if j := i % c.stride; j < c.cols {
					want = 2*x[i] + y[i] + 4*row[j]
				}
				if d := g - want; d > 1e-5 || d < -1e-5 || g != g {
					t.Fatalf("[%d,%d] is %g, want %g", i/c.stride, i%c.stride, g, want)
				}
			}
		})
	}
}
