package tui

import (
	"fmt"
	"math"
	"strings"

	"coil/format"
	"coil/run"
	"coil/tui/canvas"
)

// drawHeader draws two lines: what is trained and how it is doing, and how far it is. Where there is one, it is the second.
func (m *model) drawHeader(a canvas.Area) {
	w := m.shown()
	state, style := w.state(), canvas.Good
	if m.training() && w.run != nil && m.moment.Phase != "" && m.moment.Phase != run.PhaseDone {
		state = string(m.moment.Phase)
	}
	switch state {
	case "failed", "killed", "crashed":
		style = canvas.Bad
	case "paused", "stopped", "preparing":
		style = canvas.Warn
	}
	right := " " + state + " "
	room := a.Width() - len([]rune(right))
	if a.Height() == 1 {
		if room < leastProgress {
			room = a.Width()
		} else {
			a.TextRight(0, right, style)
		}
		m.drawProgress(a.Sub(0, 0, room, 1), w)
		return
	}
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
	m.drawProgress(a.Sub(1, 1, a.Width()-2, 1), w)
}

// leastProgress is how many columns the newest figures have before the state gives way to them.
const leastProgress = 50

func (m *model) headline(w *watched) []string {
	s := w.Setup
	if s.Model == "" {
		if w.run == nil {
			return []string{"preparing the first step"}
		}
		i := w.run.Info()
		return []string{i.ID, i.Backend, format.Count(i.Parameters) + " parameters"}
	}
	parts := []string{s.Model, s.Task, format.Count(s.Parameters) + " parameters", s.Backend}
	if s.Kernels != "" {
		parts[3] += " " + s.Kernels
	}
	if s.Workers > 0 {
		parts = append(parts, format.Plural(s.Workers, "worker"))
	}
	return append(parts, s.Device)
}

// drawProgress draws steps, a bar, the newest figures and times. What has no room is left out, the least important first: the
// bar, the times, the steps, the speed, the accuracy, and at last the loss.
func (m *model) drawProgress(a canvas.Area, w *watched) {
	done, elapsed := w.Latest, w.Seconds
	if m.training() { // between two reports
		done = max(done, m.moment.Step)
		if m.moment.Phase == run.PhaseTraining && !w.Newest.IsZero() {
			elapsed += max(0, m.now.Sub(w.Newest).Seconds())
		}
	}
	steps := fmt.Sprintf("%d", done)
	if n := w.Setup.Steps; n > 0 {
		steps = fmt.Sprintf("%d/%d", done, n)
	}
	figures := make([]string, 5) // from the left to the right
	if v, ok := w.HeldOut.Current(run.Judged(w.Setup.Metric).Key()); ok {
		figures[0] = w.Setup.Metric.String() + " " + w.Setup.Metric.Format(v)
	}
	if v, ok := w.Train.Value(run.Loss.Key()); ok {
		figures[1] = "loss " + format.Number(v)
	}
	if v, ok := w.Train.Value(run.TokensPerSecond.Key()); ok {
		figures[2] = format.Rate(v, "tokens")
	}
	figures[3] = format.Seconds(math.Trunc(elapsed))
	if left := w.Left(); left > 0 && !w.ended() {
		figures[4] = format.Seconds(math.Round(left)) + " left"
	}
	var shown [5]bool
	used := 0
	fits := func(text string) bool {
		n := len([]rune(text))
		if used > 0 {
			n += len([]rune(figureGap))
		}
		if text == "" || used+n > a.Width() {
			return false
		}
		used += n
		return true
	}
	for _, i := range [3]int{1, 0, 2} {
		shown[i] = fits(figures[i])
	}
	withSteps := fits(steps)
	for _, i := range [2]int{4, 3} {
		shown[i] = withSteps && fits(figures[i])
	}
	var text []string
	for i, f := range figures {
		if shown[i] {
			text = append(text, f)
		}
	}
	right := strings.Join(text, figureGap)
	x := 0
	if withSteps {
		x = a.Text(0, 0, steps+" ", canvas.Strong)
	}
	a.TextRight(0, right, canvas.Plain)
	bar := a.Sub(x, 0, a.Width()-x-len([]rune(right))-1, 1)
	if bar.Width() < 5 || w.Setup.Steps == 0 {
		return
	}
	bar.Fill('░', canvas.Dim)
	canvas.Bars(bar, []canvas.Bar{{Value: w.Setup.Share(done, elapsed), Of: 1, Style: canvas.Accent}})
}

// figureGap stands between two figures.
const figureGap = " · "

// drawFooter draws the message, the filter that is being typed, or the most used keys.
func (m *model) drawFooter(a canvas.Area) {
	switch {
	case m.filtering:
		const help = " Enter keeps · Esc clears "
		filter := []rune(m.filter)
		room := a.Width() - 3
		if room > len([]rune(help))+8 {
			room -= len([]rune(help))
			a.TextRight(0, help, canvas.Dim)
		}
		if len(filter) > room && room > 1 { // its end is where one types
			filter = append([]rune("…"), filter[len(filter)-room+1:]...)
		}
		x := a.Text(1, 0, "/"+string(filter), canvas.Strong)
		a.Text(x, 0, " ", canvas.Select)
		return
	case m.message != "":
		a.Text(1, 0, m.message, canvas.Warn)
		return
	}
	dashboardKeys.drawHints(a, m)
}

// controllable reports whether there is a process to control.
func (m *model) controllable() bool { return m.training() || m.o.Training == nil && m.shown().alive }
