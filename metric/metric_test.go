package metric

import (
	"encoding/json"
	"math"
	"testing"
)

func TestMetrics(t *testing.T) {
	for m, want := range map[Metric]struct {
		name, member, text string
		lower              bool
	}{
		Accuracy:    {"accuracy", "accuracy", "98.4 %", false},
		ExactMatch:  {"exact match", "exact", "98.4 %", false},
		BitsPerByte: {"bits per byte", "bits_per_byte", "0.9840", true},
		Perplexity:  {"perplexity", "perplexity", "0.9840", true},
	} {
		b, err := json.Marshal(m)
		var again Metric
		if err != nil || json.Unmarshal(b, &again) != nil || again != m || string(b) != `"`+want.name+`"` {
			t.Errorf("%v is %s, which is read as %v: %v", m, b, again, err)
		}
		if m.String() != want.name || m.Member() != want.member || m.Format(0.984) != want.text {
			t.Errorf("%v, %s, %s; want %v", m, m.Member(), m.Format(0.984), want)
		}
		if m.Lower() != want.lower || m.Better(0.5, 0.4) == want.lower || m.Better(0.4, 0.5) != want.lower || m.Better(0.5, 0.5) || m.Better(math.NaN(), 0) || !m.Better(0, math.NaN()) {
			t.Errorf("%v: the order is wrong", m)
		}
	}
	m := ExactMatch
	if err := json.Unmarshal([]byte(`"BLEU"`), &m); err != nil || m != Accuracy {
		t.Errorf("an unknown metric is read as %v, %v", m, err)
	}
}
