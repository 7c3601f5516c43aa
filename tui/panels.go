package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"coil/run"
	"coil/tui/canvas"
	"coil/tui/chart"
)

// panels is what each panel shows.
var panels = [panelCount]panel{
	lossID: {title: "loss", least: 6, share: 4, plots: []plot{{name: "loss", lines: func(r *record) []line {
		return []line{{of: &r.train, name: "loss"}, {of: &r.held, name: "loss", marks: true}}
	}}}},
	accuracyID: {title: "accuracy", least: 5, share: 3, plots: []plot{{name: "accuracy", share: true, lines: func(r *record) []line {
		return []line{{of: &r.train, name: "accuracy"}, {of: &r.held, name: r.metric(), marks: true}}
	}}}},
	loopsID:   {title: "loops", least: 8, share: 4, draw: (*model).drawLoops},
	samplesID: {title: "samples", least: 4, share: 2, draw: (*model).drawSamples},
	ratesID: {title: "gradient norm · learning rate", least: 5, share: 2, plots: []plot{
		{name: "gradient norm", log: true, lines: func(r *record) []line { return []line{{of: &r.train, name: "grad_norm"}} }},
		{name: "learning rate", lines: func(r *record) []line { return []line{{of: &r.train, name: "lr"}} }},
	}},
	speedID:   {title: "speed", least: 4, share: 2, draw: (*model).drawSpeed},
	machineID: {title: "machine", least: 4, share: 1, draw: (*model).drawMachine},
	valuesID:  {title: "values", least: 4, share: 2, draw: (*model).drawValues},
	logID:     {title: "log", least: 3, share: 2, draw: (*model).drawLog},
}

