package tui

import (
	"fmt"
	"math"
	"testing"

	"coil/golden"
	"coil/run"
)

// An experiment's cells are listed, and the run that is trained now is shown; when it ends, the next.
func TestExperiment(t *testing.T) {
	first, second := newRun(t, "1x4_s1", story(600, 1200)), newRun(t, "2x1_s1", story(300, 1200))
	e := Experiment{Name: "p-hop-laptop", Left: 95}
	for i := range 40 {
		e.Cells = append(e.Cells, Cell{Title: fmt.Sprintf("1⊗4 · seed %d", i+1), Path: fmt.Sprint(i), Value: math.NaN()})
	}
	for i := range 30 {
		e.Cells[i].State, e.Cells[i].Value = CellDone, 0.998
	}
	e.Cells[12].State, e.Cells[12].Value = CellFailed, math.NaN()
	e.Cells[30] = Cell{Title: "1⊗4 · seed 31", Path: first.Path(), State: CellRuns, Share: 0.5, Value: 0.527}
	m := open(t, Options{Experiment: func() Experiment { return e }, Style: style()}, 120, 40)
	golden.Compare(t, "experiment.txt", m.canvas.Plain())
	e.Cells[30].State = CellDone
	e.Cells[31] = Cell{Title: "2⊗1 · seed 32", Path: second.Path(), State: CellRuns, Share: 0.25, Value: math.NaN()}
	if err := first.Append(run.Event{Kind: run.KindEnd, Step: 1200}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m.poll()
	}
	if got := m.shown().cell; got != second.Path() {
		t.Errorf("shown is %s", got)
	}
	press(m, "g")
	has(t, m, "2⊗1 · seed 32")
	hasNot(t, m, "1 loss")
	press(m, "g", "p")
	has(t, m, "pausing after this step")
	if n := len(m.runs); n > mostFollowed {
		t.Errorf("%d runs are followed", n)
	}
	// Before anything has begun.
	m = open(t, Options{Experiment: func() Experiment { return Experiment{Name: "x", Cells: e.Cells[35:]} }, Style: style()}, 80, 24)
	has(t, m, "0 of 5 cells")
	press(m, "p", "w")
	press(m, "g")
	has(t, m, "· 1⊗4 · seed 36")
	for width, want := range map[int]string{80: "· 1⊗4 · seed 36 run.json damaged", 20: "· 1⊗4 · seed… !"} {
		e.Cells[35].Damaged = true
		m = open(t, Options{Experiment: func() Experiment { return Experiment{Name: "x", Cells: e.Cells[35:]} }, Style: style()}, width, 24)
		press(m, "g")
		has(t, m, want)
	}
	m = open(t, Options{Runs: []*run.Run{second}, Style: style()}, 80, 24)
	press(m, "g")
	has(t, m, "only an experiment has cells")
}
