package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Lines says where in a TOML document the keys are.
type Lines struct {
	source string
	of     map[string]int // from 1, by name: "train.steps", "axis[0].choice[1].name"
}

// line returns the line of a key. If the document does not have the key, it is the line of its table; 0 if it does not have
// that either.
func (l *Lines) line(name string) int {
	for ; name != ""; name = name[:max(0, strings.LastIndexAny(name, ".["))] {
		if n, ok := l.of[name]; ok {
			return n
		}
	}
	return 0
}

// Keys lists the keys and tables of the document, sorted.
func (l *Lines) Keys() []string {
	if l == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(l.of))
}

// at puts the position of a key before an error.
func (l *Lines) at(name string, err error) error {
	if n := l.line(name); n > 0 {
		return fmt.Errorf("%s:%d: %w", l.source, n, err)
	}
	return fmt.Errorf("%s: %w", l.source, err)
}

// At marks err as belonging to this key, for [Lines.Locate]. The key may be that of a table, such as "axis[1]", or of an
// element of a list.
func At(key string, err error) error { return &placed{key, err} }

// placed is an error that has a place.
type placed struct {
	key string
	err error
}

func (p *placed) Error() string { return p.err.Error() }
func (p *placed) Unwrap() error { return p.err }

// Locate puts the line before each of the joined errors that is an [Error] of a key in the document, except keys that have been
// set elsewhere since. It puts the document before every error made by [At], and the line if the document has the key.
func (l *Lines) Locate(err error, set ...string) error {
	if err == nil || l == nil {
		return err
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, l.Locate(e, set...))
		}
		return errors.Join(errs...)
	}
	var p *placed
	if errors.As(err, &p) {
		return l.at(p.key, err)
	}
	var e *Error
	if !errors.As(err, &e) || l.of[e.Key] == 0 {
		return err
	}
	for _, key := range set {
		if key == e.Key {
			return err
		}
	}
	return l.at(e.Key, err)
}

// syntax is the error of a text that is not TOML.
func syntax(source string, text []byte, err error) error {
	var e toml.ParseError
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: this is not TOML", source)
	}
	lines := strings.Split(string(text), "\n")
	n := min(e.Position.Line, len(lines))
	for n > 1 && strings.TrimSpace(lines[n-1]) == "" { // the parser notices a missing end of a line on the next line
		n--
	}
	line := strings.TrimSpace(lines[max(0, n-1)])
	const most = 60
	if r := []rune(line); len(r) > most {
		line = string(r[:most]) + "…"
	}
	if strings.Contains(e.Message, "already") {
		return fmt.Errorf("%s:%d: %q is defined twice", source, n, line)
	}
	return fmt.Errorf("%s:%d: %q is not TOML: want [table] or key = value, with texts in quotes", source, n, line)
}

// deepest is how deeply arrays and tables may be nested in each other.
const deepest = 32

// tooDeep returns the line at which arrays and tables are nested too deeply, or 0.
func tooDeep(text string) int {
	s := scanner{text: text, line: 1}
	for depth := 0; s.text != ""; {
		n := 1
		switch s.text[0] {
		case '[', '{':
			if depth++; depth > deepest {
				return s.line
			}
		case ']', '}':
			depth--
		case '"', '\'':
			n = quoted(s.text)
		case '#':
			n = max(1, strings.IndexByte(s.text, '\n'))
		}
		s.skip(n)
	}
	return 0
}

// keyLines finds the lines of all keys and tables of a text that is valid TOML.
func keyLines(text string) map[string]int {
	s := scanner{text: strings.TrimPrefix(text, "\ufeff"), line: 1, of: map[string]int{}, count: map[string]int{}}
	for prefix := ""; ; {
		s.space(true)
		switch {
		case s.text == "":
			return s.of
		case strings.HasPrefix(s.text, "["):
			prefix = s.header()
		default:
			s.pair(prefix)
		}
	}
}

type scanner struct {
	text  string // what is left
	line  int
	of    map[string]int
	count map[string]int // tables of an array so far
}

// skip passes over n bytes.
func (s *scanner) skip(n int) {
	n = min(n, len(s.text))
	s.line += strings.Count(s.text[:n], "\n")
	s.text = s.text[n:]
}

