package conformance

import (
	"math"

	"coil/graph"
)

// eachHead calls f for every head of every sequence with its first row and column.
func eachHead(rows, cols, heads, length int, f func(row, col, width int)) {
	for row := 0; row < rows; row += length {
		for col := 0; col < cols; col += cols / heads {
			f(row, col, cols/heads)
		}
	}
}

func (r *reference) attention(o *graph.Attention) {
	qkv := r.read(o.QKV)
	n, d := qkv.rows, qkv.cols/3
	out, logSum := newMatrix(n, d), newMatrix(n, o.Heads)
	eachHead(n, d, o.Heads, o.Length, func(row, col, width int) {
		for i := range o.Length {
			l := attend(out.row(row + i)[col:][:width], scores(qkv, row, col, width, i), func(j, k int) num { return qkv.at(row+j, 2*d+col+k) })
			logSum.set(row+i, col/width, l)
		}
	})
	r.write(o.Out, out)
	r.write(o.LogSum, logSum)
}

// attend makes out the sum of values weighted by the softmax of scores, column by column, and returns the logarithm of the
// sum of their exponentials.
func attend(out, scores []num, value func(row, col int) num) num {
	m := largest(scores)
	var sum total
	for j, s := range scores {
		scores[j] = s.minus(m).exp()
		sum.add(scores[j])
	}
	for k := range out {
		var t total
		for j, p := range scores {
			t.addProduct(p, value(j, k))
		}
		out[k] = t.num().over(sum.num())
	}
	return m.plus(sum.num().log())
}

// scores is row i of S = Q·Kᵀ/√w, up to the diagonal.
func scores(qkv matrix, row, col, width, i int) []num {
	d := qkv.cols / 3
	q := qkv.row(row + i)[col : col+width]
	scale := number(1 / math.Sqrt(float64(width)))
	s := make([]num, i+1)
	for j := range s {
		s[j] = dot(q, qkv.row(row + j)[d+col:][:width]).times(scale)
	}
	return s
}

func (r *reference) attentionBackward(o *graph.AttentionBackward) {
	qkv, out, logSum, dout := r.read(o.QKV), r.read(o.Out), r.read(o.LogSum), r.read(o.DOut)
	n, d := out.rows, out.cols
	dqkv := newMatrix(n, 3*d)
	eachHead(n, d, o.Heads, o.Length, func(row, col, width int) {
		scale := number(1 / math.Sqrt(float64(width)))
		dq, dk, dv := make([]total, o.Length*width), make([]total, o.Length*width), make([]total, o.Length*width)
		for i := range o.Length {
			do := dout.row(row + i)[col:][:width]
			delta := dot(do, out.row(row + i)[col:][:width])
			for j, s := range scores(qkv, row, col, width, i) {
				p := s.minus(logSum.at(row+i, col/width)).exp()
				dp := dot(do, qkv.row(row + j)[2*d+col:][:width])
				ds := p.times(dp.minus(delta)).times(scale)
				for k := range width {
					dv[j*width+k].addProduct(p, do[k])
					dq[i*width+k].addProduct(ds, qkv.at(row+j, d+col+k))
					dk[j*width+k].addProduct(ds, qkv.at(row+i, col+k))
				}
			}
		}
		for i := range o.Length {
			for k := range width {
				dqkv.set(row+i, col+k, dq[i*width+k].num())
				dqkv.set(row+i, d+col+k, dk[i*width+k].num())
				dqkv.set(row+i, 2*d+col+k, dv[i*width+k].num())
			}
		}
	})
	r.write(o.DQKV, dqkv)
}

