package tui

import (
	"coil/tui/canvas"
)

// drawSamples draws held-out questions with the model's answers.
func (m *model) drawSamples(a canvas.Area) {
	w := m.shown()
	_, samples := w.Samples()
	if len(samples) == 0 {
		a.TextCenter(a.Height()/2, "after the first evaluation", canvas.Dim)
		return
	}
	y := -m.held(samplesID, len(samples)*3, a.Height())
	for _, s := range samples {
		mark, style := "✓", canvas.Good
		if !s.Right {
			mark, style = "✗", canvas.Bad
		}
		question := []rune(s.Question)
		if room := a.Width() - 4; len(question) > room && room > 1 { // its end matters
			question = append([]rune("…"), question[len(question)-room+1:]...)
		}
		if a.Height() < 2*len(samples) { // one line each
			answer := " → " + s.Said
			if !s.Right {
				answer += " (" + s.Want + ")"
			}
			room := max(0, a.Width()-2-len([]rune(answer)))
			if len(question) > room {
				question = append([]rune("…"), question[min(len(question), len(question)-room+1):]...)
			}
			x := a.Text(0, y, mark+" ", style)
			x = a.Text(x, y, string(question), canvas.Plain)
			a.Text(x, y, answer, style)
			y++
			continue
		}
		x := a.Text(0, y, mark+" ", style)
		a.Text(x, y, string(question), canvas.Plain)
		x = a.Text(2, y+1, "said ", canvas.Dim)
		x = a.Text(x, y+1, s.Said, style)
		if !s.Right {
			x = a.Text(x, y+1, "  want ", canvas.Dim)
			a.Text(x, y+1, s.Want, canvas.Plain)
		}
		y += 2
	}
}
