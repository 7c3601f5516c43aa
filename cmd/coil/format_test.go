package main

import (
	"strings"
	"testing"
	"time"
)

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(1000): "1 000", count(-1234567): "-1 234 567",
		scaled(0): "0 ", scaled(512): "512 ", scaled(28912): "28.9 k", scaled(1.5e6): "1.5 M", scaled(2e9): "2 G", scaled(3e12): "3 T",
		byteSize(512): "0 KiB", byteSize(2 << 10): "2 KiB", byteSize(5 << 20): "5 MiB", byteSize(3 << 29): "1.5 GiB", byteSize(24 << 30): "24 GiB",
		plural(1, "worker"): "1 worker", plural(2, "worker"): "2 workers", percent(0.9987): "99.9 %",
		duration(0): "0 s", duration(59*time.Second + 600*time.Millisecond): "1 m 00 s", duration(185 * time.Second): "3 m 05 s",
		duration(127 * time.Minute): "2 h 07 m",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

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
