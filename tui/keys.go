package tui

import (
	"coil/run"

	tea "github.com/charmbracelet/bubbletea"
)

// dashboardKeys is the table of the dashboard.
var dashboardKeys = table[model]{
	{"General", []binding[model]{
		{keys: []string{"?", "h"}, name: "?", help: "this help", hint: always[model]("help"), do: plain((*model).toggleHelp)},
		{keys: []string{"q"}, name: "q", help: "leave; if this process trains: stop training, leave it in the background, or stay", hint: always[model]("leave"), do: plain((*model).leave)},
		{keys: []string{"esc"}, name: "Esc", help: "one layer out: popup, help, filter, full screen, cursor, zoom", do: plain((*model).out)},
		{keys: []string{"ctrl+c"}, name: "Ctrl-C", help: "save and stop training in this process; a second time, leave at once", do: plain((*model).interrupt)},
		{keys: []string{"ctrl+z"}, name: "Ctrl-Z", help: "suspend the program", do: func(*model, string) tea.Cmd { return tea.Suspend }},
		{keys: []string{"c"}, name: "c", help: "next theme", do: func(m *model, _ string) tea.Cmd { return m.nextTheme() }},
	}},
	{"Run", []binding[model]{
		{keys: []string{"p", " "}, name: "p Space", help: "pause training, or continue", hint: (*model).pauseHint, do: plain((*model).pause)},
		{keys: []string{"s"}, name: "s", help: "save a checkpoint now", hint: whileControlled("save"), do: command(run.SaveCheckpoint)},
		{keys: []string{"e"}, name: "e", help: "evaluate on held-out examples now", hint: whileControlled("evaluate"), do: command(run.Evaluate)},
		{keys: []string{"t"}, name: "t", help: "stop training, after saving a checkpoint; asks first", hint: whileControlled("stop"), do: plain((*model).askStop)},
		{keys: []string{"d"}, name: "d", help: "leave training in the background and close the dashboard", do: plain((*model).detach)},
		{keys: []string{"n"}, name: "n", help: "bring the next of several runs to the top", do: func(m *model, _ string) tea.Cmd { return m.nextRun(1) }},
		{keys: []string{"N"}, name: "N", help: "bring the previous of several runs to the top", do: func(m *model, _ string) tea.Cmd { return m.nextRun(-1) }},
	}},
	{"Panels", []binding[model]{
		{keys: []string{"tab"}, name: "Tab", help: "next panel", hint: always[model]("panel"), do: func(m *model, _ string) tea.Cmd { return m.focusBy(1) }},
		{keys: []string{"shift+tab"}, name: "Shift-Tab", help: "panel before", do: func(m *model, _ string) tea.Cmd { return m.focusBy(-1) }},
		{keys: []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}, name: "1 … 9", help: "show a panel on the full screen", do: func(m *model, key string) tea.Cmd { return m.showPanel(int(key[0] - '1')) }},
		{keys: []string{"g"}, name: "g", help: "show the cells of an experiment on the full screen, and back", do: plain((*model).showCells)},
		{keys: []string{"enter"}, name: "Enter", help: "show this panel on the full screen, and back", hint: always[model]("full"), do: plain((*model).toggleFull)},
		{keys: []string{"up", "k"}, name: "↑ k", help: "scroll up", do: func(m *model, _ string) tea.Cmd { return m.scroll(-1) }},
		{keys: []string{"down", "j"}, name: "↓ j", help: "scroll down", do: func(m *model, _ string) tea.Cmd { return m.scroll(1) }},
		{keys: []string{"pgup"}, name: "PgUp", help: "scroll a page up", do: func(m *model, _ string) tea.Cmd { return m.scroll(-10) }},
		{keys: []string{"pgdown"}, name: "PgDn", help: "scroll a page down", do: func(m *model, _ string) tea.Cmd { return m.scroll(10) }},
		{keys: []string{"/"}, name: "/", help: "filter the log and the list of values; Enter keeps, Esc clears", do: plain((*model).startFilter)},
	}},
	{"Charts", []binding[model]{
		{keys: []string{"left"}, name: "←", help: "move the cursor left", do: func(m *model, _ string) tea.Cmd { return m.moveCursor(-1) }},
		{keys: []string{"right"}, name: "→", help: "move the cursor right", do: func(m *model, _ string) tea.Cmd { return m.moveCursor(1) }},
		{keys: []string{"home"}, name: "Home", help: "move the cursor to the first report", do: func(m *model, _ string) tea.Cmd { return m.moveCursor(-1 << 20) }},
		{keys: []string{"end"}, name: "End", help: "move the cursor to the newest report", do: func(m *model, _ string) tea.Cmd { return m.moveCursor(1 << 20) }},
		{keys: []string{"z"}, name: "z", help: "zoom in, around the cursor or towards the newest", hint: always[model]("zoom"), do: func(m *model, _ string) tea.Cmd { return m.zoom(0.5) }},
		{keys: []string{"Z"}, name: "Z", help: "zoom out", do: func(m *model, _ string) tea.Cmd { return m.zoom(2) }},
		{keys: []string{"[", "shift+left"}, name: "[", help: "move the window back", do: func(m *model, _ string) tea.Cmd { return m.pan(-0.25) }},
		{keys: []string{"]", "shift+right"}, name: "]", help: "move the window forward", do: func(m *model, _ string) tea.Cmd { return m.pan(0.25) }},
		{keys: []string{"x"}, name: "x", help: "x axis: steps, time, tokens", hint: always[model]("axis"), do: plain((*model).nextAxis)},
		{keys: []string{"y", "l"}, name: "y l", help: "y axis of this chart: linear or logarithmic", hint: always[model]("log"), do: plain((*model).toggleLog)},
		{keys: []string{"+", "="}, name: "+", help: "smoother curves", do: func(m *model, _ string) tea.Cmd { return m.smooth(1) }},
		{keys: []string{"-"}, name: "-", help: "less smooth curves", do: func(m *model, _ string) tea.Cmd { return m.smooth(-1) }},
		{keys: []string{"0"}, name: "0", help: "raw curves, without smoothing", do: func(m *model, _ string) tea.Cmd { return m.smooth(-1 << 20) }},
		{keys: []string{"w"}, name: "w", help: "write this chart to the run's folder plots/, as CSV and SVG", do: plain((*model).export)},
	}},
	{"Mouse", []binding[model]{
		{name: "click", help: "choose a panel; in a chart, set the cursor"},
		{name: "click again", help: "show the panel on the full screen, unless it is a chart"},
		{name: "wheel", help: "zoom at the pointer in a chart; scroll elsewhere"},
		{name: "right click", help: "one layer out"},
	}},
}

// command is what a key does that sends a command to the run.
func command(c run.Command) func(*model, string) tea.Cmd {
	return func(m *model, _ string) tea.Cmd { return m.send(c) }
}

// whileControlled is a hint that is there as long as there is a process to control.
func whileControlled(hint string) func(*model) string {
	return func(m *model) string {
		if !m.controllable() {
			return ""
		}
		return hint
	}
}

// pauseHint says what p does now.
func (m *model) pauseHint() string {
	switch {
	case !m.controllable():
		return ""
	case m.paused():
		return "continue"
	}
	return "pause"
}

// Keys is the keys of all screens as Markdown: docs/keys.md.
func Keys() string {
	return "# Keys\n\nThis page is written by `go test ./tui -run KeysPage -update`, from the tables that the screens themselves use.\n\n## Dashboard\n" +
		dashboardKeys.markdown() + "\n## Home screen\n" + homeKeys().markdown()
}

// KeysText is the keys of the dashboard for help texts and man pages.
func KeysText() string { return dashboardKeys.text() }
