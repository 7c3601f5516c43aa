package task

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"coil/metric"
)

// mostStart is the largest number of tokens in front of a sequence.
const mostStart = 16

// started is a task with n tokens # in front of each of its sequences. They have no target and no part in the split, so the
// questions are those of the task. Where a position has nothing to attend to, # is there for it.
type started struct {
	of Task
	n  int
}

func (t *started) Name() string          { return t.of.Name() }
func (t *started) Length() int           { return t.of.Length() + t.n }
func (t *started) Kinds() []string       { return t.of.Kinds() }
func (t *started) Metric() metric.Metric { return t.of.Metric() }

// Parts are those of the task, if it has any.
func (t *started) Parts() []string {
	if of, ok := t.of.(Parted); ok {
		return of.Parts()
	}
	return nil
}

// Part is the part of the task's example.
func (t *started) Part(ex Example, parts []int) error {
	if err := t.check(ex); err != nil {
		return err
	}
	return t.of.(Parted).Part(t.rest(ex), parts[t.n:])
}

func (t *started) NewSampler() Sampler {
	return &startedSampler{t, t.of.NewSampler(), int32(len(t.of.Vocabulary()))}
}

// Vocabulary is that of the task and #, or ## if the task has a # of its own.
func (t *started) Vocabulary() []string {
	own := t.of.Vocabulary()
	start := "#"
	for slices.Contains(own, start) {
		start += "#"
	}
	return append(slices.Clone(own), start)
}

type startedSampler struct {
	*started
	of    Sampler
	token int32
}

func (s *startedSampler) Sample(seed, index uint64, split Split, ex *Example) {
	s.sample(ex, func(rest *Example) { s.of.Sample(seed, index, split, rest) })
}

func (s *startedSampler) SampleKind(seed, index uint64, split Split, kind int, ex *Example) {
	s.sample(ex, func(rest *Example) { s.of.SampleKind(seed, index, split, kind, rest) })
}

func (s *startedSampler) sample(ex *Example, rest func(*Example)) {
	for i := range s.n {
		ex.Tokens[i], ex.Targets[i] = s.token, Ignore
	}
	all := *ex
	ex.Tokens, ex.Targets = ex.Tokens[s.n:], ex.Targets[s.n:]
	rest(ex)
	ex.Tokens, ex.Targets = all.Tokens, all.Targets
}

// rest is the task's example, without what is in front of it.
func (t *started) rest(ex Example) Example {
	return Example{ex.Tokens[t.n:], ex.Targets[t.n:], ex.Kind}
}

// check returns an error unless n tokens # are in front of an example.
func (t *started) check(ex Example) error {
	if n := t.Length(); len(ex.Tokens) != n || len(ex.Targets) != n {
		return fmt.Errorf("%s: an example has %d tokens and targets, not %d and %d", t.Name(), n, len(ex.Tokens), len(ex.Targets))
	}
	start := int32(len(t.of.Vocabulary()))
	for i, token := range ex.Tokens[:t.n] {
		if token != start || ex.Targets[i] != Ignore {
			return fmt.Errorf("%s: token %d and target %d at position %d, want %d and no target", t.Name(), token, ex.Targets[i], i+1, start)
		}
	}
	return nil
}

// Explain explains the example of the task.
func (t *started) Explain(w io.Writer, ex Example) error {
	if err := t.check(ex); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.of.Explain(&b, t.rest(ex)); err != nil {
		return err
	}
	start := t.Vocabulary()[ex.Tokens[0]]
	_, err := fmt.Fprintf(w, "%s in front of\n\n%s", strings.TrimSpace(strings.Repeat(start+" ", t.n)), &b)
	return err
}
