package metal

import "coil/graph"

// pieces is how the elements of matrices of one shape are dealt out to threadgroups; see shaders/reduce.metal.
type pieces struct {
	vec4                      bool
	count, each, cols, across int
	rounds                    int // threadgroups that would have one piece for each of their threads
}

// vector is how many elements of a row a thread takes at once.
func (p pieces) vector() int {
	if p.vec4 {
		return 4
	}
	return 1
}

// vectorsOf are how many vectors, or elements, of a piece a thread takes.
const vectorsOf = 4

// pieces of matrices for a kernel with threadgroups of this number of threads.
func (l *lowering) pieces(threads int, ts ...graph.Tensor) pieces {
	p := pieces{vec4: l.vec4(ts...), cols: ts[0].Cols, across: 1}
	vector := p.vector()
	for p.across < threads && p.across*vectorsOf*vector < p.cols {
		p.across *= 2
	}
	p.each = ceil(p.cols, p.across*vectorsOf*vector)
	p.count = ts[0].Rows * p.each
	p.rounds = ceil(p.count, threads/p.across)
	return p
}

// shortRounds is how much one threadgroup sums in less time than a second launch would take.
const shortRounds = 8

// groups is how many threadgroups share the pieces: one, or enough for the largest GPU, but no more than most.
func (p pieces) groups(most int) int {
	if p.rounds <= shortRounds {
		return 1
	}
	return min(p.rounds, most)
}

func (l *lowering) sum(o *graph.Sum) {
	x := o.X
	flatten(&x)
	threads := l.threads("sum", groupThreads)
	p := l.pieces(threads, x)
	if n := p.groups(1024); n > 1 {
		list := l.temporary(n)
		l.sumOf(p, x, n, o.Squares, 1, false, l.in(x), list.written())
		row := graph.Tensor{Rows: 1, Cols: n}
		of := pieces{vec4: n%4 == 0, cols: n, across: threads}
		of.each = ceil(n, threads*vectorsOf*of.vector())
		of.count = of.each
		l.sumOf(of, row, 1, false, o.Alpha, o.Accumulate, list.read(), l.outIf(o.Accumulate, o.Y))
		return
	}
	l.sumOf(p, x, 1, o.Squares, o.Alpha, o.Accumulate, l.in(x), l.outIf(o.Accumulate, o.Y))
}

func (l *lowering) sumOf(p pieces, t graph.Tensor, groups int, squares bool, alpha float32, accumulate bool, x, y arg) {
	l.add(launch{file: "reduce", kernel: "sum",
		constants: []Constant{boolConstant(0, p.vec4), boolConstant(1, squares)},
		args:      []arg{x, y},
		params: struct {
			Count, Each, Cols, Across, Stride uint32
			Alpha                             float32
			Accumulate                        uint32
		}{uint32(p.count), uint32(p.each), uint32(p.cols), uint32(p.across), stride(t), alpha, flag(accumulate)},
		groups: one(groups), threads: one(l.threads("sum", groupThreads))})
}

// flag is a bool in the parameters of a kernel.
func flag(v bool) uint32 {
	if v {
		return 1
	}
	return 0
}

// Rows of a threadgroup that sums columns, and how many such threadgroups there are at most: the second launch sums as many
// rows as they are.
const (
	columnHeight  = 256
	columnHeights = 256
)

func (l *lowering) columnSums(o *graph.ColumnSums) {
	rows, cols := o.X.Rows, o.X.Cols
	vec4 := l.vec4(o.X, o.Y)
	height := max(columnHeight, ceil(rows, columnHeights))
	parts := ceil(rows, height)
	x, y := l.in(o.X), l.outIf(o.Accumulate, o.Y)
	if parts == 1 {
		l.columnSumsOf(rows, cols, o.X.Stride, rows, vec4, o.Accumulate, x, y)
		return
	}
	list := l.temporary(parts * cols)
	l.columnSumsOf(rows, cols, o.X.Stride, height, vec4, false, x, list.written())
	l.columnSumsOf(parts, cols, cols, parts, vec4, o.Accumulate, list.read(), y)
}

func (l *lowering) columnSumsOf(rows, cols, stride, height int, vec4, accumulate bool, x, y arg) {
	vector := 1
	if vec4 {
		vector = 4
	}
	across := 1
	for across < simdWidth && across*vector < cols {
		across *= 2
	}
	l.add(launch{file: "reduce", kernel: "column_sums",
		constants: []Constant{boolConstant(0, vec4)},
		args:      []arg{x, y},
		params: struct{ Rows, Cols, Stride, Height, Across, Accumulate uint32 }{
			uint32(rows), uint32(cols), uint32(stride), uint32(height), uint32(across), flag(accumulate)},
		groups: [3]int{ceil(cols, across*vector), ceil(rows, height), 1}, threads: one(l.threads("column_sums", groupThreads))})
}

func (l *lowering) cosine(o *graph.Cosine) {
	a, b := o.A, o.B
	flatten(&a, &b)
	threads, last := l.threads("cosine", groupThreads), l.threads("cosine_end", groupThreads)
	p := l.pieces(threads, a, b)
	groups := p.groups(last)
	params := struct {
		Count, Each, Cols, Across, A, B, Groups uint32
		Alpha                                   float32
		Accumulate                              uint32
	}{uint32(p.count), uint32(p.each), uint32(p.cols), uint32(p.across), stride(a), stride(b), uint32(groups), o.Alpha, flag(o.Accumulate)}
	x := launch{file: "reduce", kernel: "cosine",
		constants: []Constant{boolConstant(0, p.vec4), boolConstant(2, groups == 1), boolConstant(3, o.Norms.Exists())},
		params:    params, groups: one(groups), threads: one(threads)}
	y, norms := l.outIf(o.Accumulate, o.Y), l.out(o.Norms)
	if groups == 1 {
		x.args = []arg{l.in(a), l.in(b), l.none(), y, norms}
		l.add(x)
		return
	}
	sums := l.temporary(3 * groups)
	x.args = []arg{l.in(a), l.in(b), sums.written(), l.none(), l.none()}
	l.add(x)
	l.add(launch{file: "reduce", kernel: "cosine_end",
		constants: []Constant{boolConstant(0, false), boolConstant(3, o.Norms.Exists())},
		args:      []arg{sums.read(), y, norms}, params: params, groups: one(1), threads: one(last)})
}

func (l *lowering) cosineBackward(o *graph.CosineBackward) {
	a, b, da, db := o.A, o.B, o.DA, o.DB
	flatten(&a, &b, &da, &db)
	vec4 := l.vec4(a, b, da, db)
	x := launch{file: "reduce", kernel: "cosine_backward",
		constants: []Constant{boolConstant(0, vec4)}, grid: true,
		args: []arg{l.in(a), l.in(b), l.in(o.Norms), l.inOut(da), l.inOut(db)},
		params: struct {
			Rows, Cols, A, B, DA, DB uint32
			Alpha                    float32
		}{uint32(a.Rows), uint32(a.Cols), stride(a), stride(b), stride(da), stride(db), o.Alpha}}
	x.groups, x.threads = over(a.Rows, a.Cols, vec4)
	l.add(x)
}

func (l *lowering) clipFactor(o *graph.ClipFactor) {
	l.add(launch{file: "reduce", kernel: "clip_factor",
		args:   []arg{l.in(o.Squares), l.out(o.Norm), l.out(o.Factor)},
		params: struct{ Max float32 }{o.Max}, groups: one(1), threads: one(simdWidth), grid: true})
}
