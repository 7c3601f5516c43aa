package metal

import "coil/graph"

// flat adds a launch over n elements in a row.
func (l *lowering) flat(kernel string, n int, vec4 bool, factor graph.Tensor, params any, args ...arg) {
	if vec4 {
		n /= 4
	}
	l.add(launch{file: "optimizer", kernel: kernel, constants: []Constant{boolConstant(0, vec4), boolConstant(1, factor.Exists())},
		args: args, params: params, groups: one(ceil(n, groupThreads)), threads: one(groupThreads), grid: true})
}

func (l *lowering) adamw(o *graph.AdamW) {
	x, grad, m, v := o.X.Flat(), o.Grad.Flat(), o.M.Flat(), o.V.Flat()
	l.flat("adamw", x.Cols, l.vec4(x, grad, m, v), o.Factor,
		struct {
			Size, Rate, Correct1, Correct2 uint32
			Beta1, Beta2, Eps, Decay       float32
		}{uint32(x.Cols), uint32(o.Rate), uint32(o.BiasCorrection1), uint32(o.BiasCorrection2), o.Beta1, o.Beta2, o.Eps, o.Decay},
		l.inOut(x), l.in(grad), l.inOut(m), l.inOut(v), l.in(o.Factor), l.scalars(), l.gate())
}

func (l *lowering) average(o *graph.EMA) {
	x, mean := o.X.Flat(), o.Mean.Flat()
	l.flat("average", x.Cols, l.vec4(x, mean), o.Factor, struct{ Size, Decay uint32 }{uint32(x.Cols), uint32(o.Decay)},
		l.in(x), l.inOut(mean), l.in(o.Factor), l.scalars(), l.gate())
}

// Tiles of Adafactor: more rows make them too few for a large GPU, fewer make the sums over tiles a burden.
const (
	adafactorHeight = 64
	adafactorDown   = 64  // tiles below each other, at most
	adafactorTiles  = 512 // in all, if they are not more already side by side
)

// adafactor takes one launch for a vector and three for a matrix.
func (l *lowering) adafactor(o *graph.Adafactor) {
	x, grad, rows, cols := o.X, o.Grad, o.X.Rows, o.X.Cols
	vec4 := l.vec4(x, grad, o.ColV)
	columns := 4 * simdWidth // of a tile
	if vec4 {
		columns *= 4
	}
	across := ceil(cols, columns)
	down := min(ceil(rows, adafactorHeight), adafactorDown, max(1, adafactorTiles/across))
	height := ceil(rows, down)
	down = ceil(rows, height)
	all := across * down
	aligned := func(n int) int { return (n + 3) / 4 * 4 } // to vectors

	p := struct {
		Rows, Cols, X, Grad            uint32
		Height, Across, All            uint32
		ColumnSums, TileSums           uint32
		NewColumns, TileNorms, NewMean uint32
		Rate, Beta                     uint32
		Eps, Clip, Decay               float32
	}{Rows: uint32(rows), Cols: uint32(cols), X: stride(x), Grad: stride(grad),
		Height: uint32(height), Across: uint32(across), All: uint32(all),
		Rate: uint32(o.Rate), Beta: uint32(o.Beta), Eps: o.Eps, Clip: o.Clip, Decay: o.Decay}
	next := launch{file: "optimizer", groups: [3]int{across, down, 1},
		constants: []Constant{boolConstant(0, vec4), boolConstant(1, o.Factor.Exists())}}
	add := func(kernel string, args ...arg) {
		next.kernel, next.args, next.params, next.threads = kernel, args, p, one(l.threads(kernel, groupThreads))
		l.add(next)
	}
	factor, scalars := l.in(o.Factor), l.scalars()
	if rows == 1 {
		next.groups = one(1)
		add("adafactor_vector", l.inOut(x), l.in(grad), l.inOut(o.ColV), factor, scalars, l.gate())
		return
	}
	columnSums := aligned(rows * across)
	tileSums := columnSums + down*cols
	sums := l.temporary(tileSums + 2*all)
	newColumns := aligned(rows)
	tileNorms := newColumns + cols
	fresh := l.temporary(tileNorms + all + 1)
	p.ColumnSums, p.TileSums = uint32(columnSums), uint32(tileSums)
	p.NewColumns, p.TileNorms, p.NewMean = uint32(newColumns), uint32(tileNorms), uint32(tileNorms+all)

	add("adafactor_sums", l.in(grad), l.in(o.RowV), factor, sums.written())
	add("adafactor_norms", l.in(grad), l.in(o.RowV), l.in(o.ColV), factor, scalars, sums.read(), fresh.written())
	add("adafactor_update", l.inOut(x), l.in(grad), l.inOut(o.RowV), l.inOut(o.ColV), factor, scalars, l.gate(), fresh.read())
}
