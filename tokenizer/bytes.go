package tokenizer

// endOfBytes is the token after a document of bytes.
const endOfBytes = 256

// Bytes has a token for each of the 256 bytes, whose number is the byte, and one that ends a document. It encodes every
// file without loss. The end needs a token of its own because each of the 256 bytes may occur in a document.
type Bytes struct{}

// VocabularySize is 257.
func (Bytes) VocabularySize() int { return endOfBytes + 1 }

// EndOfDocument is 256.
func (Bytes) EndOfDocument() int32 { return endOfBytes }

// Identity is "bytes".
func (Bytes) Identity() string { return "bytes" }

// NewEncoder returns an encoder without state.
func (b Bytes) NewEncoder() Encoder { return b }

// Encode appends the bytes of the text. It returns no error.
func (Bytes) Encode(dst []int32, text []byte) ([]int32, error) {
	for _, b := range text {
		dst = append(dst, int32(b))
	}
	return dst, nil
}

// Decode appends the bytes. The end of a document has none.
func (b Bytes) Decode(dst []byte, tokens []int32) ([]byte, error) {
	for _, t := range tokens {
		switch {
		case t < 0 || t > endOfBytes:
			return dst, &RangeError{t, b.VocabularySize()}
		case t < endOfBytes:
			dst = append(dst, byte(t))
		}
	}
	return dst, nil
}

// Length is 1 for a byte.
func (Bytes) Length(token int32) int {
	if token >= 0 && token < endOfBytes {
		return 1
	}
	return 0
}
