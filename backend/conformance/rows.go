package conformance

import (
	"fmt"

	"coil/graph"
)

// Kernels may process four elements at once only if every row of every operand starts at a multiple of four and has such a
// length. Here, each of these conditions is violated in turn, for one operand at a time.

// rowForm is how the rows of an operand lie in memory: columns before and behind each of them.
type rowForm struct {
	name        string
	left, right int
}

var rowForms = []rowForm{
	{"rows of whole vectors, a stride that is none", 0, 1},
	{"rows that begin at an odd element", 1, 3},
	{"rows that begin at an even element", 2, 2},
}

// rowCase is operations on operands whose number of columns is that of whole vectors, plus more.
type rowCase struct {
	name     string
	operands int // with rows, in the order in which they are made
	step     bool
	ops      func(c *trial, more int) []graph.Op
}

func rowCases(s *suite) {
	run := func(x rowCase, label string, more int, form func(operand, cols int) (left, right int)) {
		var c *trial
		if x.step {
			c = s.inUpdate("%s: %s", x.name, label)
		} else {
			c = s.inBody("%s: %s", x.name, label)
		}
		c.form = form
		ops := x.ops(c, more)
		if c.padded != x.operands {
			s.Fatalf("%s has %d operands with rows, not %d", x.name, c.padded, x.operands)
		}
		if x.step {
			c.steps(1, func(int) []float32 { return c.scalars }, ops...)
		} else {
			c.check(ops...)
		}
	}
	for _, x := range rowTable {
		run(x, "whole vectors", 0, func(int, int) (int, int) { return 0, 4 })
		for i := range x.operands {
			for _, f := range rowForms {
				run(x, fmt.Sprintf("operand %d has %s", i, f.name), 0, func(operand, _ int) (left, right int) {
					if operand == i {
						return f.left, f.right
					}
					return 0, 4
				})
			}
		}
		// Strides are whole vectors, the rows in them are not.
		run(x, "rows that end within a vector", 2, func(_, cols int) (left, right int) { return 0, 4 - cols%4 })
		run(x, "nothing is whole", 1, func(operand, cols int) (left, right int) { return operand % 3, 1 + operand%2 })
	}
}

