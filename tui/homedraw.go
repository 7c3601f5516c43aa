package tui

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"coil/format"
	"coil/text"
	"coil/tui/canvas"
)

// listPlace is where the runs were drawn: the panel, and the lines from rows to end.
type listPlace struct {
	place
	rows, end int
}

// formPlace is where the form was drawn, with its first field on the screen.
type formPlace struct {
	place
	rows, end int
	first     Field
}

// sideBySide is how many columns the runs and the form need beside each other, and formWidth what the form then has.
const (
	sideBySide = 110
	formWidth  = 50
)

func (m *Home) draw() {
	all := m.clear()
	m.listed, m.formed = listPlace{}, formPlace{}
	head, body := all.SplitY(min(1, m.height/5))
	body, foot := body.SplitY(body.Height() - min(1, m.height/4))
	m.drawHead(head)
	m.drawFoot(foot)
	x, y, w, h := 0, head.Height(), body.Width(), body.Height()
	switch {
	case m.help:
		m.shift = homeKeys().drawHelp(body, m.shift)
	case w >= sideBySide:
		m.drawList(body.Sub(0, 0, w-formWidth, h), place{x: x, y: y, w: w - formWidth, h: h})
		m.drawForm(body.Sub(w-formWidth, 0, formWidth, h), place{x: w - formWidth, y: y, w: formWidth, h: h})
	case m.inForm:
		m.drawForm(body, place{x: x, y: y, w: w, h: h})
	default:
		m.drawList(body, place{x: x, y: y, w: w, h: h})
	}
	if m.popup != nil {
		m.popup.draw(all)
	}
}

func (m *Home) drawHead(a canvas.Area) {
	x := a.Text(0, 0, " coil ", canvas.Title)
	parts := []string{fmt.Sprintf("%d runs in %s", len(m.runs), m.o.Root)}
	if len(m.runs) == 1 {
		parts[0] = "1 run in " + m.o.Root
	}
	if n := len(m.marked); n > 0 {
		parts = append(parts, fmt.Sprintf("%d marked", n))
	}
	if m.scanning {
		unread := 0
		for _, k := range m.known {
			if k.stamp == "" {
				unread++
			}
		}
		if unread > 0 {
			parts = append(parts, fmt.Sprintf("reading %d", unread))
		}
	}
	a.Text(x, 0, strings.Join(parts, " · "), canvas.Plain)
}

func (m *Home) drawFoot(a canvas.Area) {
	if m.message != "" {
		a.Text(1, 0, m.message, canvas.Warn)
		return
	}
	append(append(table[Home]{}, m.table()...), homeGeneral...).drawHints(a, m)
}

// inside draws the border of a panel, which small ones do without, and returns what is in it, and how far that is from the edge.
func inside(a canvas.Area, title string, focused bool) (canvas.Area, int) {
	if a.Height() < 5 || a.Width() < 20 {
		return a, 0
	}
	style := canvas.Border
	if focused {
		style = canvas.Focus
	}
	in := a.Box(title, style)
	return in.Sub(1, 0, in.Width()-2, in.Height()), 1
}

// column is a column of the list of runs.
type listColumn struct {
	title string
	width int
	text  func(r HomeRun) string // nil for the sparkline
}

const sparkWidth = 12

// listColumns are the columns beside the run's name, the most important first, and their places on the screen.
var listColumns = []struct {
	listColumn
	place int
}{
	{listColumn{"state", 10, func(r HomeRun) string { return r.State }}, 0},
	{listColumn{"held-out", 8, func(r HomeRun) string { return r.HeldOut }}, 4},
	{listColumn{"step", stepWidth, stepOf}, 3},
	{listColumn{"loss", sparkWidth, nil}, 5},
	{listColumn{"model", 11, func(r HomeRun) string { return r.Model }}, 1},
	{listColumn{"task", 10, func(r HomeRun) string { return r.Task }}, 2},
}

// stepWidth is how wide the column of the step is.
const stepWidth = 13

// stepOf is the step and how many there are, exactly if there is room: rounded, the two could read as equal.
func stepOf(r HomeRun) string {
	switch {
	case r.State == "" || r.Problem != "":
		return ""
	case r.Steps > 0:
		exact := fmt.Sprintf("%d/%d", r.Step, r.Steps)
		if len(exact) <= stepWidth {
			return exact
		}
		return format.Percent(float64(r.Step)/float64(r.Steps), 1) + " of " + format.Number(float64(r.Steps))
	}
	return strconv.Itoa(r.Step)
}

// columnsFor are the columns that fit beside a name of at least least columns, in their order.
func columnsFor(width, least int) (columns []listColumn, name int) {
	var at [6]*listColumn
	name = width
	for i := range listColumns {
		if c := &listColumns[i]; name-c.width-1 >= least {
			at[c.place] = &c.listColumn
			name -= c.width + 1
		} else {
			break
		}
	}
	for _, c := range at {
		if c != nil {
			columns = append(columns, *c)
		}
	}
	return columns, name
}

