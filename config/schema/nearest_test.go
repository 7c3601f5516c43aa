package schema

import "testing"

func TestNearest(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q are %d changes, want %d", c.a, c.b, got, c.want)
		}
	}
	names := []string{"train.steps", "evaluate.every", "checkpoint.every"}
	for wrong, want := range map[string]string{"train.stpes": "train.steps", "evalute.every": "evaluate.every", "checkpoints.every": "checkpoint.every", "x": "", "": ""} {
		if got := Nearest(wrong, names); got != want {
			t.Errorf("nearest to %q is %q, want %q", wrong, got, want)
		}
	}
}
