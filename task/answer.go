package task

import "coil/metric"

// LastAnswer returns the positions [from, to) of the targets that a person reads as the last answer of ex. If an example
// counts as a whole (its metric is exact match), these are all of its targets; otherwise each target is a separate answer.
func LastAnswer(t Task, ex Example) (from, to int) {
	to = len(ex.Targets)
	for to > 1 && ex.Targets[to-1] == Ignore {
		to--
	}
	from = to - 1
	if t.Metric() == metric.ExactMatch {
		for from > 0 && ex.Targets[from-1] != Ignore {
			from--
		}
	}
	return from, to
}
