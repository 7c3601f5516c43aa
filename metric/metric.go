// Package metric says what a task is judged by.
package metric

import "coil/format"

// A Metric is what a task is judged by: one of the figures of a score, with its name and how it is read. The zero value is
// [Accuracy].
type Metric int

// The metrics.
const (
	Accuracy   Metric = iota // the share of targets that are right
	ExactMatch               // the share of examples without a mistake
	// BitsPerByte is the bits that the model needs for a byte of text: the sum of −log2 p over the targets that stand for text,
	// by the bytes that they stand for. Models with different tokenizers can be compared by it.
	BitsPerByte
	// Perplexity is e to the mean loss of a target: among how many tokens the model is as unsure as if all were equally likely.
	// It compares models with the same tokenizer.
	Perplexity
)

var metrics = [...]struct {
	name   string
	member string
	share  bool
	lower  bool
}{
	Accuracy:   {name: "accuracy", member: "accuracy", share: true},
	ExactMatch: {name: "exact match", member: "exact", share: true},

	BitsPerByte: {name: "bits per byte", member: "bits_per_byte", lower: true},
	Perplexity:  {name: "perplexity", member: "perplexity", lower: true},
}

// String is the name, as in "exact match".
func (m Metric) String() string { return metrics[m].name }

// Member is what the figure is called in scores: exact.
func (m Metric) Member() string { return metrics[m].member }

// Lower reports whether a smaller value is better.
func (m Metric) Lower() bool { return metrics[m].lower }

// IsShare reports whether its values are shares of a whole, from 0 to 1.
func (m Metric) IsShare() bool { return metrics[m].share }

// Format writes a value as people read it: 98.4 %.
func (m Metric) Format(x float64) string {
	if m.IsShare() {
		return format.Percent(x, 1)
	}
	return format.Fixed(x, 4)
}

// Better reports whether x is a better value than y. NaN is never better, and any number is better than NaN.
func (m Metric) Better(x, y float64) bool {
	switch {
	case x != x:
		return false
	case y != y:
		return true
	case metrics[m].lower:
		return x < y
	}
	return x > y
}

// MarshalText implements [encoding.TextMarshaler].
func (m Metric) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. A name that is not known, of a newer version, is read as accuracy, which
// every task has.
func (m *Metric) UnmarshalText(b []byte) error {
	*m = Accuracy
	for i := range metrics {
		if metrics[i].name == string(b) {
			*m = Metric(i)
		}
	}
	return nil
}
