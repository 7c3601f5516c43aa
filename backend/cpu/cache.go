package cpu

import "coil/graph"

func (l *lowering) cachedAttention(o *graph.CachedAttention) kernel {
	qkv, keys, values, out, at := l.matrix(o.QKV), l.matrix(o.Keys), l.matrix(o.Values), l.matrix(o.Out), l.index(o.At)
	c, lay, context := l.p.c, o.Layout(), o.Context()
	t, rows := c.tiling(lay.Width, o.Length, context), c.rowTiling(lay.Width, o.Length, context)
	scratch, need := c.forwardScratch(t)
	if o.Hard {
		scratch, need = c.choiceScratch(rows)
	}
	return once(func(w *worker) {
		xs, ks, vs, ys := qkv.at(w), keys.at(w), values.at(w), out.at(w)
		for s := range qkv.rows / t.length {
			p := at.start(w, s)
			for i := range t.length {
				x := qkv.row(xs, s*t.length+i)
				copy(keys.row(ks, s*context+p+i), x[lay.Keys():lay.Values()])
				copy(values.row(vs, s*context+p+i), x[lay.Values():])
			}
			for h := range o.Heads {
				col, kv := h*t.width, lay.KVColumn(h)
				head := forwardHead{q: xs[s*t.length*qkv.stride+col:], ld: qkv.stride, before: p, scale: o.Factor(),
					k: ks[s*context*keys.stride+kv:], ldK: keys.stride, v: vs[s*context*values.stride+kv:], ldV: values.stride,
					out: ys[s*t.length*out.stride+col:], ldOut: out.stride}
				switch {
				case o.Hard:
					c.chooseHead(w, rows, &head)
				case t.length == 1:
					c.attendOne(w, t.width, &head)
				default:
					c.attendHead(w, t, &head)
				}
			}
		}
	}).needs(scratch, need)
}

// attendOne is attendHead of a single query: to pack keys and values for it would take as long as to multiply with them.
func (c *CPU) attendOne(w *worker, width int, h *forwardHead) {
	v, q, y := c.vec, h.q[:width], h.out[:width]
	p := w.scratch[:h.before+1]
	for j := range p {
		p[j] = v.Dot(q, h.k[j*h.ldK:][:width])
	}
	sum := v.Exp(p, p, h.scale, v.Max(p)*h.scale)
	clear(y)
	for j, x := range p {
		v.Add(y, y, h.v[j*h.ldV:][:width], 1, x)
	}
	v.Scale(y, y, 1/sum)
}
