package metal

import "coil/graph"

// overMatrix adds a launch with a thread for each element of a matrix.
func (l *lowering) overMatrix(kernel string, rows, cols int, constants []Constant, params any, args ...arg) {
	x := launch{file: "muon", kernel: kernel, constants: constants, args: args, params: params, grid: true}
	x.groups, x.threads = over(rows, cols, false)
	l.add(x)
}

func (l *lowering) nesterov(o *graph.Nesterov) {
	l.overMatrix("nesterov", o.U.Rows, o.U.Cols, []Constant{boolConstant(0, o.By.Exists())},
		struct {
			Rows, Cols, Grad, M, U uint32
			Beta                   float32
		}{uint32(o.U.Rows), uint32(o.U.Cols), stride(o.Grad), stride(o.M), stride(o.U), o.Beta},
		l.in(o.Grad), l.in(o.M), l.in(o.By), l.out(o.U))
}

func (l *lowering) normalize(o *graph.Normalize) {
	l.overMatrix("normalize_matrix", o.Y.Rows, o.Y.Cols, nil,
		struct {
			Rows, Cols, X, Y uint32
			Slack, Eps       float32
		}{uint32(o.Y.Rows), uint32(o.Y.Cols), stride(o.X), stride(o.Y), o.Slack, o.Eps},
		l.in(o.X), l.in(o.Squares), l.out(o.Y))
}

func (l *lowering) quadratic(o *graph.Quadratic) {
	l.overMatrix("quadratic", o.Y.Rows, o.Y.Cols, nil,
		struct {
			N, A, Square, Y uint32
			C0, C1, C2      float32
		}{uint32(o.Y.Rows), stride(o.A), stride(o.Square), stride(o.Y), o.C0, o.C1, o.C2},
		l.in(o.A), l.in(o.Square), l.out(o.Y))
}

func (l *lowering) neuronScale(o *graph.NeuronScale) {
	l.overMatrix("neuron_scale", 1, o.X.Cols, nil,
		struct {
			Rows, Cols, X, Stats uint32
			Beta, Eps            float32
		}{uint32(o.X.Rows), uint32(o.X.Cols), stride(o.X), stride(o.Stats), o.Beta, o.Eps},
		l.in(o.X), l.in(o.V), l.out(o.Stats))
}

func (l *lowering) muon(o *graph.Muon) {
	l.overMatrix("muon", o.X.Rows, o.X.Cols,
		[]Constant{boolConstant(0, o.Factor.Exists()), boolConstant(1, o.Columns.Exists()), boolConstant(2, o.Cautious)},
		struct {
			Rows, Cols, X, M, O, Grad, Rate uint32
			Beta, Scale, Decay              float32
		}{uint32(o.X.Rows), uint32(o.X.Cols), stride(o.X), stride(o.M), stride(o.O), stride(o.Grad), uint32(o.Rate), o.Beta, o.Scale, o.Decay},
		l.inOut(o.X), l.inOut(o.M), l.in(o.O), l.in(o.Grad), l.in(o.Factor), l.in(o.Columns), l.in(o.Squares), l.scalars(), l.gate())
}
