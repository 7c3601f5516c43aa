package tui

import (
	"math"
	"sort"

	"coil/plot"
	"coil/run"
	"coil/tui/canvas"

	tea "github.com/charmbracelet/bubbletea"
)

// panelChart is one chart of a panel.
type panelChart struct {
	name  string
	lines func(h *run.History) []line
	share bool // values are shares, shown in percent, unless the task is judged by something else
	log   bool // starts with a logarithmic axis
	exact bool // values have no noise, and are never smoothed
}

// line is a curve of a chart.
type line struct {
	of    *run.Series
	key   run.Key
	marks bool
}

// axis is what charts have as their x.
type axis int

const (
	bySteps axis = iota
	bySeconds
	byTokens
	axes
)

func (a axis) String() string { return [axes]string{"steps", "time", "tokens"}[a] }

func (a axis) of(p run.Point) float64 {
	switch a {
	case bySeconds:
		return p.Seconds
	case byTokens:
		return p.Tokens
	}
	return p.Step
}

// unit is the unit of an axis.
func (a axis) unit() plot.Unit {
	switch a {
	case bySeconds:
		return plot.Second
	case bySteps:
		return plot.Whole
	}
	return plot.Plain
}

// cells are a part of the screen that a chart is painted on.
type cells struct{ canvas.Area }

// Set implements [plot.Cells].
func (c cells) Set(x, y int, r rune, role plot.Role) { c.Area.Set(x, y, r, roleStyle(role)) }

// Text implements [plot.Cells].
func (c cells) Text(x, y int, s string, role plot.Role) { c.Area.Text(x, y, s, roleStyle(role)) }

func roleStyle(role plot.Role) canvas.Style {
	switch role {
	case plot.RoleLabel:
		return canvas.Dim
	case plot.RoleRule:
		return canvas.Border
	case plot.RoleCursor:
		return canvas.Focus
	case plot.RoleWrong:
		return canvas.Bad
	case plot.RoleBlank:
		return canvas.Plain
	}
	return canvas.Series(int(role - plot.RoleSeries))
}

// chartState is the view of the charts; all share the x axis, so that they can be compared.
type chartState struct {
	axis      axis
	span, end float64 // the window on the x axis, as shares of all: how wide, and where it ends
	hasCursor bool
	cursor    float64 // on the x axis
	smoothing int
	log       map[string]bool // by chart
	scratch   []run.Point
}

// chartPlace is where a chart was drawn, with its window.
type chartPlace struct {
	x, y, w, h int
	chart      *plot.Chart
	area       canvas.Area
}

func newChartState() chartState {
	s := chartState{span: 1, end: 1, smoothing: 2, log: map[string]bool{}}
	for _, p := range panels {
		for _, k := range p.charts {
			s.log[k.name] = k.log
		}
	}
	return s
}

// smoothings are the weights of the past.
var smoothings = []float64{0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995}

// drawCharts draws a panel's charts, one above the other; those without room for four lines are left out.
func (m *model) drawCharts(p *place, charts []panelChart, whole, a canvas.Area) {
	n := max(1, min(len(charts), a.Height()/5))
	if m.focus == p.id && n < len(charts) { // room for one: the one with the most to say is the first
		charts = charts[:n]
	}
	for i := range n {
		top := a.Height() * i / n
		part := a.Sub(0, top, a.Width(), a.Height()*(i+1)/n-top)
		at := chartPlace{x: p.x + (whole.Width()-a.Width())/2, y: p.y + (whole.Height()-a.Height())/2 + top, w: part.Width(), h: part.Height(), chart: m.chart(charts[i])}
		if n > 1 && part.Height() > 4 {
			part.Text(0, 0, charts[i].name, canvas.Dim)
			part = part.Sub(0, 1, part.Width(), part.Height()-1)
		}
		at.chart.Cells(cells{part})
		at.area = part
		p.charts = append(p.charts, at)
	}
}

// chart makes a chart of every run that is shown, the one on top last.
func (m *model) chart(p panelChart) *plot.Chart {
	s := &m.charts
	c := &plot.Chart{Title: p.name, Cursor: s.cursor, HasCursor: s.hasCursor}
	c.X.Label, c.X.Unit = s.axis.String(), s.axis.unit()
	c.X.Lo, c.X.Hi = m.window()
	c.Y.Log = s.log[p.name]
	judged := m.shown().Setup.Metric
	if p.share && judged.IsShare() {
		c.Y.Unit = plot.Share
	}
	for i := range m.runs {
		i = (m.top + 1 + i) % len(m.runs)
		if p.share && m.runs[i].Setup.Metric.IsShare() != judged.IsShare() { // it has no place on this axis
			continue
		}
		for j, l := range p.lines(m.runs[i].History) {
			color := j
			if len(m.runs) > 1 {
				color = i
			}
			c.Series = append(c.Series, m.series(m.runs[i], l, color, p)...)
		}
	}
	return c
}

// series are the curve as it is, faint, and smoothed; or marks.
func (m *model) series(w *watched, l line, color int, p panelChart) []plot.Series {
	points := l.of.Points(l.key)
	if len(points) == 0 {
		return nil
	}
	name := l.key.String()
	switch {
	case l.marks && len(m.runs) > 1: // one name for each run
		name = ""
	case l.marks:
		name = "held-out"
	case len(m.runs) > 1:
		name = w.name()
	}
	if l.marks {
		return []plot.Series{{Name: name, Points: m.xy(points), Color: color, Kind: plot.Marks}}
	}
	weight := smoothings[m.charts.smoothing]
	if weight == 0 || p.exact || len(points) < 3 {
		return []plot.Series{{Name: name, Points: m.xy(points), Color: color, Kind: plot.Line}}
	}
	m.charts.scratch = smooth(points, 1-weight, m.charts.scratch[:0])
	if len(m.runs) == 1 {
		name = "smoothed"
	}
	smoothed := plot.Series{Name: name, Points: m.xy(m.charts.scratch), Color: color, Kind: plot.Line}
	if len(m.runs) > 1 { // as they are, many runs hide each other
		return []plot.Series{smoothed}
	}
	return []plot.Series{{Name: "raw", Points: m.xy(points), Color: color, Kind: plot.Faint}, smoothed}
}

