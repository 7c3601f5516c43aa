package conformance

import (
	"fmt"

	"coil/graph"
)

func (r *reference) matmul(o *graph.Matmul) {
	a, b := r.read(o.A), r.read(o.B)
	if o.TransA {
		a = a.transposed()
	}
	if !o.TransB {
		b = b.transposed()
	}
	bias, residual, old := r.read(o.Bias), r.read(o.Residual), r.read(o.C)
	c, pre := newMatrix(a.rows, b.rows), newMatrix(a.rows, b.rows)
	for i := range c.rows {
		for j := range c.cols {
			var t total
			if o.Accumulate {
				t.add(old.at(i, j))
			}
			ai, bj := a.row(i), b.row(j)
			for p := range ai {
				t.addProduct(ai[p], bj[p])
			}
			x := t.num()
			if bias.exists() {
				x = x.plus(bias.at(0, j))
			}
			pre.set(i, j, x)
			x, _ = function(o.Activation, x)
			if residual.exists() {
				x = x.plus(residual.at(i, j))
			}
			c.set(i, j, x)
		}
	}
	r.write(o.Pre, pre)
	r.write(o.C, c)
	r.update(o.Sums, func(sums matrix) { addRows(sums, r.read(o.B), func(int) int { return 0 }) })
}

// The sizes are around the edges of tiles (4, 6, 8, 12, 14, 16, 32), of blocks of rows (108, 112) and of the inner
// size (256, 384).
var (
	matmulRows  = []int{1, 2, 3, 5, 6, 7, 13, 14, 15, 17, 31, 33, 47, 65, 100, 108, 109, 113, 127, 225}
	matmulCols  = []int{1, 12, 3, 17, 16, 47, 13, 32, 5, 33, 31, 15, 64, 7, 65, 2, 100, 11}
	matmulInner = []int{7, 1, 64, 2, 33, 9, 257, 3, 17, 100, 385, 8, 31, 256, 5, 127, 384, 770, 513}
)

func matmulCases(s *suite) {
	forms := []struct {
		name           string
		transA, transB bool
	}{{"NN", false, false}, {"NT", false, true}, {"TN", true, false}}
	variant := 0
	for i, m := range matmulRows {
		for rotation := range 3 {
			n, k := matmulCols[(5*i+7*rotation)%len(matmulCols)], matmulInner[(7*i+5*rotation)%len(matmulInner)]
			for _, f := range forms {
				variant++
				accumulate, weight, strided := variant&1 != 0, variant&2 != 0, variant&4 != 0
				c := s.inBody("%s m=%d n=%d k=%d accumulate=%v weight=%v strided=%v", f.name, m, n, k, accumulate, weight, strided)
				c.matmul(m, n, k, f.transA, f.transB, accumulate, weight, strided)
			}
		}
	}
	for i, f := range forms {
		for _, weight := range []bool{false, true} {
			s.inUpdate("%s weight=%v", f.name, weight).matmul(30, 40, 50+i, f.transA, f.transB, weight, weight, true)
		}
	}
	// Enough for a GPU to take its large tiles, with edges and without, and an inner size that it splits.
	for i, f := range forms {
		s.inUpdate("%s of many tiles", f.name).matmul(830, 801, 3+i, f.transA, f.transB, i == 1, false, true)
		s.inUpdate("%s of few tiles, and deep", f.name).matmul(40, 36, 1100+3*i, f.transA, f.transB, i != 1, i == 1, i == 0)
	}
	s.inUpdate("TN, only the product").matmul(70, 150, 90, true, false, false, false, false)
	s.inUpdate("NN of whole tiles").matmul(832, 832, 16, false, false, false, true, false)
	// So wide that a GPU processes C in strips of tiles; the last strip is narrower whether tiles have 32 columns or 64.
	for i, f := range forms {
		s.inUpdate("%s in strips", f.name).matmul(70, 1550, 3+i, f.transA, f.transB, i == 1, false, i == 2)
	}
	c := s.inBody("gradient of a weight")
	dw, part := c.sum("C", 20, 70), c.sum("strided C", 20, 30)
	x, dy := c.in("A", 45, 20), c.in("B", 45, 70)
	db := c.sum("Sums", 1, 70)
	c.check(&graph.Matmul{A: x, B: dy, C: dw, TransA: true, Accumulate: true, Sums: db},
		&graph.Matmul{A: x, B: dy.Columns(3, 33), C: part, TransA: true, Accumulate: true})

	values := make([]float32, 9*35)
	for i := range values {
		values[i] = s.normal()
	}
	c = s.inBody("B a constant, used twice")
	b := c.Constant(9, 35, values)
	c.check(&graph.Matmul{A: c.in("A", 4, 9), B: b, C: c.out("C", 4, 35)},
		&graph.Matmul{A: c.in("A", 4, 35), B: b, C: c.out("C", 4, 9), TransB: true},
		&graph.Matmul{A: c.in("A", 4, 9), B: b.Columns(2, 34), C: c.out("C", 4, 32)})
}

