package conformance

import (
	"fmt"

	"coil/graph"
)

// pairCases are operations that follow each other in every transformer, which a backend may do in one go: a product and what
// is done to it, and gradients to which many operations add.
func pairCases(s *suite) {
	for i, a := range []struct{ heads, width, length, k, pad int }{
		{3, 2, 5, 9, 0}, {2, 4, 20, 12, 3}, {3, 8, 17, 20, 4}, {2, 16, 40, 33, 0}, {1, 32, 40, 8, 4}, {2, 64, 70, 24, 0}, {1, 24, 8, 16, 0},
	} {
		rows, d := 2*a.length, a.heads*a.width
		c := s.inBody("product, then rotary, heads=%d width=%d length=%d pad=%d", a.heads, a.width, a.length, a.pad)
		c.pad = a.pad
		op := &graph.Matmul{A: c.in("A", rows, a.k), B: c.in("B", a.k, 3*d), C: c.out("C", rows, 3*d)}
		if i%2 == 1 {
			op.Bias = c.in("Bias", 1, 3*d)
		}
		c.check(op, &graph.Rotary{X: op.C.Columns(0, 2*d), Width: a.width, Length: a.length, Base: 100})
	}
	{
		const heads, width, length, sequences, context = 2, 16, 20, 2, 31
		const n, d = length * sequences, heads * width
		c := s.inBody("product, then rotary from given positions")
		at := c.starts(sequences, context-length)
		op := &graph.Matmul{A: c.in("A", n, 12), B: c.in("B", 12, 3*d), C: c.out("C", n, 3*d)}
		c.check(op, &graph.Rotary{X: op.C.Columns(0, 2*d), At: at, Width: width, Length: length, Context: context, Base: 100})

		c = s.inBody("attention backward, then rotary from given positions")
		at = c.starts(sequences, context-length)
		qkv, out, logSum := c.in("QKV", n, 3*d), c.out("Out", n, d), c.out("LogSum", n, heads)
		back := &graph.AttentionBackward{QKV: qkv, Out: out, LogSum: logSum, DOut: c.in("DOut", n, d), DQKV: c.out("DQKV", n, 3*d), Heads: heads, Length: length}
		c.check(&graph.Attention{QKV: qkv, Out: out, LogSum: logSum, Heads: heads, Length: length}, back,
			&graph.Rotary{X: back.DQKV.Columns(0, 2*d), At: at, Width: width, Length: length, Context: context, Base: 100, Inverse: true})
	}
	for i, a := range []struct{ m, k, n, pad int }{{3, 5, 7, 0}, {21, 16, 36, 4}, {70, 9, 68, 0}, {32, 300, 32, 3}} {
		for _, value := range []bool{false, true} {
			label := fmt.Sprintf("m=%d k=%d n=%d pad=%d value=%v", a.m, a.k, a.n, a.pad, value)
			c := s.inBody("product, then activation backward, %s", label)
			c.pad = a.pad
			op := &graph.Matmul{A: c.in("A", a.m, a.k), B: c.in("B", a.n, a.k), C: c.out("C", a.m, a.n), TransB: true}
			back := &graph.ActivateBackward{Activation: graph.GELU, X: c.in("X", a.m, a.n), DY: op.C, DX: op.C}
			if i%2 == 1 {
				back.Activation = graph.ReLU
			}
			if value {
				back.Y = c.out("Y", a.m, a.n)
			}
			c.check(op, back)

			c = s.inBody("product, then swiglu backward, %s", label)
			c.pad = a.pad
			op = &graph.Matmul{A: c.in("A", a.m, a.k), B: c.in("B", a.n, a.k), C: c.Temporary(a.m, a.n), TransB: true}
			gate := &graph.SwiGLUBackward{X: c.in("X", a.m, 2*a.n), DY: op.C, DX: c.out("DX", a.m, 2*a.n)}
			if value {
				gate.Y = c.out("Y", a.m, a.n)
			}
			c.check(op, gate)
		}
	}
	for i, cols := range []int{5, 36, 140} {
		c := s.inBody("gradients that many add to, of %d columns", cols)
		c.pad = i % 2 * 3
		dw, db, dgain, dbias := c.sum("DW", 24, cols), c.sum("DB", 1, cols), c.sum("DGain", 1, cols), c.sum("DBias", 1, cols)
		var ops []graph.Op
		for range 3 {
			x := c.in("X", 300, cols)
			ops = append(ops, &graph.LayerNormBackward{X: x, Gain: c.in("Gain", 1, cols), Stats: c.stats(x, false), DY: c.in("DY", 300, cols),
				DX: c.out("DX", 300, cols), DGain: dgain, DBias: dbias})
			ops = append(ops, &graph.Matmul{A: c.in("A", 300, 24), B: c.in("B", 300, cols), C: dw, Sums: db, TransA: true, Accumulate: true})
		}
		c.check(ops...)
	}
}
