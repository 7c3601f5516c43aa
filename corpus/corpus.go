// Package corpus makes training sequences of text: it reads files of documents, tokenises them once into files of its own,
// holds a share of the documents out, and packs the rest into sequences whose order is a function of a seed.
//
// # Documents
//
// A document is a text that stands for itself: a line of JSON, a row of parquet, or a piece of plain text. In the stream of
// tokens each document is followed by the tokenizer's end of document, and the stream begins with one, so that the first token
// of a document is predicted from the end of the one before.
//
// # Order
//
// An epoch shows each sequence once. The sequence with a number in an epoch is found by a permutation with the seed and the
// epoch as its key, so nothing but the number of sequences already seen is needed to continue, and any number of workers sees
// the same sequences.
package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"coil/format"
	"coil/tokenizer"
)

// Settings say what a corpus is.
type Settings struct {
	Files     []string // files, folders and patterns; none is the embedded corpus
	HeldOut   []string // files, folders and patterns whose documents are held out; none holds out a share
	Share     float64  // of the documents held out
	Options            // of reading
	Tokenizer tokenizer.Tokenizer
	Cache     string // the folder for tokenised files; "" is in the user's cache folder

	shardText int // bytes of text in a shard, for tests; 0 is the usual
}

// Corpus is a set of tokenised documents. It does not change, and several goroutines may use one.
type Corpus struct {
	tokenizer tokenizer.Tokenizer
	parts     [2][]document // by split: training, held out
	tokens    [2]int64      // of the documents, without their ends
	bytes     int64         // of all texts
	skipped   Skipped
	divided   bool // the only document is, between the splits
	shards    []*shard
}

// Split is one of the two disjoint sets of documents.
type Split int

const (
	Train Split = iota
	HeldOut
)

// A document is a document's tokens in a shard.
type document struct {
	shard  *shard
	from   uint32 // its first token
	length uint32
}

// Facts are the sizes of a corpus.
type Facts struct {
	Documents [2]int   // by split
	Tokens    [2]int64 // by split, with the ends of documents
	Bytes     int64    // of all texts
	Skipped   Skipped
	Divided   bool // there is one document only, and its end is held out
}

// Facts returns the sizes.
func (c *Corpus) Facts() Facts {
	f := Facts{Bytes: c.bytes, Skipped: c.skipped, Divided: c.divided}
	for split := range c.parts {
		f.Documents[split] = len(c.parts[split])
		f.Tokens[split] = c.tokens[split] + int64(len(c.parts[split]))
	}
	return f
}

// Tokenizer is the tokenizer that made the tokens.
func (c *Corpus) Tokenizer() tokenizer.Tokenizer { return c.tokenizer }

// Fingerprint identifies the documents, their order, their split and their tokens.
func (c *Corpus) Fingerprint() string {
	h := sha256.New()
	var b [8]byte
	put := func(x uint64) {
		binary.LittleEndian.PutUint64(b[:], x)
		h.Write(b[:])
	}
	h.Write([]byte(c.tokenizer.Identity()))
	for split, documents := range c.parts {
		put(uint64(split))
		for _, d := range documents {
			put(d.shard.hashOf(d))
			if c.divided {
				put(uint64(d.length))
			}
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// Open reads the files of a corpus, or finds them tokenised. progress, if not nil, is called now and then while files are
// tokenised; Open ends with its error. What was tokenised until then is kept.
func Open(s Settings, progress func(Progress) error) (*Corpus, error) {
	if progress == nil {
		progress = func(Progress) error { return nil }
	}
	c := &Corpus{tokenizer: s.Tokenizer}
	var err error
	if len(s.Files) == 0 {
		err = c.addEmbedded()
	} else {
		err = c.addFiles(s, progress)
	}
	if err == nil {
		err = c.check(s)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// addFiles adds the documents of files.
func (c *Corpus) addFiles(s Settings, progress func(Progress) error) error {
	sources, err := Find(s.Files)
	if err != nil {
		return err
	}
	held, err := Find(s.HeldOut)
	if err != nil {
		return err
	}
	sources = slices.DeleteFunc(sources, func(x Source) bool { return slices.Contains(held, x) })
	if len(sources) == 0 {
		return errors.New("all files are held out, so there is nothing to train on: hold out fewer")
	}
	b, err := newBuilder(s, append(slices.Clone(sources), held...), progress)
	if err != nil {
		return err
	}
	var all []document
	for _, x := range sources {
		documents, err := c.addSource(b, x)
		if err != nil {
			return err
		}
		all = append(all, documents...)
	}
	if len(held) == 0 {
		c.divide(all, s.Share)
		return nil
	}
	c.parts[Train] = all
	for _, x := range held {
		documents, err := c.addSource(b, x)
		if err != nil {
			return err
		}
		c.parts[HeldOut] = append(c.parts[HeldOut], documents...)
	}
	return nil
}

// addSource tokenises a file, if need be, and returns its documents.
func (c *Corpus) addSource(b *builder, x Source) ([]document, error) {
	shards, skipped, err := b.build(x)
	c.shards = append(c.shards, shards...)
	if err != nil {
		return nil, err
	}
	c.skipped.add(skipped)
	return c.documents(shards), nil
}

func (c *Corpus) documents(shards []*shard) []document {
	var all []document
	for _, s := range shards {
		c.bytes += s.bytes
		for i := range s.documents {
			from, to := s.bounds(i)
			all = append(all, document{s, uint32(from), uint32(to - from)})
		}
	}
	return all
}

// divide holds out the documents whose hash, as a part of the largest, is below the share, but at least the one with the
// smallest. So a document stays on its side when others come or go, and equal documents are on the same side. Of a single document,
// it holds out that share of its tokens, from the end.
func (c *Corpus) divide(all []document, share float64) {
	if len(all) == 1 && all[0].length > 1 && share > 0 {
		d := all[0]
		held := max(1, uint32(share*float64(d.length)))
		c.parts[Train] = []document{{d.shard, d.from, d.length - held}}
		c.parts[HeldOut] = []document{{d.shard, d.from + d.length - held, held}}
		c.divided = true
		return
	}
	limit, least := uint64(share*math.MaxUint64), uint64(math.MaxUint64)
	for _, d := range all {
		least = min(least, d.shard.hashOf(d))
	}
	for _, d := range all {
		split := Train
		if h := d.shard.hashOf(d); share > 0 && (h < limit || h == least) {
			split = HeldOut
		}
		c.parts[split] = append(c.parts[split], d)
	}
}

// check counts the tokens and returns an error if a split is empty.
func (c *Corpus) check(s Settings) error {
	for split, documents := range c.parts {
		for _, d := range documents {
			c.tokens[split] += int64(d.length)
		}
	}
	switch n := len(c.parts[Train]) + len(c.parts[HeldOut]); {
	case n == 0 && c.skipped.Count > 0:
		return fmt.Errorf("the corpus is empty: all was left out, %s", c.skipped)
	case n == 0:
		return errors.New("the corpus is empty: its files have no text")
	case len(c.parts[Train]) == 0:
		return fmt.Errorf("every document of the corpus is held out (%s), so there is nothing to train on: add documents, hold out a smaller share, or name held-out files",
			format.Plural(n, "document"))
	case len(c.parts[HeldOut]) == 0:
		return errors.New("no documents are held out, so nothing could be measured: hold out a share, or name held-out files")
	}
	return nil
}

// Close frees the corpus's memory. Its sequences may not be used after that.
func (c *Corpus) Close() {
	for _, s := range c.shards {
		s.close()
	}
	c.shards, c.parts = nil, [2][]document{}
}
