// Package text makes text from anywhere — titles in files, names of runs, notes of other processes — fit for where it is
// shown: a terminal, a command line, a table in Markdown.
package text

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// Clean shows control characters as what they are, \x1b or \u009b, instead of doing what they say, and bytes that are no
// text as �. Line ends and tabs stay, and so do all other characters.
func Clean(s string) string {
	for i, r := range s {
		if control(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			return clean(s)
		}
	}
	return s
}

// control reports whether a character does something on a terminal instead of being shown: C0, DEL and C1, and those that
// turn the direction of what follows.
func control(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < ' ' || r >= 0x7f && r < 0xa0:
		return true
	}
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

func clean(s string) string {
	var b strings.Builder
	for _, r := range s { // a byte that is no text is utf8.RuneError, which is �
		switch {
		case !control(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// Line is Clean of what must stay on one line: line ends and tabs are shown too.
func Line(s string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(Clean(s))
}

// Writer passes on what is written to it, cleaned. A carriage return before a line end is left out.
// It may be used by several goroutines.
type Writer struct {
	W     io.Writer
	ASCII bool // coil's own characters are written as ASCII, for a terminal that lacks them

	mu   sync.Mutex
	rest []byte // the beginning of a character
}

// Write implements io.Writer. Of a character that is cut, the beginning waits for the rest.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := append(w.rest, p...)
	n := len(b)
	for k := 1; k < utf8.UTFMax && k <= n; k++ {
		if c := b[n-k]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[n-k:]) {
				n -= k
			}
			break
		}
	}
	w.rest = append([]byte(nil), b[n:]...)
	s := Clean(strings.ReplaceAll(string(b[:n]), "\r\n", "\n"))
	if w.ASCII {
		s = strings.Map(func(r rune) rune { return ASCII(r, r) }, s)
	}
	if _, err := io.WriteString(w.W, s); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Quote writes words as a shell reads them: those with characters that it takes for itself in quotes.
func Quote(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// Path is Quote of the path of a file, which is never taken for a flag: -run is ./-run.
func Path(path string) string {
	if strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	return quote(path)
}

func quote(w string) string {
	plain := w != ""
	for _, r := range w {
		if r >= 0x80 && !control(r) && r != utf8.RuneError {
			continue
		}
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:=@%+,", r)) {
			plain = false
		}
	}
	if plain && !strings.HasPrefix(w, "=") { // zsh replaces =command
		return w
	}
	if Line(w) == w {
		return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	// Only this form of bash, zsh and ksh can say a control character without having it.
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(w) {
		switch c := w[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// Cell is a text for a cell of a table in Markdown: on one line, and without the bar that would end it.
func Cell(s string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "\n", " ", "\t", " ", "<", "&lt;").Replace(Clean(s))
}
