package tokenizer

import (
	"strings"
	"testing"
)

// The examples of maximal parts are those of Unicode 15.0, tables 3-8 to 3-11.
func TestStream(t *testing.T) {
	const r = "\uFFFD"
	for _, c := range []struct{ bytes, want string }{
		{"aé€𐍈", "aé€𐍈"},
		{"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82A", strings.Repeat(r, 8) + "A"},
		{"\xED\xA0\x80\xED\xBF\xBF\xED\xAFA", strings.Repeat(r, 8) + "A"},
		{"\xF4\x91\x92\x93\xFFA\x80\xBFB", strings.Repeat(r, 5) + "A" + r + r + "B"},
		{"\xE1\x80\xE2\xF0\x91\x92\xF1\xBFA", strings.Repeat(r, 4) + "A"},
		{"\xEE\x80\x80\xED\x9F\xBF\xF4\x8F\xBF\xBF", "\uE000\uD7FF\U0010FFFF"},
		{"a\xF0\x9F\x98", "a" + r},
		{"a\xC3", "a" + r},
	} {
		s := NewStream(Bytes{})
		for range 2 { // a stream may be used again
			var got []byte
			for _, b := range []byte(c.bytes) {
				got, _ = s.Append(got, int32(b))
			}
			if got = s.Close(got); string(got) != c.want {
				t.Errorf("%q: %q, want %q", c.bytes, got, c.want)
			}
		}
	}
	s := NewStream(Bytes{})
	got, _ := s.Append(nil, 0xC3)
	if _, err := s.Append(got, 999); err == nil {
		t.Error("999 was taken for a token")
	}
	if got, _ = s.Append(got, 0xA9); string(got) != "é" {
		t.Errorf("after an error: %q", got)
	}
}
