package task

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// Tokens in front change nothing else: questions, targets, splits and kinds are those of the task, for every task.
func TestStart(t *testing.T) {
	for _, name := range Names() {
		c := Default()
		c.Name = Name(name)
		plain, err := c.New()
		if err != nil {
			t.Fatal(err)
		}
		c.Start = 3
		started, err := c.New()
		if name == "text" {
			if err == nil || err.Error() != "task.start is 3, and text has no token #: want 0" || c.Check() == nil {
				t.Errorf("text after tokens: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		vocabulary := started.Vocabulary()
		v := len(plain.Vocabulary())
		if started.Length() != plain.Length()+3 || len(vocabulary) != v+1 || slices.Contains(vocabulary[:v], vocabulary[v]) || strings.Trim(vocabulary[v], "#") != "" {
			t.Errorf("%s: length %d, vocabulary %v", name, started.Length(), vocabulary)
		}
		a, b := NewExample(plain), NewExample(started)
		for i := range uint64(8) {
			kind, split := int(i)%len(plain.Kinds()), Split(i%2)
			plain.NewSampler().SampleKind(5, i, split, kind, &a)
			started.NewSampler().SampleKind(5, i, split, kind, &b)
			start := []int32{int32(v), int32(v), int32(v)}
			if !slices.Equal(b.Tokens, append(start, a.Tokens...)) || !slices.Equal(b.Targets, append([]int32{Ignore, Ignore, Ignore}, a.Targets...)) || a.Kind != b.Kind {
				t.Fatalf("%s: %s, want # and %s", name, text(started, b), text(plain, a))
			}
			var own, all bytes.Buffer
			if err := plain.Explain(&own, a); err != nil {
				t.Fatal(err)
			}
			if err := started.Explain(&all, b); err != nil {
				t.Fatal(err)
			}
			if want := strings.Repeat(vocabulary[v]+" ", 2) + vocabulary[v] + " in front of\n\n" + own.String(); all.String() != want {
				t.Errorf("%s is explained by %q, want %q", name, all.String(), want)
			}
		}
	}
	c := Default()
	for _, n := range []int{-1, 17} {
		if c.Start = n; c.Check() == nil || !strings.HasPrefix(c.Check().Error(), "task.start is ") {
			t.Errorf("%d tokens in front: %v", n, c.Check())
		}
	}
}
