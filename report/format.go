package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// count writes a whole number with gaps: 50 112.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:] // narrow, and no line ends there
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%s %ss", count(int64(n)), what)
}

// decimal writes a number with up to four digits, three if it is small: 0.000431, 1.234, 1.2e-06.
func decimal(x float64) string {
	switch a := math.Abs(x); {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return strconv.FormatFloat(x, 'g', -1, 64)
	case a >= 1000 && a < 1e15:
		return count(int64(math.Round(x)))
	case a < 0.01:
		return strconv.FormatFloat(x, 'g', 3, 64)
	default:
		return strconv.FormatFloat(x, 'g', 4, 64)
	}
}

func percent(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return decimal(x)
	}
	return strconv.FormatFloat(100*x, 'f', 1, 64) + "\u202f%"
}

// scaled writes a number with three digits and a prefix: 250 k.
func scaled(x float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(x) >= u.size && !math.IsInf(x, 0) {
			return fmt.Sprintf("%.3g\u202f%s", x/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.3g", x)
}

// size writes bytes.
func size(n float64) string {
	if n == 0 {
		return "0"
	}
	for _, u := range []struct {
		size float64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.3g\u202f%s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.0f\u202fKiB", n/1024)
}

// duration writes 42 s, 3 m 05 s, 2 h 07 m.
func duration(seconds float64) string {
	if !(seconds >= 0 && seconds < 1e9) {
		return decimal(seconds) + " s"
	}
	s := int(math.Round(seconds))
	switch {
	case s >= 3600:
		return fmt.Sprintf("%d h %02d m", s/3600, s/60%60)
	case s >= 60:
		return fmt.Sprintf("%d m %02d s", s/60, s%60)
	}
	return fmt.Sprintf("%d s", s)
}

// moment writes a time as the clock showed it where the run was.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02 15:04:05")
}

// printable makes text of a run fit for a page or a plot: its control characters, and those that turn text around, become
// dots, and what is longer than a number of characters loses its middle.
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