var rowTable = []rowCase{
	{"matmul NN", 6, false, func(c *trial, more int) []graph.Op {
		m, n, k := 20+more, 36+more, 16+more
		return []graph.Op{&graph.Matmul{A: c.in("A", m, k), B: c.in("B", k, n), C: c.out("C", m, n), Bias: c.weight("bias", 1, n),
			Activation: graph.GELU, Pre: c.out("Pre", m, n), Residual: c.in("residual", m, n)}}
	}},
	{"matmul NT", 3, false, func(c *trial, more int) []graph.Op {
		m, n, k := 20+more, 36+more, 16+more
		return []graph.Op{&graph.Matmul{A: c.in("A", m, k), B: c.in("B", n, k), C: c.inOut("C", m, n), TransB: true, Accumulate: true}}
	}},
	{"matmul TN", 4, false, func(c *trial, more int) []graph.Op {
		m, n, k := 20+more, 36+more, 16+more
		return []graph.Op{&graph.Matmul{A: c.in("A", k, m), B: c.in("B", k, n), C: c.inOut("C", m, n), TransA: true, Accumulate: true,
			Sums: c.inOut("Sums", 1, n)}}
	}},
	{"deep matmul", 6, false, func(c *trial, more int) []graph.Op { // which a GPU may divide among threadgroups
		m, n, k := 12+more, 16+more, 800+more
		return []graph.Op{&graph.Matmul{A: c.in("A", m, k), B: c.in("B", k, n), C: c.out("C", m, n), Bias: c.weight("bias", 1, n),
			Activation: graph.GELU, Pre: c.out("Pre", m, n), Residual: c.in("residual", m, n)}}
	}},
	{"activation", 6, false, func(c *trial, more int) []graph.Op {
		n, d := 5, 16+more
		x := c.in("X", n, d)
		return []graph.Op{&graph.Activate{Activation: graph.GELU, X: x, Y: c.out("Y", n, d)},
			&graph.ActivateBackward{Activation: graph.GELU, X: x, DY: c.in("DY", n, d), DX: c.out("DX", n, d)},
			&graph.ActivateBackward{Activation: graph.ReLU, X: x, DY: c.in("DY", n, d), DX: x, Y: c.out("Y", n, d)}}
	}},
	{"swiglu", 5, false, func(c *trial, more int) []graph.Op {
		n, d := 5, 16+more
		x := c.in("X", n, 2*d)
		return []graph.Op{&graph.SwiGLU{X: x, Y: c.out("Y", n, d)},
			&graph.SwiGLUBackward{X: x, DY: c.in("DY", n, d), DX: c.out("DX", n, 2*d), Y: c.out("Y", n, d)}}
	}},
	{"layernorm", 4, false, func(c *trial, more int) []graph.Op {
		n, d := 5, 20+more
		return []graph.Op{&graph.LayerNorm{X: c.in("X", n, d), Gain: c.weight("gain", 1, d), Bias: c.weight("bias", 1, d), Y: c.out("Y", n, d), Eps: 1e-5}}
	}},
	{"norm of long rows", 3, false, func(c *trial, more int) []graph.Op {
		n, d := 2, 520+more
		return []graph.Op{&graph.LayerNorm{X: c.in("X", n, d), Gain: c.weight("gain", 1, d), Y: c.out("Y", n, d), Eps: 1e-5, RMS: true}}
	}},
	{"layernorm backward", 9, false, func(c *trial, more int) []graph.Op {
		n, d := 5, 20+more
		x := c.in("X", n, d)
		return []graph.Op{&graph.LayerNormBackward{X: x, Stats: c.stats(x, false), Gain: c.weight("gain", 1, d), Bias: c.weight("bias", 1, d),
			DY: c.in("DY", n, d), DX: c.inOut("DX", n, d), Accumulate: true, Y: c.out("Y", n, d), DGain: c.inOut("DGain", 1, d), DBias: c.inOut("DBias", 1, d)}}
	}},
	{"attention", 4, false, func(c *trial, more int) []graph.Op {
		n, d := 40, 4*(8+more) // with more, heads are no whole vectors and rows are
		qkv, out := c.in("QKV", n, 3*d), c.out("Out", n, d)
		logSum := c.Temporary(n, 4)
		return []graph.Op{&graph.Attention{QKV: qkv, Out: out, LogSum: logSum, Heads: 4, Length: 20},
			&graph.AttentionBackward{QKV: qkv, Out: out, LogSum: logSum, DOut: c.in("DOut", n, d), DQKV: c.out("DQKV", n, 3*d), Heads: 4, Length: 20}}
	}},
	{"attention with wide heads", 4, false, func(c *trial, more int) []graph.Op {
		n, d := 24, 2*(32+more)
		qkv, out := c.in("QKV", n, 3*d), c.out("Out", n, d)
		logSum := c.Temporary(n, 2)
		return []graph.Op{&graph.Attention{QKV: qkv, Out: out, LogSum: logSum, Heads: 2, Length: 24},
			&graph.AttentionBackward{QKV: qkv, Out: out, LogSum: logSum, DOut: c.in("DOut", n, d), DQKV: c.out("DQKV", n, 3*d), Heads: 2, Length: 24}}
	}},
	{"rotary", 1, false, func(c *trial, more int) []graph.Op {
		width := 8 + 2*more // with more, half a head is no whole vector
		return []graph.Op{&graph.Rotary{X: c.inOut("X", 12, 2*width), Width: width, Length: 6, Base: 100}}
	}},
	{"embedding", 3, false, func(c *trial, more int) []graph.Op {
		d := 12 + more
		return []graph.Op{&graph.Embedding{Table: c.weight("table", 5, d), Index: c.index(c.ids(6, 5)), Positions: c.weight("positions", 3, d),
			Y: c.out("Y", 6, d)}}
	}},
	{"embedding backward", 3, false, func(c *trial, more int) []graph.Op {
		d := 12 + more
		return []graph.Op{&graph.EmbeddingBackward{Index: c.index(c.ids(72, 2)), DY: c.in("DY", 72, d), DTable: c.sum("DTable", 2, d),
			DPositions: c.sum("DPositions", 9, d)}}
	}},
	{"cross-entropy", 2, false, func(c *trial, more int) []graph.Op {
		n, classes := 5, 36+more
		op := &graph.CrossEntropy{Logits: c.in("logits", n, classes), DLogits: c.out("DLogits", n, classes), Targets: c.index(c.ids(n, classes)), Weight: 1}
		op.Loss, op.Correct = c.output("loss", n, 1), c.output("correct", n, 1)
		return []graph.Op{op}
	}},
	{"cross-entropy of many classes", 2, false, func(c *trial, more int) []graph.Op {
		n, classes := 2, 9000+more
		op := &graph.CrossEntropy{Logits: c.in("logits", n, classes), DLogits: c.out("DLogits", n, classes), Targets: c.index(c.ids(n, classes)), Weight: 1}
		op.Loss, op.Correct = c.output("loss", n, 1), c.output("correct", n, 1)
		return []graph.Op{op}
	}},
	{"fill and add", 6, false, func(c *trial, more int) []graph.Op {
		n, d := 5, 16+more
		a := c.in("A", n, d)
		return []graph.Op{&graph.Fill{Y: c.out("filled", n, d), Value: 3},
			&graph.Add{A: a, B: c.in("B", n, d), Y: c.out("Y", n, d), Alpha: 0.5, Beta: 2},
			&graph.Add{A: a, B: c.weight("row", 1, d), Y: c.out("Y with a row", n, d), Alpha: 1, Beta: 1}}
	}},
	{"sums", 3, false, func(c *trial, more int) []graph.Op {
		x := c.in("X", 9, 16+more)
		return []graph.Op{&graph.Sum{X: x, Y: c.Temporary(1, 1), Alpha: 1, Squares: true},
			&graph.ColumnSums{X: x, Y: c.out("column sums", 1, 16+more)},
			&graph.ColumnSums{X: x, Y: c.inOut("more column sums", 1, 16+more), Accumulate: true}}
	}},
	{"cosine", 4, false, func(c *trial, more int) []graph.Op {
		n, d := 5, 16+more
		a, b, norms := c.in("A", n, d), c.in("B", n, d), c.Temporary(1, 3)
		return []graph.Op{&graph.Cosine{A: a, B: b, Y: c.output("Y", 1, 1), Norms: norms, Alpha: 1},
			&graph.CosineBackward{A: a, B: b, Norms: norms, DA: c.inOut("DA", n, d), DB: c.inOut("DB", n, d), Alpha: 1}}
	}},
	{"adamw", 4, true, func(c *trial, more int) []graph.Op {
		d := 40 + more
		return []graph.Op{&graph.AdamW{X: c.state("X", 1, d), Grad: c.in("gradient", 1, d), M: c.state("M", 1, d), V: c.state("V", 1, d, c.positive),
			Beta1: 0.9, Beta2: 0.95, Eps: 1e-3, Decay: 0.1}}
	}},
	{"adafactor", 4, true, func(c *trial, more int) []graph.Op {
		d := 40 + more
		return []graph.Op{&graph.Adafactor{X: c.state("X", 6, d), Grad: c.in("gradient", 6, d), RowV: c.state("RowV", 1, 6, c.positive),
			ColV: c.state("ColV", 1, d, c.positive), Beta: c.number(0.9), Eps: 1e-3, Clip: 1}}
	}},
	{"adafactor of a vector", 3, true, func(c *trial, more int) []graph.Op {
		d := 40 + more
		return []graph.Op{&graph.Adafactor{X: c.state("X", 1, d), Grad: c.in("gradient", 1, d), ColV: c.state("ColV", 1, d, c.positive),
			Beta: c.number(0.9), Eps: 1e-3, Clip: 1}}
	}},
	{"average", 2, true, func(c *trial, more int) []graph.Op {
		d := 40 + more
		return []graph.Op{&graph.EMA{X: c.weight("X", 1, d), Mean: c.state("mean", 1, d), Decay: c.number(0.9)}}
	}},
}

// ids are indices below limit, one for each of rows rows of each group.
func (c *trial) ids(rows, limit int) []int32 {
	ids := make([]int32, rows*c.Groups())
	for i := range ids {
		ids[i] = int32(c.rng.IntN(limit))
	}
	return ids
}
