package metal

import (
	"fmt"

	"coil/graph"
)

// attentionBlock is how many rows of a head a threadgroup of the fused kernels takes: those of its strips. There are no
// fused kernels for other widths.
func attentionBlock(width int, backward bool) (block int, fused bool) {
	switch {
	case width == 64 && backward:
		return 32, true
	case width == 16 || width == 32 || width == 64:
		return 64, true
	}
	return 0, false
}

// fused adds a launch of a kernel of fused attention with a number of products of scores, which has threadgroups for each of a
// number of heads.
func (l *lowering) fused(kernel string, products int, lay graph.HeadLayout, heads int, scale float32, qkv, out, dout, dqkv graph.Tensor, length, block int, logSum bool, args ...arg) {
	d := lay.Heads * lay.Width
	sequences, blocks := qkv.Rows/length, ceil(length, block)
	l.add(launch{
		file: "attention", kernel: fmt.Sprintf("%s_%d", kernel, lay.Width),
		constants: []Constant{
			boolConstant(0, l.vec4(qkv, out, dout, dqkv)), boolConstant(1, logSum),
			boolConstant(2, l.uses(attentionSubject, attentionRegisters)), boolConstant(3, l.with != nil)},
		args: args,
		params: struct {
			Length, Heads, KVHeads, QKV, Out, DOut, DQKV uint32
			Scale                                        float32
		}{uint32(length), uint32(lay.Heads), uint32(lay.KVHeads), stride(qkv), stride(out), stride(dout), stride(dqkv), scale},
		groups: [3]int{blocks, heads, sequences}, threads: one(128),
		// What every block reads of the other side it finds in a cache: the blocks of a head run side by side.
		flops: int64(products) * int64(sequences*d) * int64(length) * int64(length+1),
	})
}

func (l *lowering) attention(o *graph.Attention) {
	block, fused := attentionBlock(o.Out.Cols/o.Heads, false)
	if !fused || l.uses(attentionSubject, attentionUnfused) {
		l.unfusedAttention(o)
		return
	}
	l.fused("attention", 2, o.Layout(), o.Heads, o.Factor(), o.QKV, o.Out, graph.Tensor{}, graph.Tensor{}, o.Length, block, o.LogSum.Exists(),
		l.in(o.QKV), l.out(o.Out), l.out(o.LogSum))
}

func (l *lowering) attentionBackward(o *graph.AttentionBackward) {
	block, fused := attentionBlock(o.Out.Cols/o.Heads, true)
	if !fused || l.uses(attentionSubject, attentionUnfused) {
		l.unfusedAttentionBackward(o)
		return
	}
	lay := o.Layout()
	turns := l.turnBack(o)
	delta := l.temporary(o.Out.Rows * o.Heads)
	l.fused("attention_dq", 3, lay, lay.Heads, o.Factor(), o.QKV, o.Out, o.DOut, o.DQKV, o.Length, block, true,
		l.in(o.QKV), l.in(o.Out), l.in(o.LogSum), l.in(o.DOut), l.out(o.DQKV.Columns(0, lay.Keys())), delta.written(), turns)
	l.fused("attention_dkv", 4, lay, lay.KVHeads, o.Factor(), o.QKV, graph.Tensor{}, o.DOut, o.DQKV, o.Length, block, true,
		l.in(o.QKV), l.in(o.LogSum), l.in(o.DOut), delta.read(), l.out(o.DQKV.Columns(lay.Keys(), lay.Columns())), turns)
}
