package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// JSON returns the vocabulary as a tokenizer.json, with the fields in the order of the Python package tokenizers, which
// reads it.
func (t *Trained) JSON() []byte {
	var b bytes.Buffer
	normalizer := "null"
	if t.Pattern == Qwen {
		normalizer = `{"type": "NFC"}`
	}
	fmt.Fprintf(&b, `{
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [
    {"id": 0, "content": %s, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
  ],
  "normalizer": %s,
  "pre_tokenizer": %s,
  "post_processor": null,
  "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
  "model": {
    "type": "BPE",
    "dropout": null,
    "unk_token": null,
    "continuing_subword_prefix": null,
    "end_of_word_suffix": null,
    "fuse_unk": false,
    "byte_fallback": false,
    "ignore_merges": false,
    "vocab": {
`, quoteJSON(string(t.Tokens[0])), normalizer, t.Pattern.preTokenizer())
	for id := range t.Tokens {
		fmt.Fprintf(&b, "      %s: %d%s\n", quoteJSON(t.name(int32(id))), id, comma(id, len(t.Tokens)))
	}
	b.WriteString("    },\n    \"merges\": [\n")
	for i, m := range t.Merges {
		fmt.Fprintf(&b, "      [%s, %s]%s\n", quoteJSON(t.name(m[0])), quoteJSON(t.name(m[1])), comma(i, len(t.Merges)))
	}
	b.WriteString("    ]\n  }\n}\n")
	return b.Bytes()
}

// name is the name of a token in the file.
func (t *Trained) name(id int32) string {
	if id == 0 {
		return string(t.Tokens[0])
	}
	return nameOf(t.Tokens[id])
}

func comma(i, n int) string {
	if i+1 < n {
		return ","
	}
	return ""
}

// preTokenizer is the pattern as JSON.
func (p Pattern) preTokenizer() string {
	var steps []string
	regex := false // the last step is ByteLevel's own expression
	for _, e := range p.expressions() {
		switch e {
		case digitStep:
			steps = append(steps, `{"type": "Digits", "individual_digits": true}`)
		case gpt2Expression:
			regex = true
		default:
			steps = append(steps, `{"type": "Split", "pattern": {"Regex": `+quoteJSON(e)+`}, "behavior": "Isolated", "invert": false}`)
		}
	}
	steps = append(steps, fmt.Sprintf(`{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": %t}`, regex))
	if len(steps) == 1 {
		return steps[0]
	}
	return `{"type": "Sequence", "pretokenizers": [` + strings.Join(steps, ", ") + "]}"
}

// quoteJSON writes a text, which is UTF-8, as JSON.
func quoteJSON(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string is always JSON
	return strings.TrimSuffix(b.String(), "\n")
}
