package report

import (
	"strings"
	"time"
	"unicode"

	"coil/format"
)

// count writes a whole number such that no line of a page ends within it.
func count[N format.Integer](n N) string { return format.NoBreak(format.Count(n)) }

func percent(x float64) string { return format.Percent(x, 1) }

// moment writes a time as the clock showed it where the run was.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02 15:04:05")
}

// printable makes text of a run fit for a page or a plot: its control characters, and those that turn text around, become
// dots, and texts above a number of characters lose their middle.
func printable(s string, most int) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) && !strings.ContainsRune("\n\r\t", c) || unicode.Is(unicode.Bidi_Control, c) {
			return '·'
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= most {
		return s
	}
	if r := []rune(s); len(r) > most {
		return string(r[:most/2]) + "…" + string(r[len(r)-most/2:])
	}
	return s
}
