package tokenizer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"coil/text"

	"github.com/dlclark/regexp2/v2"
)

// expression splits texts with a general regular expression, in the syntax of Oniguruma as the Python package uses it. Its
// matches and what lies between them are the pieces. The classes L, M, N, P, S, Lu, Ll and Lo have the characters that they have
// there; all others are those of the version of Unicode that Go has.
type expression struct {
	source string
	engine *regexp2.Regexp
}

func newExpression(source string) (*expression, error) {
	translated, err := translate(source)
	if err != nil {
		return nil, fmt.Errorf("the pattern %s can't be used: %w", text.Line(source), err)
	}
	engine, err := regexp2.Compile(translated, regexp2.Multiline)
	if err != nil {
		return nil, fmt.Errorf("the pattern %s can't be used: it is no regular expression, or one of another kind", text.Line(source))
	}
	return &expression{source, engine}, nil
}

// quoteExpression is the expression that matches a text.
func quoteExpression(text string) string { return regexp2.Escape(text) }

// splitter makes the state of one encoder.
func (x *expression) splitter() splitter { return &expressionSplitter{expression: x} }

type expressionSplitter struct {
	*expression
	runes []rune
	ends  []int // of the pieces that are still to come
}

func (s *expressionSplitter) next(text []byte, at int) (int, error) {
	if at == 0 {
		if err := s.find(text); err != nil {
			return 0, err
		}
	}
	end := s.ends[0]
	s.ends = s.ends[1:]
	return end, nil
}

// find finds the pieces of a text.
func (s *expressionSplitter) find(b []byte) error {
	s.runes, s.ends = s.runes[:0], s.ends[:0]
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		s.runes = append(s.runes, r)
		i += n
	}
	at, offset := 0, 0 // the same place, in characters and in bytes
	piece := func(end int) {
		if end <= at {
			return
		}
		for ; at < end; at++ {
			_, n := utf8.DecodeRune(b[offset:])
			offset += n
		}
		s.ends = append(s.ends, offset)
	}
	err := s.engine.FindRunesMatches(s.runes, 0, func(m regexp2.MatchView) bool {
		begin, length, _ := m.GroupRange(0)
		piece(begin)
		piece(begin + length)
		return true
	})
	piece(len(s.runes))
	if err != nil {
		return fmt.Errorf("the pattern %s needs too much memory for a text of %d bytes: it tries too many ways to match", text.Line(s.source), len(b))
	}
	return nil
}

// translate writes an expression in the syntax of Oniguruma in that of regexp2. It refuses what differs in meaning.
func translate(source string) (string, error) {
	var out strings.Builder
	inClass := false
	for rest := source; rest != ""; {
		size, written, err := translateOne(rest, inClass)
		if err != nil {
			return "", err
		}
		switch {
		case rest[0] == '[':
			inClass = true
			if strings.HasPrefix(rest, "[^") {
				size, written = 2, "[^"
			}
			if strings.HasPrefix(rest[size:], "]") {
				return "", fmt.Errorf("coil does not know ] at the begin of a class")
			}
		case rest[0] == ']':
			inClass = false
		}
		out.WriteString(written)
		rest = rest[size:]
	}
	return out.String(), nil
}

// translateOne translates the element that rest begins with, and returns its size.
func translateOne(rest string, inClass bool) (int, string, error) {
	unknown := func(n int) (int, string, error) {
		return 0, "", fmt.Errorf("coil does not know %s", rest[:min(n, len(rest))])
	}
	switch c := rest[0]; {
	case c == '\\':
		return translateEscape(rest, inClass)
	case inClass && (c == '[' || strings.HasPrefix(rest, "&&")):
		return unknown(2) // a class in a class, and intersection
	case !inClass && strings.HasPrefix(rest, "(?"):
		for _, known := range []string{"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"} {
			if strings.HasPrefix(rest, known) {
				return len(known), known, nil
			}
		}
		return unknown(4)
	case !inClass && c == '}' && strings.HasPrefix(rest[1:], "+"):
		return unknown(2) // a repeated repetition there, possessive here
	}
	_, n := utf8.DecodeRuneInString(rest)
	return n, rest[:n], nil
}

// translateEscape translates a backslash and what follows.
func translateEscape(rest string, inClass bool) (int, string, error) {
	if len(rest) < 2 {
		return 0, "", fmt.Errorf(`it ends with \`)
	}
	c := rest[1]
	switch {
	case c == 'p' || c == 'P':
		name, _, ok := strings.Cut(strings.TrimPrefix(rest[2:], "{"), "}")
		if !ok || rest[2] != '{' || strings.HasPrefix(name, "^") {
			return 0, "", fmt.Errorf("coil does not know %s", rest[:min(5, len(rest))])
		}
		size := len(`\p{}`) + len(name)
		more := newCharacters(name)
		switch {
		case more == "":
			return size, rest[:size], nil
		case !inClass && c == 'p':
			return size, "[" + rest[:size] + more + "]", nil
		case !inClass:
			return size, `[^\p{` + name + "}" + more + "]", nil
		case c == 'p':
			return size, rest[:size] + more, nil
		}
		return 0, "", fmt.Errorf("coil does not know %s in a class", rest[:size])
	case strings.IndexByte("sSdDwWrntfvAzZbBux", c) >= 0 || c < utf8.RuneSelf && !unicode.IsLetter(rune(c)) && !unicode.IsDigit(rune(c)):
		return 2, rest[:2], nil
	}
	return 0, "", fmt.Errorf("coil does not know %s", rest[:2])
}

// newCharacters are the characters, as ranges in a class, that a class has in the Python package and lacks in Go.
func newCharacters(name string) string {
	var has func(class) bool
	var table *unicode.RangeTable
	switch name {
	case "L":
		has, table = func(c class) bool { return c&letter != 0 }, unicode.L
	case "N":
		has, table = func(c class) bool { return c&number != 0 }, unicode.N
	case "M":
		has, table = func(c class) bool { return c&mark != 0 }, unicode.M
	case "P":
		has, table = func(c class) bool { return c&punctuation != 0 }, unicode.P
	case "S":
		has, table = func(c class) bool { return c&symbol != 0 }, unicode.S
	case "Lu":
		has, table = func(c class) bool { return c&(letter|upper|lower) == letter|upper }, unicode.L
	case "Ll":
		has, table = func(c class) bool { return c&(letter|upper|lower) == letter|lower }, unicode.L
	case "Lo":
		has, table = func(c class) bool { return c&(letter|upper|lower) == letter|upper|lower }, unicode.L
	default:
		return ""
	}
	var ranges strings.Builder
	for _, s := range classTable {
		if !has(s.class) {
			continue
		}
		for first := s.first; first <= s.last; {
			last := first
			for last <= s.last && !unicode.Is(table, last) {
				last++
			}
			if last > first {
				fmt.Fprintf(&ranges, "%c-%c", first, last-1)
			}
			first = last + 1
		}
	}
	return ranges.String()
}
