package tui

import (
	"fmt"
	"strings"
	"testing"

	"coil/run"
)

// traceOf is a table of a number of columns.
func traceOf(columns int) *run.Trace {
	t := &run.Trace{About: "where pointers lead", Columns: []string{"position"}, Note: "the end"}
	for i := range columns {
		t.Columns = append(t.Columns, fmt.Sprint(100+i))
	}
	for loop := range 3 {
		r := run.TraceRow{Label: []string{"start", "loop 1: 1 hop", "loop 2: 2 hops"}[loop], Loop: loop}
		for i := range columns {
			r.Cells = append(r.Cells, run.TraceCell{Text: fmt.Sprint(200*loop + i), Below: map[int]string{2: "x"}[loop], Tone: loop - 1})
		}
		t.Rows = append(t.Rows, r)
	}
	return t
}

func traced(t *testing.T, trace *run.Trace, w, h int) *model {
	e := evaluated(500, 1200)
	e.Eval.Trace = trace
	return open(t, Options{Runs: []*run.Run{newRun(t, "", append(story(490, 1200), e))}, Style: style()}, w, h)
}

// The panel of loops shows an example loop by loop, the last columns if not all fit, and then the accuracy after each loop.
func TestTrace(t *testing.T) {
	m := traced(t, traceOf(8), 120, 40)
	press(m, "3")
	has(t, m, "an example, loop by loop · step 500")
	has(t, m, "position        100  101  102  103  104  105  106  107 ")
	has(t, m, "loop 2: 2 hops  400  401  402  403  404  405  406  407 ")
	has(t, m, "where pointers lead")
	has(t, m, "the end")
	has(t, m, "loop  accuracy · step 500")
	m = traced(t, traceOf(60), 120, 40)
	press(m, "3")
	has(t, m, " 158  159 ")
	hasNot(t, m, " 100  101 ")
	hasNot(t, open(t, Options{Runs: []*run.Run{newRun(t, "", story(500, 1200))}, Style: style()}, 120, 40), "an example, loop by loop")
}

// The row of the loop that is running is marked.
func TestTraceOfTheRunningLoop(t *testing.T) {
	m := traced(t, traceOf(4), 120, 40)
	m.moment = run.Activity{Phase: run.PhaseTraining, Loop: 2}
	m.o.Training = &Training{Activity: func() run.Activity { return m.moment }, Log: func() []string { return nil }}
	press(m, "3")
	has(t, m, "▶loop 2: 2 hops")
	hasNot(t, m, "▶loop 1")
}

// Traces that no program writes are shown as far as they go.
func TestGarbledTraces(t *testing.T) {
	short := traceOf(5)
	short.Rows[1].Cells = short.Rows[1].Cells[:2]
	long := traceOf(5)
	long.Columns = long.Columns[:2]
	control := traceOf(2)
	control.Rows[0].Cells[0].Text, control.Note = "\x1b[2Jgone", "a\nb"
	for name, trace := range map[string]*run.Trace{"nothing": {}, "short": short, "long": long, "control": control} {
		for _, w := range []int{20, 60, 120, 200} {
			m := traced(t, trace, w, 30)
			press(m, "3")
			if s := m.canvas.Plain(); strings.ContainsRune(s, '\x1b') {
				t.Errorf("%s: an escape is on the screen", name)
			}
		}
	}
}
