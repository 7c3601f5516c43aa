package main

import (
	"strings"
	"unicode/utf8"
)

// columns is the width of texts.
const columns = 100

// wrap breaks a text that begins after indent columns into lines, and indents those after the first as much.
func wrap(s string, indent int) string { return fill(strings.Fields(s), " ", indent) }

// fill puts items, with a separator between them, into lines as wrap does. No item is broken.
func fill(items []string, separator string, indent int) string {
	var b strings.Builder
	between := utf8.RuneCountInString(separator)
	at := indent
	for i, item := range items {
		n := utf8.RuneCountInString(item)
		switch {
		case i == 0:
		case at+between+n > columns:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteString(separator)
			at += between
		}
		b.WriteString(item)
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
