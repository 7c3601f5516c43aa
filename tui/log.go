package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"coil/format"
	"coil/run"
	"coil/tui/canvas"
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
		v := float64(e.Values()[r.metric()])
		return fmt.Sprintf("step %d: held-out %s %s, loss %s", e.Step, r.metricName(), format.Percent(v, 1), format.Fixed(float64(e.Values()["loss"]), 4))
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

// drawLog draws the newest lines of the log, or older ones when scrolled.
func (m *model) drawLog(a canvas.Area) {
	w := m.shown()
	lines := w.lines
	if m.o.Training != nil {
		for _, text := range m.o.Training.Log() {
			lines = append(lines[:len(lines):len(lines)], logLine{text: text})
		}
	}
	if w.passed > 0 {
		lines = append(lines[:len(lines):len(lines)], logLine{time: w.newest, kind: run.KindError, text: fmt.Sprintf("skipped %d lines of events.jsonl that are not events", w.passed)})
	}
	if w.run != nil && w.run.Damage() != nil {
		lines = append(lines[:len(lines):len(lines)], logLine{time: w.newest, kind: run.KindError, text: w.run.Damage().Error()})
	}
	if w.crash != nil {
		lines = append(lines[:len(lines):len(lines)], logLine{time: w.crash.Time, kind: run.KindError, text: "the run " + w.crash.String()})
	}
	if w.err != nil {
		lines = append(lines[:len(lines):len(lines)], logLine{time: m.now, kind: run.KindError, text: w.err.Error()})
	}
	rows := m.newestRows(lines, a.Width(), a.Height())
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

// newestRows are the last rows of the lines that pass the filter, as wide as the panel, up to where it is scrolled.
func (m *model) newestRows(lines []logLine, width, height int) []logLine {
	var upwards []logLine
	for i := len(lines) - 1; i >= 0 && len(upwards) < height+m.scrolled[logID]; i-- {
		if m.matches(lines[i].text) {
			rows := lines[i].wrap(width)
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
