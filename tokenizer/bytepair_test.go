package tokenizer

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// A heap finds the same merges as a search, in pieces of any length.
func TestMergeByHeap(t *testing.T) {
	b := parseFile(t, "testdata/gpt2.json")
	text := opticks(t)
	bySearch, byHeap := merger{merges: b.merges}, merger{merges: b.merges}
	state := splitMix(1)
	for range 300 {
		begin := state.next() % uint64(len(text)-500)
		piece := text[begin : begin+state.next()%300]
		if state.next()%4 == 0 {
			piece = slices.Repeat([]byte("aee"), len(piece)/3)
		}
		var tokens []int32
		for _, c := range piece {
			tokens = append(tokens, b.bytes[c])
		}
		want, got := bySearch.mergeBySearch(nil, tokens), byHeap.mergeByHeap(nil, tokens)
		if !slices.Equal(got, want) {
			t.Fatalf("%q: %d, want %d", piece, got, want)
		}
	}
}

// One tokenizer serves several goroutines, and an encoder that has forgotten its pieces encodes as before.
func TestEncoders(t *testing.T) {
	b := parseFile(t, "testdata/qwen.json")
	text := opticks(t)[:50_000]
	want := encodeAll(t, b.NewEncoder(), text)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			e := b.NewEncoder()
			for range 2 {
				if got, err := e.Encode(nil, text); err != nil || !slices.Equal(got, want) {
					t.Errorf("the tokens are different, %v", err)
				}
			}
		})
	}
	group.Wait()
	e := b.NewEncoder()
	var many strings.Builder
	for i := range cacheWords + 10 {
		many.WriteString(" x")
		many.WriteRune(rune(0x4e00 + i%20_000))
		many.WriteRune(rune(0xac00 + i/20_000))
	}
	encodeAll(t, e, []byte(many.String()))
	if got := encodeAll(t, e, text); !slices.Equal(got, want) {
		t.Error("after many pieces the tokens are different")
	}
	if n := len(e.(*encoder).cache); n > cacheWords {
		t.Errorf("%d pieces are kept", n)
	}
}

// A vocabulary without a byte can be used for texts without it.
func TestMissingByte(t *testing.T) {
	data, err := os.ReadFile("testdata/gpt2.json")
	if err != nil {
		t.Fatal(err)
	}
	b := parse(t, []byte(strings.Replace(string(data), `"õ":`, `"õõ":`, 1)))
	if d := Describe(b); !slices.Equal(d.MissingBytes, []int{0xf5}) {
		t.Errorf("these bytes are missing: %x", d.MissingBytes)
	}
	e := b.NewEncoder()
	if _, err := e.Encode(nil, []byte("plain")); err != nil {
		t.Error(err)
	}
	var missing *ByteError
	if _, err := e.Encode(nil, []byte("a\xf5")); !errors.As(err, &missing) || missing.Byte != 0xf5 {
		t.Errorf("the error is %v", err)
	}
}

// Tokens that are not there are refused, whether beyond the vocabulary or in a gap.
func TestDecodeErrors(t *testing.T) {
	b, err := Config{Pattern: GPT2, End: "<end>"}.parse([]byte(string(byteRanks()) + "YWI= 300\n"))
	if err != nil {
		t.Fatal(err)
	}
	if d := Describe(b); d.VocabularySize != 302 || d.Tokens != 258 || d.EndOfDocument != 301 || d.Longest != 2 {
		t.Errorf("it is %+v", d)
	}
	for _, token := range []int32{-1, 280, 302} {
		var wrong *RangeError
		if _, err := b.Decode(nil, []int32{65, token}); !errors.As(err, &wrong) || wrong.Token != token || b.Length(token) != 0 {
			t.Errorf("%d: %v", token, err)
		}
	}
	tokens := encodeAll(t, b.NewEncoder(), []byte("abba<end>"))
	if want := []int32{300, 'b', 'a', 301}; !slices.Equal(tokens, want) {
		t.Errorf("the tokens are %d, want %d", tokens, want)
	}
	if b.Length(300) != 2 || b.Length(301) != 0 {
		t.Error("lengths are wrong")
	}
}

// Special tokens have no length, and added tokens that stand for text have that of their name.
func TestAddedLength(t *testing.T) {
	b := parseFile(t, "testdata/gpt2.json")
	for _, a := range b.added {
		want := len(a.Content)
		if a.Special {
			want = 0
		}
		if got := b.Length(a.ID); got != want {
			t.Errorf("%s has length %d, want %d", a.Content, got, want)
		}
	}
}

// Identities differ where tokens may.
func TestIdentity(t *testing.T) {
	seen := map[string]string{}
	add := func(name string, c Config, data []byte) {
		b, err := c.parse(data)
		if err != nil {
			t.Fatal(name, err)
		}
		if other, twice := seen[b.Identity()]; twice {
			t.Errorf("%s and %s have the same identity", name, other)
		}
		seen[b.Identity()] = name
	}
	add("file", Config{}, changed(t))
	add("another end", Config{End: "<|im_end|>"}, changed(t))
	add("another file", Config{}, changed(t, [2]string{"model.ignore_merges", "true"}))
	add("gpt-2", Config{Pattern: GPT2}, byteRanks())
	add("llama-3", Config{Pattern: Llama3}, byteRanks())
	if b := parse(t, changed(t)); seen[b.Identity()] != "file" {
		t.Error("the same file has another identity")
	}
}

// The alphabet of GPT-2 has 256 printable characters.
func TestAlphabet(t *testing.T) {
	for b, r := range alphabet {
		if got, ok := bytesOf(string(r)); !ok || len(got) != 1 || got[0] != byte(b) || utf8.RuneLen(r) > 2 {
			t.Errorf("%#x is %q, which is %x", b, r, got)
		}
	}
	for name, want := range map[string]string{"Ġthe": " the", "Ċ": "\n", "ÃŁ": "ß", "ł": "\xa0", "Ń": "\xad"} {
		if got, ok := bytesOf(name); !ok || string(got) != want || nameOf([]byte(want)) != name {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	if _, ok := bytesOf("a b"); ok {
		t.Error("a space is no character of the alphabet")
	}
}
