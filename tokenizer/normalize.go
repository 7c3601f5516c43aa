package tokenizer

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// composeNFC returns text in the normalization form NFC, as the Python package tokenizers 0.23.3 computes it: with the
// characters of Unicode 9.0. It leaves later characters as they are, and characters after them do not join those before.
// Bytes that are not UTF-8 stay. The result may be text itself.
//
// The functions of package norm are not used for the conversion because they insert U+034F after 30 marks in a row.
func composeNFC(text []byte) []byte {
	if !slices.ContainsFunc(text, func(b byte) bool { return b >= 0xcc }) { // nothing beyond U+02FF
		return text
	}
	n := norm.NFC.QuickSpan(text)
	if n == len(text) {
		return text
	}
	out := append(make([]byte, 0, len(text)+len(text)/8), text[:n]...)
	var c composer
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		if r == utf8.RuneError && size == 1 {
			out = append(c.flush(out), text[n])
		} else {
			out = c.add(out, r, text[n:n+size])
		}
		n += size
	}
	return c.flush(out)
}

// composer gathers the characters of a segment: a character that may begin one, and those that may join it.
type composer struct {
	segment []markedRune
}

type markedRune struct {
	r     rune
	class uint8 // the canonical combining class
}

// add appends a character to the segment. If the character begins a segment, the one before is appended to out.
func (c *composer) add(out []byte, r rune, text []byte) []byte {
	if composedLater(r) {
		out = c.flush(out)
		return append(out, text...)
	}
	p := norm.NFC.Properties(text)
	if p.BoundaryBefore() {
		out = c.flush(out)
	}
	if l, v, t, ok := decomposeHangul(r); ok {
		c.segment = append(c.segment, markedRune{r: l}, markedRune{r: v})
		if t != 0 {
			c.segment = append(c.segment, markedRune{r: t})
		}
		return out
	}
	d := norm.NFD.Properties(text).Decomposition()
	if d == nil {
		d = text
	}
	for len(d) > 0 {
		r, n := utf8.DecodeRune(d)
		c.segment = append(c.segment, markedRune{r, norm.NFD.Properties(d).CCC()})
		d = d[n:]
	}
	return out
}

// flush orders the marks of the segment, composes it, and appends it to out.
func (c *composer) flush(out []byte) []byte {
	s := c.segment
	c.segment = s[:0]
	for i := 0; i < len(s); {
		end := i
		for end < len(s) && s[end].class != 0 {
			end++
		}
		slices.SortStableFunc(s[i:end], func(a, b markedRune) int { return int(a.class) - int(b.class) })
		i = end + 1
	}
	starter := -1 // the last character of class 0 in kept
	kept := s[:0]
	for _, m := range s {
		if starter >= 0 {
			last := kept[len(kept)-1]
			blocked := len(kept)-1 > starter && (last.class == 0 || last.class >= m.class)
			if whole, ok := compose(kept[starter].r, m.r); ok && !blocked {
				kept[starter].r = whole
				continue
			}
		}
		if m.class == 0 {
			starter = len(kept)
		}
		kept = append(kept, m)
	}
	for _, m := range kept {
		out = utf8.AppendRune(out, m.r)
	}
	return out
}

// compose returns the character that is canonically equivalent to two.
func compose(a, b rune) (rune, bool) {
	if whole, ok := composeHangul(a, b); ok {
		return whole, true
	}
	var pair [2 * utf8.UTFMax]byte
	n := utf8.EncodeRune(pair[:], a)
	n += utf8.EncodeRune(pair[n:], b)
	var buffer [4 * utf8.UTFMax]byte
	joined := norm.NFC.Append(buffer[:0], pair[:n]...)
	whole, size := utf8.DecodeRune(joined)
	return whole, size == len(joined)
}

// Hangul syllables are composed by arithmetic: Unicode, section 3.12.
const (
	hangulS, hangulL, hangulV, hangulT = 0xac00, 0x1100, 0x1161, 0x11a7
	hangulLs, hangulVs, hangulTs       = 19, 21, 28
)

func decomposeHangul(r rune) (l, v, t rune, ok bool) {
	i := r - hangulS
	if i < 0 || i >= hangulLs*hangulVs*hangulTs {
		return 0, 0, 0, false
	}
	if t = i % hangulTs; t > 0 {
		t += hangulT
	}
	return hangulL + i/(hangulVs*hangulTs), hangulV + i/hangulTs%hangulVs, t, true
}

func composeHangul(a, b rune) (rune, bool) {
	switch {
	case a >= hangulL && a < hangulL+hangulLs && b >= hangulV && b < hangulV+hangulVs:
		return hangulS + ((a-hangulL)*hangulVs+b-hangulV)*hangulTs, true
	case a >= hangulS && a < hangulS+hangulLs*hangulVs*hangulTs && (a-hangulS)%hangulTs == 0 && b > hangulT && b < hangulT+hangulTs:
		return a + b - hangulT, true
	}
	return 0, false
}

// composedLater reports whether a character takes part in NFC only since a version of Unicode after 9.0.
func composedLater(r rune) bool {
	_, found := slices.BinarySearchFunc(notComposed[:], r, func(span [2]rune, r rune) int {
		switch {
		case span[1] < r:
			return -1
		case span[0] > r:
			return 1
		}
		return 0
	})
	return found
}
