package metal

import "coil/graph"

func (l *lowering) weigh(o *graph.Weigh) {
	x, y, width := o.X, o.Y, o.Width()
	n := launch{file: "weigh", kernel: "weigh", grid: true,
		constants: []Constant{boolConstant(0, x.Cols < y.Cols), boolConstant(1, y.Cols < x.Cols), boolConstant(2, o.Residual.Exists())},
		args:      []arg{l.in(x), l.in(o.W), l.in(o.Residual), l.out(y)},
		params: struct {
			Rows, Cols, Parts, Width, X, W, Residual, Y uint32
			Alpha                                       float32
		}{uint32(y.Rows), uint32(y.Cols), uint32(o.W.Cols), uint32(width), stride(x), stride(o.W), stride(o.Residual), stride(y), o.Alpha},
	}
	n.groups, n.threads = over(y.Rows, y.Cols, false)
	l.add(n)
}

func (l *lowering) dots(o *graph.Dots) {
	a, b, y, width := o.A, o.B, o.Y, o.Width()
	whole := !l.byLines()
	n := launch{file: "weigh", kernel: "dots",
		constants: []Constant{boolConstant(3, whole), boolConstant(4, a.Cols < width*y.Cols), boolConstant(5, b.Cols < width*y.Cols), boolConstant(6, o.Accumulate)},
		args:      []arg{l.in(a), l.in(b), l.outIf(o.Accumulate, y)},
		params: struct {
			Rows, Parts, Width, A, B, Y uint32
			Alpha                       float32
		}{uint32(y.Rows), uint32(y.Cols), uint32(width), stride(a), stride(b), stride(y), o.Alpha},
	}
	if width == 1 {
		n.kernel, n.grid = "products", true
		n.groups, n.threads = over(y.Rows, y.Cols, false)
	} else {
		threads := l.threads("dots", groupThreads)
		products := threads / simdWidth // of a threadgroup
		if whole {
			products = 1
		}
		n.groups, n.threads = one(ceil(y.Rows*y.Cols, products)), one(threads)
	}
	l.add(n)
}

func (l *lowering) softmax(o *graph.Softmax) {
	x, y := o.X, o.Y
	l.rowByRow("softmax", x.Rows, struct {
		Rows, Cols, X, Y uint32
		Scale            float32
	}{uint32(x.Rows), uint32(x.Cols), stride(x), stride(y), o.Scale}, l.in(x), l.out(y))
}

func (l *lowering) softmaxBackward(o *graph.SoftmaxBackward) {
	y, dy, dx := o.Y, o.DY, o.DX
	l.rowByRow("softmax_backward", y.Rows, struct {
		Rows, Cols, Y, DY, DX uint32
		Scale                 float32
	}{uint32(y.Rows), uint32(y.Cols), stride(y), stride(dy), stride(dx), o.Scale}, l.in(y), l.in(dy), l.out(dx))
}

// rowByRow adds a launch of a thread for each row.
func (l *lowering) rowByRow(kernel string, rows int, params any, args ...arg) {
	l.add(launch{file: "weigh", kernel: kernel, args: args, params: params, groups: one(ceil(rows, groupThreads)), threads: one(groupThreads), grid: true})
}
