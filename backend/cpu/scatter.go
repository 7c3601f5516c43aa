package cpu

import (
	"slices"

	"coil/graph"
)

// scatteredRows is the least number of rows of an embedding whose gradient is scattered.
const scatteredRows = fusedClasses

// A scatter is the gradient of a large embedding to which nothing but its backward pass adds. A group adds to few of its rows, so
// it is not in every replica: the groups keep the gradients of their embedded tokens, which are added, in the order of the
// batch, when all groups have run. It is at the beginning of the accumulators.
type scatter struct {
	op    *graph.EmbeddingBackward
	index index
	dy    []float32 // of the whole batch
}

// findScatter returns the scatter of the recording, or nil.
func (l *lowering) findScatter() *scatter {
	body := l.p.rec.Body()
	for _, op := range body {
		o, ok := op.(*graph.EmbeddingBackward)
		if !ok || o.DTable.Rows < scatteredRows || !o.DTable.Dense() || o.DTable.Size()%16 != 0 {
			continue
		}
		own, ok := l.spanOf(o.DTable)
		if !ok || own.lo != 0 {
			continue
		}
		shares := func(other graph.Op) bool {
			f := graph.Describe(other)
			return other != op && slices.ContainsFunc(append(f.Reads, f.Writes...), func(t graph.Tensor) bool {
				s, ok := l.spanOf(t)
				return ok && s.overlaps(own)
			})
		}
		if !slices.ContainsFunc(body, shares) {
			return &scatter{op: o, index: l.index(o.Index)}
		}
	}
	return nil
}

// floats is how much of the accumulators it fills.
func (s *scatter) floats() int {
	if s == nil {
		return 0
	}
	return s.op.DTable.Size()
}

// len is the floats of the whole batch's gradients.
func (s *scatter) len(r *graph.Recorder) int {
	if s == nil {
		return 0
	}
	return s.op.DY.Size() * r.Groups()
}

// bytes is the memory that it takes beyond the gradient.
func (s *scatter) bytes(r *graph.Recorder) int64 { return int64(s.len(r)) * 4 }

func (s *scatter) allocate(r *graph.Recorder) {
	if s != nil {
		s.dy = make([]float32, s.len(r))
	}
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
	table := p.replicas[0][:p.scatter.floats()]
	clear(table[lo*d : hi*d])
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
