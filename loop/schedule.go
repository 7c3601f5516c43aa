package loop

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Stage is a loop count from a share of training on.
type Stage struct {
	Loops int
	At    float64 // share of training, 0 to 1
	Rises bool    // from here to the next stage, the count goes to that stage's in even steps
}

// Schedule is loop counts over training: stages in the order of their shares, the first at 0.
type Schedule []Stage

// ParseSchedule reads stages, each a loop count, @ and a share of training. A comma before a stage switches to its count
// there; two dots lead to it in even steps:
//
//	1@0, 3@0.4        1 loop, and 3 from 40 % of training on
//	1@0.. 4@0.6       1 loop, 2 from 20 % on, 3 from 40 % on and 4 from 60 % on
//	1@0, 1@0.3..3@0.5 1 loop, 2 from 40 % on and 3 from 50 % on
func ParseSchedule(s string) (Schedule, error) {
	bad := func(format string, args ...any) (Schedule, error) {
		return nil, fmt.Errorf("%q: %s; want stages of loops and a share of training, as in 1@0, 3@0.4 (3 loops from 40 %% of training on) or "+
			"1@0..4@0.6 (from 1 loop to 4, in even steps)", s, fmt.Sprintf(format, args...))
	}
	var stages Schedule
	for part := range strings.SplitSeq(strings.ReplaceAll(s, " ", ""), ",") {
		rising := strings.Split(part, "..")
		for i, text := range rising {
			count, share, ok := strings.Cut(text, "@")
			if !ok {
				return bad("the stage %q has no @", text)
			}
			n, err := strconv.Atoi(count)
			if err != nil || n < 1 || n > maxDepth {
				return bad("the loops are %q, want 1 to %d", count, maxDepth)
			}
			at, err := strconv.ParseFloat(share, 64)
			if err != nil || !(at >= 0 && at < 1) {
				return bad("the share is %q, want at least 0 and less than 1", share)
			}
			switch {
			case stages == nil && at != 0:
				return bad("the first stage begins at %g, want 0", at)
			case stages != nil && at <= stages[len(stages)-1].At:
				return bad("a stage at %g follows one at %g", at, stages[len(stages)-1].At)
			}
			stages = append(stages, Stage{n, at, i < len(rising)-1})
		}
	}
	return stages, nil
}

// At is the loop count when a share of training, 0 to 1, is done.
func (s Schedule) At(share float64) int {
	i := len(s) - 1
	for i > 0 && s[i].At > share {
		i--
	}
	if !s[i].Rises {
		return s[i].Loops
	}
	from, to := s[i], s[i+1]
	return from.Loops + int(float64(to.Loops-from.Loops)*(share-from.At)/(to.At-from.At))
}

// Counts are the loop counts that there are, ascending.
func (s Schedule) Counts() []int {
	var counts []int
	for i, stage := range s {
		counts = append(counts, stage.Loops)
		if !stage.Rises {
			continue
		}
		for n := min(stage.Loops, s[i+1].Loops); n < max(stage.Loops, s[i+1].Loops); n++ {
			counts = append(counts, n)
		}
	}
	slices.Sort(counts)
	return slices.Compact(counts)
}

// Last is the loop count at the end of training, and the share from which on it stays.
func (s Schedule) Last() (loops int, from float64) {
	last := s[len(s)-1]
	return last.Loops, last.At
}

// Mean is the mean of f over the loop counts of training.
func (s Schedule) Mean(f func(loops int) float64) float64 {
	const parts = 4096
	sum := 0.0
	for i := range parts {
		sum += f(s.At((float64(i) + 0.5) / parts))
	}
	return sum / parts
}
