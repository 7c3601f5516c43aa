package corpus

import (
	"bytes"
	"io"
	"unicode/utf8"

	"coil/format"
)

// pieces cuts plain text into documents whose concatenation is the text.
func (r *reader) pieces(l *lines) error {
	var text []byte
	begin := l.line
	emit := func(n int) error {
		err := r.emit(text[:n], begin)
		begin += int64(bytes.Count(text[:n], []byte("\n")))
		text = append(text[:0], text[n:]...)
		return err
	}
	blank := false // the last line
	for {
		part, ends, err := l.next()
		if err != nil && err != io.EOF {
			if err := r.broken(l.line, err); err != nil {
				return err
			}
		}
		if err != nil {
			return emit(len(text))
		}
		text = append(text, part...)
		blank = ends && len(bytes.TrimSpace(part)) == 0
		switch {
		case len(text) >= cutAt && blank, len(text) >= cutLine && ends:
			err = emit(len(text))
		case len(text) >= cutAny:
			err = emit(len(text) - openBytes(text))
		}
		if err != nil {
			return err
		}
	}
}

// openBytes is how many bytes at the end of text begin a character that they do not end.
func openBytes(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return n
			}
			break
		}
	}
	return 0
}

// separated cuts plain text at separators. Line ends around a separator belong to no document.
func (r *reader) separated(l *lines) error {
	var text []byte
	separator, searched := []byte(r.Separator), 0
	begin, tooLong := l.line, false
	emit := func(n int) error {
		document := text[:n]
		start := begin
		begin += int64(bytes.Count(document, []byte("\n")))
		if tooLong {
			tooLong = false
			return nil
		}
		trimmed := bytes.TrimLeft(document, "\r\n")
		start += int64(bytes.Count(document[:len(document)-len(trimmed)], []byte("\n")))
		return r.emit(bytes.TrimRight(trimmed, "\r\n"), start)
	}
	for {
		part, _, err := l.next()
		if err != nil && err != io.EOF {
			if err := r.broken(l.line, err); err != nil {
				return err
			}
		}
		if err != nil {
			return emit(len(text))
		}
		text = append(text, part...)
		for {
			at := bytes.Index(text[searched:], separator)
			if at < 0 {
				break
			}
			if err := emit(searched + at); err != nil {
				return err
			}
			begin += int64(bytes.Count(separator, []byte("\n")))
			text = append(text[:0], text[searched+at+len(separator):]...)
			searched = 0
		}
		searched = max(0, len(text)-len(separator)+1)
		if len(text) <= r.longest {
			continue
		}
		if !tooLong {
			tooLong = true
			if err := r.wrong("line", begin, "a document is longer than %s; is the separator %q right?", format.Bytes(r.longest), r.Separator); err != nil {
				return err
			}
		}
		begin += int64(bytes.Count(text[:searched], []byte("\n")))
		text, searched = append(text[:0], text[searched:]...), 0
	}
}
