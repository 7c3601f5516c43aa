package corpus

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"coil/format"
)

// json reads JSON lines: the document is the text in one field of each object.
func (r *reader) json(l *lines) error {
	var text []byte
	tooLong := false // the rest of the line is passed over
	for {
		line := l.line
		part, ends, err := l.next()
		switch {
		case err == io.EOF:
			return r.object(text, line)
		case err != nil:
			return r.broken(line, err)
		case tooLong:
			tooLong = !ends
			continue
		case len(text)+len(part) > r.longest:
			if err := r.wrong("line", line, "the line is longer than %s", format.Bytes(r.longest)); err != nil {
				return err
			}
			text, tooLong = text[:0], !ends
			continue
		}
		text = append(text, part...)
		if !ends {
			continue
		}
		if err := r.object(text, line); err != nil {
			return err
		}
		text = text[:0]
	}
}

// object yields the document in a line.
func (r *reader) object(line []byte, number int64) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	if i := invalid(line); i >= 0 {
		return r.wrong("line", number, "the byte %#02x at column %d is not UTF-8; convert the file to UTF-8", line[i], i+1)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil || fields == nil {
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			return r.wrong("line", number, "the line is not JSON: there is a mistake at column %d", syntax.Offset)
		}
		return r.wrong("line", number, "the line is JSON, but not an object: want { … } with a field %q", r.Field)
	}
	value, ok := fields[r.Field]
	if !ok {
		return r.wrong("line", number, "there is no field %q%s; set task.text.field", r.Field, names("field", slices.Sorted(maps.Keys(fields))))
	}
	var text *string
	if err := json.Unmarshal(value, &text); err != nil || text == nil {
		return r.wrong("line", number, "the field %q is not a text; set task.text.field", r.Field)
	}
	if lone(line, *text) {
		return r.wrong("line", number, "the field %q has half of a surrogate pair, which is not UTF-8", r.Field)
	}
	return r.emit([]byte(*text), number)
}

// lone reports whether the decoder has put U+FFFD for half of a surrogate pair: whether the text has more of them than the line,
// which it could have as they are or escaped.
func lone(line []byte, text string) bool {
	const replacement = "\ufffd"
	n := strings.Count(text, replacement)
	return n > 0 && n > bytes.Count(line, []byte(replacement))+bytes.Count(bytes.ToLower(line), []byte(`\ufffd`))
}

// names lists what there is instead of a name that there isn't.
func names(noun string, all []string) string {
	const most = 12
	switch {
	case len(all) == 0:
		return ": the object is empty"
	case len(all) > most:
		all = append(all[:most:most], "…")
	}
	if len(all) == 1 {
		return ": the only " + noun + " is " + all[0]
	}
	return ": there are " + strings.Join(all, ", ")
}
