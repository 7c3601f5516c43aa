// Package tokenizer turns text into tokens, the numbers that a model reads, and back.
//
// [Bytes] is the default: a token for each byte. [BytePair] is byte-level byte-pair encoding, from files that other programs
// made and that [Trainer] makes. [Config] opens either.
package tokenizer

import "fmt"

// Tokenizer maps texts to sequences of tokens. Tokens are numbers from 0. A tokenizer does not change, and several goroutines
// may use one.
type Tokenizer interface {
	// VocabularySize is one more than the largest token: the size of an embedding that has a row for each.
	VocabularySize() int

	// EndOfDocument is the token that stands after each document.
	EndOfDocument() int32

	// Identity names the tokenizer. Two with the same identity give the same tokens for every text, so files of tokens that
	// were made with one are valid for the other.
	Identity() string

	// NewEncoder returns what encodes texts.
	NewEncoder() Encoder

	// Decode appends the bytes of the tokens to dst. A special token, one that stands for no text, has the bytes of its name,
	// and those of [Bytes] have none. The error is a [*RangeError].
	Decode(dst []byte, tokens []int32) ([]byte, error)

	// Length is the number of bytes of text that a token stands for: 0 for special tokens and for numbers that are no token.
	// Bits per byte are nats divided by ln 2 and by the sum of the lengths.
	Length(token int32) int
}

// Encoder encodes texts. It keeps what it has computed for words that come often, so each goroutine needs its own.
type Encoder interface {
	// Encode appends the tokens of a text to dst. Texts are encoded apart: the tokens of two texts are not those of their
	// concatenation. The text need not be UTF-8.
	Encode(dst []int32, text []byte) ([]int32, error)
}

// RangeError reports a number that is not a token.
type RangeError struct {
	Token      int32
	Vocabulary int // tokens are smaller
}

func (e *RangeError) Error() string {
	return fmt.Sprintf("%d is not a token: the tokenizer has tokens from 0 to %d", e.Token, e.Vocabulary-1)
}
