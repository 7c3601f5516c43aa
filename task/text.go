package task

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"coil/config/schema"
	"coil/corpus"
	"coil/metric"
	"coil/tokenizer"
)

// Text configures sequences of text. The target at each position is the token that comes next.
type Text struct {
	// Files are the corpus; none is the embedded one.
	Files []string `toml:"files" help:"files, folders and patterns of text, JSON lines or parquet; none is the prose within coil" alias:"text"`
	// Field has the text.
	Field string `toml:"field" help:"JSON lines and parquet: the field or column with the text"`
	// Separator stands between documents of plain text.
	Separator string `toml:"separator" help:"plain text: what stands between documents; without one, they end with paragraphs, after 32 KiB"`
	// Share of the documents is held out.
	Share float64 `toml:"held_out" help:"share of the documents held out, chosen by a hash of their text" limits:"[0,0.9]"`
	// HeldOut names files that are held out instead.
	HeldOut []string `toml:"held_out_files" help:"files, folders and patterns held out instead of a share"`
	// Tokenizer makes the tokens, with the end, pattern and slow of [tokenizer.Config].
	Tokenizer string `toml:"tokenizer" help:"bytes, or the path of a tokenizer.json or .tiktoken file" also:"tokenizer_file,tokenizer_path,tokenizer_name"`
	End       string `toml:"tokenizer_end" help:"the token after each document; empty for the usual ones, such as <|endoftext|>"`
	Pattern   string `toml:"tokenizer_pattern" help:"how a .tiktoken file that coil does not know splits text: gpt-2, llama-3, qwen, smollm, cl100k or o200k"`
	Slow      bool   `toml:"tokenizer_slow" help:"use a general regular expression for a pattern that has no scanner"`
	// Length is the number of tokens of a sequence.
	Length int `toml:"length" help:"tokens of a sequence, 2 to 65536" limits:"[2,65536]"`
	// Packing is how documents are put into sequences.
	Packing Packing `toml:"packing"`
	// SkipBad leaves out what can't be read.
	SkipBad bool `toml:"skip_bad" help:"leave out, and count, documents that can't be read"`
}

// Packing is how documents are packed into sequences for training. Held-out documents are always a stream.
type Packing string

const (
	Stream  Packing = "stream"
	BestFit Packing = "best-fit"
)

// Values are the ways.
func (Packing) Values() []string { return []string{string(Stream), string(BestFit)} }

// Help describes the ways.
func (Packing) Help() string {
	return "stream, which loses nothing, or best-fit, which begins each sequence with a document and crops what is left over"
}

// SetDefault sets all keys to their defaults.
func (c *Text) SetDefault() {
	*c = Text{Files: []string{}, Field: "text", Share: 0.05, HeldOut: []string{}, Tokenizer: tokenizer.BytesName, Length: 256, Packing: Stream}
}

// Check returns an error if c is impossible, as far as it can know without reading the files.
func (c Text) Check() error {
	if err := schema.Check("text.", &c); err != nil {
		return err
	}
	switch {
	case len(c.Files) == 0 && len(c.HeldOut) > 0:
		return schema.Errorf("text.held_out_files", " is %s, and the prose within coil holds out its own chapters: set task.text.files too", strings.Join(c.HeldOut, ","))
	case len(c.Files) > 0 && len(c.HeldOut) == 0 && c.Share == 0:
		return schema.Errorf("text.held_out", " is 0, and text.held_out_files is empty: then nothing could be measured")
	case c.Field == "":
		return schema.Errorf("text.field", " is empty, want the name of a field")
	case c.Tokenizer == "":
		return schema.Errorf("text.tokenizer", " is empty, want %s or the path of a file", tokenizer.BytesName)
	case c.Pattern != "" && !slices.Contains(tokenizer.Pattern("").Values(), c.Pattern):
		return schema.Errorf("text.tokenizer_pattern", " is %q, want %s", c.Pattern, strings.Join(tokenizer.Pattern("").Values(), ", "))
	}
	return nil
}

// New makes the task. It reads the tokenizer's file, and not yet the text.
func (c Text) New() (Task, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	k, err := tokenizer.Config{File: c.Tokenizer, End: c.End, Pattern: tokenizer.Pattern(c.Pattern), Slow: c.Slow}.Open()
	if err != nil {
		return nil, schema.Errorf("text.tokenizer", " is %s: %v", c.Tokenizer, err)
	}
	t := &prose{Text: c, tokenizer: k}
	t.vocabulary = sync.OnceValue(t.texts)
	return t, nil
}

type prose struct {
	Text
	tokenizer  tokenizer.Tokenizer
	vocabulary func() []string
	corpus     *corpus.Corpus // once it is prepared
	sequences  [2]*corpus.Sequences
}

func (t *prose) Name() string { return "text" }
func (t *prose) Length() int  { return t.Text.Length }

// Vocabulary is the texts of the tokens; those of bytes that are no character are in the form <e2>.
func (t *prose) Vocabulary() []string { return t.vocabulary() }

