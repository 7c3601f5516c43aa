package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// Pattern is a way to split text into the pieces that are encoded apart, named by the model that made it known.
type Pattern string

// The patterns that have a scanner.
const (
	GPT2   Pattern = "gpt-2"
	Llama3 Pattern = "llama-3"
	Qwen   Pattern = "qwen"
	SmolLM Pattern = "smollm"
	CL100K Pattern = "cl100k"
	O200K  Pattern = "o200k"
)

// Values are the names of all patterns.
func (Pattern) Values() []string {
	return []string{string(GPT2), string(Llama3), string(Qwen), string(SmolLM), string(CL100K), string(O200K)}
}

// The regular expressions of the patterns, as files have them.
const (
	gpt2Expression   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	llama3Expression = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwenExpression   = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	cl100kExpression = `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`
)

const o200kExpression = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
	`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
	`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`

// otherWays writes contractions in one way.
var otherWays = strings.NewReplacer(`'(?:[sdmt]|ll|ve|re)`, `'s|'t|'re|'ve|'m|'ll|'d`, `'(?i:[sdmt]|ll|ve|re)`, `(?i:'s|'t|'re|'ve|'m|'ll|'d)`)

// scannerOf returns the scanner of a regular expression, whichever way it is written, and the expression in coil's way.
func scannerOf(expression string) (scan newSplitter, canonical string, ok bool) {
	s := scanner{classes: characterClasses()}
	canonical = otherWays.Replace(expression)
	switch canonical {
	case gpt2Expression:
		return s.self, canonical, true
	case llama3Expression:
		s.later, s.numbers = true, 3
		return s.self, canonical, true
	case qwenExpression:
		s.later, s.numbers = true, 1
		return s.self, canonical, true
	case o200kExpression:
		s.later, s.numbers = true, 3
		return caseScanner{s}.self, canonical, true
	}
	return nil, expression, false
}

// digitStep stands for the pre-tokenizer Digits among steps that are regular expressions.
const digitStep = `\d`

// expressions are the steps of a pattern.
func (p Pattern) expressions() []string {
	switch p {
	case GPT2:
		return []string{gpt2Expression}
	case Llama3:
		return []string{llama3Expression}
	case Qwen:
		return []string{qwenExpression}
	case O200K:
		return []string{o200kExpression}
	case SmolLM:
		return []string{digitStep, gpt2Expression}
	}
	return nil
}

// describe returns the name of the pattern with these steps, or the steps.
func describe(steps []string) string {
	for _, name := range GPT2.Values() {
		if slices.Equal(Pattern(name).expressions(), steps) {
			return name
		}
	}
	return strings.Join(steps, ", then ")
}

// splitters returns the steps of a pattern.
func (p Pattern) splitters() ([]newSplitter, error) {
	if p == CL100K { // only files of ranks have it: its possessive repetitions mean something else in a tokenizer.json
		return []newSplitter{scanner{classes: characterClasses(), later: true, numbers: 3, spaceAtEnd: true}.self}, nil
	}
	var steps []newSplitter
	for _, e := range p.expressions() {
		if e == digitStep {
			steps = append(steps, digitSplitter{characterClasses()}.self)
			continue
		}
		scan, _, _ := scannerOf(e)
		steps = append(steps, scan)
	}
	if steps == nil {
		return nil, fmt.Errorf("there is no pattern %q: want %s", p, strings.Join(p.Values(), ", "))
	}
	return steps, nil
}

// splitter finds the pieces of a text. Every byte belongs to one.
type splitter interface {
	// next returns where the piece ends that begins at the given place. The places of a text are asked in order, from 0.
	next(text []byte, at int) (int, error)
}

// newSplitter makes a splitter for one encoder.
type newSplitter func() splitter

// split calls found with each piece of text that remains after all splitters, in order.
func split(text []byte, splitters []splitter, found func(piece []byte) error) error {
	if len(splitters) == 0 {
		return found(text)
	}
	for at := 0; at < len(text); {
		end, err := splitters[0].next(text, at)
		if err != nil {
			return err
		}
		if err := split(text[at:end], splitters[1:], found); err != nil {
			return err
		}
		at = end
	}
	return nil
}
