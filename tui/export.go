package tui

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

// export writes the charts of the focused panel to the run's folder plots/.
func (m *model) export() tea.Cmd {
	w := m.shown()
	if w.run == nil {
		return m.say("there is nothing to write yet")
	}
	folder := filepath.Join(w.run.Path(), "plots")
	var names []string
	for _, p := range m.focusedCharts() {
		name := fmt.Sprintf("%s-step-%06d", strings.ReplaceAll(p.name, " ", "-"), w.Latest)
		if err := m.exportChart(p, filepath.Join(folder, name)); err != nil {
			return m.say("could not write the chart: %v", err)
		}
		names = append(names, name)
	}
	return m.say("written: %s .csv and .svg in %s", strings.Join(names, ", "), folder)
}

// The size of an exported chart, in points.
const exportWidth, exportHeight = 900, 420

// exportChart writes path.csv and path.svg.
func (m *model) exportChart(p panelChart, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	c := m.chart(p)
	c.HasCursor = false
	var csv bytes.Buffer
	if err := c.CSV(&csv); err != nil {
		return err
	}
	if err := os.WriteFile(path+".csv", csv.Bytes(), 0o666); err != nil {
		return err
	}
	return os.WriteFile(path+".svg", c.SVG(exportWidth, exportHeight), 0o666)
}
