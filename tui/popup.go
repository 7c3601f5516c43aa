package tui

import (
	"strings"

	"coil/tui/canvas"

	tea "github.com/charmbracelet/bubbletea"
)

// popup asks a question; without choices it is a notice.
type popup[M any] struct {
	title   string
	text    string
	choices []choice[M]
}

// choice is an answer, and what follows from it.
type choice[M any] struct {
	key, text string
	do        func(m *M) tea.Cmd
}

// answer takes a key: closed is whether it answers the question, do what follows, nil for nothing. Esc takes no answer.
func (p *popup[M]) answer(key string) (do func(m *M) tea.Cmd, closed bool) {
	if key == "esc" || key == "q" || key == "enter" && len(p.choices) == 0 {
		return nil, true
	}
	for _, c := range p.choices {
		if c.key == key {
			return c.do, true
		}
	}
	return nil, false
}

func (p *popup[M]) draw(all canvas.Area) {
	width := 0
	for _, c := range p.choices {
		width = max(width, len([]rune(c.text))+3)
	}
	lines := breakLines(p.text, max(width, all.Width()-4))
	for _, l := range lines {
		width = max(width, len([]rune(l)))
	}
	w, h := width+4, len(lines)+2
	if len(p.choices) > 0 {
		h += len(p.choices) + 1
	}
	a := all.Sub(max(0, (all.Width()-w)/2), max(0, (all.Height()-h)/2), min(w, all.Width()), min(h, all.Height()))
	a.Fill(' ', canvas.Plain)
	inside := a.Box(p.title, canvas.Focus)
	for y, l := range lines {
		inside.Text(1, y, l, canvas.Dim)
	}
	first := min(len(lines)+1, max(0, inside.Height()-len(p.choices)))
	for i, c := range p.choices {
		inside.Sub(0, first+i, inside.Width(), 1).Fill(' ', canvas.Plain)
		inside.Text(1, first+i, c.key, canvas.Key)
		inside.Text(4, first+i, c.text, canvas.Plain)
	}
}

// breakLines breaks a text into lines of at most width columns, at spaces where there are some.
func breakLines(text string, width int) []string {
	var lines []string
	width = max(1, width)
	for line := range strings.SplitSeq(text, "\n") {
		r := []rune(strings.TrimRight(line, " \r"))
		for len(r) > width {
			at := width
			for i := width; i > width/2; i-- {
				if r[i] == ' ' {
					at = i
					break
				}
			}
			lines = append(lines, string(r[:at]))
			r = r[at:]
			if r[0] == ' ' {
				r = r[1:]
			}
		}
		lines = append(lines, string(r))
	}
	return lines
}
