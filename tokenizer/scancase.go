package tokenizer

// caseScanner splits as the expression of o200k does: words end where a capital letter follows a small one. It has no state.
type caseScanner struct{ scanner }

func (s caseScanner) self() splitter { return s }

func (s caseScanner) next(text []byte, at int) (int, error) { return at + s.piece(text[at:]), nil }

// piece returns the size of the piece that text, which is not empty, begins with.
func (s caseScanner) piece(text []byte) int {
	c, size := s.classes.at(text)
	prefix := 0 // the size of a character that may stand before a word
	if c&(letter|number) == 0 && text[0] != '\r' && text[0] != '\n' {
		prefix = size
	}
	for _, word := range []func([]byte) int{s.smallWord, s.capitalWord} {
		n := word(text[prefix:])
		switch {
		case n > 0:
			n += prefix
		case prefix > 0:
			n = word(text) // it may begin with a mark
		}
		if n > 0 {
			return n + contraction(text[n:], true)
		}
	}
	if c&number != 0 {
		return s.scanner.piece(text)
	}
	begin := 0
	if text[0] == ' ' {
		begin = 1
		c, size = s.classes.at(text[1:])
	}
	if size == 0 || c&(letter|number|space) != 0 {
		return s.spaces(text)
	}
	n := begin + s.classes.without(text[begin:], letter|number|space)
	for n < len(text) && (text[n] == '\r' || text[n] == '\n' || text[n] == '/') {
		n++
	}
	return n
}

// smallWord is the size of [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ at the begin of text; 0 if there is none.
func (s caseScanner) smallWord(text []byte) int {
	n, small := 0, 0 // ends of the first part, and of its last character that may be in the second
	for n < len(text) {
		c, size := s.classes.at(text[n:])
		if c&upper == 0 {
			break
		}
		n += size
		if c&lower != 0 {
			small = n
		}
	}
	if k := s.classes.with(text[n:], lower); k > 0 {
		return n + k
	}
	return small
}

// capitalWord is the size of [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]* at the begin of text; 0 if there is none.
func (s caseScanner) capitalWord(text []byte) int {
	n := s.classes.with(text, upper)
	if n > 0 {
		n += s.classes.with(text[n:], lower)
	}
	return n
}