// shortID is the id without its time, for narrow screens.
func shortID(id string, width int) string {
	if parts := strings.SplitN(id, "_", 3); len([]rune(id)) > width && len(parts) == 3 {
		return parts[2]
	}
	return id
}

// styleOf is the colour of a state.
func styleOf(state string) canvas.Style {
	switch state {
	case "running", "finished":
		return canvas.Good
	case "failed", "crashed", "unreadable":
		return canvas.Bad
	case "paused", "stopped":
		return canvas.Warn
	}
	return canvas.Dim
}

func (m *Home) drawList(a canvas.Area, p place) {
	in, edge := inside(a, "runs", !m.inForm)
	m.listed = listPlace{place: p}
	switch {
	case m.problem != nil:
		for y, l := range breakLines(m.problem.Error(), in.Width()) {
			in.Text(0, y, l, canvas.Bad)
		}
		return
	case !m.scanned:
		in.TextCenter(in.Height()/2, "looking for runs …", canvas.Dim)
		return
	case len(m.runs) == 0:
		in.TextCenter(in.Height()/2, "no runs yet: n starts one", canvas.Dim)
		return
	}
	columns, name := columnsFor(in.Width()-2, 14)
	top := 0
	if in.Height() >= 4 {
		in.Text(2, 0, "run", canvas.Dim)
		x := 2 + name + 1
		for _, c := range columns {
			in.Sub(x, 0, c.width, 1).Text(0, 0, c.title, canvas.Dim)
			x += c.width + 1
		}
		top = 1
	}
	bottom := 0
	if in.Height() >= 9 {
		bottom = 2
	}
	rows := in.Sub(0, top, in.Width(), in.Height()-top-bottom)
	h := max(1, rows.Height())
	at := max(0, m.chosenIndex())
	m.first = max(0, min(m.first, at, len(m.runs)-h))
	m.first = max(m.first, at-h+1)
	m.listed.rows = p.y + edge + top
	m.listed.end = m.listed.rows + rows.Height()
	for y := 0; y < h && m.first+y < len(m.runs); y++ {
		m.drawRun(rows.Sub(0, y, rows.Width(), 1), m.runs[m.first+y], columns, name)
	}
	if bottom > 0 {
		m.drawChosen(in.Sub(0, in.Height()-bottom, in.Width(), bottom))
	}
}

func (m *Home) drawRun(a canvas.Area, id string, columns []listColumn, name int) {
	r := m.known[id].HomeRun
	style := canvas.Plain
	if id == m.at && !m.inForm {
		style = canvas.Select
		a.Fill(' ', style)
	} else if id == m.at {
		style = canvas.Strong
	}
	if m.marked[id] {
		a.Text(0, 0, "●", canvas.Accent)
	}
	a.Sub(2, 0, name, 1).Text(0, 0, shortID(id, name), style)
	x := 2 + name + 1
	for _, c := range columns {
		cell := a.Sub(x, 0, c.width, 1)
		switch {
		case c.text == nil:
			drawSpark(cell, r.Losses)
		case c.title == "state" && style != canvas.Select:
			cell.Text(0, 0, c.text(r), styleOf(r.State))
		default:
			cell.Text(0, 0, c.text(r), style)
		}
		x += c.width + 1
	}
}

// drawChosen says more of the chosen run.
func (m *Home) drawChosen(a canvas.Area) {
	r, ok := m.chosen()
	if !ok {
		return
	}
	a.Text(0, 0, m.at, canvas.Strong)
	if r.Problem != "" {
		a.Text(0, 1, r.Problem, canvas.Bad)
		return
	}
	parts := []string{m.path(m.at)}
	if r.Parameters > 0 {
		parts = append([]string{format.Count(r.Parameters) + " parameters"}, parts...)
	}
	if n := len(r.Losses); n > 0 {
		parts = append([]string{"loss " + format.Number(r.Losses[n-1])}, parts...)
	}
	a.Text(0, 1, strings.Join(parts, " · "), canvas.Dim)
}

// sparks are the heights of a sparkline.
var sparks = []rune("▁▂▃▄▅▆▇█")

