package loop

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestSchedule(t *testing.T) {
	for _, c := range []struct {
		text   string
		want   map[float64]int
		counts []int
		mean   float64
	}{
		{"3@0", map[float64]int{0: 3, 1: 3}, []int{3}, 3},
		{"1@0, 3@0.4", map[float64]int{0: 1, 0.3999: 1, 0.4: 3, 1: 3}, []int{1, 3}, 2.2},
		{"1@0..4@0.6", map[float64]int{0: 1, 0.19: 1, 0.21: 2, 0.39: 2, 0.41: 3, 0.59: 3, 0.6: 4, 1: 4}, []int{1, 2, 3, 4}, 2.8},
		{"1 @ 0, 1@0.3 .. 3@0.5", map[float64]int{0.29: 1, 0.39: 1, 0.41: 2, 0.49: 2, 0.5: 3}, []int{1, 2, 3}, 0.4 + 0.2 + 1.5},
		{"4@0..2@0.5, 4@0.75", map[float64]int{0: 4, 0.24: 4, 0.26: 3, 0.49: 3, 0.5: 2, 0.74: 2, 0.75: 4}, []int{2, 3, 4}, 1 + 0.75 + 0.5 + 1},
		{"1@0..2@0.25..4@0.75", map[float64]int{0.24: 1, 0.25: 2, 0.49: 2, 0.51: 3, 0.75: 4}, []int{1, 2, 3, 4}, 0.25 + 0.5 + 0.75 + 1},
	} {
		s, err := ParseSchedule(c.text)
		if err != nil {
			t.Error(err)
			continue
		}
		for share, want := range c.want {
			if got := s.At(share); got != want {
				t.Errorf("%s: %d loops at %g, want %d", c.text, got, share, want)
			}
		}
		if got := s.Counts(); !slices.Equal(got, c.counts) {
			t.Errorf("%s: the counts %v, want %v", c.text, got, c.counts)
		}
		if got := s.Mean(func(n int) float64 { return float64(n) }); math.Abs(got-c.mean) > 1e-3 {
			t.Errorf("%s: %g loops on average, want %g", c.text, got, c.mean)
		}
		seen := map[int]bool{}
		for i := range 10001 {
			seen[s.At(float64(i)/10000)] = true
		}
		if len(seen) != len(c.counts) {
			t.Errorf("%s: training runs %v, want %v", c.text, seen, c.counts)
		}
	}
	for text, want := range map[string]string{
		"": "no @", "3": "no @", "1@0,": "no @", "0@0": "loops are", "x@0": "loops are", "1@0.1": "begins at 0.1", "1@1": "share is", "1@NaN": "share is",
		"1@-0.5": "share is", "1@0,2@0": "follows one", "1@0, 2@0.5, 3@0.4": "follows one", "1@0..": "no @", "1@0...2@0.5": "loops are", "99999@0": "loops are",
	} {
		if s, err := ParseSchedule(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %v, %v, want an error with %q", text, s, err, want)
		}
	}
}
