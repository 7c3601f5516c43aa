package tui

import (
	"strings"
	"testing"

	"coil/run"
)

// The learning rate is drawn as it is: a schedule has no noise. The loss has some, and is smoothed.
func TestNoSmoothingOfSchedules(t *testing.T) {
	m := open(t, Options{Runs: []*run.Run{newRun(t, "", story(600, 1200))}, Style: style()}, 120, 40)
	for _, p := range panels[ratesID].charts {
		n := len(m.chart(p).Series)
		if want := map[string]int{"gradient norm": 2, "learning rate": 1}[p.name]; n != want {
			t.Errorf("%s has %d curves, not %d", p.name, n, want)
		}
	}
}

// The keys in the bottom line are those that do something now.
func TestHintsFitTheState(t *testing.T) {
	foot := func(r *run.Run) string {
		lines := strings.Split(strings.TrimSpace(open(t, Options{Runs: []*run.Run{r}, Style: style()}, 120, 40).canvas.Plain()), "\n")
		return lines[len(lines)-1]
	}
	r := newRun(t, "", story(600, 1200))
	if s := foot(r); !strings.Contains(s, "p pause") || !strings.Contains(s, "t stop") {
		t.Errorf("while it trains: %s", s)
	}
	if err := r.Append(run.Event{Kind: run.KindPause, Step: 600, Time: begin}); err != nil {
		t.Fatal(err)
	}
	if s := foot(r); !strings.Contains(s, "p continue") || strings.Contains(s, "p pause") {
		t.Errorf("paused: %s", s)
	}
	if err := r.Append(run.Event{Kind: run.KindEnd, Step: 1200, Time: begin}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if s := foot(r); strings.Contains(s, "p pause") || strings.Contains(s, "p continue") || strings.Contains(s, "s save") || strings.Contains(s, "t stop") {
		t.Errorf("finished: %s", s)
	}
}

// The legend of a chart names the raw and the smoothed curve; without smoothing, a curve has only its name.
func TestLegendOfSmoothing(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		m := open(t, Options{Runs: []*run.Run{newRun(t, "", story(600, 1200))}, Style: style()}, size[0], size[1])
		m.draw()
		text := m.canvas.Plain()
		if !strings.Contains(text, "─ raw") || !strings.Contains(text, "─ smoothed") || !strings.Contains(text, "● held-out") {
			t.Errorf("%d×%d: the legend is not whole:\n%s", size[0], size[1], text)
		}
		m.smooth(-len(smoothings))
		m.draw()
		if text := m.canvas.Plain(); strings.Contains(text, "─ raw") || strings.Contains(text, "─ smoothed") {
			t.Errorf("%d×%d: without smoothing there is still a legend for it:\n%s", size[0], size[1], text)
		}
	}
}
