package metal

import (
	"fmt"

	"coil/graph"
)

// cachedQueries is how many queries a threadgroup takes at a time if a sequence has several, so that each key and value it loads
// serves all of them.
const cachedQueries = 4

func (l *lowering) cachedAttention(o *graph.CachedAttention) {
	n, lay := o.Out.Rows, o.Layout()
	width, sequences := lay.Width, n/o.Length
	vec4 := width%4 == 0 && l.vec4(o.QKV, o.Keys, o.Values, o.Out)
	across := 1
	for across < simdWidth && 4*across < width {
		across *= 2
	}
	parts := ceil(width, 4*across)
	queries := min(o.Length, cachedQueries)
	if queries > 1 {
		queries = cachedQueries
	}
	params := struct {
		Rows, Length, Context, Heads, KVHeads, Width, Parts, QKV, Keys, Values, Out uint32
		Scale                                                                       float32
	}{uint32(n), uint32(o.Length), uint32(o.Context()), uint32(o.Heads), uint32(lay.KVHeads), uint32(width), uint32(parts),
		stride(o.QKV), stride(o.Keys), stride(o.Values), stride(o.Out), o.Factor()}
	constants := []Constant{boolConstant(0, vec4), boolConstant(1, o.At.Exists()), uintConstant(2, uint32(across))}

	x := launch{file: "cached", kernel: "cache_append", grid: true, constants: constants, params: params,
		args: []arg{l.in(o.QKV), l.start(o.At), l.inOut(o.Keys).rows(n, o.Keys), l.inOut(o.Values).rows(n, o.Values)}}
	x.groups, x.threads = over(n, lay.KVHeads*width, vec4)
	l.add(x)
	if o.Hard {
		l.choose(lay, o.Length, o.Context(), o.QKV.Columns(0, lay.Keys()), o.Keys, o.Values, o.Out, graph.Tensor{}, l.start(o.At))
		return
	}

	kernel := fmt.Sprintf("cached_attention_%d", queries)
	l.add(launch{file: "cached", kernel: kernel, constants: constants, params: params,
		args:    []arg{l.in(o.QKV), l.in(o.Keys), l.in(o.Values), l.start(o.At), l.out(o.Out)},
		groups:  [3]int{ceil(o.Length, queries), o.Heads * parts, sequences},
		threads: one(l.threads(kernel, groupThreads)),
		flops:   graph.Describe(o).FLOPs,
	})
}

// start is the positions at which sequences begin, if they are given; backend.Args.Check keeps them where they may be.
func (l *lowering) start(at graph.Index) arg {
	if !at.Exists() {
		return l.none()
	}
	return l.index(at)
}
