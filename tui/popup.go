package tui

import (
	"coil/tui/canvas"

	tea "github.com/charmbracelet/bubbletea"
)

// popup asks a question.
type popup struct {
	title   string
	text    string
	choices []choice
}

// choice is an answer, and what follows from it.
type choice struct {
	key, text string
	do        func(m *model) tea.Cmd
}

// popupKey takes the answer; Esc takes none.
func (m *model) popupKey(key string) tea.Cmd {
	choices := m.popup.choices
	if key == "esc" || key == "q" {
		m.popup = nil
		return nil
	}
	for _, c := range choices {
		if c.key == key {
			m.popup = nil
			if c.do == nil {
				return nil
			}
			return c.do(m)
		}
	}
	return nil
}

func (p *popup) draw(all canvas.Area) {
	width := len([]rune(p.text))
	for _, c := range p.choices {
		width = max(width, len([]rune(c.text))+3)
	}
	w, h := width+4, len(p.choices)+4
	a := all.Sub(max(0, (all.Width()-w)/2), max(0, (all.Height()-h)/2), min(w, all.Width()), min(h, all.Height()))
	a.Fill(' ', canvas.Plain)
	inside := a.Box(p.title, canvas.Focus)
	inside.Text(1, 0, p.text, canvas.Dim)
	first := min(2, max(0, inside.Height()-len(p.choices)))
	for i, c := range p.choices {
		inside.Text(1, first+i, c.key, canvas.Key)
		inside.Text(4, first+i, c.text, canvas.Plain)
	}
}
