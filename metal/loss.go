package metal

import "coil/graph"

// How many classes a thread of cross-entropy holds, and of how many threads.
const (
	heldClasses   = 16
	mostLossWidth = 512
)

func (l *lowering) crossEntropy(o *graph.CrossEntropy) {
	rows, classes := o.Logits.Rows, o.Logits.Cols
	l.expect(o.Targets, classes, true)
	vec4 := l.vec4(o.Logits, o.DLogits)
	byLine := l.byLines() && classes <= heldClasses*simdWidth
	threads := l.threads("cross_entropy", groupThreads)
	held, groups := true, ceil(rows, threads/simdWidth)
	if !byLine {
		for groups, threads = rows, 128; threads < mostLossWidth && threads*heldClasses < classes; {
			threads *= 2
		}
		threads = l.threads("cross_entropy", threads)
		held = threads*heldClasses >= classes
	}
	logits := l.in(o.Logits)
	x := launch{file: "loss", kernel: "cross_entropy",
		constants: []Constant{boolConstant(0, vec4), boolConstant(1, !byLine), boolConstant(2, held),
			boolConstant(3, o.Loss.Exists()), boolConstant(4, o.Correct.Exists()), boolConstant(5, o.DLogits.Exists()), boolConstant(6, o.RowWeights.Exists())},
		args: []arg{logits, l.index(o.Targets), l.scalars(), l.out(o.Loss), l.out(o.Correct), l.out(o.DLogits), l.in(o.RowWeights)},
		params: struct {
			Rows, Classes, Logits, DLogits, Scale uint32
			Weight                                float32
		}{uint32(rows), uint32(classes), stride(o.Logits), stride(o.DLogits), uint32(o.Scale), o.Weight},
		groups: one(groups), threads: one(threads)}
	if !held && o.DLogits.Exists() {
		x.retraffic = int64(logits.traffic)
	}
	l.add(x)
}
