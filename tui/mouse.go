package tui

import (
	"slices"

	tea "github.com/charmbracelet/bubbletea"
)

// mouse handles the mouse.
func (m *model) mouse(msg tea.MouseMsg) tea.Cmd {
	if msg.Action != tea.MouseActionPress {
		return nil
	}
	m.dirty = true
	if msg.Button == tea.MouseButtonRight {
		return m.out()
	}
	i := slices.IndexFunc(m.places, func(p place) bool { return p.has(msg.X, msg.Y) })
	if i < 0 || m.help || m.popup != nil {
		if m.help && msg.Button == tea.MouseButtonWheelDown {
			return m.scroll(3)
		} else if m.help && msg.Button == tea.MouseButtonWheelUp {
			return m.scroll(-3)
		}
		return nil
	}
	p := m.places[i]
	again := m.focus == p.id
	m.focus = p.id
	isChart := len(panels[p.id].charts) > 0
	switch {
	case isChart && (msg.Button == tea.MouseButtonWheelUp || msg.Button == tea.MouseButtonWheelDown):
		factor := 0.8
		if msg.Button == tea.MouseButtonWheelDown {
			factor = 1 / factor
		}
		return m.zoomAt(p, msg.X, factor)
	case msg.Button == tea.MouseButtonWheelUp:
		return m.scroll(-3)
	case msg.Button == tea.MouseButtonWheelDown:
		return m.scroll(3)
	case msg.Button != tea.MouseButtonLeft:
	case isChart:
		m.cursorAt(p, msg.X)
	case again:
		return m.toggleFull()
	}
	return nil
}