func (m *model) xy(points []run.Point) []plot.Point {
	xy := make([]plot.Point, len(points))
	for i, p := range points {
		xy[i] = plot.Point{X: m.charts.axis.of(p), Y: p.Y}
	}
	return xy
}

// extent is the x axis of all runs.
func (m *model) extent() (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, w := range m.runs {
		if points := w.Train.Points(run.Loss.Key()); len(points) > 0 {
			lo = min(lo, m.charts.axis.of(points[0]))
			hi = max(hi, m.charts.axis.of(points[len(points)-1]))
		}
	}
	if !(lo < hi) {
		return 0, 0
	}
	return lo, hi
}

// window is the part of the x axis that charts show.
func (m *model) window() (lo, hi float64) {
	lo, hi = m.extent()
	width := hi - lo
	hi = lo + m.charts.end*width
	return hi - m.charts.span*width, hi
}

// The narrowest window.
const leastSpan = 1.0 / (1 << 12)

// zoom makes the window wider or narrower, around the cursor if that is in it, and otherwise keeps its end.
func (m *model) zoom(factor float64) tea.Cmd {
	lo, hi := m.window()
	at := 1.0
	if s := m.charts; s.hasCursor && s.cursor >= lo && s.cursor <= hi && hi > lo {
		at = (s.cursor - lo) / (hi - lo)
	}
	m.zoomTo(factor, at)
	return nil
}

// zoomTo keeps the place at, a share of the window, where it is.
func (m *model) zoomTo(factor, at float64) {
	s := &m.charts
	begin := s.end - s.span
	span := min(1, max(leastSpan, s.span*factor))
	begin += at * (s.span - span)
	s.span = span
	s.end = min(1, max(span, begin+span))
}

func (m *model) pan(by float64) tea.Cmd {
	s := &m.charts
	s.end = min(1, max(s.span, s.end+by*s.span))
	return nil
}

// zoomAt zooms at a column of the screen.
func (m *model) zoomAt(p place, x int, factor float64) tea.Cmd {
	at := 0.5
	lo, hi := m.window()
	if v, ok := p.xAt(x); ok && hi > lo {
		at = min(1, max(0, (v-lo)/(hi-lo)))
	}
	m.zoomTo(factor, at)
	return nil
}

// cursorAt sets the cursor at a column of the screen.
func (m *model) cursorAt(p place, x int) {
	if v, ok := p.xAt(x); ok {
		m.charts.hasCursor = true
		m.charts.cursor = v
		m.snap(0)
	}
}

// xAt is the place on the x axis of a column of the screen.
func (p place) xAt(x int) (float64, bool) {
	for _, c := range p.charts {
		if v, ok := c.chart.XAt(c.area.Width(), c.area.Height(), x-c.x); ok {
			return v, true
		}
	}
	return 0, false
}

// moveCursor moves the cursor by reports; the first time it appears at the newest.
func (m *model) moveCursor(by int) tea.Cmd {
	if !m.charts.hasCursor {
		_, m.charts.cursor = m.window()
		m.charts.hasCursor = true
	}
	m.snap(by)
	return nil
}

// snap puts the cursor on the report next to it, or some reports further.
func (m *model) snap(by int) {
	points, s := m.shown().Train.Points(run.Loss.Key()), &m.charts
	if len(points) == 0 {
		s.hasCursor = false
		return
	}
	i := sort.Search(len(points), func(i int) bool { return s.axis.of(points[i]) >= s.cursor })
	if i == len(points) || i > 0 && s.cursor-s.axis.of(points[i-1]) < s.axis.of(points[i])-s.cursor {
		i--
	}
	i = min(len(points)-1, max(0, i+by))
	s.cursor = s.axis.of(points[i])
	lo, hi := m.extent()
	if hi > lo { // keep it in the window
		at := (s.cursor - lo) / (hi - lo)
		s.end = min(1, max(s.end, at))
		if at < s.end-s.span {
			s.end = at + s.span
		}
	}
}

func (m *model) nextAxis() tea.Cmd {
	s := &m.charts
	s.axis = (s.axis + 1) % axes
	s.span, s.end, s.hasCursor = 1, 1, false
	return m.say("x axis: %s", s.axis)
}

// focusedCharts are those of the focused panel, or of the loss.
func (m *model) focusedCharts() []panelChart {
	if charts := panels[m.focus].charts; len(charts) > 0 {
		return charts
	}
	return panels[lossID].charts
}

func (m *model) toggleLog() tea.Cmd {
	p := m.focusedCharts()[0]
	m.charts.log[p.name] = !m.charts.log[p.name]
	return m.say("%s: %s axis", p.name, map[bool]string{true: "logarithmic", false: "linear"}[m.charts.log[p.name]])
}

func (m *model) smooth(by int) tea.Cmd {
	s := &m.charts
	s.smoothing = min(len(smoothings)-1, max(0, s.smoothing+by))
	if s.smoothing == 0 {
		return m.say("raw curves")
	}
	return m.say("smoothing: %g of the past", smoothings[s.smoothing])
}
