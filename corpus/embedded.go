package corpus

import (
	"bytes"
	_ "embed"
	"fmt"
)

// Prose in the public domain: JSON lines with the fields name and text. embedded/SOURCES.md has its sources.
var (
	//go:embed embedded/train.jsonl.zst
	embeddedTrain []byte
	//go:embed embedded/held-out.jsonl.zst
	embeddedHeldOut []byte
)

// addEmbedded adds the embedded corpus.
func (c *Corpus) addEmbedded() error {
	encoder := c.tokenizer.NewEncoder()
	for split, packed := range [][]byte{Train: embeddedTrain, HeldOut: embeddedHeldOut} {
		w, tokens := newShardWriter(c.tokenizer.VocabularySize()), []int32(nil)
		r := &reader{Source: Source{Path: "the embedded corpus", layout: jsonLines, packed: zstandard}, Options: Options{Field: "text"}, longest: longest}
		r.yield = func(text []byte) (err error) {
			if tokens, err = encoder.Encode(tokens[:0], text); err != nil {
				return fmt.Errorf("%s: %w", r.Path, err)
			}
			w.add(tokens, hashText(text), len(text))
			return nil
		}
		if err := r.unpacked(bytes.NewReader(packed)); err != nil {
			return err
		}
		s, err := parseShard(w.encode([keySize]byte{}, true, 0), [keySize]byte{})
		if err != nil {
			panic("corpus: " + err.Error())
		}
		c.parts[split] = c.documents([]*shard{s})
	}
	return nil
}
