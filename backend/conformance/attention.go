package conformance

import (
	"fmt"
	"math"

	"coil/graph"
)

// eachHead calls f for every head of every sequence with its first row.
func eachHead(rows, heads, length int, f func(row, head int)) {
	for row := 0; row < rows; row += length {
		for head := range heads {
			f(row, head)
		}
	}
}

// headOf is the columns of a head of queries, or of the keys or values that it shares, from column `from` on.
func headOf(row []num, from, width int) []num { return row[from : from+width] }

func (r *reference) attention(o *graph.Attention) {
	qkv, h := r.read(o.QKV), o.Layout()
	out, logSum := newMatrix(qkv.rows, o.Out.Cols), newMatrix(qkv.rows, o.Heads)
	eachHead(qkv.rows, o.Heads, o.Length, func(row, head int) {
		for i := range o.Length {
			l := attend(headOf(out.row(row+i), head*h.Width, h.Width), scores(qkv, h, o.Scale, row, head, i),
				func(j, k int) num { return qkv.at(row+j, h.Values()+h.KVColumn(head)+k) })
			logSum.set(row+i, head, l)
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

// factor is the factor of scores: the given one, or for 0 that of the width of a head.
func factor(given float32, width int) num {
	if given != 0 {
		return exact(given)
	}
	return number(1 / math.Sqrt(float64(width)))
}

// scores is row i of S = c·Q·Kᵀ, up to the diagonal.
func scores(qkv matrix, h graph.HeadLayout, scale float32, row, head, i int) []num {
	q := headOf(qkv.row(row+i), head*h.Width, h.Width)
	c := factor(scale, h.Width)
	s := make([]num, i+1)
	for j := range s {
		s[j] = dot(q, headOf(qkv.row(row+j), h.Keys()+h.KVColumn(head), h.Width)).times(c)
	}
	return s
}

func (r *reference) attentionBackward(o *graph.AttentionBackward) {
	qkv, out, logSum, dout := r.read(o.QKV), r.read(o.Out), r.read(o.LogSum), r.read(o.DOut)
	h := o.Layout()
	sums := make([]total, qkv.rows*qkv.cols)
	at := func(row, col int) *total { return &sums[row*qkv.cols+col] }
	eachHead(out.rows, o.Heads, o.Length, func(row, head int) {
		c := factor(o.Scale, h.Width)
		col, key, value := head*h.Width, h.Keys()+h.KVColumn(head), h.Values()+h.KVColumn(head)
		for i := range o.Length {
			do := headOf(dout.row(row+i), col, h.Width)
			delta := dot(do, headOf(out.row(row+i), col, h.Width))
			for j, s := range scores(qkv, h, o.Scale, row, head, i) {
				p := s.minus(logSum.at(row+i, head)).exp()
				dp := dot(do, headOf(qkv.row(row+j), value, h.Width))
				ds := p.times(dp.minus(delta)).times(c)
				for k := range h.Width {
					at(row+j, value+k).addProduct(p, do[k])
					at(row+i, col+k).addProduct(ds, qkv.at(row+j, key+k))
					at(row+j, key+k).addProduct(ds, qkv.at(row+i, col+k))
				}
			}
		}
	})
	r.write(o.DQKV, summed(sums, qkv.rows, qkv.cols))
}

// summed is the sums as a matrix.
func summed(sums []total, rows, cols int) matrix {
	m := newMatrix(rows, cols)
	for i := range sums {
		m.x[i] = sums[i].num()
	}
	return m
}

// Sequences of more than 256 are several blocks of queries, and of keys, for a backend that holds 2¹⁶ scores at a time or fewer.
func attentionCases(s *suite) {
	for i, a := range []struct{ length, heads, width, sequences int }{
		{1, 1, 1, 1}, {1, 3, 5, 4}, {2, 1, 1, 1}, {2, 2, 3, 3}, {3, 4, 2, 2}, {5, 1, 16, 2}, {7, 2, 33, 1}, {13, 1, 5, 1}, {14, 1, 32, 1},
		{15, 2, 5, 2}, {16, 2, 16, 1}, {17, 1, 16, 2}, {28, 1, 8, 1}, {29, 2, 12, 1}, {31, 1, 3, 1}, {32, 1, 64, 1}, {33, 2, 16, 2},
		{48, 1, 2, 1}, {65, 1, 33, 1}, {130, 2, 8, 1}, {257, 1, 5, 1}, {601, 1, 3, 1}, {259, 1, 20, 1},
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
	// Heads of queries that share keys and values, and other scales: of widths for which a backend may have kernels of their own, and
	// others.
	for i, a := range []struct {
		length, heads, kv, width, sequences int
		scale                               float32
	}{
		{1, 2, 1, 3, 2, 0}, {5, 6, 2, 5, 2, 0.7}, {9, 4, 4, 8, 1, 3}, {33, 4, 2, 16, 2, 0}, {70, 4, 1, 16, 1, 1}, {65, 2, 1, 32, 2, 0.1}, {40, 6, 3, 32, 1, 0},
		{34, 2, 1, 64, 2, 0}, {130, 3, 1, 64, 1, 0.25}, {37, 6, 2, 12, 3, 0}, {66, 4, 2, 48, 1, 0.05}, {20, 2, 2, 16, 1, 1e-4}, {515, 2, 1, 5, 1, 0},
	} {
		s.inBoth(fmt.Sprintf("length=%d heads=%d of %d, width=%d sequences=%d scale=%g", a.length, a.heads, a.kv, a.width, a.sequences, a.scale), func(c *trial) {
			n, d, cols := a.length*a.sequences, a.heads*a.width, (a.heads+2*a.kv)*a.width
			c.pad = i % 3
			qkv, out := c.in("QKV", n, cols), c.out("Out", n, d)
			dout, dqkv := c.in("DOut", n, d), c.out("DQKV", n, cols)
			c.pad = 0
			logSum := c.out("LogSum", n, a.heads)
			ops := []graph.Op{&graph.Attention{QKV: qkv, Out: out, LogSum: logSum, Heads: a.heads, KVHeads: a.kv, Scale: a.scale, Length: a.length},
				&graph.AttentionBackward{QKV: qkv, Out: out, LogSum: logSum, DOut: dout, DQKV: dqkv, Heads: a.heads, KVHeads: a.kv, Scale: a.scale, Length: a.length}}
			if a.width%2 == 0 && i%2 == 0 {
				ops = append(ops, &graph.Rotary{X: dqkv.Columns(0, (a.heads+a.kv)*a.width), Width: a.width, Length: a.length, Base: 100, Inverse: true})
			}
			c.check(ops...)
		})
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