func (m *model) panelTitle(id panelID) string {
	t := fmt.Sprintf("%d %s", id+1, panels[id].title)
	r := m.shown()
	switch {
	case id == accuracyID && r.metric() == "exact":
		t += " · exact match"
	case id == lossID && m.charts.span < 1:
		t += " · zoomed"
	case (id == logID || id == valuesID) && m.filter != "":
		t += " /" + m.filter
	}
	if id == lossID && len(m.runs) > 1 {
		t += " · " + r.name()
	}
	return t
}

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
	for i, part := range m.headline(w) {
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
		parts = append(parts, fmt.Sprintf("%d workers", s.Workers))
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

// drawSamples draws held-out questions with the model's answers.
func (m *model) drawSamples(a canvas.Area) {
	w := m.shown()
	if len(w.samples) == 0 {
		a.TextCenter(a.Height()/2, "after the first evaluation", canvas.Dim)
		return
	}
	y := -m.held(samplesID, len(w.samples)*3, a.Height())
	for _, s := range w.samples {
		mark, style := "✓", canvas.Good
		if !s.Right {
			mark, style = "✗", canvas.Bad
		}
		question := []rune(s.Question)
		if room := a.Width() - 4; len(question) > room && room > 1 { // its end matters
			question = append([]rune("…"), question[len(question)-room+1:]...)
		}
		if a.Height() < 2*len(w.samples) { // one line each
			answer := " → " + s.Said
			if !s.Right {
				answer += " (" + s.Want + ")"
			}
			room := max(0, a.Width()-2-len([]rune(answer)))
			if len(question) > room {
				question = append([]rune("…"), question[min(len(question), len(question)-room+1):]...)
			}
			x := a.Text(0, y, mark+" ", style)
			x = a.Text(x, y, string(question), canvas.Plain)
			a.Text(x, y, answer, style)
			y++
			continue
		}
		x := a.Text(0, y, mark+" ", style)
		a.Text(x, y, string(question), canvas.Plain)
		x = a.Text(2, y+1, "said ", canvas.Dim)
		x = a.Text(x, y+1, s.Said, style)
		if !s.Right {
			x = a.Text(x, y+1, "  want ", canvas.Dim)
			a.Text(x, y+1, s.Want, canvas.Plain)
		}
		y += 2
	}
}

// held is how far a panel is scrolled, no further than its content.
func (m *model) held(id panelID, lines, height int) int {
	m.scrolled[id] = min(m.scrolled[id], max(0, lines-height))
	return m.scrolled[id]
}

// parts of a step's time, as events name them.
var timeParts = []string{"matmul", "attention", "norm", "elementwise", "loss", "optimizer", "other"}

// drawSpeed draws the tokens a second, against the best, and what a step's time went to.
func (m *model) drawSpeed(a canvas.Area) {
	w := m.shown()
	now, ok := w.train.value("tokens_per_second")
	if !ok {
		a.TextCenter(a.Height()/2, "no data yet", canvas.Dim)
		return
	}
	x := a.Text(0, 0, chart.Number(now), canvas.Strong)
	x = a.Text(x, 0, " tokens/s", canvas.Plain)
	if w.best > 0 {
		style := canvas.Dim
		if now < 0.8*w.best { // heat, or others on the machine
			style = canvas.Warn
		}
		x = a.Text(x, 0, fmt.Sprintf("  %.0f %% of the best %s", 100*now/w.best, chart.Number(w.best)), style)
	}
	if wait, ok := w.train.value("data_wait"); ok && wait > 0.005 {
		a.Text(x, 0, fmt.Sprintf("  %.1f %% waiting for data", 100*wait), canvas.Warn)
	}
	points := w.train.byName["tokens_per_second"].Points()
	var recent []float64
	for _, p := range points[max(0, len(points)-a.Width()):] {
		recent = append(recent, p.Y)
	}
	chart.Spark(a.Sub(0, 1, a.Width(), 1), recent, canvas.Series(0))
	var bars []chart.Bar
	for i, part := range timeParts {
		if v, ok := w.train.value("time_" + part); ok && v >= 0.005 {
			bars = append(bars, chart.Bar{Label: part, Value: v, Of: 1, Text: fmt.Sprintf("%.0f %%", 100*v), Style: canvas.Series(i)})
		}
	}
	chart.Bars(a.Sub(0, 2, a.Width(), a.Height()-2), bars)
}

// drawMachine draws memory against the plan and the limit, heat and power.
func (m *model) drawMachine(a canvas.Area) {
	w := m.shown()
	s := w.setup
	var bars []chart.Bar
	limit := float64(s.MemoryLimit)
	if s.Memory > 0 {
		bars = append(bars, chart.Bar{Label: "planned", Value: float64(s.Memory), Of: limit, Text: size(float64(s.Memory)), Style: canvas.Series(0)})
	}
	if v, ok := w.train.value("memory"); ok {
		bars = append(bars, chart.Bar{Label: "in use", Value: v, Of: limit, Text: size(v), Style: canvas.Series(1)})
	}
	if v, ok := w.train.value("memory_peak"); ok {
		bars = append(bars, chart.Bar{Label: "at most", Value: v, Of: limit, Text: size(v), Style: canvas.Series(2)})
	}
	chart.Bars(a.Sub(0, 0, a.Width(), len(bars)), bars)
	y := len(bars)
	if limit > 0 {
		a.Text(0, y, "limit "+size(limit), canvas.Dim)
		y++
	}
	parts, style := conditions(w.train)
	if parts != "" {
		a.Text(0, y, parts, style)
		y++
	}
	if y == 0 {
		a.TextCenter(a.Height()/2, "no data yet", canvas.Dim)
	}
	a.Text(0, y, s.Device, canvas.Dim)
}

// conditions says what the system tells of heat and power.
func conditions(c curves) (string, canvas.Style) {
	var parts []string
	style := canvas.Plain
	if v, ok := c.value("thermal"); ok {
		names := []string{"nominal", "fair", "serious", "critical"}
		i := 0
		if v > 0 { // and not NaN
			i = int(min(3, v))
		}
		parts = append(parts, "heat "+names[i])
		if i > 0 {
			style = canvas.Warn
		}
		if i > 1 {
			style = canvas.Bad
		}
	}
	if v, ok := c.value("temperature"); ok {
		parts = append(parts, fmt.Sprintf("%.0f °C", v))
	}
	if v, _ := c.value("low_power"); v > 0 {
		parts, style = append(parts, "low-power mode"), canvas.Warn
	}
	if v, ok := c.value("on_battery"); ok {
		parts = append(parts, map[bool]string{true: "on battery", false: "mains power"}[v > 0])
	}
	return strings.Join(parts, " · "), style
}

// drawValues lists everything that is reported, with a small curve of each.
func (m *model) drawValues(a canvas.Area) {
	w := m.shown()
	type row struct {
		name string
		of   *curves
	}
	var rows []row
	for _, of := range []*curves{&w.train, &w.held} {
		for _, name := range of.names() {
			if strings.HasPrefix(name, "time_") || !m.matches(name) {
				continue
			}
			rows = append(rows, row{name, of})
		}
	}
	if len(rows) == 0 {
		a.TextCenter(a.Height()/2, "no data yet", canvas.Dim)
		return
	}
	names := 8
	for _, r := range rows {
		names = max(names, min(len([]rune(r.name))+2, a.Width()/2))
	}
	first := m.held(valuesID, len(rows), a.Height())
	for y, r := range rows[first:] {
		if y == a.Height() {
			break
		}
		style := canvas.Plain
		label := r.name
		if r.of == &w.held {
			style, label = canvas.Accent, "● "+label
		}
		a.Sub(0, y, names, 1).Text(0, 0, label, style)
		v, _ := r.of.value(r.name)
		a.Sub(names, y, 9, 1).TextRight(0, chart.Number(v), canvas.Strong)
		chart.Spark(a.Sub(names+10, y, a.Width()-names-10, 1), thin(r.of, r.name, a.Width()-names-10), canvas.Dim)
	}
}

// thin is a curve in n values.
func thin(of *curves, name string, n int) []float64 {
	points := of.byName[name].Points()
	if n < 1 || len(points) == 0 {
		return nil
	}
	if len(points) <= n {
		n = len(points)
	}
	values := make([]float64, n)
	for i := range values {
		values[i] = points[(i+1)*len(points)/n-1].Y
	}
	return values
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
		lines = append(lines[:len(lines):len(lines)], logLine{time: w.newest, kind: run.KindError, text: fmt.Sprintf("%d lines of events.jsonl are no events, and were passed over", w.passed)})
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

// lastSpace is the index of the last space, −1 if there is none.
func lastSpace(s []rune) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == ' ' {
			return i
		}
	}
	return -1
}

// drawHelp draws the table of keys.
func (m *model) drawHelp(a canvas.Area) {
	inside := a.Box("keys", canvas.Focus)
	type row struct {
		key, text string
		style     canvas.Style
	}
	var rows []row
	for i, g := range groups {
		if i > 0 {
			rows = append(rows, row{})
		}
		rows = append(rows, row{g.name, "", canvas.Title})
		for _, b := range g.bindings {
			rows = append(rows, row{b.name, b.help, canvas.Key})
		}
	}
	first := m.held(helpID, len(rows), inside.Height())
	for y, r := range rows[first:] {
		inside.Sub(1, y, 12, 1).Text(0, 0, r.key, r.style)
		inside.Text(14, y, r.text, canvas.Plain)
	}
}
