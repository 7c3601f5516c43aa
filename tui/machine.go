package tui

import (
	"fmt"
	"strings"

	"coil/format"
	"coil/run"
	"coil/tui/canvas"
)

// drawMachine draws memory against the plan and the limit, heat and power.
func (m *model) drawMachine(a canvas.Area) {
	w := m.shown()
	s := w.Setup
	var bars []canvas.Bar
	limit := float64(s.MemoryLimit)
	if s.Memory > 0 {
		bars = append(bars, canvas.Bar{Label: "planned", Value: float64(s.Memory), Of: limit, Text: format.Bytes(s.Memory), Style: canvas.Series(0)})
	}
	if v, ok := w.Train.Value(run.Memory.Key()); ok {
		bars = append(bars, canvas.Bar{Label: "in use", Value: v, Of: limit, Text: format.Bytes(v), Style: canvas.Series(1)})
	}
	if v, ok := w.Train.Value(run.MemoryPeak.Key()); ok {
		bars = append(bars, canvas.Bar{Label: "at most", Value: v, Of: limit, Text: format.Bytes(v), Style: canvas.Series(2)})
	}
	canvas.Bars(a.Sub(0, 0, a.Width(), len(bars)), bars)
	y := len(bars)
	if limit > 0 {
		a.Text(0, y, "limit "+format.Bytes(limit), canvas.Dim)
		y++
	}
	parts, style := conditions(&w.Train)
	if parts != "" {
		a.Text(0, y, parts, style)
		y++
	}
	if y == 0 {
		a.TextCenter(a.Height()/2, "no data yet", canvas.Dim)
	}
	a.Text(0, y, s.Device, canvas.Dim)
}

// conditions shows temperature and power, as the system reports them.
func conditions(s *run.Series) (string, canvas.Style) {
	var parts []string
	style := canvas.Plain
	if v, ok := s.Value(run.Thermal.Key()); ok {
		names := []string{"nominal", "fair", "serious", "critical"}
		i := 0
		if v > 0 { // and not NaN
			i = int(min(3, v))
		}
		parts = append(parts, "heat "+names[i])
		if i > 0 {
			style = canvas.Warn
		}
		if i > 1 {
			style = canvas.Bad
		}
	}
	if v, ok := s.Value(run.Temperature.Key()); ok {
		parts = append(parts, fmt.Sprintf("%.0f °C", v))
	}
	if v, _ := s.Value(run.LowPower.Key()); v > 0 {
		parts, style = append(parts, "low-power mode"), canvas.Warn
	}
	if v, ok := s.Value(run.OnBattery.Key()); ok {
		parts = append(parts, map[bool]string{true: "on battery", false: "mains power"}[v > 0])
	}
	return strings.Join(parts, " · "), style
}
