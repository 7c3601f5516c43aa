package tokenizer

import (
	"slices"
	"strings"
	"testing"

	"coil/thorough"
)

// pieces are the ends of the pieces of a text.
func pieces(t *testing.T, text []byte, steps []newSplitter) []int {
	t.Helper()
	var made []splitter
	for _, s := range steps {
		made = append(made, s())
	}
	var ends []int
	at := 0
	err := split(text, made, func(piece []byte) error {
		if len(piece) == 0 {
			t.Fatalf("%q has an empty piece", text)
		}
		at += len(piece)
		ends = append(ends, at)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if at != len(text) {
		t.Fatalf("the pieces of %q have %d bytes", text, at)
	}
	return ends
}

// The scanners split as regexp2 does with the expressions that they stand for, on valid and on damaged text.
func TestScanners(t *testing.T) {
	var texts [][]byte
	s := newSamples(t)
	every := thorough.Every(t, 10, "strings")
	for i := 0; i < 20_000; i += every {
		text := []byte(s.text(i))
		texts = append(texts, text)
		if r := splitMix(i); len(text) > 0 { // a byte of another value
			damaged := slices.Clone(text)
			damaged[r.next()%uint64(len(text))] = byte(r.next())
			texts = append(texts, damaged)
		}
	}
	for _, name := range GPT2.Values() {
		t.Run(name, func(t *testing.T) {
			scan, err := Pattern(name).splitters()
			if err != nil {
				t.Fatal(err)
			}
			var general []newSplitter
			expressions := Pattern(name).expressions()
			if name == string(CL100K) {
				expressions = []string{strings.NewReplacer("$", `\z`, `\p{N}{1,3}+`, `(?>\p{N}{1,3})`).Replace(cl100kExpression)}
			}
			for _, e := range expressions {
				if e == digitStep {
					general = append(general, scan[0])
					continue
				}
				x, err := newExpression(e)
				if err != nil {
					t.Fatal(err)
				}
				general = append(general, x.splitter)
			}
			for _, text := range texts {
				if got, want := pieces(t, text, scan), pieces(t, text, general); !slices.Equal(got, want) {
					t.Fatalf("the pieces of %q end at %d, want %d", text, got, want)
				}
			}
		})
	}
}
