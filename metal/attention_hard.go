package metal

import "coil/graph"

func (l *lowering) hardAttention(o *graph.HardAttention) {
	lay := o.Layout()
	l.choose(lay, o.Length, o.Length, o.QKV.Columns(0, lay.Keys()), o.QKV.Columns(lay.Keys(), lay.Values()),
		o.QKV.Columns(lay.Values(), lay.Columns()), o.Out, o.Chosen, l.none())
}

// choose launches hard attention of queries to keys and values. Each sequence has context keys.
func (l *lowering) choose(lay graph.HeadLayout, length, context int, queries, keys, values, out, chosen graph.Tensor, at arg) {
	const kernel = "hard_attention"
	l.add(launch{file: "hard", kernel: kernel,
		constants: []Constant{boolConstant(0, lay.Width%4 == 0 && l.vec4(queries, keys, values, out)), boolConstant(1, at.region == batch),
			boolConstant(2, chosen.Exists())},
		args: []arg{l.in(queries), l.in(keys), l.in(values), at, l.out(out), l.out(chosen)},
		params: struct{ Length, Context, Shared, Width, Queries, Keys, Values, Out uint32 }{
			uint32(length), uint32(context), uint32(lay.Shared()), uint32(lay.Width), stride(queries), stride(keys), stride(values), stride(out)},
		groups:  [3]int{length, lay.Heads, queries.Rows / length},
		threads: one(l.threads(kernel, min(groupThreads, ceil(context, simdWidth)*simdWidth))),
		flops:   2 * int64(queries.Rows) * int64(lay.Heads*lay.Width) * int64(context),
	})
}

func (l *lowering) hardAttentionBackward(o *graph.HardAttentionBackward) {
	lay := o.Layout()
	x := launch{file: "hard", kernel: "hard_attention_backward", grid: true,
		args: []arg{l.in(o.Chosen), l.in(o.DOut), l.out(o.DQKV)},
		params: struct{ Rows, Cols, Length, Heads, Shared, Width, Values, DOut, DQKV uint32 }{
			uint32(o.DQKV.Rows), uint32(lay.Columns()), uint32(o.Length), uint32(lay.Heads), uint32(lay.Shared()), uint32(lay.Width),
			uint32(lay.Values()), stride(o.DOut), stride(o.DQKV)},
	}
	x.groups, x.threads = over(o.DQKV.Rows, lay.Columns(), false)
	l.add(x)
}