// The long sequences of narrow heads are several blocks of rows for a backend that holds 2¹⁶ scores at a time or fewer.
func attentionCases(s *suite) {
	for i, a := range []struct{ length, heads, width, sequences int }{
		{1, 1, 1, 1}, {1, 3, 5, 4}, {2, 1, 1, 1}, {2, 2, 3, 3}, {3, 4, 2, 2}, {5, 1, 16, 2}, {7, 2, 33, 1}, {13, 1, 5, 1}, {14, 1, 32, 1},
		{15, 2, 5, 2}, {16, 2, 16, 1}, {17, 1, 16, 2}, {28, 1, 8, 1}, {29, 2, 12, 1}, {31, 1, 3, 1}, {32, 1, 64, 1}, {33, 2, 16, 2},
		{48, 1, 2, 1}, {65, 1, 33, 1}, {130, 2, 8, 1}, {257, 1, 5, 1}, {601, 1, 3, 1},
		// Heads of usual widths around blocks of 16, 32 and 64 positions, with and without rows of whole vectors.
		{1, 2, 32, 2}, {31, 2, 32, 2}, {32, 1, 32, 1}, {33, 1, 64, 1}, {63, 1, 16, 2}, {64, 1, 64, 1}, {64, 2, 16, 1}, {65, 1, 32, 2},
		{65, 1, 64, 1}, {97, 2, 64, 1}, {128, 1, 32, 1}, {130, 1, 16, 1}, {130, 1, 32, 1}, {150, 1, 64, 1},
		{40, 2, 80, 2}, {33, 1, 128, 1}, {70, 2, 6, 2},
	} {
		n, d := a.length*a.sequences, a.heads*a.width
		run := func(c *trial) {
			c.pad = i % 3
			qkv, out := c.in("QKV", n, 3*d), c.out("Out", n, d)
			dout, dqkv := c.in("DOut", n, d), c.out("DQKV", n, 3*d)
			c.pad = 0
			logSum := c.out("LogSum", n, a.heads)
			ops := []graph.Op{&graph.Attention{QKV: qkv, Out: out, LogSum: logSum, Heads: a.heads, Length: a.length},
				&graph.AttentionBackward{QKV: qkv, Out: out, LogSum: logSum, DOut: dout, DQKV: dqkv, Heads: a.heads, Length: a.length}}
			if a.width%2 == 0 && i%2 == 0 { // a backend may do both at once
				ops = append(ops, &graph.Rotary{X: dqkv.Columns(0, 2*d), Width: a.width, Length: a.length, Base: 100, Inverse: true})
			}
			c.check(ops...)
		}
		run(s.inBody("length=%d heads=%d width=%d sequences=%d", a.length, a.heads, a.width, a.sequences))
		if i%5 == 0 {
			run(s.inUpdate("length=%d heads=%d width=%d sequences=%d", a.length, a.heads, a.width, a.sequences))
		}
	}
	c := s.inBody("without LogSum")
	c.check(&graph.Attention{QKV: c.in("QKV", 40, 48), Out: c.out("Out", 40, 16), Heads: 2, Length: 20})

	// Scores at which exp over- and underflows, unless the largest one is taken off.
	for _, width := range []int{8, 16} {
		for _, low := range []bool{false, true} {
			c := s.inBody("width=%d: large scores, all below zero=%v", width, low)
			column := 0
			value := func() float32 {
				v := c.normal()
				switch part := column % (6 * width) / (2 * width); {
				case part < 2 && low: // queries, which are not far from each other, and keys
					v += []float32{20, -20}[part]
				default:
					v *= 10
				}
				column++
				return v
			}
			qkv, out, logSum := c.in("QKV", 40, 6*width, value), c.out("Out", 40, 2*width), c.out("LogSum", 40, 2)
			c.check(&graph.Attention{QKV: qkv, Out: out, LogSum: logSum, Heads: 2, Length: 20})
		}
	}

	// Keys that a query does not see, with scores beside which its own would vanish.
	for _, width := range []int{8, 16} {
		c := s.inBody("width=%d: keys that grow", width)
		i := 0
		value := func() float32 {
			row, part := i/(3*width), i%(3*width)/width
			i++
			if part == 1 {
				return float32(40 * row)
			}
			return 1 + c.normal()/8
		}
		c.check(&graph.Attention{QKV: c.in("QKV", 24, 3*width, value), Out: c.out("Out", 24, width), LogSum: c.out("LogSum", 24, 1), Heads: 1, Length: 24})
	}
}
