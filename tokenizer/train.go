package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Trainer learns the merges of a byte-pair tokenizer from texts: again and again, the pair of neighbouring tokens that is most
// frequent becomes a token. Of equally frequent pairs it takes the one of the smallest first token, and of these the one of the
// smallest second, so that the result depends on nothing but the texts.
type Trainer struct {
	pattern   Pattern
	splitters []splitter
	compose   bool
	index     map[string]int32 // the places of pieces in counts
	counts    []int64
}

// NewTrainer returns a trainer for one of the patterns except [CL100K], which a tokenizer.json can't have.
func NewTrainer(p Pattern) (*Trainer, error) {
	steps, err := p.splitters()
	if err != nil {
		return nil, err
	}
	if p == CL100K {
		return nil, fmt.Errorf("no tokenizer.json can have the pattern %s: take %s", CL100K, Llama3)
	}
	t := &Trainer{pattern: p, compose: p == Qwen, index: map[string]int32{}}
	for _, s := range steps {
		t.splitters = append(t.splitters, s())
	}
	return t, nil
}

// Add counts the pieces of a text.
func (t *Trainer) Add(text []byte) {
	if t.compose {
		text = composeNFC(text)
	}
	split(text, t.splitters, func(piece []byte) error { // scanners return no error
		i, ok := t.index[string(piece)]
		if !ok {
			i = int32(len(t.counts))
			t.index[string(piece)] = i
			t.counts = append(t.counts, 0)
		}
		t.counts[i]++
		return nil
	})
}

// Pieces is the number of different pieces that were counted.
func (t *Trainer) Pieces() int { return len(t.counts) }

// Trained is a vocabulary that was learned.
type Trained struct {
	Pattern Pattern
	Tokens  [][]byte   // the bytes of each token; those of the first, which ends documents, are its name
	Merges  [][2]int32 // in the order in which they were learned

	bytes, encoded int64 // of the texts, and their tokens
}

// BytesPerToken is how many bytes a token has in the texts, on average.
func (t *Trained) BytesPerToken() float64 { return float64(t.bytes) / float64(t.encoded) }

// SmallestVocabulary is the end of documents and the 256 bytes.
const SmallestVocabulary = 257

// Train learns a vocabulary of a size, or a smaller one if all pieces become tokens before. The token 0 ends documents and has
// the given name; then come the bytes, in the order of GPT-2's alphabet. It calls report, unless that is nil, with the
// size so far after every merge; if report returns false, it stops and returns an error.
func (t *Trainer) Train(size int, end string, report func(size int) bool) (*Trained, error) {
	switch {
	case size < SmallestVocabulary || size > 1<<24:
		return nil, fmt.Errorf("a vocabulary of %d tokens: want %d, which are the bytes and the end of documents, to %d", size, SmallestVocabulary, 1<<24)
	case end == "":
		return nil, errors.New("the token that ends documents has no name")
	case len(t.counts) == 0:
		return nil, errors.New("there is no text to learn from")
	}
	l := newLearner(end)
	if _, exists := l.ids[end]; exists {
		return nil, fmt.Errorf("the token that ends documents can't be called %q, which is a byte: take <|endoftext|>", end)
	}
	pieces := make([]string, len(t.counts))
	for piece, i := range t.index {
		pieces[i] = piece
	}
	for i, piece := range pieces {
		l.addWord(piece, t.counts[i])
	}
	if !l.learn(size, report) {
		return nil, errors.New("training was stopped")
	}
	trained := &Trained{Pattern: t.pattern, Tokens: l.tokens, Merges: l.merges}
	for i, n := range t.counts {
		trained.bytes += n * int64(len(pieces[i]))
		trained.encoded += n * int64(len(l.words[i]))
	}
	return trained, nil
}

// learner has the words that are left to merge.
type learner struct {
	tokens [][]byte
	ids    map[string]int32 // of tokens
	bytes  [256]int32
	merges [][2]int32

	words  [][]int32
	counts []int64
	pairs  map[[2]int32]*pairCount
	queue  heap[candidate]
	grown  map[[2]int32]bool // pairs that became more frequent in this merge
}

