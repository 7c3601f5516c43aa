package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"coil/config"
	"coil/corpus"
	_ "coil/corpus/parquet"
	"coil/format"
	"coil/task"
	"coil/text"
)

// prepareTask makes the task of a configuration. If that has text, it tokenises it, and says how far it is.
func prepareTask(w io.Writer, c config.Config) (task.Task, error) {
	t, err := c.Task.New()
	if err := c.CheckMade(err); err != nil {
		return nil, err
	}
	begin := time.Now()
	last := begin
	waiting := false
	err = task.Prepare(t, func(p corpus.Progress) error {
		now := time.Now()
		switch {
		case p.Waiting && !waiting:
			fmt.Fprintf(w, "text     another process reads %s; waiting for it\n", text.Line(filepath.Base(p.Path)))
		case !p.Waiting && now.Sub(last) >= lineEvery:
			last = now
			fmt.Fprintf(w, "text     %s of %s read (%s), %s/s\n", format.Bytes(p.Done), format.Bytes(p.Total), text.Line(filepath.Base(p.Path)),
				format.Bytes(float64(p.Done)/now.Sub(begin).Seconds()))
		}
		waiting = p.Waiting
		return nil
	})
	if err != nil {
		return nil, inputError{err}
	}
	if l, ok := t.(task.Language); ok {
		if s := l.Corpus().Facts().Skipped; s.First != "" { // only whoever reads the text knows why
			fmt.Fprintf(w, "text     left out %s\n", text.Line(s.String()))
		}
	}
	return t, nil
}

// describeText prints the sizes of a corpus, how often training sees it, and what was left out.
func describeText(w io.Writer, t task.Task, c config.Config) {
	l, ok := t.(task.Language)
	if !ok {
		return
	}
	f, s := l.Corpus().Facts(), l.Sequences(task.Train)
	epochs := float64(c.Train.Steps) * float64(c.Train.Batch) / float64(s.Len())
	fmt.Fprintf(w, "text     %s · %s tokens in %s sequences to train on · %s held out · %s epochs\n", format.Bytes(f.Bytes), format.Count(s.Tokens()),
		format.Count(s.Len()), format.Count(f.Tokens[corpus.HeldOut]), format.Number(epochs))
	if n := s.Cropped(); n > 0 {
		fmt.Fprintf(w, "         best-fit packing crops %s tokens, %s of those to train on\n", format.Count(n), format.Percent(float64(n)/float64(n+s.Tokens()), 1))
	}
	if f.Divided {
		fmt.Fprintln(w, "         there is one document only, and its end is held out")
	}
	if f.Skipped.Count > 0 {
		fmt.Fprintf(w, "         left out %s\n", text.Line(f.Skipped.String()))
	}
}
