package conformance

import (
	"math"
	"slices"

	"coil/backend"
	"coil/graph"
)

func (r *reference) cachedAttention(o *graph.CachedAttention) {
	qkv, out, h := r.read(o.QKV), newMatrix(o.Out.Rows, o.Out.Cols), o.Layout()
	context := o.Context()
	for s := range out.rows / o.Length {
		p, first := r.start(o.At, s), s*context
		fresh := func(from int) matrix {
			m := newMatrix(o.Length, h.KVHeads*h.Width)
			for i := range o.Length {
				copy(m.row(i), qkv.row(s*o.Length + i)[from:])
			}
			return m
		}
		r.write(o.Keys.RowRange(first+p, first+p+o.Length), fresh(h.Keys()))
		r.write(o.Values.RowRange(first+p, first+p+o.Length), fresh(h.Values()))
	}
	keys, values := r.read(o.Keys), r.read(o.Values)
	eachHead(out.rows, o.Heads, o.Length, func(row, head int) {
		s := row / o.Length
		first, kv, scale := s*context, h.KVColumn(head), factor(o.Scale, h.Width)
		for i := range o.Length {
			scores := make([]num, r.start(o.At, s)+i+1)
			for j := range scores {
				scores[j] = dot(headOf(qkv.row(row+i), head*h.Width, h.Width), headOf(keys.row(first+j), kv, h.Width)).times(scale)
			}
			y := headOf(out.row(row+i), head*h.Width, h.Width)
			if o.Hard {
				copy(y, headOf(values.row(first+newestLargest(scores)), kv, h.Width))
				continue
			}
			attend(y, scores, func(j, k int) num { return values.at(first+j, kv+k) })
		}
	})
	r.write(o.Out, out)
}

// seen makes the values of caches with rows of cols columns: those at positions below at of each sequence are numbers, the
// others are NaN, which would spoil every result that they leak into.
func (s *suite) seen(context, cols int, at []int32) []float32 {
	var values []float32
	for _, p := range at {
		for i := range context * cols {
			v := nan()
			if i < int(p)*cols {
				v = s.normal()
			}
			values = append(values, v)
		}
	}
	return values
}

func cachedAttentionCases(s *suite) {
	for i, a := range []struct{ length, context, heads, width, sequences int }{
		{1, 1, 1, 1, 1}, {1, 7, 2, 3, 2}, {1, 40, 1, 16, 3}, {1, 70, 2, 32, 1}, {1, 33, 1, 64, 2}, {1, 21, 3, 8, 1}, {1, 600, 1, 4, 1}, {1, 530, 2, 5, 1},
		{2, 2, 1, 2, 1}, {3, 11, 2, 4, 2}, {4, 20, 1, 64, 2}, {5, 37, 3, 5, 1}, {6, 30, 1, 33, 2}, {7, 64, 2, 16, 1}, {16, 48, 2, 32, 1},
		{17, 40, 1, 128, 1}, {18, 33, 1, 136, 1}, {9, 19, 1, 260, 1}, {31, 64, 1, 8, 1}, {6, 530, 1, 4, 2}, {40, 40, 2, 12, 1}, {65, 130, 1, 6, 1},
	} {
		n, d := a.length*a.sequences, a.heads*a.width
		c := s.inBody("length=%d context=%d heads=%d width=%d sequences=%d", a.length, a.context, a.heads, a.width, a.sequences)
		at := c.starts(a.sequences, a.context-a.length)
		c.pad = i % 3
		op := &graph.CachedAttention{QKV: c.in("QKV", n, 3*d), At: at, Out: c.out("Out", n, d), Heads: a.heads, Length: a.length}
		if i%2 == 0 { // keys and values beside each other
			both := c.cache("cache", 2*d, s.seen(a.context, 2*d, c.inputs[0]))
			op.Keys, op.Values = both.Columns(0, d), both.Columns(d, 2*d)
		} else {
			wide := d + 4*(i%4)
			op.Keys = c.cache("Keys", d, s.seen(a.context, d, c.inputs[0]))
			op.Values = c.cache("Values", wide, s.seen(a.context, wide, c.inputs[0])).Columns(wide-d, wide)
		}
		next := slices.Clone(c.inputs[0])
		for i, p := range next {
			if next[i] = p + int32(a.length); int(next[i]) > a.context-a.length {
				next[i] = 0
			}
		}
		c.checkRuns(2, func(run int) { // the second continues from the first, or starts again
			if run == 1 {
				c.inputs[0] = next
			}
		}, op)
	}
	// Heads of queries that share keys and values, and other scales.
	for _, a := range []struct {
		length, context, heads, kv, width, sequences int
		scale                                        float32
	}{
		{1, 9, 2, 1, 4, 2, 0}, {1, 40, 6, 2, 5, 1, 0.5}, {5, 20, 4, 2, 16, 2, 0}, {3, 600, 2, 1, 8, 1, 0.1}, {4, 11, 3, 3, 6, 1, 2}, {7, 30, 4, 1, 36, 1, 0},
	} {
		c := s.inBody("length=%d context=%d heads=%d of %d, width=%d sequences=%d scale=%g", a.length, a.context, a.heads, a.kv, a.width, a.sequences, a.scale)
		at := c.starts(a.sequences, a.context-a.length)
		kv := a.kv * a.width
		both := c.cache("cache", 2*kv, s.seen(a.context, 2*kv, c.inputs[0]))
		c.pad = 1
		c.check(&graph.CachedAttention{QKV: c.in("QKV", a.length*a.sequences, (a.heads+2*a.kv)*a.width), Keys: both.Columns(0, kv), Values: both.Columns(kv, 2*kv),
			At: at, Out: c.out("Out", a.length*a.sequences, a.heads*a.width), Heads: a.heads, KVHeads: a.kv, Scale: a.scale, Length: a.length})
	}
	hardCacheCases(s)
	for _, length := range []int{1, 4} {
		s.inBoth("from the beginning", func(c *trial) {
			c.check(&graph.CachedAttention{QKV: c.in("QKV", 2*length, 24), Keys: c.inOut("Keys", 14, 8), Values: c.inOut("Values", 14, 8),
				Out: c.out("Out", 2*length, 8), Heads: 2, Length: length})
		})
	}
	// Scores at which exp over- and underflows, unless the largest one is taken off: all far above or below zero, and of those
	// the later ones further.
	for _, length := range []int{1, 6} {
		for _, by := range []float32{30, -30} {
			const context, d = 560, 8
			c := s.inBody("length=%d: scores that grow with %g", length, by)
			at := c.index([]int32{context - int32(length), context - 20})
			row := func(i int) float32 { return by * (0.5 + float32(i%context)/context) }
			keys := s.seen(context, d, c.inputs[0])
			for i := range keys {
				keys[i] = keys[i]/16 + row(i/d)
			}
			column := 0
			value := func() float32 { // of queries, keys and values
				column++
				return []float32{5, by, 0}[(column-1)%(3*d)/d] + c.normal()
			}
			c.check(&graph.CachedAttention{QKV: c.in("QKV", length, 3*d, value), Keys: c.cache("Keys", d, keys),
				Values: c.cache("Values", d, s.seen(context, d, c.inputs[0])), Out: c.out("Out", length, d), At: at, Heads: 1, Length: length})
		}
	}
	sharedCases(s)
}

