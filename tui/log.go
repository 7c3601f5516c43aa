package tui

import (
	"fmt"
	"strings"
	"time"

	"coil/run"
)

// logLine is a line of the log.
type logLine struct {
	time time.Time
	kind string
	text string
}

// longestLine is how much is kept of a text that comes from a file.
const longestLine = 2000

// describe says in words what happened, "" for reports of training, which are curves.
func (r *record) describe(e run.Event) string {
	text := strings.ToValidUTF8(e.Text[:min(len(e.Text), longestLine)], "?")
	switch e.Kind {
	case run.KindTrain:
		return ""
	case run.KindStart:
		return "the run begins"
	case run.KindSetup:
		s := r.setup
		return fmt.Sprintf("%s on %s, %s", s.Model, s.Task, s.Backend)
	case run.KindEval:
		v := float64(e.Values[r.metric()])
		return fmt.Sprintf("step %d: held-out %s %s, loss %.4f", e.Step, r.metricName(), percent(v), float64(e.Values["loss"]))
	case run.KindCheckpoint:
		return fmt.Sprintf("step %d: checkpoint", e.Step)
	case run.KindResume:
		return fmt.Sprintf("the run goes on from step %d", e.Step)
	case run.KindPause:
		return fmt.Sprintf("paused after step %d", e.Step)
	case run.KindContinue:
		return fmt.Sprintf("training continues after step %d", e.Step)
	case run.KindStop:
		return fmt.Sprintf("stopped after step %d", e.Step)
	case run.KindEnd:
		return fmt.Sprintf("all %d steps are done", e.Step)
	case run.KindError:
		return "failed: " + text
	}
	if text == "" { // of a kind that this version does not know, with nothing to read
		return ""
	}
	return text
}

// metricName is what the metric is called.
func (r *record) metricName() string {
	if r.metric() == "exact" {
		return "exact match"
	}
	return "accuracy"
}
