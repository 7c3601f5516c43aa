package tui

import (
	"testing"

	"coil/run"
)

// With a schedule of loops, the dashboard shows the architecture as it runs, and its cost; with a budget of time, the share that is used.
func TestScheduledRun(t *testing.T) {
	for loops, want := range map[run.Number]string{2: "◀ 2x", 4: "◀ 4x"} {
		events := story(600, 1200)
		events[1].Setup.LoopSchedule = "1@0, 2@0.3, 4@0.9"
		for _, e := range events {
			if e.Train != nil {
				e.Train.LoopCount = &loops
			}
		}
		m := open(t, Options{Runs: []*run.Run{newRun(t, "scheduled", events)}, Style: style()}, 150, 44)
		has(t, m, want)
		has(t, m, map[run.Number]string{2: "12x params / 16x FLOPs", 4: "12x params / 24x FLOPs"}[loops])
	}
	events := story(600, 12000)
	events[1].Setup.Time = 40 // 30 of them are used
	m := open(t, Options{Runs: []*run.Run{newRun(t, "timed", events)}, Style: style()}, 150, 44)
	has(t, m, "10 s left")
	has(t, m, "███░")
}
