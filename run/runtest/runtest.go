// Package runtest has what tests of several packages want of runs.
package runtest

import (
	"errors"
	"io"
	"slices"

	"coil/run"
)

// Events are the events of a run that count, in their order: those that were taken back are left out. The error is of the first
// line that is no event.
func Events(r *run.Run) ([]run.Event, error) {
	er, err := r.Events()
	if err != nil {
		return nil, err
	}
	defer er.Close()
	var all []run.Event
	for {
		e, err := er.Next()
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return all, err
		case e.Kind == run.KindResume:
			all = slices.DeleteFunc(all, func(past run.Event) bool {
				return past.Step > e.Step && (past.Kind == run.KindTrain || past.Kind == run.KindEval)
			})
		}
		all = append(all, e)
	}
}
