package tokenizer

// merges has the pairs of neighbouring tokens that become one token. It is a hash table with open addressing.
type merges struct {
	keys  []uint64 // of pairs, plus 1; 0 is a free place
	to    []merge
	count int
}

// merge is what a pair becomes. Of all pairs in a piece, the one of the lowest rank is merged first.
type merge struct{ rank, token int32 }

func newMerges(pairs int) *merges {
	size := 16
	for size < 2*pairs {
		size *= 2
	}
	return &merges{keys: make([]uint64, size), to: make([]merge, size)}
}

func pairKey(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) + 1 }

// place returns where a pair is, or where it would be.
func (m *merges) place(key uint64) int {
	mask := uint64(len(m.keys) - 1)
	h := key * 0x9e3779b97f4a7c15
	for i := (h ^ h>>32) & mask; ; i = (i + 1) & mask {
		if k := m.keys[i]; k == key || k == 0 {
			return int(i)
		}
	}
}

// set adds a pair, or replaces what it becomes. There must be a free place.
func (m *merges) set(a, b int32, to merge) {
	i := m.place(pairKey(a, b))
	if m.keys[i] == 0 {
		m.count++
	}
	m.keys[i], m.to[i] = pairKey(a, b), to
}

func (m *merges) get(a, b int32) (merge, bool) {
	i := m.place(pairKey(a, b))
	return m.to[i], m.keys[i] != 0
}

// longPiece is the number of bytes from which a heap finds the next merge faster than a search.
const longPiece = 64

// noMerge is the rank of a pair that stays.
const noMerge = 1<<31 - 1

// merger merges the tokens of pieces. It keeps its memory from piece to piece.
type merger struct {
	merges *merges
	tokens []int32
	ranks  []int32 // of the pair of a token and the next one
	into   []int32

	previous, next []int32
	heap           heap[mergeAt]
}

// mergeAt is a pair that may be merged.
type mergeAt struct{ rank, place int32 }

// before orders merges: the lowest rank first, and of equal pairs the leftmost.
func (a mergeAt) before(b mergeAt) bool {
	return a.rank < b.rank || a.rank == b.rank && a.place < b.place
}

// merge merges the tokens that it is given until no pair can be merged, and appends the rest to dst: always the pair of
// the lowest rank, and of equal pairs the first.
func (m *merger) merge(dst, tokens []int32) []int32 {
	if len(tokens) >= longPiece {
		return m.mergeByHeap(dst, tokens)
	}
	return m.mergeBySearch(dst, tokens)
}

// lookup is the rank of a pair, and what it becomes.
func (m *merger) lookup(a, b int32) (rank, token int32) {
	to, ok := m.merges.get(a, b)
	if !ok {
		return noMerge, 0
	}
	return to.rank, to.token
}

func (m *merger) mergeBySearch(dst, tokens []int32) []int32 {
	n := len(tokens)
	t := append(m.tokens[:0], tokens...)
	ranks, into := m.ranks[:0], m.into[:0]
	for i := range n - 1 {
		rank, token := m.lookup(t[i], t[i+1])
		ranks, into = append(ranks, rank), append(into, token)
	}
	m.tokens, m.ranks, m.into = t, ranks, into
	for len(ranks) > 0 {
		best := 0
		for i, r := range ranks {
			if r < ranks[best] {
				best = i
			}
		}
		if ranks[best] == noMerge {
			break
		}
		t[best] = into[best]
		t = append(t[:best+1], t[best+2:]...)
		ranks = append(ranks[:best], ranks[best+1:]...)
		into = append(into[:best], into[best+1:]...)
		if best > 0 {
			ranks[best-1], into[best-1] = m.lookup(t[best-1], t[best])
		}
		if best < len(ranks) {
			ranks[best], into[best] = m.lookup(t[best], t[best+1])
		}
	}
	return append(dst, t...)
}

// mergeByHeap takes time n·log n. Tokens are in a linked list; places in the heap whose pair has changed are skipped.
func (m *merger) mergeByHeap(dst, tokens []int32) []int32 {
	n := len(tokens)
	t := append(m.tokens[:0], tokens...)
	previous, next := m.previous[:0], m.next[:0]
	m.heap.items, m.heap.less = m.heap.items[:0], mergeAt.before
	for i := range n {
		previous, next = append(previous, int32(i-1)), append(next, int32(i+1))
		if i+1 < n {
			if rank, _ := m.lookup(t[i], t[i+1]); rank != noMerge {
				m.heap.items = append(m.heap.items, mergeAt{rank, int32(i)})
			}
		}
	}
	m.tokens, m.previous, m.next = t, previous, next
	m.heap.init()
	for len(m.heap.items) > 0 {
		top := m.heap.pop()
		i := top.place
		if t[i] < 0 || next[i] == int32(n) {
			continue
		}
		j := next[i]
		rank, token := m.lookup(t[i], t[j])
		if rank != top.rank {
			continue
		}
		t[i], t[j] = token, -1
		next[i] = next[j]
		if next[i] < int32(n) {
			previous[next[i]] = i
			m.push(t, i, next[i])
		}
		if previous[i] >= 0 {
			m.push(t, previous[i], i)
		}
	}
	for i := int32(0); i < int32(n); i = next[i] {
		dst = append(dst, t[i])
	}
	return dst
}

func (m *merger) push(t []int32, i, j int32) {
	if rank, _ := m.lookup(t[i], t[j]); rank != noMerge {
		m.heap.push(mergeAt{rank, i})
	}
}
