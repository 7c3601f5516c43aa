package tui

import (
	"coil/tui/canvas"
)

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
