package tokenizer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// rankFile is what a published file of ranks does not say itself: how text is split, and the special tokens. Both are those
// of the Python package tiktoken 0.14.
type rankFile struct {
	sha256  string
	pattern Pattern
	special []AddedToken
}

func special(id int32, content string) AddedToken {
	return AddedToken{ID: id, Content: content, Special: true}
}

// knownRanks are the published files, by what is in them.
var knownRanks = []rankFile{
	{"306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930", GPT2, []AddedToken{special(50256, "<|endoftext|>")}}, // r50k_base
	{"94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069", GPT2, []AddedToken{special(50256, "<|endoftext|>")}}, // p50k_base
	{"223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7", CL100K, []AddedToken{special(100257, "<|endoftext|>"), // cl100k_base
		special(100258, "<|fim_prefix|>"), special(100259, "<|fim_middle|>"), special(100260, "<|fim_suffix|>"), special(100276, "<|endofprompt|>")}},
	{"446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d", O200K, []AddedToken{special(199999, "<|endoftext|>"), special(200018, "<|endofprompt|>")}}, // o200k_base
}

// parseRanks reads a file of ranks: in each line a token in base64, and its rank, which is also its number. A pair of tokens
// becomes the token that it spells, the one of the lowest rank first.
func (c Config) parseRanks(data []byte) (*BytePair, error) {
	b := &BytePair{whole: map[string]int32{}}
	if err := b.readRanks(data); err != nil {
		return nil, err
	}
	for i := range b.bytes {
		t, ok := b.whole[string([]byte{byte(i)})]
		if !ok {
			return nil, fmt.Errorf("it has no token for the byte 0x%02x: it is no .tiktoken file, or it is cut off", i)
		}
		b.bytes[i] = t
	}
	sum := sha256.Sum256(data)
	file := rankFile{pattern: c.Pattern}
	if i := slices.IndexFunc(knownRanks, func(k rankFile) bool { return k.sha256 == hex.EncodeToString(sum[:]) }); i >= 0 {
		file = knownRanks[i]
		if c.Pattern != "" && c.Pattern != file.pattern {
			return nil, fmt.Errorf("tokenizer.pattern is %s, but this file is known to have %s; leave the setting out", c.Pattern, file.pattern)
		}
	} else {
		end := c.End
		if end == "" {
			end = usualEnds[0]
		}
		file.special = []AddedToken{special(int32(len(b.tokens)), end)}
	}
	if file.pattern == "" {
		return nil, errors.New("ranks don't say how text is split, and coil does not know this file: say it with tokenizer.pattern")
	}
	var err error
	if b.splitters, err = file.pattern.splitters(); err != nil {
		return nil, err
	}
	b.pattern = string(file.pattern)
	b.mergeRanks()
	for _, t := range file.special {
		if err := b.setToken(t.ID, []byte(t.Content)); err != nil {
			return nil, err
		}
		b.special[t.ID] = true
		b.addToken(t)
	}
	return b, b.findEnd(c.End)
}

// readRanks reads the lines.
func (b *BytePair) readRanks(data []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(data))
	count := bytes.Count(data, []byte("\n")) + 1
	for n := 1; lines.Scan(); n++ {
		line := lines.Bytes()
		if len(line) == 0 {
			continue
		}
		encoded, number, ok := bytes.Cut(line, []byte(" "))
		text, err := base64.StdEncoding.AppendDecode(nil, encoded)
		if !ok || err != nil || len(text) == 0 {
			return fmt.Errorf("line %d is %q, want a token in base64, a space and its rank: it is neither a tokenizer.json nor a .tiktoken file", n, shorten(line))
		}
		rank, err := strconv.ParseInt(string(number), 10, 32)
		if err != nil || rank < 0 || rank >= int64(maxGap*count+256) {
			return fmt.Errorf("line %d: the rank is %q, want a number from 0 to about the number of lines", n, shorten(number))
		}
		if _, twice := b.whole[string(text)]; twice {
			return fmt.Errorf("line %d: the token %q is there twice", n, text)
		}
		if err := b.setToken(int32(rank), text); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		b.whole[string(text)] = int32(rank)
	}
	if lines.Err() != nil {
		return errors.New("it has a very long line: it is no .tiktoken file")
	}
	return nil
}

func shorten(b []byte) []byte { return b[:min(len(b), 40)] }

// mergeRanks makes the pairs: all ways in which a token is two tokens in a row.
func (b *BytePair) mergeRanks() {
	type pair struct{ a, b, token int32 }
	var pairs []pair
	for id, text := range b.tokens {
		for cut := 1; cut < len(text); cut++ {
			left, ok := b.whole[string(text[:cut])]
			if !ok {
				continue
			}
			if right, ok := b.whole[string(text[cut:])]; ok {
				pairs = append(pairs, pair{left, right, int32(id)})
			}
		}
	}
	b.merges = newMerges(len(pairs))
	for _, p := range pairs {
		b.merges.set(p.a, p.b, merge{p.token, p.token})
	}
}
