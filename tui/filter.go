package tui

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

func (m *model) startFilter() tea.Cmd {
	m.filtering = true
	return nil
}

func (m *model) filterKey(msg tea.KeyMsg) {
	switch msg.Type {
	case tea.KeyEnter:
		m.filtering = false
	case tea.KeyEsc:
		m.filtering, m.filter = false, ""
	case tea.KeyBackspace:
		if r := []rune(m.filter); len(r) > 0 {
			m.filter = string(r[:len(r)-1])
		}
	case tea.KeyRunes, tea.KeySpace:
		if len(m.filter) < 200 {
			m.filter += string(msg.Runes)
		}
	}
	m.scrolled[logID], m.scrolled[valuesID] = 0, 0
}

// matches reports whether a text passes the filter.
func (m *model) matches(s string) bool {
	return m.filter == "" || strings.Contains(strings.ToLower(s), strings.ToLower(m.filter))
}
