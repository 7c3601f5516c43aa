package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// someEntries are entries of a list in which the second cost is known.
func someEntries() []gridCost {
	return []gridCost{{Name: "a", Size: "laptop", Title: "Is it\x1b[2J?"}, {Name: "b", Size: "laptop", Title: "Was it?", Seconds: 60, known: true}, {Name: "c", Size: "paper", Title: "Will it be?"}}
}

// On a terminal all rows are there before anything is measured, and those whose cost was measured are written again.
func TestListInPlace(t *testing.T) {
	var b strings.Builder
	entries := someEntries()
	err := listInPlace(&b, 80, entries, 2, func(i int) error {
		s := b.String()
		for _, want := range []string{`Is it\x1b[2J?`, "about 1 m 00 s  Was it?", "…  Will it be?", fmt.Sprintf("measuring %d of 2: %s", 1+i/2, entries[i].Name)} {
			if !strings.Contains(s, want) {
				t.Errorf("before row %d is measured there is no %q in %q", i, want, s)
			}
		}
		entries[i].Seconds, entries[i].known = 3600*float64(i+2), true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\x1b[3Aa ", "about 2 h", "\x1b[1Ac ", "about 4 h"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %q in %q", want, b.String())
		}
	}
	screen := replay(b.String())
	lines := listRows(entries)
	for i, want := range append(lines, "") {
		if i >= len(screen) || screen[i] != want {
			t.Errorf("line %d of the screen is not %q: %q", i, want, screen)
		}
	}
	b.Reset()
	entries = someEntries()
	if err := listInPlace(&b, 30, entries, 2, func(int) error { return errors.New("no") }); err == nil {
		t.Error("an error is lost")
	}
	for _, line := range replay(b.String()) {
		if len([]rune(line)) >= 30 {
			t.Errorf("a line of %d characters would be wrapped: %q", len([]rune(line)), line)
		}
	}
}

// replay is what a terminal shows of a text that moves up and down, returns and clears to the end of a line.
func replay(s string) []string {
	lines := []string{""}
	y, x := 0, 0
	for len(s) > 0 {
		var n int
		switch {
		case strings.HasPrefix(s, "\x1b["):
			end := strings.IndexAny(s, "ABK")
			fmt.Sscanf(s[2:end], "%d", &n)
			switch s[end] {
			case 'A':
				y -= n
			case 'B':
				y += n
			case 'K':
				lines[y] = string([]rune(lines[y])[:x])
			}
			s = s[end+1:]
			continue
		case s[0] == '\r':
			x, s = 0, s[1:]
			continue
		case s[0] == '\n':
			y, x, s = y+1, 0, s[1:]
			if y == len(lines) {
				lines = append(lines, "")
			}
			continue
		}
		r := []rune(s)[0]
		line := []rune(lines[y])
		if x < len(line) {
			line[x] = r
		} else {
			line = append(line, r)
		}
		lines[y], s = string(line), s[len(string(r)):]
		x++
	}
	return lines
}

// Elsewhere a row is printed when its cost is known, and the columns are those of all.
func TestListInLines(t *testing.T) {
	var b strings.Builder
	entries := someEntries()
	err := listInLines(&b, entries, func(i int) error {
		if n := strings.Count(b.String(), "\n"); n != i+1 {
			t.Errorf("before row %d is measured there are %d lines", i, n)
		}
		entries[i].Seconds, entries[i].known = 1e9, true
		return nil
	})
	if got, want := b.String(), strings.Join(listRows(entries), "\n")+"\n"; err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a title reaches the terminal as it is")
	}
}