func (t *prose) texts() []string {
	all := make([]string, t.tokenizer.VocabularySize())
	for i := range all {
		b, err := t.tokenizer.Decode(nil, []int32{int32(i)})
		switch s := string(b); {
		case err != nil, int32(i) == t.tokenizer.EndOfDocument():
			all[i] = "¶"
		case utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0:
			all[i] = s
		case utf8.ValidString(s):
			q := strconv.Quote(s)
			all[i] = q[1 : len(q)-1]
		default:
			all[i] = fmt.Sprintf("<%x>", b)
		}
	}
	return all
}

func (t *prose) Kinds() []string { return []string{"next token"} }

// Metric is bits per byte, which is comparable across tokenizers.
func (t *prose) Metric() metric.Metric { return metric.BitsPerByte }

func (t *prose) Tokenizer() tokenizer.Tokenizer { return t.tokenizer }

func (t *prose) Prepare(progress func(corpus.Progress) error) error {
	if t.corpus != nil {
		return nil
	}
	c, err := corpus.Open(corpus.Settings{Files: t.Files, HeldOut: t.HeldOut, Share: t.Share, Tokenizer: t.tokenizer,
		Options: corpus.Options{Field: t.Field, Separator: t.Separator, SkipBad: t.SkipBad}}, progress)
	if err != nil {
		return err
	}
	if err := c.CheckLength(corpus.Train, t.Text.Length); err != nil {
		c.Close()
		return err
	}
	t.sequences[HeldOut] = c.Stream(corpus.HeldOut, t.Text.Length)
	if t.Packing == BestFit {
		t.sequences[Train] = c.BestFit(corpus.Train, t.Text.Length)
	} else {
		t.sequences[Train] = c.Stream(corpus.Train, t.Text.Length)
	}
	t.corpus = c
	return nil
}

func (t *prose) Corpus() *corpus.Corpus                  { return t.corpus }
func (t *prose) Sequences(split Split) *corpus.Sequences { return t.sequences[split] }

func (t *prose) NewSampler() Sampler {
	if t.corpus == nil {
		panic("task: a sampler of text that is not prepared")
	}
	return textSampler{t}
}

type textSampler struct{ *prose }

func (s textSampler) Sample(seed, index uint64, split Split, ex *Example) {
	s.SampleKind(seed, index, split, 0, ex)
}

func (s textSampler) SampleKind(seed, index uint64, split Split, kind int, ex *Example) {
	if kind != 0 {
		panic(fmt.Sprintf("task: text has one kind, not a kind %d", kind))
	}
	number, _ := s.sequences[split].At(seed, index)
	s.sequences[split].Fill(number, ex.Tokens, ex.Targets, Ignore)
	ex.Kind = kind
}

// Explain shows the text and the token that follows it.
func (t *prose) Explain(w io.Writer, ex Example) error {
	if err := t.check(ex); err != nil {
		return err
	}
	n := t.Length()
	var b bytes.Buffer
	last := n
	for last > 0 && ex.Targets[last-1] == Ignore {
		last--
	}
	fmt.Fprintf(&b, "%d tokens of text, ↵ ends a line and ¶ a document; the target at each position is the token that comes next\n\n%s\n", n, renderText(t.tokenizer, ex.Tokens[:last]))
	if last > 0 {
		fmt.Fprintf(&b, "\nand then %q\n", renderText(t.tokenizer, ex.Targets[last-1:last]))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// check verifies that ex is an example of t: each token is followed by its target, and what has no target is at the end.
func (t *prose) check(ex Example) error {
	n, vocabulary := t.Length(), t.tokenizer.VocabularySize()
	if len(ex.Tokens) != n || len(ex.Targets) != n || ex.Kind != 0 {
		return fmt.Errorf("text: an example has %d tokens, %d targets, kind 0; not %d, %d, %d", n, n, len(ex.Tokens), len(ex.Targets), ex.Kind)
	}
	wrong := func(what string, k int32, i int, want string) error {
		return fmt.Errorf("text: %s %d at position %d, want %s", what, k, i+1, want)
	}
	for i, k := range ex.Tokens {
		if k < 0 || int(k) >= vocabulary {
			return wrong("token", k, i, fmt.Sprintf("0 to %d", vocabulary-1))
		}
		switch target := ex.Targets[i]; {
		case target != Ignore && (target < 0 || int(target) >= vocabulary):
			return wrong("target", target, i, fmt.Sprintf("0 to %d, or none", vocabulary-1))
		case i+1 == n:
		case target == Ignore && (ex.Targets[i+1] != Ignore || ex.Tokens[i+1] != t.tokenizer.EndOfDocument()):
			return wrong("target", target, i, "one, as the text goes on")
		case target != Ignore && target != ex.Tokens[i+1]:
			return wrong("target", target, i, strconv.Itoa(int(ex.Tokens[i+1])))
		}
	}
	return nil
}
