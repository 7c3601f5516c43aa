package cpu

import (
	"cmp"
	"slices"

	"coil/graph"
)

// A span is the floats [lo, hi) of a replica.
type span struct{ lo, hi int }

func (s span) overlaps(o span) bool { return s.lo < o.hi && o.lo < s.hi }

// spanOf is where an accumulator's tensor lies in a replica.
func (l *lowering) spanOf(t graph.Tensor) (span, bool) {
	if !t.Exists() || l.p.rec.Storages()[t.Storage-1].Space != graph.Accumulator {
		return span{}, false
	}
	lo := l.p.offsets[t.Storage-1] + t.Offset
	return span{lo, lo + (t.Rows-1)*t.Stride + t.Cols}, true
}

// touch notes what an operation of the body writes of a replica.
func (l *lowering) touch(op graph.Op) {
	for _, t := range graph.Describe(op).Writes {
		if s, ok := l.spanOf(t); ok {
			l.touched = append(l.touched, s)
		}
	}
}

// writesFirst reports whether m, the gradient of a weight, is the first to add to its place in a replica. For the replica's
// first group it then writes instead, and what it writes over need not be made zero: for weights that are used once,
// that saves two of three passes over their gradients.
func (l *lowering) writesFirst(m *graph.Matmul) bool {
	s, ok := l.spanOf(m.C)
	if !ok || l.inUpdate || !m.Accumulate || !m.C.Dense() || slices.ContainsFunc(l.touched, s.overlaps) {
		return false
	}
	l.written = append(l.written, s)
	return true
}

// complement is what of [0, n) the spans, which do not overlap, leave out.
func complement(spans []span, n int) []span {
	spans = slices.SortedFunc(slices.Values(spans), func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	var rest []span
	at := 0
	for _, s := range append(spans, span{n, n}) {
		if at < s.lo {
			rest = append(rest, span{at, s.lo})
		}
		at = s.hi
	}
	return rest
}