// sharedCases has programs that take turns with one cache: the positions of a chunk, then one at a time, in other groups.
func sharedCases(s *suite) {
	const context, d, batch = 12, 6, 4
	if s.skip() {
		return
	}
	b := newBuffer(s, s.b, s.seen(context, 2*d, make([]int32, batch)))
	defer b.Free()
	var programs []backend.Program
	var trials []*trial
	for _, x := range []struct{ sequences, groups, length int }{{2, 2, 5}, {1, 4, 1}, {4, 1, 1}, {1, 4, 3}} {
		c := s.inBody("%d groups of %d sequences take turns with others, length=%d", x.groups, x.sequences, x.length).kept()
		c.Recorder = graph.NewRecorder(x.sequences, x.groups)
		at := c.index(make([]int32, batch))
		both := c.sharedCache("cache", 2*d, b)
		n := x.length * x.sequences
		qkv, out := c.in("QKV", n, 3*d), c.output("Out", x.length, d)
		c.Record(&graph.CachedAttention{QKV: qkv, Keys: both.Columns(0, d), Values: both.Columns(d, 2*d), Out: out, At: at, Heads: 2, Length: x.length})
		p, err := s.b.Compile(c.Recorder)
		if err != nil {
			s.Fatal(err)
		}
		defer p.Close()
		if plan, err := s.b.Plan(c.Recorder); err != nil || plan != p.Memory() || plan.State != int64(b.Len())*4 {
			s.Errorf("%s: planned %+v (%v), compiled %+v, with %d bytes of state", c.label, plan, err, p.Memory(), b.Len()*4)
		}
		programs, trials = append(programs, p), append(trials, c)
		for _, b := range c.buffers {
			defer b.Free()
		}
	}
	var at int32
	for _, turn := range []struct {
		program int
		length  int32
	}{{0, 5}, {1, 1}, {2, 1}, {1, 1}, {3, 3}, {2, 1}} {
		c := trials[turn.program]
		c.inputs[0] = slices.Repeat([]int32{at}, batch)
		c.runStep(programs[turn.program])
		at += turn.length
	}
	// A position that the cache has no room for is an error, and changes nothing.
	before, after := make([]float32, b.Len()), make([]float32, b.Len())
	if err := b.Read(0, before); err != nil {
		s.Fatal(err)
	}
	for _, wrong := range []int32{-1, context - 4} {
		inputs := slices.Clone(trials[0].inputs)
		inputs[0] = []int32{0, 0, 0, wrong}
		if err := runAndTake(programs[0], trials[0].Recorder, backend.Args{Inputs: inputs}); err == nil {
			s.Errorf("5 positions from %d on, of %d: no error", wrong, context)
		}
	}
	if err := b.Read(0, after); err != nil {
		s.Fatal(err)
	}
	if !slices.EqualFunc(before, after, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
		s.Error("a run with a wrong position has changed the cache")
	}
}

// stateCases has a count of each group that every run adds to and shows.
func stateCases(s *suite) {
	for _, x := range []struct{ sequences, groups int }{{1, 1}, {2, 3}, {1, 11}} {
		const rows, cols = 3, 5
		c := s.inBody("%d groups of %d sequences", x.groups, x.sequences)
		c.Recorder = graph.NewRecorder(x.sequences, x.groups)
		values := make([]float32, x.sequences*x.groups*rows*cols)
		for i := range values {
			values[i] = s.normal()
		}
		n := rows * x.sequences
		state, more := c.cache("state", cols, values), c.weight("more", n, cols)
		sum, shown := c.sum("sum", 1, 1), c.output("shown", rows, cols)
		c.checkRuns(3, func(int) {},
			&graph.Add{A: state, Y: shown, Alpha: 2},
			&graph.Add{A: state.Columns(1, 4), B: more.Columns(1, 4), Y: state.Columns(1, 4), Alpha: 1, Beta: 1},
			&graph.Fill{Y: state.Columns(0, 1), Value: 7},
			&graph.Sum{X: state, Y: sum, Alpha: 1, Accumulate: true})
	}
}
