package tui

import (
	"fmt"
	"time"

	"coil/run"
	"coil/tui/canvas"
	"coil/tui/chart"
)

// drawHeader draws two lines: what is trained and how it is doing, and how far it is.
func (m *model) drawHeader(a canvas.Area) {
	w := m.shown()
	state, style := w.state(), canvas.Good
	if m.training() && w.run != nil && m.moment.Phase != "" && m.moment.Phase != run.PhaseDone {
		state = string(m.moment.Phase)
	}
	switch state {
	case "failed", "killed":
		style = canvas.Bad
	case "paused", "stopped", "preparing":
		style = canvas.Warn
	}
	right := " " + state + " "
	room := a.Width() - len([]rune(right))
	x := a.Sub(0, 0, room, 1).Text(0, 0, " coil ", canvas.Title)
	for i, part := range append(m.experimentHeadline(), m.headline(w)...) {
		if i > 0 {
			part = " · " + part
		}
		if x+len([]rune(part)) < room {
			x = a.Text(x, 0, part, canvas.Plain)
		}
	}
	a.TextRight(0, right, style)
	if a.Height() > 1 {
		m.drawProgress(a.Sub(1, 1, a.Width()-2, 1), w)
	}
}

func (m *model) headline(w *watched) []string {
	s := w.setup
	if s.Model == "" {
		if w.run == nil {
			return []string{"preparing the first step"}
		}
		i := w.run.Info()
		return []string{i.ID, i.Backend, count(i.Parameters) + " parameters"}
	}
	parts := []string{s.Model, s.Task, count(s.Parameters) + " parameters", s.Backend}
	if s.Kernels != "" {
		parts[3] += " " + s.Kernels
	}
	if s.Workers > 0 {
		parts = append(parts, workers(s.Workers))
	}
	return append(parts, s.Device)
}

// drawProgress draws steps, a bar, the newest figures and times; what has no room is left out, the least important first.
func (m *model) drawProgress(a canvas.Area, w *watched) {
	done, elapsed := w.step, w.seconds
	if m.training() { // between two reports
		done = max(done, m.moment.Step)
		if m.moment.Phase == run.PhaseTraining && !w.newest.IsZero() {
			elapsed += max(0, m.now.Sub(w.newest).Seconds())
		}
	}
	steps := fmt.Sprintf("%d", done)
	share := 0.0
	if n := w.setup.Steps; n > 0 {
		steps = fmt.Sprintf("%d/%d", done, n)
		share = min(1, float64(done)/float64(n))
	}
	var parts []string
	if v, ok := w.held.value(w.metric()); ok {
		parts = append(parts, w.metricName()+" "+percent(v))
	}
	if v, ok := w.train.value("loss"); ok {
		parts = append(parts, "loss "+chart.Number(v))
	}
	if v, ok := w.train.value("tokens_per_second"); ok {
		parts = append(parts, chart.Number(v)+" tokens/s")
	}
	times := duration(time.Duration(elapsed * float64(time.Second)))
	if left := w.left(); left > 0 && w.ended == "" {
		times += " · " + duration(left) + " left"
	}
	text := times
	for _, p := range parts {
		if len([]rune(steps+text+p)) < a.Width()*3/5 {
			text = p + " · " + text
		}
	}
	x := a.Text(0, 0, steps+" ", canvas.Strong)
	a.TextRight(0, text, canvas.Plain)
	bar := a.Sub(x, 0, a.Width()-x-len([]rune(text))-1, 1)
	if bar.Width() < 5 || w.setup.Steps == 0 {
		return
	}
	bar.Fill('░', canvas.Dim)
	chart.Bars(bar, []chart.Bar{{Value: share, Of: 1, Style: canvas.Accent}})
}

// drawFooter draws the message, the filter that is being typed, or the most used keys.
func (m *model) drawFooter(a canvas.Area) {
	switch {
	case m.filtering:
		x := a.Text(1, 0, "/"+m.filter, canvas.Strong)
		a.Text(x, 0, " ", canvas.Select)
		a.TextRight(0, "Enter keeps · Esc clears ", canvas.Dim)
		return
	case m.message != "":
		a.Text(1, 0, m.message, canvas.Warn)
		return
	}
	x := 1
	for _, g := range groups {
		for _, b := range g.bindings {
			if b.hint == "" || g.name == "Run" && !m.steerable() || x+len(b.keys[0])+len(b.hint)+3 > a.Width() {
				continue
			}
			x = a.Text(x, 0, b.keys[0], canvas.Key)
			x = a.Text(x, 0, " "+b.hint+"  ", canvas.Dim)
		}
	}
}

// steerable reports whether there is a process to steer.
func (m *model) steerable() bool { return m.training() || m.o.Training == nil && m.shown().alive }

func workers(n int) string {
	if n == 1 {
		return "1 worker"
	}
	return fmt.Sprintf("%d workers", n)
}
