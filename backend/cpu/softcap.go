package cpu

import "coil/graph"

func (l *lowering) softCap(o *graph.SoftCap) kernel {
	x, y := l.matrix(o.X), l.matrix(o.Y)
	flatten(&x, &y)
	v := l.p.c.vec
	return once(func(w *worker) {
		xs, ys := x.at(w), y.at(w)
		for i := range y.rows {
			v.SoftCap(y.row(ys, i), x.row(xs, i), o.Cap)
		}
	})
}

func (l *lowering) softCapBackward(o *graph.SoftCapBackward) kernel {
	y, dy, dx := l.matrix(o.Y), l.matrix(o.DY), l.matrix(o.DX)
	flatten(&y, &dy, &dx)
	v := l.p.c.vec
	return once(func(w *worker) {
		ys, dys, dxs := y.at(w), dy.at(w), dx.at(w)
		for i := range dx.rows {
			v.SoftCapBackward(dx.row(dxs, i), dy.row(dys, i), y.row(ys, i), o.Cap)
		}
	})
}
