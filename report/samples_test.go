package report

import (
	"strings"
	"testing"

	"coil/run"
)

// Answers whose last digit comes first would be read as other numbers, so the samples say so.
func TestReversedAnswersAreSaid(t *testing.T) {
	for order, want := range map[string]bool{"most": false, "least": true} {
		h := run.NewHistory(0)
		h.Add(run.Event{Kind: run.KindEval, Eval: &run.Eval{Samples: []run.Sample{{Question: "12+30", Want: "240", Said: "240", Right: true}}}})
		r := &Record{setup: run.Setup{Task: "addition"}, keys: map[string]string{"task.addition.order": order}, history: h}
		if note := samples(r).Note; strings.Contains(note, "reversed") != want {
			t.Errorf("with the %s significant digit first: %s", order, note)
		}
	}
}
