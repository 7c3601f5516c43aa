package metal

import "coil/graph"

// scoreFloats is about how much scratch the scores of attention may take; those of one head they always may.
const scoreFloats = 1 << 24

// heads are some heads of some sequences whose scores are stored at the same time: each a matrix of pitch rows and columns,
// which is whole tiles.
type heads struct {
	sequences, count int // of sequences, and of heads of each
	row, first       int // of the first one in Out: its row, and its number
	length, width    int // positions of a sequence, columns of a head
	pitch            int
	kv               int // columns of keys, and of values, at which those of the heads begin
	shared           int // heads of queries that share them
	scale            float32
}

// eachHeads calls f for as many heads at a time as scratch has room for, with kinds matrices each, and passes it their scratch.
// Heads that share keys and values come with no others, and with `alone` by themselves.
func (l *lowering) eachHeads(out graph.Tensor, lay graph.HeadLayout, length, kinds int, alone bool, f func(h heads, scores []factor)) {
	shared, count := lay.Shared(), lay.Heads
	if shared > 1 {
		count = shared
		if alone {
			count = 1
		}
	}
	pitch := ceil(length, 64) * 64
	if length <= 32 {
		pitch = 32
	}
	fit := max(1, l.chip.scores/(kinds*pitch*pitch))
	h := heads{sequences: min(out.Rows/length, max(1, fit/count)), count: min(count, fit), length: length,
		width: lay.Width, pitch: pitch, shared: shared}
	scores := make([]factor, kinds)
	for i := range scores {
		scores[i] = factor{arg: l.temporary(h.sequences * h.count * pitch * pitch), stride: pitch, vec4: true}
	}
	sequences, heads := h.sequences, h.count
	for h.row = 0; h.row < out.Rows; h.row += h.sequences * length {
		h.sequences = min(sequences, (out.Rows-h.row)/length)
		for h.first = 0; h.first < lay.Heads; h.first += h.count {
			h.count, h.kv = min(heads, lay.Heads-h.first), lay.KVColumn(h.first)
			if shared > 1 {
				h.count = min(h.count, shared-h.first%shared)
			}
			for i := range scores {
				scores[i] = scores[i].repeated(h.count*pitch*pitch, pitch*pitch)
			}
			f(h, scores)
		}
	}
}

// of is the columns of x that belong to the heads, of Out or the queries.
func (h heads) of(x graph.Tensor) graph.Tensor {
	from := h.first * h.width
	return x.Slice(h.row, h.row+h.sequences*h.length, from, from+h.count*h.width)
}

// operand is such columns as a batch of matrices, one for each head.
func (l *lowering) operand(h heads, x graph.Tensor, a access) factor {
	return l.factor(h.of(x), a).repeated(h.length*x.Stride, h.width)
}

// kvOperand is the keys or values of the heads, which begin in x at the given column. Heads that share them get the same matrix.
func (l *lowering) kvOperand(h heads, x graph.Tensor, from int, a access) factor {
	cols, step := h.count*h.width, h.width
	if h.shared > 1 {
		cols, step = h.width, 0
	}
	from += h.kv
	return l.factor(x.Slice(h.row, h.row+h.sequences*h.length, from, from+cols), a).repeated(h.length*x.Stride, step)
}

func (f factor) reading() factor { f.access = reads; return f }
func (f factor) writing() factor { f.access = writes; return f }

// scoresOf launches C = A·Bᵀ for each head, C being scores: nothing above the diagonal's tiles is computed.
func (l *lowering) scoresOf(h heads, a, b, c factor) {
	l.perHead(h, &product{m: h.length, n: h.length, k: h.width, transB: true, a: a, b: b, c: c.writing(), padded: true, triangle: lowerC})
}

// weighted launches C = S·B for each head, or Sᵀ·B, S being scores, or adds it to C.
func (l *lowering) weighted(h heads, s factor, transposed, adds bool, b, c factor) {
	p := &product{m: h.length, n: h.width, k: h.length, transA: transposed, a: s.reading(), b: b, c: c, triangle: lowerA, accumulate: adds}
	if transposed {
		p.triangle = upperA
	}
	l.perHead(h, p)
}

// perHead launches a product for each head. There are many of them, so none is split.
func (l *lowering) perHead(h heads, p *product) {
	p.batch, p.inner = h.sequences*h.count, h.count
	l.multiply(p, l.chip.cut(p.m, p.n, p.k, p.batch).tile)
}