// drawSpark draws values as heights between their least and their greatest. One that is not finite is a cross.
func drawSpark(a canvas.Area, values []float64) {
	n := min(a.Width(), len(values))
	lo, hi := math.Inf(1), math.Inf(-1)
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	for _, v := range values {
		if finite(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	for x := range n {
		v := values[x*len(values)/n]
		if !finite(v) {
			a.Set(x, 0, '×', canvas.Bad)
			continue
		}
		i := 0
		if hi > lo {
			i = min(len(sparks)-1, int((v-lo)/(hi-lo)*float64(len(sparks))))
		}
		a.Set(x, 0, sparks[i], canvas.Accent)
	}
}

// drawForm draws the values, and below them, as far as there is room, what is wrong, the command, the costs, the loop and what
// the preset is.
func (m *Home) drawForm(a canvas.Area, p place) {
	in, edge := inside(a, "new run", m.inForm)
	w, h := in.Width(), in.Height()
	below := 0
	if h > 2 {
		below = max(1, min(h/3, h-Fields))
	}
	shown := min(Fields, h-below)
	first := Field(max(0, int(m.field)-shown+1))
	m.formed = formPlace{place: p, rows: p.y + edge, end: p.y + edge + shown, first: first}
	for y := range shown {
		m.drawField(in.Sub(0, y, w, 1), first+Field(y))
	}
	if h > Fields+3 {
		shown++
	}
	rest := in.Sub(0, shown, w, h-shown)
	y := 0
	paragraph := func(s string, style canvas.Style, most int) {
		for i, l := range breakLines(s, rest.Width()) {
			if i < most && y < rest.Height() {
				rest.Text(0, y, l, style)
				y++
			}
		}
	}
	m.verdict(paragraph)
	command := "coil " + text.Quote(m.command()...)
	lines := len(breakLines(command, w))
	s := m.plan.Setup
	good := m.current() && s.Model != ""
	if good && rest.Height()-y >= 2+lines+4 {
		y++
		y += drawBlocks(rest.Sub(0, y, w, 3), s, -1)
	}
	if good && rest.Height()-y > lines {
		paragraph(costOf(s), canvas.Dim, 1)
	}
	if good && rest.Height()-y > lines {
		paragraph(m.facts(), canvas.Plain, max(1, rest.Height()-y-lines))
	}
	if rest.Height()-y > lines {
		y++
	}
	paragraph(command, canvas.Key, lines)
	if about := m.preset().About; rest.Height()-y > 2 {
		y++
		paragraph(about, canvas.Dim, rest.Height()-y)
	}
}

// verdict returns the errors of the draft, its warnings, or the help of the field.
func (m *Home) verdict(paragraph func(s string, style canvas.Style, most int)) {
	switch wrong, _ := m.plan.err(); {
	case !m.current():
		paragraph("checking …", canvas.Dim, 1)
	case m.plan.Errors[m.field] != "":
		paragraph(m.plan.Errors[m.field], canvas.Bad, 3)
	case wrong != "":
		paragraph(wrong, canvas.Bad, 3)
	case m.memoryOf == m.draft && m.memoryErr != nil:
		paragraph(m.memoryErr.Error(), canvas.Bad, 3)
	case m.field == FieldBackend && len(m.backends) > 0:
		for _, b := range m.backends {
			style := canvas.Plain
			if !b.Available {
				style = canvas.Dim
			}
			paragraph(b.Name+": "+b.Text, style, 2)
		}
	case len(m.plan.Warnings) > 0:
		for _, s := range m.plan.Warnings {
			paragraph(s, canvas.Warn, 2)
		}
	default:
		paragraph("ready: Enter starts it here, Ctrl-D in the background", canvas.Good, 2)
	}
}

// facts are the costs of the draft.
func (m *Home) facts() string {
	s := m.plan.Setup
	memory := "planning …"
	if m.memoryOf == m.draft {
		memory = m.memory
	}
	return fmt.Sprintf("%s parameters · depth %d · %s a token · memory %s", format.Count(s.Parameters), s.Depth(), format.SI(float64(s.FLOPs), "FLOPs"), memory)
}

const fieldNameWidth = 9

func (m *Home) drawField(a canvas.Area, f Field) {
	style, name := canvas.Plain, canvas.Dim
	if m.draft[f] != m.preset().Values[f] && f != FieldPreset {
		style = canvas.Strong
	}
	if m.current() && m.plan.Errors[f] != "" {
		style, name = canvas.Bad, canvas.Bad
	}
	focused := m.inForm && f == m.field
	if focused {
		name = canvas.Key
	}
	a.Text(0, 0, f.String(), name)
	value := a.Sub(fieldNameWidth, 0, a.Width()-fieldNameWidth, 1)
	if m.choices(f) != nil {
		s := m.draft[f]
		if focused {
			s = "← " + s + " →"
			style = canvas.Select
		}
		value.Text(0, 0, s, style)
		return
	}
	r := []rune(m.draft[f])
	if room := value.Width() - 1; len(r) > room && room > 1 { // its end is where one types
		r = append([]rune("…"), r[len(r)-room+1:]...)
	}
	x := value.Text(0, 0, string(r), style)
	if focused {
		value.Text(x, 0, " ", canvas.Select)
		if hint := m.hintOf(f); x+2+len([]rune(hint)) < value.Width() {
			value.TextRight(0, hint, canvas.Dim)
		}
	}
}

// hintOf says what one types into a field.
func (m *Home) hintOf(f Field) string {
	switch f {
	case FieldModel:
		return "1x4, 2x3, 1x(1,4,1)"
	case FieldSteps:
		return "optimizer steps"
	case FieldSeed:
		return "seed of weights and data"
	case FieldRate:
		return "peak learning rate"
	}
	return ""
}
