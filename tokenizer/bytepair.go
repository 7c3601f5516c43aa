package tokenizer

import (
	"fmt"
	"strings"
)

// BytePair is a tokenizer of byte-level byte-pair encoding (BPE), read from a file. Text is normalized, split into pieces by a
// pattern, and in each piece pairs of tokens are merged, beginning with single bytes.
type BytePair struct {
	identity string
	pattern  string // what it is called, or its regular expressions
	end      int32

	tokens     [][]byte // the bytes of each; nil for a number that is no token
	special    []bool   // whether a token stands for no text
	count      int      // of tokens
	bytes      [256]int32
	merges     *merges
	whole      map[string]int32 // the tokens, if a piece that is a token is not merged; nil otherwise
	compose    bool             // normalize to NFC
	prefix     bool             // a space before each text that lacks one
	splitters  []newSplitter
	raw        addedTokens // found before texts are normalized
	normalized addedTokens // found afterwards
	added      []AddedToken
	general    bool // a general regular expression finds pieces
}

// VocabularySize implements [Tokenizer].
func (b *BytePair) VocabularySize() int { return len(b.tokens) }

// EndOfDocument implements [Tokenizer].
func (b *BytePair) EndOfDocument() int32 { return b.end }

// Identity is a hash of the file, and of the settings that change tokens.
func (b *BytePair) Identity() string { return b.identity }

// Decode implements [Tokenizer].
func (b *BytePair) Decode(dst []byte, tokens []int32) ([]byte, error) {
	for _, t := range tokens {
		if t < 0 || int(t) >= len(b.tokens) || b.tokens[t] == nil {
			return dst, &RangeError{t, len(b.tokens)}
		}
		dst = append(dst, b.tokens[t]...)
	}
	return dst, nil
}

// Length implements [Tokenizer].
func (b *BytePair) Length(token int32) int {
	if token < 0 || int(token) >= len(b.tokens) || b.special[token] {
		return 0
	}
	return len(b.tokens[token])
}

// ByteError reports a byte for which a tokenizer has no token.
type ByteError struct{ Byte byte }

func (e *ByteError) Error() string {
	return fmt.Sprintf("the tokenizer has no token for the byte 0x%02x, which is in the text: it was trained without it", e.Byte)
}

// cacheWords is how many pieces an encoder keeps, and cachedBytes how long they may be.
const (
	cacheWords  = 1 << 16
	cachedBytes = 64
)

// encoder encodes with byte pairs.
type encoder struct {
	*BytePair
	splitters []splitter
	merger    merger
	piece     []int32         // the tokens of the bytes of a piece
	cache     map[string]kept // the tokens of pieces
	arena     []int32         // where they are
	dst       []int32         // of the text that is being encoded
}

type kept struct{ begin, end int32 }

// NewEncoder implements [Tokenizer].
func (b *BytePair) NewEncoder() Encoder {
	e := &encoder{BytePair: b, merger: merger{merges: b.merges}, cache: map[string]kept{}}
	for _, s := range b.splitters {
		e.splitters = append(e.splitters, s())
	}
	return e
}

// Encode implements [Encoder]. Names of added tokens in the text become these tokens, as in the Python package. The error is
// a [*ByteError], or that of a general regular expression.
func (e *encoder) Encode(dst []int32, text []byte) ([]int32, error) {
	e.dst = dst
	err := e.raw.split(text, e.add, func(text []byte) error {
		if e.compose {
			text = composeNFC(text)
		}
		return e.normalized.split(text, e.add, e.segment)
	})
	dst, e.dst = e.dst, nil
	return dst, err
}

func (e *encoder) add(token int32) { e.dst = append(e.dst, token) }

// segment encodes a text without added tokens.
func (e *encoder) segment(text []byte) error {
	if e.prefix && text[0] != ' ' {
		text = append([]byte{' '}, text...)
	}
	return split(text, e.splitters, e.encodePiece)
}

func (e *encoder) encodePiece(piece []byte) error {
	if len(piece) > cachedBytes {
		return e.mergePiece(piece)
	}
	if k, ok := e.cache[string(piece)]; ok {
		e.dst = append(e.dst, e.arena[k.begin:k.end]...)
		return nil
	}
	n := len(e.dst)
	if err := e.mergePiece(piece); err != nil {
		return err
	}
	if len(e.cache) == cacheWords {
		clear(e.cache)
		e.arena = e.arena[:0]
	}
	begin := len(e.arena)
	e.arena = append(e.arena, e.dst[n:]...)
	e.cache[string(piece)] = kept{int32(begin), int32(len(e.arena))}
	return nil
}

func (e *encoder) mergePiece(piece []byte) error {
	if t, ok := e.whole[string(piece)]; ok {
		e.dst = append(e.dst, t)
		return nil
	}
	e.piece = e.piece[:0]
	for _, b := range piece {
		t := e.bytes[b]
		if t < 0 {
			return &ByteError{b}
		}
		e.piece = append(e.piece, t)
	}
	e.dst = e.merger.merge(e.dst, e.piece)
	return nil
}

// The alphabet of GPT-2 shows each byte as one printable character: most of Latin-1 as itself, and the other bytes in order as
// the characters from U+0100.
var (
	alphabet       = byteAlphabet()
	fromAlphabet   = reverse(alphabet)
	lastOfAlphabet = rune(len(fromAlphabet) - 1)
)

func byteAlphabet() (a [256]rune) {
	next := rune(256)
	for b := range a {
		if b > ' ' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			a[b] = rune(b)
		} else {
			a[b] = next
			next++
		}
	}
	return a
}

// reverse maps characters to bytes; -1 if a character is not in the alphabet.
func reverse(a [256]rune) (of [256 + 68]int16) {
	for i := range of {
		of[i] = -1
	}
	for b, r := range a {
		of[r] = int16(b)
	}
	return of
}

// bytesOf returns the bytes that a token's name in a file stands for, and whether all its characters are in the alphabet.
func bytesOf(name string) ([]byte, bool) {
	b := make([]byte, 0, len(name))
	for _, r := range name {
		if r > lastOfAlphabet || fromAlphabet[r] < 0 {
			return nil, false
		}
		b = append(b, byte(fromAlphabet[r]))
	}
	return b, true
}

// nameOf is the name of a token in a file.
func nameOf(bytes []byte) string {
	var s strings.Builder
	for _, b := range bytes {
		s.WriteRune(alphabet[b])
	}
	return s.String()
}