// scoreRows launches a kernel that takes the rows of scores one by one.
func (l *lowering) scoreRows(h heads, kernel string, withLogSum bool, out, dout graph.Tensor, logStride int, args ...arg) {
	u := func(n int) uint32 { return uint32(n) }
	threads, rows := l.threads(kernel, 128), 1
	if l.byLines() {
		rows = threads / simdWidth
	} else {
		threads = min(threads, ceil(h.length, 4*simdWidth)*simdWidth)
	}
	l.add(launch{
		file: "scores", kernel: kernel, constants: []Constant{boolConstant(0, withLogSum), boolConstant(1, !l.byLines())}, args: args,
		params: struct {
			Length, Heads, Pitch, Plane, LogStride uint32
			Scale                                  float32
			Width, OutStride, DOutStride           uint32
		}{
			u(h.length), u(h.count), u(h.pitch), u(h.pitch * h.pitch), u(logStride),
			h.scale,
			u(h.width), u(out.Stride), u(dout.Stride),
		},
		groups: [3]int{ceil(h.length, rows), h.count, h.sequences}, threads: one(threads),
	})
}

// logSums is the part of LogSum that belongs to the heads.
func (h heads) logSums(x graph.Tensor) graph.Tensor {
	return x.Slice(h.row, h.row+h.sequences*h.length, h.first, h.first+h.count)
}

// unfusedAttention is attention with heads of any width, whose scores are stored.
func (l *lowering) unfusedAttention(o *graph.Attention) {
	lay := o.Layout()
	l.eachHeads(o.Out, lay, o.Length, 1, false, func(h heads, scores []factor) {
		s, logSum := scores[0], l.none()
		if o.LogSum.Exists() {
			logSum = l.out(h.logSums(o.LogSum))
		}
		h.scale = o.Factor()
		l.scoresOf(h, l.operand(h, o.QKV, reads), l.kvOperand(h, o.QKV, lay.Keys(), reads), s)
		l.scoreRows(h, "attention_softmax", o.LogSum.Exists(), o.Out, o.Out, o.Heads, s.updated(), logSum)
		l.weighted(h, s, false, false, l.kvOperand(h, o.QKV, lay.Values(), reads), l.operand(h, o.Out, writes))
	})
}

// unfusedAttentionBackward is its gradient; the scores are computed again. Heads that share keys and values add to their gradients
// one after the other. Gradients in bfloat are added up in scratch, so that they are rounded once.
func (l *lowering) unfusedAttentionBackward(o *graph.AttentionBackward) {
	lay := o.Layout()
	var sums []factor // of values and keys
	if lay.Shared() > 1 && l.bf16[o.DQKV.Storage-1] {
		for range 2 {
			sums = append(sums, factor{arg: l.temporary(o.Out.Rows * lay.Width), stride: lay.Width, vec4: lay.Width%4 == 0})
		}
	}
	l.eachHeads(o.Out, lay, o.Length, 2, true, func(h heads, scores []factor) {
		p, ds := scores[0], scores[1]
		h.scale = o.Factor()
		q, k, v := l.operand(h, o.QKV, reads), l.kvOperand(h, o.QKV, lay.Keys(), reads), l.kvOperand(h, o.QKV, lay.Values(), reads)
		dout := l.operand(h, o.DOut, reads)
		l.scoresOf(h, q, k, p)
		l.scoresOf(h, dout, v, ds)
		l.scoreRows(h, "attention_softmax_backward", true, o.Out, o.DOut, o.Heads, p.updated(), ds.updated(),
			l.in(h.of(o.Out)), l.in(h.of(o.DOut)), l.in(h.logSums(o.LogSum)))
		adds, to := h.first%h.shared != 0, writes
		if adds {
			to |= reads
		}
		dv, dk := l.kvOperand(h, o.DQKV, lay.Values(), to), l.kvOperand(h, o.DQKV, lay.Keys(), to)
		if sums != nil {
			dv, dk = sums[0].repeated(h.length*h.width, 0), sums[1].repeated(h.length*h.width, 0)
			dv.access, dk.access = to, to
		}
		l.weighted(h, p, true, adds, dout, dv)
		l.weighted(h, ds, false, false, k, l.operand(h, o.DQKV, writes))
		l.weighted(h, ds, true, adds, q, dk)
		if sums != nil && h.first%h.shared == h.shared-1 {
			for i, from := range []int{lay.Values(), lay.Keys()} {
				sum := sums[i]
				sum.arg = sum.read()
				l.combine(sum, factor{}, o.DQKV.Slice(h.row, h.row+h.sequences*h.length, from+h.kv, from+h.kv+h.width), 1, 0)
			}
		}
	})
}
