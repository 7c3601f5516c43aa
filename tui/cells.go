package tui

import (
	"fmt"
	"math"
	"slices"

	"coil/format"
	"coil/metric"
	"coil/run"
	"coil/tui/canvas"

	tea "github.com/charmbracelet/bubbletea"
)

// Experiment is how an experiment is doing, whose cells are trained by other processes.
type Experiment struct {
	Name  string
	Left  float64 // seconds, 0 if it is not known
	Cells []Cell
}

// Cell is one of its runs.
type Cell struct {
	Title   string
	Path    string // of its run, if that has begun
	State   CellState
	Damaged bool    // run.json of its run
	Share   float64 // of its steps that are done
	Value   float64 // of the metric at the last evaluation, NaN if there was none
	Metric  metric.Metric
}

// CellState is how far a cell is.
type CellState int

const (
	CellWaits CellState = iota
	CellRuns
	CellFailed
	CellDone
)

// mostFollowed is how many runs of an experiment are followed at a time.
const mostFollowed = 8

// followCells looks at the experiment, and follows the runs that are trained now, and the one that is shown.
func (m *model) followCells() {
	m.experiment = m.o.Experiment()
	m.dirty = true
	shown := m.shown()
	var followed []*watched
	for _, c := range m.experiment.Cells {
		at := slices.IndexFunc(m.runs, func(w *watched) bool { return w.cell == c.Path && w.run != nil })
		switch {
		case c.State != CellRuns && (at < 0 || m.runs[at] != shown), len(followed) == mostFollowed:
		case at >= 0:
			followed = append(followed, m.runs[at])
		default:
			if r, err := run.View(c.Path); err == nil {
				w := watch(r)
				w.cell = c.Path
				followed = append(followed, w)
			}
		}
	}
	if len(followed) == 0 {
		return
	}
	for _, w := range m.runs {
		if !slices.Contains(followed, w) {
			w.close()
		}
	}
	m.runs = followed
	m.top = max(0, slices.Index(followed, shown))
	if m.runs[m.top].ended() && len(followed) > 1 { // the next one
		m.top = (m.top + 1) % len(followed)
	}
}

// drawCells draws a line for each cell, so that those that are trained now are in sight.
func (m *model) drawCells(a canvas.Area) {
	cells := m.experiment.Cells
	if len(cells) == 0 {
		a.TextCenter(a.Height()/2, "no data yet", canvas.Dim)
		return
	}
	running := max(0, slices.IndexFunc(cells, func(c Cell) bool { return c.State == CellRuns }))
	m.scrolled[cellsID] = min(m.scrolled[cellsID], max(0, len(cells)-a.Height()))
	first := min(max(0, running-a.Height()/3)+m.scrolled[cellsID], max(0, len(cells)-a.Height()))
	for y, c := range cells[first:] {
		if y == a.Height() {
			break
		}
		mark, style := "·", canvas.Dim
		switch c.State {
		case CellRuns:
			mark, style = "▶", canvas.Accent
		case CellFailed:
			mark, style = "✗", canvas.Bad
		case CellDone:
			mark, style = "✓", canvas.Good
		}
		value := ""
		if !math.IsNaN(c.Value) {
			value = c.Metric.Format(c.Value)
		}
		title := canvas.Plain
		if c.Path == m.shown().cell {
			title = canvas.Strong
		} else if c.State == CellWaits {
			title = canvas.Dim
		}
		x := a.Text(0, y, mark+" ", style)
		damage := ""
		if c.Damaged {
			damage = " run.json damaged"
			if a.Width()-x-len(value)-1 < len([]rune(c.Title))+len(damage) {
				damage = " !"
			}
		}
		x += a.Sub(x, y, a.Width()-x-len([]rune(value))-1-len(damage), 1).Text(0, 0, c.Title, title)
		x = a.Text(x, y, damage, canvas.Warn)
		a.TextRight(y, value, style)
		if room := a.Sub(x+1, y, a.Width()-x-10, 1); c.State == CellRuns && room.Width() >= 5 {
			room.Fill('░', canvas.Dim)
			canvas.Bars(room, []canvas.Bar{{Value: c.Share, Of: 1, Style: canvas.Accent}})
		}
	}
}

// cellsDone is how many cells are done.
func (e Experiment) cellsDone() int {
	n := 0
	for _, c := range e.Cells {
		if c.State == CellDone {
			n++
		}
	}
	return n
}

// showCells shows the cells on the full screen, and back.
func (m *model) showCells() tea.Cmd {
	if m.o.Experiment == nil {
		return m.say("only an experiment has cells")
	}
	m.full = !m.full || m.focus != cellsID
	m.focus = cellsID
	return nil
}

// experimentHeadline says how the experiment is doing.
func (m *model) experimentHeadline() []string {
	if m.o.Experiment == nil {
		return nil
	}
	e := m.experiment
	parts := []string{e.Name, fmt.Sprintf("%d of %d cells", e.cellsDone(), len(e.Cells))}
	if e.Left > 0 {
		parts = append(parts, "about "+format.Seconds(math.Round(e.Left))+" left")
	}
	return parts
}
