package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"coil/golden"
	"coil/thorough"
)

// pythonResults are what the Python packages computed: testdata/fixtures.py.
type pythonResults struct {
	Block int                     `json:"block"`
	Files map[string]pythonResult `json:"files"`
}

type pythonResult struct {
	SHA256  string    `json:"sha256"`
	Decoded string    `json:"decoded"`
	Blocks  []string  `json:"blocks"`
	Opticks wholeText `json:"opticks"`
	Bible   wholeText `json:"bible"`
}

type wholeText struct {
	Tokens int    `json:"tokens"`
	Hash   string `json:"hash"`
}

// tokenHash is a hash of lists of tokens.
type tokenHash struct{ hash.Hash }

func (h tokenHash) add(tokens []int32) {
	var b []byte
	for _, t := range tokens {
		b = binary.LittleEndian.AppendUint32(b, uint32(t))
	}
	h.Write(binary.LittleEndian.AppendUint32(b, 1<<32-1))
}

func (h tokenHash) text() string { return hex.EncodeToString(h.Sum(nil))[:16] }

func opticks(t testing.TB) []byte {
	return golden.Distribution(t, "src", "testdata", "Isaac.Newton-Opticks.txt")
}

func encodeAll(t *testing.T, e Encoder, text []byte) []int32 {
	t.Helper()
	tokens, err := e.Encode(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// Tokens are those of the Python packages tokenizers 0.23.3 and tiktoken 0.14.0, on random strings of hard characters and on
// whole texts, and so is what random tokens decode to. If COIL_TOKENIZERS names a folder, all strings are compared, and so are
// the files in it, which are not in the repository.
func TestPython(t *testing.T) {
	data, err := os.ReadFile("testdata/results.json")
	if err != nil {
		t.Fatal(err)
	}
	var results pythonResults
	if err := json.Unmarshal(data, &results); err != nil {
		t.Fatal(err)
	}
	strings := newSamples(t)
	for name, want := range results.Files {
		path := filepath.Join("testdata", name)
		if _, err := os.Stat(path); err != nil {
			path = filepath.Join(os.Getenv("COIL_TOKENIZERS"), name)
			if _, err := os.Stat(path); err != nil {
				t.Logf("%s is not here: COIL_TOKENIZERS may name a folder that has it", name)
				continue
			}
		}
		t.Run(name, func(t *testing.T) { comparePython(t, path, want, strings, results.Block) })
	}
}

func comparePython(t *testing.T, path string, want pythonResult, strings samples, block int) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want.SHA256 {
		t.Fatalf("%s is not the file that Python read", path)
	}
	c := Config{Slow: true}
	if filepath.Base(path) == "opticks.tiktoken" {
		c.Pattern = CL100K
	}
	b, err := c.parse(data)
	if err != nil {
		t.Fatal(err)
	}
	e := b.NewEncoder()
	every := 1
	if os.Getenv("COIL_TOKENIZERS") == "" {
		every = len(want.Blocks)
		t.Logf("1 of %d blocks of strings; COIL_TOKENIZERS=folder compares all", every)
	}
	for i := 0; i < len(want.Blocks); i += every {
		h := tokenHash{sha256.New()}
		for k := range block {
			h.add(encodeAll(t, e, []byte(strings.text(i*block+k))))
		}
		if h.text() != want.Blocks[i] {
			t.Errorf("strings from %d on have other tokens", i*block)
		}
	}
	compareText(t, e, "opticks", opticks(t), want.Opticks)
	if thorough.On() {
		if text, err := exec.Command("bible", "-f", "Gen1:1-Rev22:21").Output(); err == nil {
			compareText(t, e, "bible", text, want.Bible)
		}
	}
	if got := decodeRandom(t, b); got != want.Decoded {
		t.Errorf("random tokens decode to another text: hash %s, want %s", got, want.Decoded)
	}
}

func compareText(t *testing.T, e Encoder, name string, text []byte, want wholeText) {
	t.Helper()
	tokens := encodeAll(t, e, text)
	h := tokenHash{sha256.New()}
	if h.add(tokens); len(tokens) != want.Tokens || h.text() != want.Hash {
		t.Errorf("%s has %d tokens with hash %s, want %d and %s", name, len(tokens), h.text(), want.Tokens, want.Hash)
	}
}

// decodeRandom decodes short lists of random tokens as text, and returns a hash.
func decodeRandom(t *testing.T, b *BytePair) string {
	var ids []int32
	for id, text := range b.tokens {
		if text != nil {
			ids = append(ids, int32(id))
		}
	}
	state := splitMix(1)
	h := sha256.New()
	s := NewStream(b)
	var text bytes.Buffer
	for range 2_000 {
		text.Reset()
		var list []int32
		for n := state.next() % 13; n > 0; n-- {
			list = append(list, ids[state.next()%uint64(len(ids))])
		}
		for _, id := range list {
			got, err := s.Append(nil, id)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(got)
		}
		text.Write(s.Close(nil))
		h.Write(append(text.Bytes(), 0))
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
