package tui

import (
	"fmt"

	"coil/format"
	"coil/run"
	"coil/tui/canvas"
)

// drawLoops draws the architecture, which loop is running, and how well the model does after each loop.
func (m *model) drawLoops(a canvas.Area) {
	w := m.shown()
	s, metric := w.Setup, run.Judged(w.Setup.Metric)
	if s.Model == "" {
		a.TextCenter(a.Height()/2, "no data yet", canvas.Dim)
		return
	}
	if n, ok := w.Train.Value(run.LoopCount.Key()); ok && s.LoopSchedule != "" { // the count in use
		s = s.WithCount(int(n))
	}
	y := 0
	if a.Height() >= 9 {
		y = m.drawArchitecture(a, s)
	}
	loops := run.Loops(w.HeldOut.CurrentKeys(), metric)
	if len(loops) == 0 {
		a.Text(0, y, s.Metric.String()+" after each loop: after the first evaluation", canvas.Dim)
		return
	}
	rows := a.Sub(0, y, a.Width(), a.Height()-y)
	lines := m.loopLines(rows.Width(), s, loops)
	if step, t := w.Trace(); t != nil {
		lines = append(traceLines(rows.Width(), t, step, m.running()), lines...)
	}
	heading, lines := lines[0], lines[1:]
	heading(rows.Sub(0, 0, rows.Width(), 1))
	first := m.held(loopsID, len(lines), rows.Height()-1)
	for i, line := range lines[first:] {
		line(rows.Sub(0, i+1, rows.Width(), 1))
	}
}

// loopLines draw how well the model does after each loop, below a heading, each in an area of one line.
func (m *model) loopLines(width int, s run.Setup, loops []int) []func(canvas.Area) {
	w, metric := m.shown(), run.Judged(s.Metric)
	const numbers = 21 // columns of loss and change, each of up to 9 characters
	whole := 1.0       // the length of a bar
	if !s.Metric.IsShare() {
		for _, n := range loops {
			v, _ := w.HeldOut.Current(metric.After(n))
			whole = max(whole, v)
		}
	}
	narrow := width < numbers+24
	lines := []func(canvas.Area){func(a canvas.Area) {
		if !narrow {
			a.TextRight(0, "      loss    change", canvas.Dim)
			a = a.Sub(0, 0, width-numbers, 1)
		}
		a.Text(0, 0, fmt.Sprintf("loop  %s · step %d", s.Metric, w.HeldOut.Step()), canvas.Dim)
	}}
	for _, n := range loops {
		lines = append(lines, func(a canvas.Area) {
			v, _ := w.HeldOut.Current(metric.After(n))
			style := canvas.Series(5)
			label := fmt.Sprintf("%3d ", n)
			if n == m.running() {
				label = fmt.Sprintf("%3d▶", n)
			}
			if n == s.Count() {
				style = canvas.Accent
			}
			bar := a
			if !narrow {
				bar = a.Sub(0, 0, width-numbers, 1)
				loss, _ := w.HeldOut.Current(run.Loss.After(n))
				text := fmt.Sprintf("%10s", format.Number(loss))
				if change, ok := w.HeldOut.Current(run.Change.After(n)); ok {
					text += fmt.Sprintf("%10s", format.Number(change))
				} else {
					text += fmt.Sprintf("%10s", "")
				}
				a.TextRight(0, text, canvas.Plain)
			}
			canvas.Bars(bar, []canvas.Bar{{Label: label, Value: v, Of: whole, Text: s.Metric.Format(v), Style: style}})
		})
	}
	return lines
}

// running is the loop that is running in this process, or 0.
func (m *model) running() int {
	if m.training() && m.moment.Phase == run.PhaseTraining {
		return m.moment.Loop
	}
	return 0
}

// drawArchitecture draws the blocks, which loop is running, and what they cost; and returns how many lines that took.
func (m *model) drawArchitecture(a canvas.Area, s run.Setup) int {
	running := m.training() && m.moment.Phase == run.PhaseTraining
	active := -1
	if running && m.moment.Loop > 0 {
		active = s.Looped
	}
	y := drawBlocks(a, s, active)
	text := costOf(s)
	if !running {
		a.Text(0, y, text, canvas.Dim)
	} else if x := m.drawRunning(a.Sub(0, y, a.Width(), 1), s); x+2+len(text) <= a.Width() {
		a.TextRight(y, text, canvas.Dim)
	}
	return y + 1
}

// costOf is the parameters and FLOPs of an architecture, relative to one layer.
func costOf(s run.Setup) string {
	return fmt.Sprintf("%dx params / %dx FLOPs of one layer", s.Layers(), s.Depth())
}

// drawBlocks draws the blocks as boxes that the data runs through, the looped one with its loops, and returns how many lines
// that took. active is the block that is running, −1 for none.
//
//	      ╭──────────╮    ╭──────────╮    ╭──────────╮
//	in ──▶│ 4 layers │──▶ │ 4 layers │──▶ │ 4 layers │──▶ out
//	      ╰──────────╯    ╰─◀ 4x ────╯    ╰──────────╯
func drawBlocks(a canvas.Area, s run.Setup, active int) int {
	if len(s.Blocks) != len(s.Loops) { // what is read may be garbled
		a.Text(0, 0, s.Model, canvas.Strong)
		return 1
	}
	const arrow = " ─▶ "
	labels := make([]string, len(s.Blocks))
	need := func(beside int) int { // columns of all boxes, which are wider than their labels
		n := len("in") + 4 + len("out")
		for _, l := range labels {
			n += len(l) + beside + 4
		}
		return n
	}
	beside := 2
	for i, n := range s.Blocks {
		labels[i] = " " + format.Plural(n, "layer") + " "
	}
	if need(beside) > a.Width() { // the numbers alone
		beside = 4
		for i, n := range s.Blocks {
			labels[i] = fmt.Sprintf(" %d ", n)
		}
	}
	if need(beside) > a.Width() {
		a.Text(0, 0, s.Model, canvas.Strong)
		return 1
	}
	x := a.Text(0, 1, "in", canvas.Dim)
	for i, loops := range s.Loops {
		width := len(labels[i]) + beside
		x = a.Text(x, 1, arrow, canvas.Dim)
		style := canvas.Border
		if i == active {
			style = canvas.Accent
		}
		a.Sub(x, 0, width, 3).Box("", style).TextCenter(0, labels[i], canvas.Plain)
		if loops > 1 {
			a.Text(x+1, 2, fmt.Sprintf("◀ %dx ", loops), canvas.Strong)
		}
		x += width
	}
	x = a.Text(x, 1, arrow, canvas.Dim)
	a.Text(x, 1, "out", canvas.Dim)
	return 3
}

// drawRunning draws a dot for each loop, the one that is running full, and returns the column after them.
func (m *model) drawRunning(a canvas.Area, s run.Setup) int {
	x := 0
	for n := range s.Count() {
		if x >= a.Width()/3 {
			x = a.Text(x, 0, "… ", canvas.Dim)
			break
		}
		if n+1 == m.moment.Loop {
			x = a.Text(x, 0, "● ", canvas.Accent)
		} else {
			x = a.Text(x, 0, "○ ", canvas.Dim)
		}
	}
	if m.moment.Loop > 0 {
		way := "forward"
		if m.moment.Backward {
			way = "backward"
		}
		x = a.Text(x, 0, fmt.Sprintf("loop %d %s", m.moment.Loop, way), canvas.Dim)
	}
	return x
}
