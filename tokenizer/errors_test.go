package tokenizer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// byteRanks is a file of ranks of the single bytes.
func byteRanks() []byte {
	var b strings.Builder
	for i := range 256 {
		fmt.Fprintf(&b, "%s %d\n", base64Of([]byte{byte(i)}), i)
	}
	return []byte(b.String())
}

func base64Of(b []byte) string {
	s, _ := json.Marshal(b) // JSON writes bytes in base64
	return strings.Trim(string(s), `"`)
}

// changed returns testdata/gpt2.json with values replaced: each change is a path of keys and a JSON value; an empty value
// removes the key.
func changed(t *testing.T, changes ...[2]string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/gpt2.json")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		keys := strings.Split(c[0], ".")
		at := file
		for _, k := range keys[:len(keys)-1] {
			at = at[k].(map[string]any)
		}
		last := keys[len(keys)-1]
		if c[1] == "" {
			delete(at, last)
			continue
		}
		at[last] = json.RawMessage(c[1])
	}
	data, err = json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What is wrong with a file is said in coil's words, with the place.
func TestErrors(t *testing.T) {
	added := func(fields string) [2]string { return [2]string{"added_tokens", "[" + fields + "]"} }
	end := `{"id":0,"content":"<|endoftext|>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}`
	other := func(id int, content string) string {
		return end + "," + strings.NewReplacer("<|endoftext|>", content, `"id":0`, fmt.Sprintf(`"id":%d`, id)).Replace(end)
	}
	split := func(pattern, behavior string, invert bool) [2]string {
		return [2]string{"pre_tokenizer", fmt.Sprintf(`{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":%s,"behavior":%q,"invert":%t},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}`, pattern, behavior, invert)}
	}
	ranks := string(byteRanks())
	for _, c := range []struct {
		name   string
		config Config
		data   []byte
		want   string
	}{
		{"empty", Config{}, nil, `it has no token for the byte 0x00: it is no .tiktoken file`},
		{"no JSON", Config{}, []byte("{\n\"model\": nonsense}"), "line 2 is not JSON"},
		{"cut off", Config{}, []byte("{\n\"model\":\n{"), "the JSON ends too early, in line 3: the file is cut off"},
		{"deep", Config{}, []byte(`{"model":` + strings.Repeat("[", 100_000)), "is not JSON, or is nested too deeply"},
		{"deep vocabulary", Config{}, changed(t, [2]string{"model.vocab", `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}"}), `model.vocab["a"] is not a number`},
		{"another JSON", Config{}, []byte(`{"a": 1}`), "it has no model: it is no tokenizer.json"},
		{"model is text", Config{}, []byte(`{"model": "BPE"}`), "model is a JSON string, which it can't be"},
		{"model", Config{}, changed(t, [2]string{"model.type", `"Unigram"`}), `model.type is "Unigram": coil reads byte-level BPE only`},
		{"dropout", Config{}, changed(t, [2]string{"model.dropout", "0.1"}), "model.dropout is 0.1"},
		{"prefix", Config{}, changed(t, [2]string{"model.continuing_subword_prefix", `"##"`}), "model.continuing_subword_prefix"},
		{"suffix", Config{}, changed(t, [2]string{"model.end_of_word_suffix", `"</w>"`}), "model.end_of_word_suffix"},
		{"fallback", Config{}, changed(t, [2]string{"model.byte_fallback", "true"}), "model.byte_fallback"},
		{"no vocabulary", Config{}, changed(t, [2]string{"model.vocab", ""}), "it has no model.vocab"},
		{"no merges", Config{}, changed(t, [2]string{"model.merges", ""}), "it has no model.merges"},
		{"list for vocabulary", Config{}, changed(t, [2]string{"model.vocab", `[["a", -1.5]]`}), "model.vocab is not an object"},
		{"empty vocabulary", Config{}, changed(t, [2]string{"model.vocab", `{}`}), "model.vocab is empty"},
		{"fraction", Config{}, changed(t, [2]string{"model.vocab", `{"a": 1.5}`}), `model.vocab["a"] is 1.5, want a whole number`},
		{"negative", Config{}, changed(t, [2]string{"model.vocab", `{"a": -1}`}), `model.vocab["a"] is -1, want a whole number`},
		{"huge", Config{}, changed(t, [2]string{"model.vocab", `{"a": 2000000000}`}), `model.vocab["a"] is 2000000000, far beyond the 1 tokens`},
		{"number twice", Config{}, changed(t, [2]string{"model.vocab", `{"a": 1, "b": 1}`}), `the tokens "a" and "b" have the same number, 1`},
		{"name twice", Config{}, changed(t, [2]string{"model.vocab", `{"a": 1, "a": 2}`}), `model.vocab has "a" twice`},
		{"unknown merge", Config{}, changed(t, [2]string{"model.merges", `["e q"]`}), `model.merges[0] joins "e" and "q", but model.vocab has no "eq"`},
		{"three names", Config{}, changed(t, [2]string{"model.merges", `["e r", "a b c"]`}), `model.merges[1] is "a b c", want two names`},
		{"one name", Config{}, changed(t, [2]string{"model.merges", `[["e"]]`}), `model.merges[0] has 1 names, want 2`},
		{"merges", Config{}, changed(t, [2]string{"model.merges", `[1]`}), `model.merges is neither`},
		{"normalizer", Config{}, changed(t, [2]string{"normalizer", `{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Lowercase"}]}`}), "the normalizer Lowercase is not supported"},
		{"no type", Config{}, changed(t, [2]string{"normalizer", `{}`}), "normalizer has no type"},
		{"normalizer is text", Config{}, changed(t, [2]string{"normalizer", `"NFC"`}), "normalizer is a JSON string"},
		{"decoder", Config{}, changed(t, [2]string{"decoder", `{"type":"Metaspace"}`}), "the decoder Metaspace is not supported"},
		{"no pre-tokenizer", Config{}, changed(t, [2]string{"pre_tokenizer", `null`}), "pre_tokenizer does not end with ByteLevel"},
		{"metaspace", Config{}, changed(t, [2]string{"pre_tokenizer", `{"type":"Metaspace"}`}), "pre_tokenizer does not end with ByteLevel"},
		{"whitespace", Config{}, changed(t, [2]string{"pre_tokenizer", `{"type":"Sequence","pretokenizers":[{"type":"Whitespace"},{"type":"ByteLevel"}]}`}), "pre_tokenizer: Whitespace is not supported"},
		{"digits", Config{}, changed(t, [2]string{"pre_tokenizer", `{"type":"Sequence","pretokenizers":[{"type":"Digits"},{"type":"ByteLevel","add_prefix_space":false}]}`}), "individual_digits"},
		{"space before pieces", Config{}, changed(t, [2]string{"pre_tokenizer", `{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel"}]}`}), "add_prefix_space after another step"},
		{"no pattern", Config{}, changed(t, split(`{}`, "Isolated", false)), "Split has no pattern"},
		{"unknown pattern", Config{}, changed(t, split(`{"Regex":"[a-z]+"}`, "Isolated", false)), "coil has no scanner for the pattern [a-z]+; --tokenizer.slow"},
		{"text as pattern", Config{}, changed(t, split(`{"String":"a.b"}`, "Isolated", false)), `coil has no scanner for the pattern a\.b`},
		{"behavior", Config{Slow: true}, changed(t, split(`{"Regex":"[a-z]+"}`, "MergedWithNext", false)), `behavior = "MergedWithNext"`},
		{"removed", Config{Slow: true}, changed(t, split(`{"Regex":"[a-z]+"}`, "Removed", true)), `behavior = "Removed"`},
		{"no expression", Config{Slow: true}, changed(t, split(`{"Regex":"[a-z"}`, "Isolated", false)), "it is no regular expression"},
		{"intersection", Config{Slow: true}, changed(t, split(`{"Regex":"[a-z&&[^b]]"}`, "Isolated", false)), "coil does not know &&"},
		{"posix", Config{Slow: true}, changed(t, split(`{"Regex":"[[:alpha:]]"}`, "Isolated", false)), "coil does not know [:"},
		{"hexadecimal", Config{Slow: true}, changed(t, split(`{"Regex":"\\h"}`, "Isolated", false)), `coil does not know \h`},
		{"repeated repetition", Config{Slow: true}, changed(t, split(`{"Regex":"a{1,3}+"}`, "Isolated", false)), `coil does not know }+`},
		{"no property", Config{Slow: true}, changed(t, split(`{"Regex":"\\pL"}`, "Isolated", false)), `coil does not know \pL`},
		{"class without letters", Config{Slow: true}, changed(t, split(`{"Regex":"[\\P{L}]"}`, "Isolated", false)), `coil does not know \P{L} in a class`},
		{"backslash", Config{Slow: true}, changed(t, split(`{"Regex":"a\\"}`, "Isolated", false)), `it ends with \`},
		{"group", Config{Slow: true}, changed(t, split(`{"Regex":"(?<name>a)"}`, "Isolated", false)), `coil does not know (?<n`},
		{"added without number", Config{}, changed(t, added(`{"content":"<|endoftext|>"}`)), "added_tokens[0]: it has no id"},
		{"added without content", Config{}, changed(t, added(`{"id":0}`)), "added_tokens[0]: it has no content"},
		{"added empty", Config{}, changed(t, added(strings.Replace(end, "<|endoftext|>", "", 1))), "added_tokens[0]: its content is empty"},
		{"added incomplete", Config{}, changed(t, added(strings.Replace(end, `"lstrip":false,`, "", 1))), `added_tokens[0]: "<|endoftext|>" has no lstrip`},
		{"added huge", Config{}, changed(t, added(other(1<<40, "<x>"))), "want one from 0 to 2147483647"},
		{"added twice", Config{}, changed(t, added(end+","+end)), "added_tokens[1]: \"<|endoftext|>\" is there twice"},
		{"added with another number", Config{}, changed(t, added(other(7, "e"))), `"e" has the number 7, but the Python package gives it 69`},
		{"added with a gap", Config{}, changed(t, added(other(1005, "<x>"))), `"<x>" has the number 1005, but the Python package gives it 1000`},
		{"no usual end", Config{}, changed(t, added(other(1000, "<x>")[len(end)+1:])), "name one with tokenizer.end; special tokens are: <x>"},
		{"another end", Config{End: "<y>"}, changed(t), `tokenizer.end is "<y>", which is no added token; special tokens are: <|endoftext|> <|im_start|> <|im_end|>`},
		{"pattern", Config{Pattern: GPT2}, changed(t), "tokenizer.pattern is for .tiktoken files"},
		{"ranks without a pattern", Config{}, []byte(ranks), "say it with tokenizer.pattern"},
		{"ranks with another pattern", Config{Pattern: "bert"}, []byte(ranks), `there is no pattern "bert": want gpt-2`},
		{"text", Config{}, []byte("It was a dark night\n"), `line 1 is "It was a dark night", want a token in base64, a space and its rank`},
		{"rank", Config{}, []byte(ranks + "YWI= x\n"), `line 257: the rank is "x"`},
		{"rank too large", Config{}, []byte(ranks + "YWI= 99999\n"), `line 257: the rank is "99999"`},
		{"rank twice", Config{}, []byte(ranks + "YWI= 5\n"), `line 257: the tokens "\x05" and "ab" have the same number, 5`},
		{"rank of a token twice", Config{}, []byte(ranks + "YQ== 256\n"), `line 257: the token "a" is there twice`},
		{"a byte is missing", Config{}, []byte(strings.TrimSuffix(ranks, base64Of([]byte{255})+" 255\n")), "it has no token for the byte 0xff"},
		{"a long line", Config{}, []byte(strings.Repeat("A", 1<<20)), "it has a very long line"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.config.parse(c.data)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("the error is %v, want …%s…", err, c.want)
			}
			for _, foreign := range []string{"json:", "invalid character", "strconv", "unmarshal", "base64:", "regexp", "%!"} {
				if strings.Contains(err.Error(), foreign) {
					t.Errorf("the error is another program's: %v", err)
				}
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{File: filepath.Join(dir, "none.json")}, "none.json: want bytes, or the path of a tokenizer.json"},
		{Config{File: dir}, "could not read the tokenizer " + dir + ": is a directory"},
		{Config{File: BytesName, Pattern: GPT2}, "tokenizer.pattern is for .tiktoken files"},
		{Config{File: BytesName, End: "x"}, "tokenizer.end is for files"},
	} {
		if _, err := c.config.Open(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("the error is %v, want …%s…", err, c.want)
		}
	}
	large := filepath.Join(dir, "large")
	f, err := os.Create(large)
	if err == nil {
		err = f.Truncate(maxFile + 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := (Config{File: large}).Open(); err == nil || !strings.Contains(err.Error(), "more than 256 MiB") {
		t.Errorf("a file of a large size: %v", err)
	}
	if b, err := Default().Open(); err != nil || b != (Bytes{}) {
		t.Errorf("the default is %v, %v", b, err)
	}
}
