package tokenizer

// scanner splits as the expressions of GPT-2, Llama 3 and Qwen do, without a regular expression. It has no state.
type scanner struct {
	classes    *classes
	later      bool // the expressions after GPT-2's: a word may begin with any character, and line ends belong to what stands before
	numbers    int  // in later ones, how many numbers are a piece
	spaceAtEnd bool // \s++$ stands before \s*[\r\n]
}

func (s scanner) self() splitter { return s }

func (s scanner) next(text []byte, at int) (int, error) { return at + s.piece(text[at:]), nil }

// piece returns the size of the piece that text, which is not empty, begins with.
func (s scanner) piece(text []byte) int {
	if n := contraction(text, s.later); n > 0 {
		return n
	}
	c, size := s.classes.at(text)
	if s.later {
		switch {
		case c&letter != 0:
			return size + s.classes.with(text[size:], letter)
		case c&number != 0:
			for k := 1; k < s.numbers; k++ {
				c, n := s.classes.at(text[size:])
				if c&number == 0 {
					break
				}
				size += n
			}
			return size
		case text[0] != '\r' && text[0] != '\n':
			if n := s.classes.with(text[size:], letter); n > 0 {
				return size + n
			}
		}
	}
	begin := 0
	if text[0] == ' ' {
		begin = 1
		c, size = s.classes.at(text[1:])
	}
	switch {
	case size == 0: // a space at the end of the text
	case c&(letter|number|space) == 0:
		n := begin + size + s.classes.without(text[begin+size:], letter|number|space)
		for s.later && n < len(text) && (text[n] == '\r' || text[n] == '\n') {
			n++
		}
		return n
	case !s.later && c&(letter|number) != 0:
		return begin + size + s.classes.with(text[begin+size:], c&(letter|number))
	}
	return s.spaces(text)
}

// spaces returns the size of the piece at the begin of text, which begins with white space.
func (s scanner) spaces(text []byte) int {
	n, last, line := 0, 0, 0 // ends of all white space, of all but its last character, and of its last line
	for n < len(text) {
		c, size := s.classes.at(text[n:])
		if c&space == 0 {
			break
		}
		last, n = n, n+size
		if b := text[last]; b == '\r' || b == '\n' {
			line = n
		}
	}
	switch {
	case s.spaceAtEnd && n == len(text):
		return n
	case s.later && line > 0:
		return line
	case n == len(text) || last == 0:
		return n
	}
	return last // the last one belongs to what follows
}

// contraction returns the size of an English contraction, such as 's or 'll, at the begin of text; 0 if there is none. In
// either case of letters, if anyCase is set; ſ is then an s.
func contraction(text []byte, anyCase bool) int {
	if len(text) < 2 || text[0] != '\'' {
		return 0
	}
	if anyCase && len(text) > 2 && text[1] == 0xc5 && text[2] == 0xbf { // ſ
		return 3
	}
	at := func(i int) byte {
		switch {
		case i >= len(text):
			return 0
		case anyCase && text[i] >= 'A' && text[i] <= 'Z':
			return text[i] + 'a' - 'A'
		}
		return text[i]
	}
	switch at(1) {
	case 's', 'd', 'm', 't':
		return 2
	case 'l':
		if at(2) == 'l' {
			return 3
		}
	case 'v', 'r':
		if at(2) == 'e' {
			return 3
		}
	}
	return 0
}

// digitSplitter splits off each digit, as the pre-tokenizer Digits does. It has no state.
type digitSplitter struct{ classes *classes }

func (s digitSplitter) self() splitter { return s }

func (s digitSplitter) next(text []byte, at int) (int, error) {
	if c, n := s.classes.at(text[at:]); c&digit != 0 {
		return at + n, nil
	}
	return at + s.classes.without(text[at:], digit), nil
}
