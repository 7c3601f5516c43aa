package conformance

import (
	"math"

	"coil/graph"
)

// newestLargest is where the last of the largest scores stands, of those that are numbers; 0 if none is.
func newestLargest(scores []num) int {
	best, most := 0, math.Inf(-1)
	for j, s := range scores {
		if s.v >= most {
			best, most = j, s.v
		}
	}
	return best
}

func (r *reference) hardAttention(o *graph.HardAttention) {
	qkv, h := r.read(o.QKV), o.Layout()
	out, chosen := newMatrix(qkv.rows, o.Out.Cols), newMatrix(qkv.rows, o.Heads)
	eachHead(qkv.rows, o.Heads, o.Length, func(row, head int) {
		for i := range o.Length {
			j := newestLargest(scores(qkv, h, 1, row, head, i))
			copy(headOf(out.row(row+i), head*h.Width, h.Width), headOf(qkv.row(row+j), h.Values()+h.KVColumn(head), h.Width))
			chosen.set(row+i, head, exact(float32(j)))
		}
	})
	r.write(o.Out, out)
	r.write(o.Chosen, chosen)
}

func (r *reference) hardAttentionBackward(o *graph.HardAttentionBackward) {
	chosen, dout, h := r.read(o.Chosen), r.read(o.DOut), o.Layout()
	sums := make([]total, dout.rows*h.Columns())
	eachHead(dout.rows, o.Heads, o.Length, func(row, head int) {
		for i := range o.Length {
			j := row + int(chosen.at(row+i, head).v)
			for k, d := range headOf(dout.row(row+i), head*h.Width, h.Width) {
				sums[j*h.Columns()+h.Values()+h.KVColumn(head)+k].add(d)
			}
		}
	})
	r.write(o.DQKV, summed(sums, dout.rows, h.Columns()))
}

// counted makes numbers for rows of queries and keys, and values: the first whole and small, so that scores are exact and many
// are equal, the others any.
func (s *suite) counted(columns, before int) source {
	i := -1
	return func() float32 {
		if i++; i%columns < before {
			return float32(s.rng.IntN(5) - 2)
		}
		return s.normal()
	}
}

func hardAttentionCases(s *suite) {
	for i, a := range []struct{ length, heads, kv, width, sequences int }{
		{1, 1, 1, 1, 1}, {2, 2, 2, 3, 3}, {5, 6, 2, 5, 2}, {9, 4, 4, 8, 1}, {33, 4, 2, 16, 2}, {70, 4, 1, 16, 1}, {65, 2, 1, 32, 1}, {130, 2, 2, 4, 1},
		{40, 1, 1, 130, 1}, {300, 1, 1, 2, 1},
	} {
		run := func(c *trial) {
			n, d, cols := a.length*a.sequences, a.heads*a.width, (a.heads+2*a.kv)*a.width
			c.pad = i % 3
			qkv, out := c.in("QKV", n, cols, s.counted(cols, (a.heads+a.kv)*a.width)), c.out("Out", n, d)
			dout, dqkv := c.in("DOut", n, d), c.out("DQKV", n, cols)
			c.pad = 0
			chosen := c.out("Chosen", n, a.heads)
			c.check(&graph.HardAttention{QKV: qkv, Out: out, Chosen: chosen, Heads: a.heads, KVHeads: a.kv, Length: a.length},
				&graph.HardAttentionBackward{Chosen: chosen, DOut: dout, DQKV: dqkv, Heads: a.heads, KVHeads: a.kv, Length: a.length})
		}
		run(s.inBody("length=%d heads=%d of %d, width=%d sequences=%d", a.length, a.heads, a.kv, a.width, a.sequences))
		if i%4 == 0 {
			run(s.inUpdate("length=%d heads=%d of %d, width=%d sequences=%d", a.length, a.heads, a.kv, a.width, a.sequences))
		}
	}
	for _, width := range []int{3, 8} {
		c := s.inBody("width=%d: first keys that are NaN", width)
		i := -1
		value := func() float32 {
			i++
			row, part := i/(3*width), i%(3*width)/width
			switch {
			case part == 1 && row%20 < 3:
				return nan()
			case part == 2:
				return s.normal()
			}
			return float32(s.rng.IntN(3))
		}
		c.check(&graph.HardAttention{QKV: c.in("QKV", 40, 3*width, value), Out: c.out("Out", 40, width), Chosen: c.out("Chosen", 40, 1), Heads: 1, Length: 20})
	}
	c := s.inBody("without Chosen, all scores below zero")
	below := func() source {
		i := -1
		return func() float32 {
			i++
			return []float32{2, -3, 0.5}[i%24/8] * float32(1+s.rng.IntN(3))
		}
	}
	c.check(&graph.HardAttention{QKV: c.in("QKV", 40, 24, below()), Out: c.out("Out", 40, 8), Heads: 2, Length: 20})
}

func hardCacheCases(s *suite) {
	for _, a := range []struct{ length, context, heads, kv, width, sequences int }{
		{1, 9, 2, 1, 4, 2}, {1, 300, 1, 1, 5, 1}, {5, 20, 4, 2, 3, 2}, {3, 40, 2, 2, 16, 1},
	} {
		c := s.inBody("hard, length=%d context=%d heads=%d of %d, width=%d sequences=%d", a.length, a.context, a.heads, a.kv, a.width, a.sequences)
		at := c.starts(a.sequences, a.context-a.length)
		kv, cols := a.kv*a.width, (a.heads+2*a.kv)*a.width
		both := s.seen(a.context, 2*kv, c.inputs[0])
		small := s.counted(2*kv, kv)
		for i, v := range both {
			if w := small(); v == v && i%(2*kv) < kv {
				both[i] = w
			}
		}
		cache, values := c.cache("cache", 2*kv, both), c.cache("values", kv, s.seen(a.context, kv, c.inputs[0]))
		if a.length > 3 {
			values = cache.Columns(kv, 2*kv)
		}
		c.check(&graph.CachedAttention{QKV: c.in("QKV", a.length*a.sequences, cols, s.counted(cols, (a.heads+a.kv)*a.width)), Keys: cache.Columns(0, kv),
			Values: values, At: at, Out: c.out("Out", a.length*a.sequences, a.heads*a.width), Heads: a.heads, KVHeads: a.kv, Length: a.length, Hard: true})
	}
}