func (c *trial) matmul(m, n, k int, transA, transB, accumulate, weight, strided bool) {
	c.Helper()
	if strided {
		c.pad = 3 + m%2
	}
	shape := func(rows, cols int, transposed bool) (int, int) {
		if transposed {
			return cols, rows
		}
		return rows, cols
	}
	ar, ac := shape(m, k, transA)
	br, bc := shape(k, n, transB)
	op := &graph.Matmul{A: c.in("A", ar, ac), TransA: transA, TransB: transB, Accumulate: accumulate}
	if weight {
		op.B = c.weight("B", br, bc)
	} else {
		op.B = c.in("B", br, bc)
	}
	if accumulate {
		op.C = c.inOut("C", m, n)
	} else {
		op.C = c.out("C", m, n)
	}
	if transA && (accumulate || strided) {
		op.Sums = c.inOut("Sums", 1, n)
	}
	c.check(op)
}

func epilogueCases(s *suite) {
	variant := 0
	for _, shape := range [][3]int{{3, 5, 4}, {35, 40, 24}, {6, 12, 800}, {29, 33, 17}, {130, 70, 21}} {
		for _, f := range []graph.Activation{graph.Identity, graph.GELU, graph.ReLU} {
			for _, residual := range []string{"none", "other", "C"} {
				for _, bias := range []bool{false, true} {
					for _, pre := range []bool{false, true} {
						if pre && f == graph.Identity {
							continue
						}
						variant++
						label := fmt.Sprintf("m=%d n=%d k=%d f=%s residual=%s bias=%v pre=%v", shape[0], shape[1], shape[2], f, residual, bias, pre)
						if variant%7 == 0 {
							s.inUpdate("%s", label).epilogue(shape, variant, f, residual, bias, pre)
						} else {
							s.inBody("%s", label).epilogue(shape, variant, f, residual, bias, pre)
						}
					}
				}
			}
		}
	}
	// A long inner size, which a GPU may divide among threadgroups.
	for i, shape := range [][3]int{{36, 24, 900}, {33, 21, 901}} {
		for variant, residual := range []string{"other", "C"} {
			s.inBody("m=%d n=%d k=%d f=gelu residual=%s bias and pre", shape[0], shape[1], shape[2], residual).
				epilogue(shape, 2*i+variant, graph.GELU, residual, true, true)
		}
	}
}

func (c *trial) epilogue(shape [3]int, variant int, f graph.Activation, residual string, bias, pre bool) {
	c.Helper()
	m, n, k := shape[0], shape[1], shape[2]
	c.pad = pads[variant%len(pads)]
	op := &graph.Matmul{Activation: f, A: c.in("A", m, k), B: c.weight("B", k, n)}
	switch variant % 4 {
	case 1:
		op.B = c.in("B", k, n)
	case 2:
		op.B, op.TransB = c.weight("B", n, k), true
	case 3:
		op.A, op.TransA = c.in("A", k, m), true
	}
	switch residual {
	case "none":
		op.C = c.out("C", m, n)
	case "other":
		op.C, op.Residual = c.out("C", m, n), c.in("residual", m, n)
	case "C":
		op.C = c.inOut("C", m, n)
		op.Residual = op.C
	}
	if bias {
		op.Bias = c.weight("bias", 1, n)
	}
	if pre {
		op.Pre = c.out("Pre", m, n)
	}
	c.check(op)
}
