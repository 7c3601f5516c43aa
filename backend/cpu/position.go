package cpu

import (
	"fmt"
	"math"

	"coil/backend/cpu/gemm"
	"coil/graph"
)

// turnKey names a table of turns, which all rotary operations of a kind share.
type turnKey struct {
	width, length int
	base          float64
	inverse       bool
}

func turnOf(o *graph.Rotary) turnKey { return turnKey{o.Width, o.Positions(), o.Base, o.Inverse} }

func (k turnKey) len() int { return k.length * k.width }

// turnTable is the cosines and the sines, each [length, width/2].
type turnTable struct{ cos, sin []float32 }

func (t *turnTable) fill(k turnKey) {
	half := k.width / 2
	table := make([]float32, k.len())
	cos, sin := table[:k.length*half], table[k.length*half:]
	t.cos, t.sin = cos, sin
	for i := range k.length {
		for j := range half {
			a := float64(i) * math.Pow(k.base, -2*float64(j)/float64(k.width))
			if k.inverse {
				a = -a
			}
			cos[i*half+j], sin[i*half+j] = float32(math.Cos(a)), float32(math.Sin(a))
		}
	}
}

func (l *lowering) rotary(o *graph.Rotary) kernel {
	x, at := l.matrix(o.X), l.index(o.At)
	v, half := l.p.c.vec, o.Width/2
	table := l.tables[turnOf(o)]
	if table == nil {
		table = &turnTable{}
		l.tables[turnOf(o)] = table
	}
	return l.rowParts(x.rows, x.rows, func(w *worker, lo, hi int) {
		xs := x.at(w)
		for i := lo; i < hi; i++ {
			r, t := x.row(xs, i), (at.start(w, i/o.Length)+i%o.Length)*half
			c, s := table.cos[t:t+half], table.sin[t:t+half]
			v.Rotate(r, r[half:], c, s, len(r)/o.Width, o.Width)
		}
	})
}

func (l *lowering) embedding(o *graph.Embedding) kernel {
	table, positions, y, idx, at := l.matrix(o.Table), l.matrix(o.Positions), l.matrix(o.Y), l.index(o.Index), l.index(o.At)
	v, length := l.p.c.vec, o.Length()
	return l.rowParts(y.rows, y.rows, func(w *worker, lo, hi int) {
		ts, ps, ys, ids := table.at(w), positions.at(w), y.at(w), idx.at(w)
		for i := lo; i < hi; i++ {
			id := ids[i]
			if id < 0 || int(id) >= table.rows {
				w.err = fmt.Errorf("embedding: token %d at position %d of group %d is not in the vocabulary of %d", id, i, w.group, table.rows)
				return
			}
			out, e := y.row(ys, i), table.row(ts, int(id))
			if positions.exists() {
				v.Add(out, e, positions.row(ps, at.start(w, i/length)+i%length), 1, 1)
			} else {
				copy(out, e)
			}
		}
	})
}

func (l *lowering) embeddingBackward(o *graph.EmbeddingBackward) kernel {
	dy, dtable, dpos, idx := l.matrix(o.DY), l.matrix(o.DTable), l.matrix(o.DPositions), l.index(o.Index)
	v := l.p.c.vec
	return once(func(w *worker) {
		dys, dts, dps := dy.at(w), dtable.at(w), dpos.at(w)
		for i, id := range idx.at(w) {
			d := dy.row(dys, i)
			if dtable.exists() && id >= 0 && int(id) < dtable.rows { // a wrong one was reported by the forward pass
				g := dtable.row(dts, int(id))
				v.Add(g, g, d, 1, 1)
			}
			if dpos.exists() {
				g := dpos.row(dps, i%dpos.rows)
				v.Add(g, g, d, 1, 1)
			}
		}
	})
}

func (l *lowering) crossEntropy(o *graph.CrossEntropy) kernel {
	logits, loss, correct, grad, targets := l.matrix(o.Logits), l.matrix(o.Loss), l.matrix(o.Correct), l.matrix(o.DLogits), l.index(o.Targets)
	weights := l.matrix(o.RowWeights)
	v, scalars := l.p.c.vec, l.p.scalars
	return once(func(w *worker) {
		xs, ls, cs, gs, ws := logits.at(w), loss.at(w), correct.at(w), grad.at(w), weights.at(w)
		scale := o.Weight * scalars[o.Scale]
		for i, t := range targets.at(w) {
			x, p := logits.row(xs, i), w.scratch[:logits.cols]
			if grad.exists() {
				p = grad.row(gs, i)
			}
			var nll, right float32
			switch {
			case t == graph.Ignore:
				clear(p)
			case t < 0 || int(t) >= len(x):
				w.err = fmt.Errorf("cross-entropy: target %d at position %d of group %d is not one of %d classes", t, i, w.group, len(x))
				return
			default:
				if correct.exists() {
					right = first(x, int(t))
				}
				m, z := v.Max(x), x[t]
				s := v.Exp(p, x, 1, m)
				nll = float32(math.Log(float64(s)) + float64(m-z))
				if grad.exists() {
					scale := scale
					if weights.exists() {
						scale *= ws[i]
					}
					v.Scale(p, p, scale/s)
					p[t] -= scale
				}
			}
			if loss.exists() {
				ls[i] = nll
			}
			if correct.exists() {
				cs[i] = right
			}
		}
	}).needs(o.Logits.Cols, gemm.Need{})
}

// first returns 1 if x[t] is the first largest element, else 0.
func first(x []float32, t int) float32 {
	for i, v := range x {
		if v > x[t] || v == x[t] && i < t || v != v {
			return 0
		}
	}
	return 1
}