// pairCount is how often a pair occurs, and in which words it may.
type pairCount struct {
	count int64
	words []int32
}

// candidate is a pair with the count that it had when it was queued.
type candidate struct {
	count int64
	pair  [2]int32
}

func newLearner(end string) *learner {
	l := &learner{tokens: [][]byte{[]byte(end)}, ids: map[string]int32{}, pairs: map[[2]int32]*pairCount{}, grown: map[[2]int32]bool{}}
	l.queue.less = func(a, b candidate) bool {
		return cmp.Or(cmp.Compare(b.count, a.count), slices.Compare(a.pair[:], b.pair[:])) < 0
	}
	for _, b := range fromAlphabet {
		if b >= 0 {
			l.bytes[b] = int32(len(l.tokens))
			l.add([]byte{byte(b)})
		}
	}
	return l
}

// add adds a token, unless it exists, and returns its number.
func (l *learner) add(text []byte) int32 {
	id, exists := l.ids[string(text)]
	if !exists {
		id = int32(len(l.tokens))
		l.ids[string(text)] = id
		l.tokens = append(l.tokens, text)
	}
	return id
}

func (l *learner) addWord(piece string, count int64) {
	w := int32(len(l.words))
	tokens := make([]int32, len(piece))
	for i := range len(piece) {
		tokens[i] = l.bytes[piece[i]]
	}
	l.words, l.counts = append(l.words, tokens), append(l.counts, count)
	for i := 1; i < len(tokens); i++ {
		l.change(tokens[i-1], tokens[i], count, w)
	}
}

// change changes the count of a pair, for a word.
func (l *learner) change(a, b int32, by int64, word int32) {
	pair := [2]int32{a, b}
	p := l.pairs[pair]
	if p == nil {
		p = new(pairCount)
		l.pairs[pair] = p
	}
	p.count += by
	if by > 0 {
		if n := len(p.words); n == 0 || p.words[n-1] != word {
			p.words = append(p.words, word)
		}
		l.grown[pair] = true
	}
}

// enqueue queues the pairs that became more frequent.
func (l *learner) enqueue() {
	for pair := range l.grown {
		if n := l.pairs[pair].count; n > 0 {
			l.queue.push(candidate{n, pair})
		}
	}
	clear(l.grown)
}

// learn merges until there are size tokens, and returns whether report let it.
func (l *learner) learn(size int, report func(int) bool) bool {
	l.enqueue()
	for len(l.tokens) < size && len(l.queue.items) > 0 {
		c := l.queue.pop()
		p := l.pairs[c.pair]
		if p.count != c.count {
			if p.count > 0 {
				l.queue.push(candidate{p.count, c.pair})
			}
			continue
		}
		l.merges = append(l.merges, c.pair)
		token := l.add(slices.Concat(l.tokens[c.pair[0]], l.tokens[c.pair[1]]))
		words := p.words
		p.words = nil
		for _, w := range words {
			l.mergeWord(w, c.pair, token)
		}
		l.enqueue()
		if report != nil && !report(len(l.tokens)) {
			return false
		}
	}
	return true
}

// mergeWord merges a pair wherever it is in a word, from left to right.
func (l *learner) mergeWord(w int32, pair [2]int32, token int32) {
	count := l.counts[w]
	s := l.words[w]
	out := s[:0] // what is already merged
	for i := 0; i < len(s); i++ {
		if s[i] != pair[0] || i+1 == len(s) || s[i+1] != pair[1] {
			out = append(out, s[i])
			continue
		}
		if n := len(out); n > 0 {
			l.change(out[n-1], pair[0], -count, w)
			l.change(out[n-1], token, count, w)
		}
		if i+2 < len(s) {
			l.change(pair[1], s[i+2], -count, w)
			l.change(token, s[i+2], count, w)
		}
		out = append(out, token)
		i++
	}
	l.words[w] = out
}