// space passes over spaces and, if they are wanted, line ends and comments.
func (s *scanner) space(lines bool) {
	for s.text != "" {
		switch c := s.text[0]; {
		case c == ' ' || c == '\t' || lines && (c == '\n' || c == '\r'):
			s.skip(1)
		case c == '#' && lines:
			n := strings.IndexByte(s.text, '\n')
			if n < 0 {
				n = len(s.text)
			}
			s.skip(n)
		default:
			return
		}
	}
}

// note remembers the line of a name, unless it has one.
func (s *scanner) note(name string) {
	if _, ok := s.of[name]; !ok {
		s.of[name] = s.line
	}
}

// header reads [a.b] or [[a.b]] and returns the prefix of the keys below it.
func (s *scanner) header() string {
	array := strings.HasPrefix(s.text, "[[")
	if array {
		s.skip(1)
	}
	s.skip(1)
	name := ""
	parts := s.key()
	for i, part := range parts {
		name += part
		if n, ok := s.count[name]; ok && (!array || i < len(parts)-1) {
			name += fmt.Sprintf("[%d]", n-1) // the newest table of the array
		}
		if i < len(parts)-1 {
			s.note(name)
			name += "."
		}
	}
	if array {
		s.note(name)
		s.count[name]++
		name += fmt.Sprintf("[%d]", s.count[name]-1)
		for nested := range s.count { // arrays in the table start again
			if strings.HasPrefix(nested, name+".") {
				delete(s.count, nested)
			}
		}
	}
	s.note(name)
	s.skip(strings.IndexByte(s.text, ']') + 1)
	if array {
		s.skip(1)
	}
	return name + "."
}

// pair reads key = value.
func (s *scanner) pair(prefix string) {
	name := prefix
	for i, part := range s.key() {
		if i > 0 {
			name += "."
		}
		name += part
		s.note(name)
	}
	s.skip(1) // =
	s.value(name)
}

// key reads a dotted key, up to what comes behind it.
func (s *scanner) key() []string {
	var parts []string
	for {
		s.space(false)
		n := strings.IndexAny(s.text, " \t=].")
		if s.text != "" && (s.text[0] == '"' || s.text[0] == '\'') {
			n = quoted(s.text)
		}
		if n < 1 {
			n = len(s.text)
		}
		parts = append(parts, bare(s.text[:n]))
		s.skip(n)
		s.space(false)
		if !strings.HasPrefix(s.text, ".") {
			return parts
		}
		s.skip(1)
	}
}

// bare is a part of a key without its quotes.
func bare(part string) string {
	if strings.HasPrefix(part, `"`) {
		var m map[string]string
		if _, err := toml.Decode("key = "+part, &m); err == nil {
			return m["key"]
		}
	}
	return strings.Trim(part, `'`)
}

// value passes over a value, and notes the keys in it.
func (s *scanner) value(name string) {
	s.space(false)
	switch {
	case s.text == "":
	case s.text[0] == '"' || s.text[0] == '\'':
		s.skip(quoted(s.text))
	case s.text[0] == '[':
		s.skip(1)
		for i := 0; ; i++ {
			s.space(true)
			if s.text == "" || s.text[0] == ']' {
				s.skip(1)
				return
			}
			s.note(fmt.Sprintf("%s[%d]", name, i))
			s.value(fmt.Sprintf("%s[%d]", name, i))
			s.comma()
		}
	case s.text[0] == '{':
		s.skip(1)
		for {
			s.space(true)
			if s.text == "" || s.text[0] == '}' {
				s.skip(1)
				return
			}
			s.pair(name + ".")
			s.comma()
		}
	default:
		n := strings.IndexAny(s.text, ",]}#\r\n")
		if n < 0 {
			n = len(s.text)
		}
		s.skip(n)
	}
}

func (s *scanner) comma() {
	if s.space(true); strings.HasPrefix(s.text, ",") {
		s.skip(1)
	}
}

// quoted returns the length of the string at the beginning of a text, including its quotes.
func quoted(text string) int {
	quote := text[:1]
	if strings.HasPrefix(text, quote+quote+quote) {
		quote = text[:3]
	}
	for i := len(quote); i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote[0] == '"':
			i++
		case strings.HasPrefix(text[i:], quote):
			end := i + len(quote)
			for len(quote) == 3 && end < len(text) && text[end] == quote[0] && end < i+5 { // a text may end in quotes
				end++
			}
			return end
		}
	}
	return len(text)
}
