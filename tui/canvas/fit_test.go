package canvas

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// A text that is cut ends with an ellipsis, fits the columns, and none of its numbers turns into another.
func TestFit(t *testing.T) {
	number := regexp.MustCompile(`[-+−]?\d[\d.,:/]*(?: \d+)*(?:e[-+]?\d+)?[kMGT%s]?`)
	for _, s := range []string{"13.41k tokens/s  91 % of the best 14.73k", "50 112 parameters", "loss 1.234e-05, 0:42:07", "−12.5 %", "600/1200", "97.3%", "limit 12.4 GiB"} {
		all := number.FindAllString(s, -1)
		for n := range utf8.RuneCountInString(s) {
			cut := fit(s, n)
			if utf8.RuneCountInString(cut) > n || n > 0 && !strings.HasSuffix(cut, "…") {
				t.Errorf("%q in %d columns is %q", s, n, cut)
			}
			for _, x := range number.FindAllString(cut, -1) {
				if !slices.Contains(all, x) {
					t.Errorf("%q in %d columns is %q, which has the number %s", s, n, cut, x)
				}
			}
		}
		if got := fit(s, utf8.RuneCountInString(s)); got != s {
			t.Errorf("%q becomes %q where it fits", s, got)
		}
	}
	for _, s := range []string{"2026-11-23_18-47-04_111f", "runs/seed_12345"} { // names are no numbers
		if got := fit(s, utf8.RuneCountInString(s)-2); len(got) < len(s)/2 {
			t.Errorf("of %q, %q is left", s, got)
		}
	}
	c := New(8, 1)
	c.Area().TextRight(0, "of 123.45", Plain)
	if got := c.Plain(); got != "of …\n" {
		t.Errorf("at the right is %q", got)
	}
}
