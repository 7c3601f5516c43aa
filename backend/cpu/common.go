package cpu

import (
	"slices"

	"coil/graph"
)

// scatteredRows is the least number of rows of an embedding whose gradient is scattered.
const scatteredRows = fusedClasses

// common is the gradients of large embeddings and heads that only the first replica has. Groups add to that of a head in the order of
// the batch, tile by tile, as their turns come. That of an embedding is scattered.
type common struct {
	spans   []span // of the accumulators, in order
	floats  int    // in all
	ordered []*head
	data    []float32 // the first replica
}

// scatter is the gradient of a large embedding. A group adds to few of its rows, so groups keep the gradients of their embedded
// tokens, which are added, in the order of the batch, when all groups have run.
type scatter struct {
	op    *graph.EmbeddingBackward
	index index
	at    int       // in the first replica
	adds  bool      // to what a head has written there
	dy    []float32 // of the whole batch
}

// before is how many floats of the common gradients lie before a place in the accumulators.
func (c *common) before(at int) int {
	n := 0
	for _, s := range c.spans {
		if s.hi <= at {
			n += s.hi - s.lo
		}
	}
	return n
}

// holds reports whether a place in the accumulators is in a common gradient.
func (c *common) holds(at int) bool {
	return slices.ContainsFunc(c.spans, func(s span) bool { return s.lo <= at && at < s.hi })
}

// scatters reports whether an operation can be a scatter.
func scatters(op graph.Op) (o *graph.EmbeddingBackward, ok bool) {
	o, ok = op.(*graph.EmbeddingBackward)
	return o, ok && o.DTable.Rows >= scatteredRows && o.DTable.Dense()
}

// onePass reports whether a head takes one pass for a group and makes a gradient of its weights. With several, a group would wait for
// all passes of the one before.
func (h *head) onePass() bool { return h != nil && h.dw != nil && h.rows >= h.x.Rows }

// findCommon finds the common gradients of the recording.
func (l *lowering) findCommon() {
	p := l.p
	for i, op := range p.rec.Body() {
		h := p.heads.of(i)
		if h.onePass() && h.first == i && h.dw.C.Dense() {
			l.addCommon(h.dw.C)
		} else if o, ok := scatters(op); ok {
			l.addCommon(o.DTable)
		}
	}
	slices.SortFunc(p.common.spans, func(a, b span) int { return a.lo - b.lo })
}

// addCommon makes t common if nothing but one head and one scatter write or read it.
func (l *lowering) addCommon(t graph.Tensor) {
	p := l.p
	own, ok := l.spanOf(t)
	if !ok || t.Size()%16 != 0 || p.common.holds(own.lo) {
		return
	}
	var from *head
	var embedding *graph.EmbeddingBackward
	for i, op := range p.rec.Body() {
		f := graph.Describe(op)
		if !slices.ContainsFunc(append(f.Reads, f.Writes...), func(t graph.Tensor) bool {
			s, ok := l.spanOf(t)
			return ok && s.overlaps(own)
		}) {
			continue
		}
		h := p.heads.of(i)
		o, ok := scatters(op)
		switch {
		case h.onePass() && (from == nil || from == h) && h.dw.C == t:
			from = h
		case ok && o.DTable == t && embedding == nil && p.scatter == nil:
			embedding = o
		default:
			return
		}
	}
	if embedding != nil {
		p.scatter = &scatter{op: embedding, index: l.index(embedding.Index), at: own.lo, adds: from != nil}
	}
	if from != nil {
		p.common.ordered = append(p.common.ordered, from)
	}
	p.common.spans = append(p.common.spans, own)
	p.common.floats += own.hi - own.lo
}

// len is the floats of the whole batch's gradients.
func (s *scatter) len(r *graph.Recorder) int {
	if s == nil {
		return 0
	}
	return s.op.DY.Size() * r.Groups()
}

// embeddingScatter keeps the gradients of a group's tokens.
func (l *lowering) embeddingScatter(o *graph.EmbeddingBackward) kernel {
	s, dy, dpos := l.p.scatter, l.matrix(o.DY), l.matrix(o.DPositions)
	v := l.p.c.vec
	return once(func(w *worker) {
		dys, dps, kept := dy.at(w), dpos.at(w), s.dy[w.group*o.DY.Size():]
		for i := range dy.rows {
			d := dy.row(dys, i)
			copy(kept[i*dy.cols:], d)
			if dpos.exists() {
				g := dpos.row(dps, i%dpos.rows)
				v.Add(g, g, d, 1, 1)
			}
		}
	})
}

// scatterParts is how many ranges of rows the gradient is cut into. Each part looks through all tokens.
const scatterParts = 32

// addRows adds the gradients of all tokens to one range of the rows.
func (p *program) addRows(_, part int) {
	o, all := p.scatter.op, *p.scatter.index.batch
	n, d := o.Index.Len, o.DY.Cols
	lo, hi := o.DTable.Rows*part/scatterParts, o.DTable.Rows*(part+1)/scatterParts
	table := p.common.data[p.scatter.at:]
	if !p.scatter.adds {
		clear(table[lo*d : hi*d])
	}
	for g := range p.rec.Groups() {
		ids := all[g*p.scatter.index.window+o.Index.Offset:][:n]
		for i, id := range ids {
			if int(id) >= lo && int(id) < hi {
				row := table[int(id)*d:][:d]
				p.c.vec.Add(row, row, p.scatter.dy[(g*n+i)*d:][:d], 1, 1)
			}
		}
	}
}
