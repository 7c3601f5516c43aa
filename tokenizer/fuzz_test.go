package tokenizer

import (
	"bytes"
	"os"
	"testing"
)

// useAll uses all of a tokenizer that was read: nothing may panic, and what has bytes is encoded without loss.
func useAll(t *testing.T, b *BytePair, text []byte) {
	var s []byte
	for token := range int32(b.VocabularySize()) {
		if b.tokens[token] != nil {
			s, _ = b.Decode(s[:0], []int32{token})
			if n := b.Length(token); n != 0 && n != len(s) {
				t.Errorf("token %d has %d bytes, and its length is %d", token, len(s), n)
			}
		}
	}
	Describe(b)
	tokens, err := b.NewEncoder().Encode(nil, text)
	if err != nil {
		return
	}
	back, err := b.Decode(nil, tokens)
	if err != nil {
		t.Errorf("%q has tokens that can't be decoded: %v", text, err)
	}
	lossless := !b.compose && !b.prefix
	for _, a := range b.added {
		lossless = lossless && !a.LStrip && !a.RStrip
	}
	if lossless && !bytes.Equal(back, text) {
		t.Errorf("%q becomes %q", text, back)
	}
}

// FuzzJSON reads a tokenizer.json and uses it.
func FuzzJSON(f *testing.F) {
	for _, name := range []string{"gpt2", "llama3", "qwen", "smollm"} {
		data, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, []byte("Hello <|endoftext|> [mask] wörld 123\n\n"))
	}
	f.Add([]byte(`{"added_tokens":[{"id":3,"content":"<eos>","single_word":true,"lstrip":true,"rstrip":true,"normalized":true,"special":true}],"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{L}+|\\s"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false}]},"model":{"type":"BPE","ignore_merges":true,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`), []byte("ab <eos>abab"))
	f.Fuzz(func(t *testing.T, data, text []byte) {
		if b, err := (Config{Slow: true}).parse(data); err == nil {
			useAll(t, b, text)
		}
	})
}

// FuzzRanks reads a .tiktoken file and uses it.
func FuzzRanks(f *testing.F) {
	f.Add([]byte("YWI= 256\nYWJj 257\n"), []byte("abcab<|endoftext|>"))
	f.Add([]byte("YWI= 300\n\nYmM= 256\r\n"), []byte("abc \xff"))
	f.Fuzz(func(t *testing.T, data, text []byte) {
		if b, err := (Config{Pattern: O200K}).parse(append(byteRanks(), data...)); err == nil {
			useAll(t, b, text)
		}
	})
}

// FuzzRoundTrip encodes and decodes, with every pattern: as a whole and as a stream. Only NFC changes text.
func FuzzRoundTrip(f *testing.F) {
	var all []*BytePair
	for _, p := range []Pattern{GPT2, Llama3, Qwen, SmolLM, O200K} {
		all = append(all, parse(f, trainOpticks(f, p, 600, "<|endoftext|>").JSON()))
	}
	s := newSamples(f)
	for i := range 50 {
		f.Add([]byte(s.text(i)))
	}
	f.Add([]byte("a\xffb\xf0\x9f\x98 '\xc5"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, b := range all {
			want := text
			if b.compose {
				want = composeNFC(text)
				if again := composeNFC(want); !bytes.Equal(again, want) {
					t.Errorf("%q is normalized to %q, and that to %q", text, want, again)
				}
			}
			tokens, err := b.NewEncoder().Encode(nil, text)
			if err != nil {
				t.Fatal(err)
			}
			back, err := b.Decode(nil, tokens)
			if err != nil || !bytes.Equal(back, want) {
				t.Errorf("%s: %q becomes %q, %v", b.pattern, text, back, err)
			}
			whole, n := appendText(nil, back)
			if n < len(back) {
				whole = append(whole, "\uFFFD"...)
			}
			stream := NewStream(b)
			var streamed []byte
			for _, token := range tokens {
				if streamed, err = stream.Append(streamed, token); err != nil {
					t.Fatal(err)
				}
			}
			if streamed = stream.Close(streamed); !bytes.Equal(streamed, whole) {
				t.Errorf("%s: the stream is %q, want %q", b.pattern, streamed, whole)
			}
		}
	})
}
