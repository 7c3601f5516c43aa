package conformance

import (
	"fmt"
	"math"

	"coil/graph"
)

func (r *reference) rotary(o *graph.Rotary) {
	r.update(o.X, func(x matrix) {
		half := o.Width / 2
		for i := range x.rows {
			for h := 0; h < x.cols; h += o.Width {
				for j := range half {
					angle := float64(r.start(o.At, i/o.Length)+i%o.Length) * math.Pow(o.Base, -2*float64(j)/float64(o.Width))
					if o.Inverse {
						angle = -angle
					}
					cos, sin := rounded(math.Cos(angle), 0), rounded(math.Sin(angle), 0)
					a, b := x.at(i, h+j), x.at(i, h+half+j)
					x.set(i, h+j, a.times(cos).minus(b.times(sin)))
					x.set(i, h+half+j, a.times(sin).plus(b.times(cos)))
				}
			}
		}
	})
}

func (r *reference) embedding(o *graph.Embedding) {
	table, positions := r.read(o.Table), r.read(o.Positions)
	y := newMatrix(o.Index.Len, table.cols)
	for i, id := range r.index(o.Index) {
		copy(y.row(i), table.row(int(id)))
		if positions.exists() {
			for j, p := range positions.row(r.start(o.At, i/o.Length()) + i%o.Length()) {
				y.set(i, j, y.at(i, j).plus(p))
			}
		}
	}
	r.write(o.Y, y)
}

func (r *reference) embeddingBackward(o *graph.EmbeddingBackward) {
	dy := r.read(o.DY)
	ids := r.index(o.Index)
	r.update(o.DTable, func(d matrix) { addRows(d, dy, func(i int) int { return int(ids[i]) }) })
	r.update(o.DPositions, func(d matrix) { addRows(d, dy, func(i int) int { return i % d.rows }) })
}

// starts is an input with a position for each sequence of a group, 0 and most among them.
func (c *trial) starts(sequences, most int) graph.Index {
	at := make([]int32, sequences*c.Groups())
	for i := range at {
		at[i] = int32(c.rng.IntN(most + 1))
	}
	at[0], at[len(at)-1] = int32(most), 0
	return c.index(at)
}

func rotaryCases(s *suite) {
	for i, a := range []struct{ length, heads, width, sequences int }{
		{1, 1, 2, 1}, {2, 3, 2, 2}, {5, 2, 6, 3}, {7, 1, 16, 1}, {33, 2, 32, 1}, {4, 1, 34, 2}, {300, 1, 66, 1},
	} {
		n, d := a.length*a.sequences, a.heads*a.width
		label := fmt.Sprintf("length=%d heads=%d width=%d sequences=%d", a.length, a.heads, a.width, a.sequences)
		op := graph.Rotary{Width: a.width, Length: a.length, Base: 10000}
		for _, inverse := range []bool{false, true} {
			s.inBoth(fmt.Sprintf("%s inverse=%v", label, inverse), func(c *trial) {
				c.pad = i % 3
				op := op
				op.X, op.Inverse = c.inOut("X", n, d), inverse
				c.check(&op)
			})
		}
		// There and back is the identity; the difference shows it whatever the reference thinks of a turn.
		c := s.inBody("%s there and back", label)
		before, after := c.in("X", n, d), c.Temporary(n, d)
		there, back := op, op
		there.X, back.X, back.Inverse = after, after, true
		zero := c.output("turned there and back, less X", n, d)
		c.check(&graph.Add{A: before, Y: after, Alpha: 1}, &there, &back, &graph.Add{A: after, B: before, Y: zero, Alpha: 1, Beta: -1})
	}
	for i, a := range []struct{ length, context, heads, width, sequences int }{{1, 1, 1, 2, 1}, {1, 9, 2, 6, 3}, {3, 8, 1, 16, 2}, {5, 300, 2, 8, 2}} {
		c := s.inBody("length=%d context=%d heads=%d width=%d sequences=%d", a.length, a.context, a.heads, a.width, a.sequences)
		c.pad = i % 3
		c.check(&graph.Rotary{X: c.inOut("X", a.length*a.sequences, a.heads*a.width), At: c.starts(a.sequences, a.context-a.length),
			Width: a.width, Length: a.length, Context: a.context, Base: 100, Inverse: i%2 == 1})
	}
	c := s.inBody("queries and keys of 3")
	qkv := c.inOut("QKV", 12, 3*8)
	c.check(&graph.Rotary{X: qkv.Columns(0, 16), Width: 4, Length: 6, Base: 500})

	c = s.inBody("of several kinds")
	x := c.inOut("X", 12, 16)
	c.check(&graph.Rotary{X: x, Width: 4, Length: 6, Base: 500}, &graph.Rotary{X: x, Width: 8, Length: 6, Base: 500},
		&graph.Rotary{X: x, Width: 4, Length: 6, Base: 10}, &graph.Rotary{X: x, Width: 4, Length: 4, Base: 500})
}

func embeddingCases(s *suite) {
	for i, a := range []struct{ rows, width, vocabulary, length int }{
		{1, 1, 1, 1}, {6, 3, 5, 3}, {20, 17, 4, 10}, {20, 16, 50, 5}, {33, 100, 7, 11}, {64, 33, 1, 64}, {300, 9, 2, 100}, {90, 132, 3, 45},
		// Many of each, few of each, and all alike.
		{700, 5, 2, 100}, {33, 9, 1, 33}, {300, 9, 50, 100},
	} {
		ids := make([]int32, a.rows*trialGroups)
		for j := range ids {
			ids[j] = int32(s.rng.IntN(a.vocabulary))
		}
		for _, positions := range []bool{false, true} {
			c := s.inBody("rows=%d width=%d vocabulary=%d length=%d positions=%v", a.rows, a.width, a.vocabulary, a.length, positions)
			c.pad = pads[i%len(pads)]
			x := c.index(ids)
			op := &graph.Embedding{Table: c.weight("table", a.vocabulary, a.width), Index: x, Y: c.out("Y", a.rows, a.width)}
			back := &graph.EmbeddingBackward{Index: x, DY: c.in("DY", a.rows, a.width), DTable: c.sum("DTable", a.vocabulary, a.width)}
			only := &graph.EmbeddingBackward{Index: x, DY: back.DY}
			if positions {
				op.Positions = c.weight("positions", a.length, a.width)
				back.DPositions = c.sum("DPositions", a.length, a.width)
				only.DPositions = c.inOut("DPositions", a.length, a.width)
			} else {
				only.DTable = c.inOut("DTable", a.vocabulary, a.width)
			}
			c.check(op, back, only)
		}
	}
	for i, a := range []struct{ length, positions, width, sequences int }{{1, 1, 1, 1}, {1, 7, 5, 3}, {4, 9, 16, 2}, {3, 3, 4, 2}} {
		c := s.inBody("length=%d positions=%d width=%d sequences=%d", a.length, a.positions, a.width, a.sequences)
		c.pad = pads[i%len(pads)]
		n := a.length * a.sequences
		c.check(&graph.Embedding{Table: c.weight("table", 6, a.width), Index: c.index(c.ids(n, 6)), At: c.starts(a.sequences, a.positions-a.length),
			Positions: c.weight("positions", a.positions, a.width), Y: c.out("Y", n, a.width)})
	}
	c := s.inBody("part of an index, temporary table")
	x := c.index([]int32{9, 2, 0, 9, 1, 1, 2, 9})
	c.check(&graph.Embedding{Table: c.in("table", 3, 5), Index: x.Range(1, 3), Y: c.out("Y", 2, 5)})
}
