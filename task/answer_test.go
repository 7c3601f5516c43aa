package task

import (
	"testing"

	"coil/metric"
	"coil/thorough"
)

// The last answer ends with the last target; where examples count as a whole it is all targets, else that one alone.
func TestLastAnswer(t *testing.T) {
	examples := uint64(50 / thorough.Every(t, 5, "examples"))
	each(t, func(t *testing.T, tk Task) {
		s, ex := tk.NewSampler(), NewExample(tk)
		for kind := range tk.Kinds() {
			for index := range examples {
				s.SampleKind(1, index, HeldOut, kind, &ex)
				from, to := LastAnswer(tk, ex)
				for i, target := range ex.Targets {
					switch inside := i >= from && i < to; {
					case inside && target == Ignore:
						t.Fatalf("%s: the answer [%d,%d) has a position without a target", text(tk, ex), from, to)
					case !inside && target != Ignore && (i >= to || tk.Metric() == metric.ExactMatch):
						t.Fatalf("%s: the answer [%d,%d) leaves out a target", text(tk, ex), from, to)
					}
				}
				if tk.Metric() != metric.ExactMatch && to != from+1 {
					t.Fatalf("%s: the answer [%d,%d) is of several positions", text(tk, ex), from, to)
				}
			}
		}
	})
}
