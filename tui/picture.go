package tui

import (
	"time"

	"coil/tui/canvas"
)

// Picture draws one frame of w×h cells, as a dashboard that watches the runs shows it, without a terminal.
func Picture(o Options, w, h int) (*canvas.Canvas, error) {
	m := newModel(o, time.Now)
	defer m.close()
	m.width, m.height = w, h
	for _, r := range m.runs {
		for more := true; more; more = r.more {
			r.poll(m.now)
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	m.draw()
	return m.canvas, nil
}
