package metal

import (
	"math/rand/v2"
	"slices"
	"testing"

	"coil/backend"
	"coil/graph"
)

// lists of a sorted index, cut out of what fill wrote.
type lists struct{ starts, values, firsts, positions []int32 }

func (s *sortedIndex) lists(dst []int32) lists {
	return lists{dst[:s.segments+1], dst[s.valuesAt():][:s.segments], dst[s.firstsAt():][:s.several+1], dst[s.positionsAt():]}
}

// positionsOf puts the positions together again as the kernels do, and checks that the lists keep what they promise.
func (s *sortedIndex) positionsOf(t *testing.T, l lists) [][]int32 {
	t.Helper()
	all := make([][]int32, s.key.limit)
	last := int(l.firsts[s.several])
	if last > s.partials {
		t.Fatalf("%d partial sums in room for %d", last, s.partials)
	}
	segmentOf := func(i int) []int32 {
		from, to := l.starts[i], l.starts[i+1]
		if from > to || to-from > segment {
			t.Fatalf("segment %d is %d to %d", i, from, to)
		}
		return l.positions[from:to]
	}
	for m := range s.several {
		for i := l.firsts[m]; i < l.firsts[m+1]; i++ {
			v := l.values[l.firsts[m]]
			if l.values[i] != v {
				t.Fatalf("segment %d of value %d says %d", i, v, l.values[i])
			}
			all[v] = append(all[v], segmentOf(int(i))...)
		}
	}
	for i := last; i < s.segments; i++ {
		if p := segmentOf(i); len(p) > 0 {
			v := l.values[i]
			if all[v] != nil {
				t.Fatalf("value %d has a second segment, %d, on its own", v, i)
			}
			all[v] = p
		}
	}
	return all
}

func TestSortedIndex(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	times := func(counts ...int) (values []int32) { // value v, a number of times
		for v, n := range counts {
			for range n {
				values = append(values, int32(v))
			}
		}
		rng.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		return values
	}
	for name, c := range map[string]struct {
		limit  int
		values []int32
	}{
		"one":                        {1, times(1)},
		"last of many":               {50_000, []int32{49_999}},
		"each once":                  {100, times(slices.Repeat([]int{1}, 100)...)},
		"one value":                  {1, times(1000)},
		"one value of many":          {9, times(0, 0, 0, 1000)},
		"a segment exactly":          {3, times(32, 0, 32)},
		"a segment and one":          {3, times(33, 33, 33)},
		"two segments":               {4, times(64, 65, 63, 1)},
		"segments exactly":           {40, times(slices.Repeat([]int{32}, 40)...)},
		"most segments":              {4, times(1, 33, 65, 97)},
		"most segments of one":       {33, times(slices.Repeat([]int{1}, 33)...)},
		"most values of two":         {8, times(33, 33, 33, 33, 33, 33, 33, 31)},
		"many of few, few of many":   {40, times(500, 0, 3, 40, 1, 1, 1, 1, 1, 1, 90, 0, 0, 31, 32, 33)},
		"segments of one and of two": {40, times(1, 1, 33, 1, 1, 33, 1)},
	} {
		s := newSortedIndex(sortKey{graph.Index{Len: len(c.values)}, c.limit})
		dst := make([]int32, s.len())
		for range 2 { // fill leaves nothing behind that would disturb the next
			for i := range dst {
				dst[i] = -7
			}
			s.fill(dst, c.values)
			got := s.positionsOf(t, s.lists(dst))
			want := make([][]int32, c.limit)
			for i, v := range c.values {
				want[v] = append(want[v], int32(i))
			}
			for v := range want {
				if !slices.Equal(got[v], want[v]) {
					t.Fatalf("%s: value %d is at %v, want %v", name, v, got[v], want[v])
				}
			}
		}
		if n := testing.AllocsPerRun(3, func() { s.fill(dst, c.values) }); n > 0 {
			t.Errorf("%s: fill allocates %g times", name, n)
		}
	}
}

