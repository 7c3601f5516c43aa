package metal

import (
	"fmt"

	"coil/graph"
)

// indexCheck says which values an input may have. The host checks them before a step, so that kernels need not.
type indexCheck struct {
	op     string
	input  int // number of the input
	window int // values of one group
	offset int
	n      int
	limit  int32 // values are less than it
	ignore bool  // graph.Ignore is allowed
}

// expect notes that x holds indices below limit.
func (l *lowering) expect(x graph.Index, limit int, ignore bool) {
	s := l.rec.Storages()[x.Storage-1]
	c := indexCheck{l.op.Name(), s.Number, s.Len, x.Offset, x.Len, int32(limit), ignore}
	for _, have := range l.checks {
		if have == c {
			return
		}
	}
	l.checks = append(l.checks, c)
}

// check returns an error that names the first wrong value.
func (c indexCheck) check(input []int32) error {
	for g := 0; g*c.window < len(input); g++ {
		for i, v := range input[g*c.window+c.offset:][:c.n] {
			if v >= 0 && v < c.limit || c.ignore && v == graph.Ignore {
				continue
			}
			return fmt.Errorf("%s: index %d at position %d of group %d, want at least 0 and less than %d", c.op, v, c.offset+i, g, c.limit)
		}
	}
	return nil
}

// sortKey names an index whose positions are wanted in the order of their values.
type sortKey struct {
	index graph.Index
	limit int // values are less than it
}

// sortedIndex is where the batch holds, for each group, the positions of an index by value, so that the rows of an
// embedding's gradient can be added up side by side and each in order. The positions of a value are cut into segments:
//
//	starts[segments+1]   segment s is positions[starts[s]:starts[s+1]], in order
//	values[segments]     the value of segment s
//	firsts[several+1]    value m of those with several segments has the segments firsts[m] to firsts[m+1]
//	positions[n]
//
// Values with several segments come first. There is room for the most that there can be: the rest, at the end, is empty
// segments and values without one.
type sortedIndex struct {
	key      sortKey
	input    int    // number of the input
	window   int    // values of one group of the input
	segments int    // at most
	several  int    // values with several segments, at most
	partials int    // segments of such values, at most
	offset   uint64 // in a slot of the batch, of group 0
	stride   uint64 // bytes of a group

	places []int32 // by value; for fill
}

// segment is how many positions of one value are added up one after the other.
const segment = 32

func newSortedIndex(key sortKey) *sortedIndex {
	n, distinct := key.index.Len, min(key.limit, key.index.Len)
	return &sortedIndex{
		key: key,
		// A value that is there c times has (c+31)/32 segments, rounded down. If that is several then c > 32, and it has
		// at most 2c/33 of them.
		segments: (n + (segment-1)*distinct) / segment,
		several:  min(n/(segment+1), key.limit),
		partials: 2 * n / (segment + 1),
		places:   make([]int32, key.limit),
	}
}

// planSorted places the sorted positions of every index that the gradient of an embedding uses, from byte at of a slot on,
// and returns where they end.
func planSorted(r *graph.Recorder, at uint64) (map[sortKey]*sortedIndex, uint64) {
	sorted := map[sortKey]*sortedIndex{}
	for _, op := range r.Body() {
		o, ok := op.(*graph.EmbeddingBackward)
		if !ok || !o.DTable.Exists() {
			continue
		}
		key := sortKey{o.Index, o.DTable.Rows}
		if sorted[key] != nil {
			continue
		}
		input := r.Storages()[o.Index.Storage-1]
		s := newSortedIndex(key)
		s.input, s.window = input.Number, input.Len
		s.offset, s.stride = roundUp(at), roundUp(uint64(s.len())*4)
		at = s.offset + s.stride*uint64(r.Groups())
		sorted[key] = s
	}
	return sorted, at
}

// sort returns the sorted positions of x in the group being lowered.
func (l *lowering) sort(x graph.Index, limit int) (*sortedIndex, arg) {
	s := l.sorted[sortKey{x, limit}]
	if s == nil {
		panic("metal: index was not planned to be sorted")
	}
	return s, arg{region: batch, from: s.offset + uint64(max(l.group, 0))*s.stride, length: uint64(s.len()) * 4, slot: l.slotBytes, access: reads}
}

// Where the lists begin, counted in values; and how many there are in all.
func (s *sortedIndex) valuesAt() int    { return s.segments + 1 }
func (s *sortedIndex) firstsAt() int    { return s.valuesAt() + s.segments }
func (s *sortedIndex) positionsAt() int { return s.firstsAt() + s.several + 1 }
func (s *sortedIndex) len() int         { return s.positionsAt() + s.key.index.Len }

// fill sorts the values of one group into dst. It is a stable counting sort and allocates nothing.
func (s *sortedIndex) fill(dst, values []int32) {
	starts, valueOf := dst[:s.segments+1], dst[s.valuesAt():][:s.segments]
	firsts, positions := dst[s.firstsAt():][:s.several+1], dst[s.positionsAt():]

	// A place is at first how often its value is there; then, inverted and so below 0, where its next position goes.
	clear(s.places)
	for _, v := range values {
		s.places[v]++
	}
	at, next, m := int32(0), 0, 0
	take := func(v int, n int32) {
		s.places[v] = ^at
		for end := at + n; at < end; at = min(at+segment, end) {
			starts[next], valueOf[next] = at, int32(v)
			next++
		}
	}
	for v, n := range s.places {
		if n > segment {
			firsts[m] = int32(next)
			m++
			take(v, n)
		}
	}
	for ; m < len(firsts); m++ {
		firsts[m] = int32(next)
	}
	for v, n := range s.places {
		if n > 0 {
			take(v, n)
		}
	}
	for ; next < len(starts); next++ {
		starts[next] = at
	}
	for i, v := range values {
		positions[^s.places[v]] = int32(i)
		s.places[v]--
	}
}
