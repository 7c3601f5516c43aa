package corpus

import (
	"fmt"
	"slices"
	"sort"

	"coil/format"
)

// Sequences are the documents of a split, packed into sequences of equal length. A sequence's tokens are followed by those of the
// next sequence in the stream, so a model can be asked for the token after each.
type Sequences struct {
	length  int
	end     int32 // token
	aligned bool  // each sequence begins at the start of a document
	pieces  []document
	starts  []int64 // of each piece in the stream, and the stream's length
	cropped int64
}

// Stream packs without loss: the documents, each with its end, are one stream that is cut into sequences. The last one is filled up
// with ends of documents, which carry no loss.
func (c *Corpus) Stream(split Split, length int) *Sequences {
	s := &Sequences{length: length, end: c.tokenizer.EndOfDocument(), pieces: c.parts[split]}
	s.layOut()
	return s
}

// buffered is how many documents best-fit packing chooses from.
const buffered = 1024

// BestFit packs so that each sequence begins at the start of a document: a sequence takes the longest of the next 1024 documents
// that still fits, again and again, and when none fits, the beginning of the shortest, whose rest is dropped.
func (c *Corpus) BestFit(split Split, length int) *Sequences {
	s := &Sequences{length: length, end: c.tokenizer.EndOfDocument(), aligned: true}
	rest := c.parts[split]
	var waiting []document // by length
	longer := func(d document, n int) int { return int(d.length) - n }
	room := length
	for {
		for len(waiting) < buffered && len(rest) > 0 {
			i, _ := slices.BinarySearchFunc(waiting, int(rest[0].length), longer)
			waiting, rest = slices.Insert(waiting, i, rest[0]), rest[1:]
		}
		if len(waiting) == 0 {
			break
		}
		i, _ := slices.BinarySearchFunc(waiting, room+1, longer) // the first that doesn't fit
		d := waiting[max(0, i-1)]
		waiting = slices.Delete(waiting, max(0, i-1), max(1, i))
		if n := int(d.length) - room; n > 0 {
			s.cropped += int64(n)
			d.length = uint32(room)
		}
		s.pieces = append(s.pieces, d)
		if room -= int(d.length) + 1; room <= 0 { // a document that ends with the sequence needs no end: the next begins with one
			room = length
		}
	}
	s.layOut()
	return s
}

// layOut computes where each piece starts.
func (s *Sequences) layOut() {
	s.starts = make([]int64, 0, len(s.pieces)+1)
	at := int64(0)
	for _, p := range s.pieces {
		s.starts = append(s.starts, at)
		if at += int64(p.length); !s.aligned || at%int64(s.length) != 0 {
			at++ // its end
		}
	}
	s.starts = append(s.starts, at)
}

// Tokens is the number of tokens of all sequences, with ends of documents.
func (s *Sequences) Tokens() int64 { return s.starts[len(s.pieces)] }

// Cropped is the number of tokens that best-fit packing has dropped.
func (s *Sequences) Cropped() int64 { return s.cropped }

// Len is the number of sequences.
func (s *Sequences) Len() int {
	n := int64(s.length)
	return int((s.Tokens() + n - 1) / n)
}

// Fill writes a sequence, and for each of its tokens the one that comes next, or ignore past the end of the stream.
func (s *Sequences) Fill(number int, tokens, targets []int32, ignore int32) {
	at := int64(number) * int64(s.length)
	tokens[0] = s.end
	if !s.aligned && at > 0 {
		s.copy(tokens[:1], at-1, s.end)
	}
	s.copy(targets, at, ignore)
	for i, t := range targets[:len(targets)-1] {
		if t == ignore {
			t = s.end
		}
		tokens[i+1] = t
	}
}

// copy writes the tokens of the stream from a position on, and the given token past its end.
func (s *Sequences) copy(dst []int32, at int64, past int32) {
	i := sort.Search(len(s.pieces), func(i int) bool { return s.starts[i+1] > at })
	for ; i < len(s.pieces) && len(dst) > 0; i++ {
		p := s.pieces[i]
		skip := int(at - s.starts[i])
		if n := min(int(p.length)-skip, len(dst)); n > 0 {
			p.shard.copy(dst[:n], int(p.from)+skip)
			dst, at = dst[n:], at+int64(n)
		}
		if at < s.starts[i+1] && len(dst) > 0 {
			dst[0] = s.end
			dst, at = dst[1:], at+1
		}
	}
	for i := range dst {
		dst[i] = past
	}
}

// At returns the number of the sequence that a run with this seed sees at an index, which counts its sequences from 0, and the
// epoch: how often it has seen all before.
func (s *Sequences) At(seed, index uint64) (number int, epoch uint64) {
	n := uint64(s.Len())
	epoch = index / n
	return int(permuted(keyOf(seed, epoch), index%n, n)), epoch
}

// CheckLength returns an error if the documents of a split don't fill one sequence.
func (c *Corpus) CheckLength(split Split, length int) error {
	if have := c.Facts().Tokens[split]; have < int64(length) {
		return fmt.Errorf("the corpus has only %s to train on, and a sequence has %s: add text, or take a smaller task.text.length",
			format.Plural(have, "token"), format.Count(length))
	}
	return nil
}
