package task

import (
	"strings"
	"unicode/utf8"

	"coil/corpus"
	"coil/tokenizer"
)

// Language is a task whose sequences are text of a corpus. Unlike other tasks, it has a limited number of sequences. Indices past
// the last sequence start again from the first, in another order.
type Language interface {
	Task
	// Prepare opens the corpus, and tokenises it if that has not been done. It must succeed before samplers are made, and does
	// nothing after it has. progress, which may be nil, is called now and then; its error ends Prepare.
	Prepare(progress func(corpus.Progress) error) error
	// Tokenizer turns text into the task's tokens.
	Tokenizer() tokenizer.Tokenizer
	// Corpus is the text, once it is prepared.
	Corpus() *corpus.Corpus
	// Sequences are the examples of a split, once the corpus is prepared.
	Sequences(split Split) *corpus.Sequences
}

// Prepare opens the corpus of a task that has one: see [Language].
func Prepare(t Task, progress func(corpus.Progress) error) error {
	if l, ok := t.(Language); ok {
		return l.Prepare(progress)
	}
	return nil
}

// Limit returns n, or the number of examples of a split if there are fewer.
func Limit(t Task, split Split, n int) int {
	if l, ok := t.(Language); ok {
		return min(n, l.Sequences(split).Len())
	}
	return n
}

// renderText is the text of tokens, on one line, with a sign for each end of a line and of a document.
func renderText(t tokenizer.Tokenizer, tokens []int32) string {
	var b []byte
	for len(tokens) > 0 {
		n := 0
		for n < len(tokens) && tokens[n] != t.EndOfDocument() && tokens[n] != Ignore {
			n++
		}
		b, _ = t.Decode(b, tokens[:n]) // what is no token has no text
		if tokens = tokens[n:]; len(tokens) > 0 {
			if tokens[0] != Ignore {
				b = append(b, "¶"...)
			}
			tokens = tokens[1:]
		}
	}
	return strings.NewReplacer("\r\n", "↵", "\n", "↵", "\t", " ").Replace(strings.ToValidUTF8(string(b), string(utf8.RuneError)))
}
