package tokenizer

import "unicode/utf8"

// Stream decodes tokens one at a time into text. A character whose bytes are in several tokens appears when it is complete.
// Bytes that are not UTF-8 become U+FFFD, one for each maximal part of a character (Unicode, section 3.9), as in Python and
// in browsers.
type Stream struct {
	tokenizer Tokenizer
	rest      []byte // the beginning of a character
}

// NewStream returns a stream of tokens of a tokenizer.
func NewStream(t Tokenizer) *Stream { return &Stream{tokenizer: t} }

// Append appends the text that one more token completes to dst. The error is a [*RangeError]; the stream may go on after it.
func (s *Stream) Append(dst []byte, token int32) ([]byte, error) {
	rest, err := s.tokenizer.Decode(s.rest, []int32{token})
	if err != nil {
		return dst, err
	}
	dst, n := appendText(dst, rest)
	s.rest = append(rest[:0], rest[n:]...)
	return dst, nil
}

// Close appends what remains at the end of the tokens: U+FFFD if a character is incomplete. The stream may be used again.
func (s *Stream) Close(dst []byte) []byte {
	if len(s.rest) > 0 {
		dst = utf8.AppendRune(dst, utf8.RuneError)
		s.rest = s.rest[:0]
	}
	return dst
}

// appendText appends bytes as text, up to an incomplete character at the end, and returns how many bytes that were.
func appendText(dst, b []byte) ([]byte, int) {
	n := 0
	for n < len(b) {
		size, kind := character(b[n:])
		switch kind {
		case open:
			return dst, n
		case valid:
			dst = append(dst, b[n:n+size]...)
		case invalid:
			dst = utf8.AppendRune(dst, utf8.RuneError)
		}
		n += size
	}
	return dst, n
}

const (
	valid   = iota // a character
	invalid        // bytes that begin no character, or only the beginning of one
	open           // the beginning of a character, to which the next bytes may belong
)

// character returns the size of the character that b begins with, or of its maximal part if it is not whole: table 3-7 of
// Unicode.
func character(b []byte) (size, kind int) {
	var need int
	low, high := byte(0x80), byte(0xbf) // of the second byte
	switch c := b[0]; {
	case c < 0x80:
		return 1, valid
	case c < 0xc2 || c > 0xf4:
		return 1, invalid
	case c < 0xe0:
		need = 2
	case c < 0xf0:
		need = 3
		if c == 0xe0 {
			low = 0xa0
		} else if c == 0xed {
			high = 0x9f
		}
	default:
		need = 4
		if c == 0xf0 {
			low = 0x90
		} else if c == 0xf4 {
			high = 0x8f
		}
	}
	for size = 1; size < need; size++ {
		if size == len(b) {
			return size, open
		}
		if b[size] < low || b[size] > high {
			return size, invalid
		}
		low, high = 0x80, 0xbf
	}
	return size, valid
}
