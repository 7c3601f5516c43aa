package tui

import (
	"fmt"

	"coil/metric"
	"coil/run"
)

// panels is what each panel shows.
var panels = [panelCount]panel{
	lossID: {title: "loss", least: 6, share: 4, charts: []panelChart{{name: "loss", lines: func(h *run.History) []line {
		return []line{{of: &h.Train, key: run.Loss.Key()}, {of: &h.HeldOut, key: run.Loss.Key(), marks: true}}
	}}}},
	accuracyID: {title: "accuracy", least: 5, share: 3, charts: []panelChart{{name: "accuracy", share: true, lines: func(h *run.History) []line {
		held := line{of: &h.HeldOut, key: run.Judged(h.Setup.Metric).Key(), marks: true}
		if !h.Setup.Metric.IsShare() {
			return []line{held}
		}
		return []line{{of: &h.Train, key: run.Accuracy.Key()}, held}
	}}}},
	loopsID:   {title: "loops", least: 8, share: 4, draw: (*model).drawLoops},
	samplesID: {title: "samples", least: 4, share: 2, draw: (*model).drawSamples},
	ratesID: {title: "gradient norm · learning rate", least: 5, share: 2, charts: []panelChart{
		{name: "gradient norm", log: true, lines: func(h *run.History) []line { return []line{{of: &h.Train, key: run.GradNorm.Key()}} }},
		{name: "learning rate", exact: true, lines: func(h *run.History) []line { return []line{{of: &h.Train, key: run.Rate.Key()}} }},
	}},
	speedID:   {title: "speed", least: 4, share: 2, draw: (*model).drawSpeed},
	machineID: {title: "machine", least: 4, share: 1, draw: (*model).drawMachine},
	valuesID:  {title: "values", least: 4, share: 2, draw: (*model).drawValues},
	logID:     {title: "log", least: 3, share: 2, draw: (*model).drawLog},
	cellsID:   {title: "cells", least: 6, share: 3, draw: (*model).drawCells},
}

func (m *model) panelTitle(id panelID) string {
	t := fmt.Sprintf("%d %s", id+1, panels[id].title)
	if id == cellsID {
		t = "g " + panels[id].title
	}
	r := m.shown()
	switch {
	case id == accuracyID && !r.Setup.Metric.IsShare():
		t = fmt.Sprintf("%d %s", id+1, r.Setup.Metric)
	case id == accuracyID && r.Setup.Metric != metric.Accuracy:
		t += " · " + r.Setup.Metric.String()
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

// held is how far a panel is scrolled, no further than its content.
func (m *model) held(id panelID, lines, height int) int {
	m.scrolled[id] = min(m.scrolled[id], max(0, lines-max(0, height)))
	return m.scrolled[id]
}
