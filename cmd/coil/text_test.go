package main

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	got := table([][]string{{"run", "loss"}, {"1⊗12", "0.5"}, {"6⊗1", "12.25"}})
	if want := "run    loss\n1⊗12    0.5\n6⊗1   12.25\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestWrap(t *testing.T) {
	long := strings.Repeat("ÄÄÄÄ ", 30)
	got := wrap(long, 10)
	for i, line := range strings.Split(got, "\n") {
		text, indented := strings.CutPrefix(line, strings.Repeat(" ", 10))
		if n := len([]rune(text)) + 10; n > columns || indented != (i > 0) || strings.Trim(text, " ") != text {
			t.Errorf("line %d of %q", i, got)
		}
	}
	if strings.Join(strings.Fields(got), " ") != strings.TrimSpace(long) {
		t.Errorf("%q has other words", got)
	}
}
