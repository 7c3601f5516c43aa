package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"coil/format"
	"coil/metric"
	"coil/run"
	"coil/tui/canvas"
)

// logLine is a line of the log.
type logLine struct {
	time time.Time
	kind string
	text string
}

// describe says in words what happened; m is what the task is judged by.
func describe(e run.Event, m metric.Metric) string {
	switch e.Kind {
	case run.KindStart:
		return "the run begins"
	case run.KindSetup:
		if e.Setup == nil {
			return "training begins"
		}
		return fmt.Sprintf("%s on %s, %s", e.Setup.Model, e.Setup.Task, e.Setup.Backend)
	case run.KindEval:
		var score run.Score
		if e.Eval != nil {
			score = e.Eval.Score
		}
		v, _ := score.Value(run.Judged(m))
		loss, _ := score.Value(run.Loss)
		return fmt.Sprintf("step %d: held-out %s %s, loss %s", e.Step, m, m.Format(v), format.Fixed(loss, 4))
	case run.KindCheckpoint:
		return fmt.Sprintf("step %d: checkpoint", e.Step)
	case run.KindResume:
		return fmt.Sprintf("the run continues from step %d", e.Step)
	case run.KindPause:
		return fmt.Sprintf("paused after step %d", e.Step)
	case run.KindContinue:
		return fmt.Sprintf("training continues after step %d", e.Step)
	case run.KindStop:
		return fmt.Sprintf("stopped after step %d", e.Step)
	case run.KindEnd:
		return fmt.Sprintf("all %d steps are done", e.Step)
	case run.KindError:
		return "failed: " + e.Text
	}
	return e.Text // of a kind that this version does not know perhaps, with nothing to read
}

// drawLog draws the newest lines of the log, or older ones when scrolled.
func (m *model) drawLog(a canvas.Area) {
	w := m.shown()
	var after []logLine // what there is besides the log
	add := func(at time.Time, kind, text string) { after = append(after, logLine{at, kind, text}) }
	if m.o.Training != nil {
		for _, text := range m.o.Training.Log() {
			add(time.Time{}, "", text)
		}
	}
	if w.Garbled > 0 {
		add(w.Newest, run.KindError, fmt.Sprintf("skipped %d lines of events.jsonl that are not events", w.Garbled))
	}
	if w.run != nil && w.run.Damage() != nil {
		add(w.Newest, run.KindError, w.run.Damage().Error())
	}
	if w.crash != nil {
		add(w.crash.Time, run.KindError, "the run "+w.crash.String())
	}
	if w.err != nil {
		add(m.now, run.KindError, w.err.Error())
	}
	n := len(w.Log)
	rows := m.newestRows(n+len(after), func(i int) logLine {
		if i >= n {
			return after[i-n]
		}
		e := w.Log[i]
		return logLine{e.Time, e.Kind, describe(e, w.Setup.Metric)}
	}, a.Width(), a.Height())
	if len(rows) == 0 {
		a.TextCenter(a.Height()/2, "nothing yet", canvas.Dim)
		return
	}
	for y, l := range rows {
		x := 0
		if a.Width() > stampWidth*3 {
			if !l.time.IsZero() {
				a.Text(0, y, l.time.Local().Format("15:04:05"), canvas.Dim)
			}
			x = stampWidth
		}
		style := canvas.Plain
		switch l.kind {
		case run.KindError:
			style = canvas.Bad
		case run.KindEval:
			style = canvas.Accent
		case run.KindPause, run.KindStop, run.KindResume:
			style = canvas.Warn
		case run.KindEnd:
			style = canvas.Good
		case run.KindCheckpoint:
			style = canvas.Dim
		}
		a.Text(x, y, l.text, style)
	}
}

// newestRows are the last rows of n lines, of those that pass the filter, as wide as the panel, up to where it is scrolled.
func (m *model) newestRows(n int, line func(i int) logLine, width, height int) []logLine {
	var upwards []logLine
	for i := n - 1; i >= 0 && len(upwards) < height+m.scrolled[logID]; i-- {
		if l := line(i); l.text != "" && m.matches(l.text) {
			rows := l.wrap(width)
			slices.Reverse(rows)
			upwards = append(upwards, rows...)
		}
	}
	back := m.held(logID, len(upwards), height)
	rows := upwards[back:min(len(upwards), back+height)]
	slices.Reverse(rows)
	return rows
}

// stampWidth is how wide the time of a line of the log is.
const stampWidth = 9

// wrap breaks a line into lines of a width, at spaces where there are any.
func (l logLine) wrap(width int) []logLine {
	if width > stampWidth*3 {
		width -= stampWidth
	}
	var rows []logLine
	for text := range strings.SplitSeq(l.text, "\n") {
		for first, rest := true, []rune(text); first || len(rest) > 0; first = false {
			n := min(len(rest), max(1, width))
			if n < len(rest) {
				if space := lastSpace(rest[:n+1]); space > 0 {
					n = space
				}
			}
			rows = append(rows, logLine{l.time, l.kind, string(rest[:n])})
			l.time = time.Time{} // only with the first
			rest = rest[n:]
			if len(rest) > 0 && rest[0] == ' ' {
				rest = rest[1:]
			}
		}
	}
	return rows
}

// lastSpace is the index of the last space, or −1.
func lastSpace(s []rune) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == ' ' {
			return i
		}
	}
	return -1
}
