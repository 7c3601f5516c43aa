package canvas

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fit is a text in a number of columns: whole, or its beginning and an ellipsis. A number stays whole or is left out, because
// a number that is cut reads as another number.
func fit(s string, columns int) string {
	if columns <= 0 {
		return ""
	}
	if utf8.RuneCountInString(s) <= columns {
		return s
	}
	r := []rune(s)
	end := columns - 1
	if begin := numberAt(r, end); begin >= 0 {
		end = begin
	}
	return string(r[:end]) + "…"
}

// numberAt is the start of the number that a cut before r[end] would cut, or -1.
func numberAt(r []rune, end int) int {
	if end == 0 || !inNumber(r, end-1) {
		return -1
	}
	if next := r[end]; !inNumber(r, end) && !unicode.IsLetter(next) && next != '%' { // the number is whole
		return -1
	}
	begin, digits := end, false
	for begin > 0 && inNumber(r, begin-1) {
		begin--
		digits = digits || unicode.IsDigit(r[begin])
	}
	if !digits || begin > 0 && (unicode.IsLetter(r[begin-1]) || r[begin-1] == '_') { // a part of a name
		return -1
	}
	return begin
}

// inNumber reports whether a character can be one of a number: a digit, a sign, a point, or a gap between digits.
func inNumber(r []rune, i int) bool {
	switch {
	case unicode.IsDigit(r[i]):
		return true
	case r[i] == ' ' || r[i] == 'e':
		return i > 0 && i+1 < len(r) && unicode.IsDigit(r[i-1]) && strings.ContainsRune("0123456789+-", r[i+1])
	}
	return strings.ContainsRune(".,:/+-−", r[i])
}
