//go:build linux && amd64

package emulator

import (
	"regexp"
	"strconv"
	"strings"
)

type tokenKind uint8

const (
	identifier tokenKind = iota
	number
	literal // of a string or character
	punctuation
	space // white space, comments, line markers
)

type token struct {
	kind tokenKind
	s    string
	file string
	line int
}

var markerRE = regexp.MustCompile(`^#\s*(?:line\s+)?(\d+)\s+"((?:[^"\\]|\\.)*)"`)

func isWord(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// lex splits preprocessed source into tokens; their text, joined, is the source.
func lex(src string) []token {
	var out []token
	file, line, lineStart := "", 1, true
	for i := 0; i < len(src); {
		kind, n := lexOne(src[i:], lineStart)
		t := token{kind, src[i : i+n], file, line}
		out = append(out, t)
		line += strings.Count(t.s, "\n")
		if m := markerRE.FindStringSubmatch(t.s); kind == space && m != nil {
			file = m[2]
			line, _ = strconv.Atoi(m[1])
		}
		lineStart = strings.HasSuffix(t.s, "\n") || lineStart && kind == space
		i += n
	}
	return out
}

// lexOne returns the kind and the length of the first token of s.
func lexOne(s string, lineStart bool) (tokenKind, int) {
	upTo := func(end string, from int) int { // the place behind end
		if k := strings.Index(s[from:], end); k >= 0 {
			return from + k + len(end)
		}
		return len(s)
	}
	c, n := s[0], 1
	switch {
	case c == '#' && lineStart:
		return space, upTo("\n", 0)
	case c == '\n':
		return space, 1
	case c == ' ' || c == '\t' || c == '\r':
		for n < len(s) && (s[n] == ' ' || s[n] == '\t' || s[n] == '\r') {
			n++
		}
		return space, n
	case strings.HasPrefix(s, "//"):
		return space, upTo("\n", 0)
	case strings.HasPrefix(s, "/*"):
		return space, upTo("*/", 2)
	case c == '"' || c == '\'':
		for n < len(s) && s[n] != c {
			if s[n] == '\\' {
				n++
			}
			n++
		}
		return literal, min(n+1, len(s))
	case isDigit(c) || c == '.' && n < len(s) && isDigit(s[n]):
		hex := strings.HasPrefix(s, "0x")
		for n < len(s) && (isWord(s[n]) || s[n] == '.' || (s[n] == '+' || s[n] == '-') && (strings.IndexByte("pP", s[n-1]) >= 0 || !hex && strings.IndexByte("eE", s[n-1]) >= 0)) {
			n++
		}
		return number, n
	case isWord(c):
		for n < len(s) && isWord(s[n]) {
			n++
		}
		return identifier, n
	case strings.HasPrefix(s, "::") || strings.HasPrefix(s, "->"):
		return punctuation, 2
	}
	return punctuation, 1
}
