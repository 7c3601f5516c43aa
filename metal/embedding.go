package metal

import "coil/graph"

// rows says that a launch touches at most n rows of t, whose memory a is.
func (a arg) rows(n int, t graph.Tensor) arg {
	if !t.Exists() {
		return a
	}
	a.traffic = a.traffic * uint64(min(n, t.Rows)) / uint64(t.Rows)
	return a
}

func (l *lowering) embedding(o *graph.Embedding) {
	l.expect(o.Index, o.Table.Rows, false)
	vec4 := l.vec4(o.Table, o.Positions, o.Y)
	x := launch{file: "embedding", kernel: "embedding", grid: true,
		constants: []Constant{boolConstant(0, vec4), boolConstant(2, o.Positions.Exists()), boolConstant(3, o.At.Exists())},
		args:      []arg{l.in(o.Table).rows(o.Y.Rows, o.Table), l.index(o.Index), l.in(o.Positions), l.out(o.Y), l.start(o.At)},
		params: struct{ Rows, Cols, Table, Positions, Y, Length uint32 }{uint32(o.Y.Rows), uint32(o.Y.Cols),
			stride(o.Table), stride(o.Positions), stride(o.Y), uint32(o.Length())},
	}
	x.groups, x.threads = over(o.Y.Rows, o.Y.Cols, vec4)
	l.add(x)
}

// embeddingBackward takes one launch, and a second where a value may have several segments.
func (l *lowering) embeddingBackward(o *graph.EmbeddingBackward) {
	cols := o.DY.Cols
	vec4 := l.vec4(o.DY, o.DTable, o.DPositions)
	p := struct {
		Cols, DY, DTable, DPositions             uint32
		Segments, Values, Firsts, Several, Order uint32
		Length, Sequences                        uint32
	}{Cols: uint32(cols), DY: stride(o.DY), DTable: stride(o.DTable), DPositions: stride(o.DPositions)}
	sorted, partials := l.none(), l.none()
	rows, several := 0, 0
	if o.DTable.Exists() {
		l.expect(o.Index, o.DTable.Rows, false)
		var s *sortedIndex
		s, sorted = l.sort(o.Index, o.DTable.Rows)
		rows, several = s.segments, s.several
		p.Segments, p.Values, p.Firsts = uint32(s.segments), uint32(s.valuesAt()), uint32(s.firstsAt())
		p.Several, p.Order = uint32(s.several), uint32(s.positionsAt())
		if several > 0 {
			partials = l.temporary(s.partials * cols)
		}
	}
	if o.DPositions.Exists() {
		rows += o.DPositions.Rows
		p.Length, p.Sequences = uint32(o.DPositions.Rows), uint32(o.DY.Rows/o.DPositions.Rows)
	}
	dy := l.in(o.DY)
	x := launch{file: "embedding", kernel: "embedding_backward", grid: true,
		constants: []Constant{boolConstant(0, vec4), boolConstant(1, o.DTable.Exists()), boolConstant(2, o.DPositions.Exists())},
		args:      []arg{dy, sorted, l.inOut(o.DTable).rows(o.DY.Rows, o.DTable), l.inOut(o.DPositions), partials},
		params:    p,
	}
	if several > 0 {
		x.args[4] = partials.written()
	}
	if o.DTable.Exists() && o.DPositions.Exists() {
		x.retraffic = int64(dy.traffic)
	}
	x.groups, x.threads = over(rows, cols, vec4)
	l.add(x)
	if several > 0 {
		across := simdWidth
		if vec4 {
			across *= 4
		}
		l.add(launch{file: "embedding", kernel: "embedding_partials",
			constants: []Constant{boolConstant(0, vec4)},
			args:      []arg{partials.read(), sorted, l.inOut(o.DTable).rows(several, o.DTable)},
			params:    p,
			groups:    [3]int{ceil(cols, across), several, 1}, threads: one(l.threads("embedding_partials", 8*simdWidth)),
		})
	}
}
