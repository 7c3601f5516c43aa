package tui

import (
	tea "github.com/charmbracelet/bubbletea"
)

// The tables of the home screen: what keys do wherever one is, among the runs, and in the form of a new run.
var (
	homeGeneral = table[Home]{{"General", []binding[Home]{
		{keys: []string{"?"}, name: "?", help: "this help", hint: always[Home]("help"), do: plain((*Home).toggleHelp)},
		{keys: []string{"tab", "shift+tab"}, name: "Tab", help: "from the runs to the form of a new run, and back", hint: (*Home).otherHint, do: plain((*Home).other)},
		{keys: []string{"esc"}, name: "Esc", help: "one layer out: question, help, form, marks", do: plain((*Home).out)},
		{keys: []string{"ctrl+c"}, name: "Ctrl-C", help: "leave; training in the background continues", do: plain((*Home).leave)},
		{keys: []string{"ctrl+z"}, name: "Ctrl-Z", help: "suspend the program", do: func(*Home, string) tea.Cmd { return tea.Suspend }},
	}}}
	homeList = table[Home]{{"Runs", []binding[Home]{
		{keys: []string{"q"}, name: "q", help: "leave", hint: always[Home]("leave"), do: plain((*Home).leave)},
		{keys: []string{"n"}, name: "n", help: "new run: go to the form", hint: always[Home]("new"), do: plain((*Home).toForm)},
		{keys: []string{"enter", "o"}, name: "Enter o", help: "open the run in the dashboard", hint: withRun("open"), do: plain((*Home).openRun)},
		{keys: []string{" ", "m"}, name: "Space m", help: "mark or unmark the run", hint: withRun("mark"), do: plain((*Home).mark)},
		{keys: []string{"v"}, name: "v", help: "compare the marked runs in one dashboard", hint: (*Home).compareHint, do: plain((*Home).compare)},
		{keys: []string{"r"}, name: "r", help: "resume the run here", hint: (*Home).resumeHint, do: plain((*Home).resumeHere)},
		{keys: []string{"b"}, name: "b", help: "resume the run in the background", do: plain((*Home).resumeInBackground)},
		{keys: []string{"t"}, name: "t", help: "stop training, after saving a checkpoint; asks first", hint: (*Home).stopHint, do: plain((*Home).askStop)},
		{keys: []string{"w"}, name: "w", help: "write a report of the run, or one of all marked runs", hint: withRun("report"), do: plain((*Home).report)},
		{keys: []string{"x", "delete"}, name: "x Del", help: "move the run, or the marked runs, to the trash, which is the folder .trash next to the runs; asks first", hint: withRun("trash"), do: plain((*Home).askTrash)},
		{keys: []string{"up", "k"}, name: "↑ k", help: "the run above", do: func(m *Home, _ string) tea.Cmd { return m.move(-1) }},
		{keys: []string{"down", "j"}, name: "↓ j", help: "the run below", do: func(m *Home, _ string) tea.Cmd { return m.move(1) }},
		{keys: []string{"pgup"}, name: "PgUp", help: "ten runs up", do: func(m *Home, _ string) tea.Cmd { return m.move(-10) }},
		{keys: []string{"pgdown"}, name: "PgDn", help: "ten runs down", do: func(m *Home, _ string) tea.Cmd { return m.move(10) }},
		{keys: []string{"home"}, name: "Home", help: "the newest run", do: func(m *Home, _ string) tea.Cmd { return m.move(-1 << 30) }},
		{keys: []string{"end"}, name: "End", help: "the oldest run", do: func(m *Home, _ string) tea.Cmd { return m.move(1 << 30) }},
		{keys: []string{"c"}, name: "c", help: "next theme", do: func(m *Home, _ string) tea.Cmd { return m.nextTheme() }},
	}}}
	homeForm = table[Home]{{"New run", []binding[Home]{
		{keys: []string{"enter"}, name: "Enter", help: "start training here, in the dashboard", hint: whenReady("start"), do: plain((*Home).startHere)},
		{keys: []string{"ctrl+d"}, name: "Ctrl-D", help: "start training in the background", hint: whenReady("in background"), do: plain((*Home).startInBackground)},
		{keys: []string{"up"}, name: "↑", help: "the key above", do: func(m *Home, _ string) tea.Cmd { return m.moveField(-1) }},
		{keys: []string{"down"}, name: "↓", help: "the key below", do: func(m *Home, _ string) tea.Cmd { return m.moveField(1) }},
		{keys: []string{"left"}, name: "←", help: "previous value, one loop less, half the rate", hint: always[Home]("less"), do: func(m *Home, _ string) tea.Cmd { return m.nudge(-1) }},
		{keys: []string{"right"}, name: "→", help: "next value, one loop more, twice the rate", hint: always[Home]("more"), do: func(m *Home, _ string) tea.Cmd { return m.nudge(1) }},
		{keys: []string{"ctrl+u"}, name: "Ctrl-U", help: "clear the value", do: plain((*Home).clearField)},
		{keys: []string{"ctrl+r"}, name: "Ctrl-R", help: "restore the values of the preset", do: plain((*Home).resetForm)},
		{name: "any other", help: "types into the value; Backspace deletes; in a list, selects the next value with this initial"},
	}}}
	homeMouse = table[Home]{{"Mouse", []binding[Home]{
		{name: "click", help: "choose a run or a key of the form"},
		{name: "click again", help: "open the run"},
		{name: "wheel", help: "move through the runs, or the keys of the form"},
		{name: "right click", help: "one layer out"},
	}}}
)

// homeKeys is all of them, for help.
func homeKeys() table[Home] {
	var all table[Home]
	for _, t := range []table[Home]{homeGeneral, homeList, homeForm, homeMouse} {
		all = append(all, t...)
	}
	return all
}

// table is the table of the part of the screen that has the focus.
func (m *Home) table() table[Home] {
	if m.inForm {
		return homeForm
	}
	return homeList
}

// withRun is a hint that is there when a run is chosen.
func withRun(hint string) func(*Home) string {
	return func(m *Home) string {
		if len(m.runs) == 0 {
			return ""
		}
		return hint
	}
}

// whenReady is a hint that is there when nothing is wrong with the draft.
func whenReady(hint string) func(*Home) string {
	return func(m *Home) string {
		if wrong, _ := m.plan.err(); wrong != "" || m.memoryErr != nil {
			return ""
		}
		return hint
	}
}

func (m *Home) otherHint() string {
	if m.inForm {
		return "runs"
	}
	return "new run"
}

func (m *Home) compareHint() string {
	if len(m.marked) < 2 {
		return ""
	}
	return "compare"
}

func (m *Home) resumeHint() string {
	if r, ok := m.chosen(); !ok || !r.resumable() {
		return ""
	}
	return "resume"
}

func (m *Home) stopHint() string {
	if r, ok := m.chosen(); !ok || !r.Alive {
		return ""
	}
	return "stop"
}
