package tokenizer

import (
	"bytes"
	"errors"
	"testing"
)

func TestBytes(t *testing.T) {
	var b Bytes
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	tokens, err := b.NewEncoder().Encode([]int32{7}, all)
	if err != nil || len(tokens) != 257 || tokens[0] != 7 || tokens[256] != 255 {
		t.Fatal(tokens, err)
	}
	tokens = append(tokens[1:], b.EndOfDocument())
	back, err := b.Decode([]byte("x"), tokens)
	if err != nil || !bytes.Equal(back, append([]byte("x"), all...)) {
		t.Errorf("%q, %v", back, err)
	}
	n := 0
	for token := range int32(b.VocabularySize()) {
		n += b.Length(token)
	}
	if n != 256 || b.Length(b.EndOfDocument()) != 0 || b.Length(-1) != 0 || b.Length(257) != 0 {
		t.Errorf("the tokens have %d bytes", n)
	}
	for _, wrong := range []int32{-1, 257} {
		var e *RangeError
		if _, err := b.Decode(nil, []int32{65, wrong}); !errors.As(err, &e) || e.Token != wrong {
			t.Errorf("%d: %v", wrong, err)
		}
	}
}
