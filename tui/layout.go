package tui

import (
	"coil/tui/canvas"
)

// panelID is a panel, in the order of the digits that show it.
type panelID int

const (
	lossID panelID = iota
	accuracyID
	loopsID
	samplesID
	ratesID
	speedID
	machineID
	valuesID
	logID
	numbered = int(iota)

	cellsID    = panelID(numbered)
	helpID     = cellsID + 1
	panelCount = numbered + 2
)

// panel is a part of the screen with one subject.
type panel struct {
	title  string
	least  int // lines of content that it needs to be worth its place
	share  int // of the lines that are left when every panel has its least
	charts []panelChart
	draw   func(m *model, a canvas.Area)
}

// place is where a panel was drawn.
type place struct {
	id         panelID
	x, y, w, h int
	charts     []chartPlace
}

func (p place) has(x, y int) bool {
	return x >= p.x && x < p.x+p.w && y >= p.y && y < p.y+p.h
}

// arrangement is the columns of panels on a screen of at least a size, the most important panel of each first.
type arrangement struct {
	width, height int
	shares        []int // of the columns
	columns       [][]panelID
}

// arrangements, the largest first.
var arrangements = []arrangement{
	{150, 36, []int{5, 4, 4}, [][]panelID{{lossID, accuracyID, ratesID}, {loopsID, samplesID, machineID}, {speedID, valuesID, logID}}},
	{100, 30, []int{5, 4}, [][]panelID{{lossID, accuracyID, ratesID}, {loopsID, samplesID, speedID, logID}}},
	{76, 20, []int{1, 1}, [][]panelID{{lossID, accuracyID}, {loopsID, speedID, logID}}},
	{60, 16, []int{1, 1}, [][]panelID{{lossID}, {loopsID}}},
}

// experimentArrangements are those of an experiment.
var experimentArrangements = []arrangement{
	{150, 36, []int{5, 4, 4}, [][]panelID{{lossID, accuracyID, ratesID}, {cellsID, loopsID}, {speedID, valuesID, logID}}},
	{100, 30, []int{5, 4}, [][]panelID{{lossID, accuracyID, ratesID}, {cellsID, loopsID, logID}}},
	{76, 20, []int{1, 1}, [][]panelID{{lossID, accuracyID}, {cellsID, loopsID}}},
	{60, 16, []int{1, 1}, [][]panelID{{lossID}, {cellsID}}},
}

// arrange gives places to the panels that fit on w×h cells; the focused one alone if full is set, or if there is no room for more.
func arrange(arrangements []arrangement, w, h int, focus panelID, full bool) []place {
	if !full {
		for _, a := range arrangements {
			if w >= a.width && h+frameLines >= a.height {
				return a.places(w, h)
			}
		}
	}
	return []place{{id: focus, w: w, h: h}}
}

func (a arrangement) places(w, h int) []place {
	var places []place
	shares, x := 0, 0
	for _, s := range a.shares {
		shares += s
	}
	for i, ids := range a.columns {
		width := w * a.shares[i] / shares
		if i == len(a.columns)-1 {
			width = w - x
		}
		places = append(places, column(ids, x, width, h)...)
		x += width
	}
	return places
}

// column stacks panels; the last ones are left out if there is no room.
func column(ids []panelID, x, w, h int) []place {
	const border = 2
	need, shares := 0, 0
	for i, id := range ids {
		if need+panels[id].least+border > h && i > 0 {
			ids = ids[:i]
			break
		}
		need += panels[id].least + border
		shares += panels[id].share
	}
	spare, y := max(0, h-need), 0
	var places []place
	for i, id := range ids {
		extra := 0
		if shares > 0 {
			extra = spare * panels[id].share / shares
		}
		height := panels[id].least + border + extra
		if i == len(ids)-1 || y+height > h {
			height = h - y
		}
		places = append(places, place{id: id, x: x, y: y, w: w, h: height})
		y += height
	}
	return places
}

// frameLines are the lines around the panels: two of the header, one at the bottom.
const frameLines = 3

// draw draws a frame.
func (m *model) draw() {
	all := m.clear()
	m.places = nil
	head, body := all.SplitY(min(2, m.height/3))
	body, foot := body.SplitY(body.Height() - min(1, m.height/4))
	m.drawHeader(head)
	m.drawFooter(foot)
	if m.help {
		m.scrolled[helpID] = dashboardKeys.drawHelp(body, m.scrolled[helpID])
	} else {
		all := arrangements
		if m.o.Experiment != nil {
			all = experimentArrangements
		}
		m.places = arrange(all, body.Width(), body.Height(), m.focus, m.full)
		for i := range m.places {
			p := &m.places[i]
			m.drawPanel(p, body.Sub(p.x, p.y, p.w, p.h))
			p.y += head.Height()
			for j := range p.charts {
				p.charts[j].y += head.Height()
			}
		}
	}
	if m.popup != nil {
		m.popup.draw(all)
	}
}

// drawPanel draws a panel in its border, which small ones do without.
func (m *model) drawPanel(p *place, a canvas.Area) {
	inside := a
	if a.Height() >= 5 && a.Width() >= 20 {
		style := canvas.Border
		if p.id == m.focus && !m.full {
			style = canvas.Focus
		}
		inside = a.Box(m.panelTitle(p.id), style)
		inside = inside.Sub(1, 0, inside.Width()-2, inside.Height())
	}
	if charts := panels[p.id].charts; len(charts) > 0 {
		m.drawCharts(p, charts, a, inside)
	} else {
		panels[p.id].draw(m, inside)
	}
}
