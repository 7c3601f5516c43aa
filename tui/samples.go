package tui

import (
	"coil/format"
	"coil/run"
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
	if samples[0].Loops > 0 {
		m.drawContinuations(a, samples)
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

// drawContinuations draws the beginning of each text, how the model goes on at each loop count, and how the text does.
func (m *model) drawContinuations(a canvas.Area, samples []run.Sample) {
	type part struct {
		label, text string
		style       canvas.Style
	}
	var parts []part
	for i, s := range samples {
		if i == 0 || s.Question != samples[i-1].Question {
			parts = append(parts, part{"text", s.Question, canvas.Plain})
		}
		parts = append(parts, part{format.Plural(s.Loops, "loop"), s.Said, canvas.Series(5)})
		if i+1 == len(samples) || s.Question != samples[i+1].Question {
			parts = append(parts, part{"goes on", s.Want, canvas.Dim})
		}
	}
	width := 0
	for _, p := range parts {
		width = max(width, len([]rune(p.label)))
	}
	y := -m.held(samplesID, len(parts), a.Height())
	for _, p := range parts {
		a.Text(0, y, p.label, canvas.Dim)
		text := []rune(p.text)
		if room := a.Width() - width - 2; p.label == "text" && len(text) > room && room > 1 { // its end matters
			text = append([]rune("…"), text[len(text)-room+1:]...)
		}
		a.Text(width+2, y, string(text), p.style)
		y++
	}
}
