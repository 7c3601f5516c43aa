package tokenizer

import (
	"sync"
	"unicode/utf8"
)

// class is a set of properties of a character, as the Python package tokenizers 0.23.3 sees them, whichever version of Unicode
// Go has. Its patterns have Unicode 16.0 (Oniguruma), its pre-tokenizer Digits and its added tokens 17.0 (Rust); Go 1.26 has
// 15.0. Between 15.0 and 16.0 lie 4,924 letters, 80 numbers and 51 marks, among others.
type class uint16

const (
	letter      class = 1 << iota // \p{L}
	number                        // \p{N}
	space                         // \s
	upper                         // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
	lower                         // [\p{Ll}\p{Lm}\p{Lo}\p{M}]
	mark                          // \p{M}
	digit                         // what Digits splits off
	word                          // \w, for added tokens that are single words
	punctuation                   // \p{P}
	symbol                        // \p{S}
)

// classSpan are characters in a row with the same class.
type classSpan struct {
	first, last rune
	class       class
}

// classes has the class of each character, in pages of 256: most pages are equal to others.
type classes struct {
	pageOf [(utf8.MaxRune + 1) >> 8]uint16
	pages  [][256]class
	ascii  [utf8.RuneSelf]class
}

// characterClasses are made when they are first needed.
var characterClasses = sync.OnceValue(newClasses)

func newClasses() *classes {
	cs := new(classes)
	known := map[[256]class]uint16{}
	rest := classTable[:]
	for p := range cs.pageOf {
		var page [256]class
		first := rune(p << 8)
		last := first + 255
		for len(rest) > 0 && rest[0].first <= last {
			for r := max(rest[0].first, first); r <= min(rest[0].last, last); r++ {
				page[r-first] = rest[0].class
			}
			if rest[0].last > last {
				break
			}
			rest = rest[1:]
		}
		n, ok := known[page]
		if !ok {
			n = uint16(len(cs.pages))
			known[page], cs.pages = n, append(cs.pages, page)
		}
		cs.pageOf[p] = n
	}
	copy(cs.ascii[:], cs.pages[0][:])
	return cs
}

// of returns the class of a character.
func (cs *classes) of(r rune) class { return cs.pages[cs.pageOf[r>>8]][r&0xff] }

// at returns the class and the size of the character that text begins with. A byte that is not UTF-8 is a character without
// properties. An empty text has size 0.
func (cs *classes) at(text []byte) (class, int) {
	if len(text) > 0 && text[0] < utf8.RuneSelf {
		return cs.ascii[text[0]], 1
	}
	r, n := utf8.DecodeRune(text)
	if r == utf8.RuneError && n < 2 {
		return 0, n
	}
	return cs.of(r), n
}

// with returns the size of the longest beginning of text whose characters all have one of the properties.
func (cs *classes) with(text []byte, properties class) int {
	n := 0
	for n < len(text) {
		c, size := cs.at(text[n:])
		if c&properties == 0 {
			break
		}
		n += size
	}
	return n
}

// without returns the size of the longest beginning of text none of whose characters has one of the properties.
func (cs *classes) without(text []byte, properties class) int {
	n := 0
	for n < len(text) {
		c, size := cs.at(text[n:])
		if c&properties != 0 {
			break
		}
		n += size
	}
	return n
}
