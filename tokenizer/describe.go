package tokenizer

// Description is what is known about a tokenizer.
type Description struct {
	Kind           string       `json:"kind"`            // "bytes", "byte-level BPE"
	VocabularySize int          `json:"vocabulary_size"` // one more than the largest token
	Tokens         int          `json:"tokens"`          // fewer if there are gaps
	Merges         int          `json:"merges"`          // pairs that become a token
	Pattern        string       `json:"pattern,omitempty"`
	NFC            bool         `json:"nfc"`          // text is normalized
	SpaceBefore    bool         `json:"space_before"` // text gets a space before it if it has none
	WholePieces    bool         `json:"whole_pieces"` // a piece that is a token is not merged
	Slow           bool         `json:"slow"`         // pieces are found by a general regular expression
	EndOfDocument  int32        `json:"end_of_document"`
	Longest        int          `json:"longest"`       // bytes of the longest token that stands for text
	MissingBytes   []int        `json:"missing_bytes"` // that no token stands for: text with them can't be encoded
	Added          []AddedToken `json:"added_tokens"`
	Identity       string       `json:"identity"`
}

// Describe describes a tokenizer.
func Describe(t Tokenizer) Description {
	d := Description{Kind: BytesName, VocabularySize: t.VocabularySize(), EndOfDocument: t.EndOfDocument(), Identity: t.Identity(), Tokens: t.VocabularySize(), MissingBytes: []int{}, Added: []AddedToken{}}
	for token := range int32(d.VocabularySize) {
		d.Longest = max(d.Longest, t.Length(token))
	}
	b, ok := t.(*BytePair)
	if !ok {
		return d
	}
	d.Kind, d.Tokens, d.Merges, d.Pattern = "byte-level BPE", b.count, b.merges.count, b.pattern
	d.NFC, d.SpaceBefore, d.WholePieces, d.Slow = b.compose, b.prefix, b.whole != nil, b.general
	for i, token := range b.bytes {
		if token < 0 {
			d.MissingBytes = append(d.MissingBytes, i)
		}
	}
	d.Added = append(d.Added, b.added...)
	return d
}
