package metal

import "coil/graph"

// flatten views tensors of one shape as one row each, if none of them has gaps between its rows. Missing ones do not
// count.
func flatten(ts ...*graph.Tensor) {
	for _, t := range ts {
		if t.Exists() && !t.Dense() {
			return
		}
	}
	for _, t := range ts {
		if t.Exists() {
			*t = t.Flat()
		}
	}
}

// wide reports whether the rows of all tensors are whole vectors of 4 elements at addresses that are multiples of a
// vector. Missing ones do not count.
func (l *lowering) vec4(ts ...graph.Tensor) bool {
	for _, t := range ts {
		if !t.Exists() {
			continue
		}
		if t.Cols%4 != 0 || t.Rows > 1 && t.Stride%4 != 0 || l.tensor(t, 0).from%(4*l.element(t)) != 0 {
			return false
		}
	}
	return true
}

// over is the grid of a kernel whose threads take the elements of a matrix, each one or, if wide, 4 of a row.
func over(rows, cols int, vec4 bool) (groups, threads [3]int) {
	if vec4 {
		cols /= 4
	}
	x := 1
	for x < cols && x < groupThreads {
		x *= 2
	}
	y := groupThreads / x
	return [3]int{ceil(cols, x), ceil(rows, y), 1}, [3]int{x, y, 1}
}

const (
	simdWidth = 32
	// groupThreads is the size of most threadgroups: small enough for any kernel, large enough to fill a core with few.
	groupThreads = 256
)

// strides of tensors as kernels take them; it may be anything for a missing one or a single row.
func stride(t graph.Tensor) uint32 { return uint32(t.Stride) }

// elementwise adds a launch over the elements of [rows, cols].
func (l *lowering) elementwise(kernel string, rows, cols int, vec4 bool, constants []Constant, params any, args ...arg) {
	x := launch{file: "elementwise", kernel: kernel, constants: append(constants, boolConstant(0, vec4)), args: args, params: params, grid: true}
	x.groups, x.threads = over(rows, cols, vec4)
	l.add(x)
}

func (l *lowering) activate(o *graph.Activate) {
	x, y := o.X, o.Y
	flatten(&x, &y)
	l.elementwise("activate_forward", x.Rows, x.Cols, l.vec4(x, y), []Constant{uintConstant(1, uint32(o.Activation))},
		struct{ Rows, Cols, X, Y uint32 }{uint32(x.Rows), uint32(x.Cols), stride(x), stride(y)},
		l.in(x), l.out(y))
}

func (l *lowering) activateBackward(o *graph.ActivateBackward) {
	x, dy, dx, y := o.X, o.DY, o.DX, o.Y
	flatten(&x, &dy, &dx, &y)
	l.elementwise("activate_backward", x.Rows, x.Cols, l.vec4(x, dy, dx, y),
		[]Constant{uintConstant(1, uint32(o.Activation)), boolConstant(2, y.Exists())},
		struct{ Rows, Cols, X, DY, DX, Y uint32 }{uint32(x.Rows), uint32(x.Cols), stride(x), stride(dy), stride(dx), stride(y)},
		l.in(x), l.in(dy), l.out(dx), l.out(y))
}

func (l *lowering) softCap(o *graph.SoftCap) {
	x, y := o.X, o.Y
	flatten(&x, &y)
	l.elementwise("soft_cap_forward", x.Rows, x.Cols, l.vec4(x, y), nil,
		struct {
			Rows, Cols, X, Y uint32
			Cap              float32
		}{uint32(x.Rows), uint32(x.Cols), stride(x), stride(y), o.Cap},
		l.in(x), l.out(y))
}

func (l *lowering) softCapBackward(o *graph.SoftCapBackward) {
	y, dy, dx := o.Y, o.DY, o.DX
	flatten(&y, &dy, &dx)
	l.elementwise("soft_cap_backward", y.Rows, y.Cols, l.vec4(y, dy, dx), nil,
		struct {
			Rows, Cols, Y, DY, DX uint32
			Cap                   float32
		}{uint32(y.Rows), uint32(y.Cols), stride(y), stride(dy), stride(dx), o.Cap},
		l.in(y), l.in(dy), l.out(dx))
}

// halves are the gates and the values of SwiGLU's operand: both must be vectors for either to be taken so.
func halves(x graph.Tensor) (g, u graph.Tensor) {
	return x.Columns(0, x.Cols/2), x.Columns(x.Cols/2, x.Cols)
}

func (l *lowering) swiglu(o *graph.SwiGLU) {
	x, y := o.X, o.Y
	g, u := halves(x)
	l.elementwise("swiglu_forward", y.Rows, y.Cols, l.vec4(g, u, y), nil,
		struct{ Rows, Cols, X, Y uint32 }{uint32(y.Rows), uint32(y.Cols), stride(x), stride(y)},
		l.in(x), l.out(y))
}

func (l *lowering) swigluBackward(o *graph.SwiGLUBackward) {
	x, dy, dx, y := o.X, o.DY, o.DX, o.Y
	g, u := halves(x)
	dg, du := halves(dx)
	l.elementwise("swiglu_backward", dy.Rows, dy.Cols, l.vec4(g, u, dy, dg, du, y), []Constant{boolConstant(2, y.Exists())},
		struct{ Rows, Cols, X, DY, DX, Y uint32 }{uint32(dy.Rows), uint32(dy.Cols), stride(x), stride(dy), stride(dx), stride(y)},
		l.in(x), l.in(dy), l.out(dx), l.out(y))
}

func (l *lowering) fill(o *graph.Fill) {
	y := o.Y
	flatten(&y)
	l.elementwise("fill", y.Rows, y.Cols, l.vec4(y), nil,
		struct {
			Rows, Cols, Y uint32
			Value         float32
		}{uint32(y.Rows), uint32(y.Cols), stride(y), o.Value},
		l.out(y))
}

func (l *lowering) addition(o *graph.Add) {
	a, b, y := o.A, o.B, o.Y
	if b.Exists() && b.Rows < a.Rows {
		b.Stride = 0
	} else {
		flatten(&a, &b, &y)
	}
	l.combine(l.factor(a, reads), l.factor(b, reads), y, o.Alpha, o.Beta)
}

// combine launches y = alpha·a + beta·b, or alpha·a if b does not exist.
func (l *lowering) combine(a, b factor, y graph.Tensor, alpha, beta float32) {
	with := b.exists()
	if !with {
		b = factor{arg: l.none(), vec4: true}
	}
	l.elementwise("add", y.Rows, y.Cols, a.vec4 && b.vec4 && l.vec4(y), []Constant{boolConstant(2, with)},
		struct {
			Rows, Cols, A, B, Y uint32
			Alpha, Beta         float32
		}{uint32(y.Rows), uint32(y.Cols), uint32(a.stride), uint32(b.stride), stride(y), alpha, beta},
		a.arg, b.arg, l.out(y))
}
