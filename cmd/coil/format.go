package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// count writes a whole number with thin gaps: 50 112.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// scaled writes a number with three digits and a prefix: 250 k.
func scaled(x float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e18, " E"}, {1e15, " P"}, {1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if x >= u.size {
			return fmt.Sprintf("%.3g%s", min(x/u.size, 999), u.name)
		}
	}
	return fmt.Sprintf("%.3g ", x)
}

func byteSize(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.0f GiB", float64(n)/(1<<30))
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func percent(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }

// duration writes 42 s, 3 m 05 s, 2 h 07 m.
func duration(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	switch {
	case s >= 3600:
		return fmt.Sprintf("%d h %02d m", s/3600, s/60%60)
	case s >= 60:
		return fmt.Sprintf("%d m %02d s", s/60, s%60)
	}
	return fmt.Sprintf("%d s", s)
}

// columns is how wide a text is made.
const columns = 100

// wrap breaks a text that begins after indent columns into lines, and indents those after the first as much.
func wrap(s string, indent int) string {
	var b strings.Builder
	at := indent
	for i, word := range strings.Fields(s) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case at+1+n > columns:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// table writes rows in columns; the first is flush left, the others flush right.
func table(rows [][]string) string {
	widths := columnWidths(rows)
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(tableLine(r, widths) + "\n")
	}
	return b.String()
}

// columnWidths are how many characters the columns of a table have.
func columnWidths(rows [][]string) []int {
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(c)))
		}
	}
	return widths
}

// tableLine is a row of a table with columns of these widths, the first aligned to the left, the others to the right.
func tableLine(row []string, widths []int) string {
	var line strings.Builder
	for i, c := range row {
		gap := strings.Repeat(" ", max(0, widths[i]-len([]rune(c))))
		if i == 0 {
			line.WriteString(c + gap)
		} else {
			line.WriteString("  " + gap + c)
		}
	}
	return strings.TrimRight(line.String(), " ")
}