// No mix of values takes more room than there is.
func TestSortedIndexHasRoom(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for range 300 {
		n, limit := 1+rng.IntN(400), 1+rng.IntN(60)
		values := make([]int32, n)
		skew := 1 + rng.IntN(4)
		for i := range values {
			v := limit
			for range skew {
				v = min(v, rng.IntN(limit))
			}
			values[i] = int32(v)
		}
		s := newSortedIndex(sortKey{graph.Index{Len: n}, limit})
		dst := make([]int32, s.len())
		s.fill(dst, values)
		s.positionsOf(t, s.lists(dst))
	}
}

// Gradients of the same index share their places; each group has its own, and all lie at multiples of 256 bytes.
func TestPlanSorted(t *testing.T) {
	r := graph.NewRecorder(2, 3)
	x, y := r.Input(10), r.Input(5)
	dy, table, small, positions := r.Accumulator(20, 4), r.Accumulator(9, 4), r.Accumulator(7, 4), r.Accumulator(10, 4)
	for _, op := range []*graph.EmbeddingBackward{
		{Index: x, DY: dy, DTable: table},
		{Index: x, DY: dy, DTable: table, DPositions: positions},
		{Index: x, DY: dy, DPositions: positions},
		{Index: x, DY: dy, DTable: small},
		{Index: y, DY: dy.RowRange(0, 10), DTable: table},
		{Index: x.Range(3, 8), DY: dy.RowRange(0, 5), DTable: table},
	} {
		r.Record(op)
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	const from = 100
	plan, end := planSorted(r, from)
	if len(plan) != 4 {
		t.Fatalf("%d sorted indices, want 4", len(plan))
	}
	type span struct{ from, to uint64 }
	var spans []span
	for key, s := range plan {
		want := 20
		if key.index.Storage == y.Storage {
			want = 10
		}
		if s.key != key || s.window != want || s.input != r.Storages()[key.index.Storage-1].Number {
			t.Errorf("%+v is of input %d with %d values a group", key, s.input, s.window)
		}
		for g := range uint64(3) {
			at := s.offset + g*s.stride
			if at%256 != 0 {
				t.Errorf("%+v: group %d at %d", key, g, at)
			}
			spans = append(spans, span{at, at + uint64(s.len())*4})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.from) - int(b.from) })
	for i, s := range spans {
		if i == 0 && s.from < from || i > 0 && s.from < spans[i-1].to || s.to > end {
			t.Errorf("%d to %d after %d, end %d", s.from, s.to, spans[max(i-1, 0)].to, end)
		}
	}
}

func TestIndexCheck(t *testing.T) {
	c := indexCheck{op: "embedding", window: 4, offset: 1, n: 2, limit: 5}
	for _, x := range []struct {
		values []int32
		ignore bool
		ok     bool
	}{
		{[]int32{9, 0, 4, -9, 9, 4, 0, 9}, false, true},
		{[]int32{0, 5, 0, 0, 0, 0, 0, 0}, false, false},
		{[]int32{0, 0, 0, 0, 0, 0, 5, 0}, false, false},
		{[]int32{0, 0, -1, 0, 0, 0, 0, 0}, false, false},
		{[]int32{0, 0, -1, 0, 0, -1, 0, 0}, true, true},
		{[]int32{0, 0, -2, 0, 0, 0, 0, 0}, true, false},
	} {
		c.ignore = x.ignore
		if err := c.check(x.values); (err == nil) != x.ok {
			t.Errorf("%v, ignore=%v: %v", x.values, x.ignore, err)
		}
	}
}

// An input that several operations read is checked for each of them.
func TestChecksOfAllReaders(t *testing.T) {
	m, err := New(NewDryRun(Chip{Name: "paper"}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r := graph.NewRecorder(1, 1)
	x := r.Input(4)
	for i, rows := range []int{10, 5} {
		table, y := r.Temporary(rows, 4), r.Temporary(2, 4)
		r.Record(&graph.Fill{Y: table})
		r.Record(&graph.Embedding{Table: table, Index: x.Range(2*i, 2*i+2), Y: y})
	}
	p, err := m.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i, limit := range []int32{10, 10, 5, 5} {
		for _, v := range []int32{-1, limit - 1, limit} {
			values := make([]int32, 4)
			values[i] = v
			err := p.Run(backend.Args{Inputs: [][]int32{values}})
			if ok := v >= 0 && v < limit; (err == nil) != ok {
				t.Errorf("index %d at position %d: error %v", v, i, err)
			}
			if err == nil {
				if err := p.Results(nil); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
