package tui

import (
	"coil/run"

	tea "github.com/charmbracelet/bubbletea"
)

// send sends a command to the run that is shown.
func (m *model) send(c run.Command) tea.Cmd {
	w := m.shown()
	switch {
	case m.training():
		m.o.Training.Control.Send(c)
	case m.o.Training != nil:
		return m.say("training is over: %s", w.state())
	case w.run == nil:
		return m.say("no run has begun yet")
	default:
		if err := w.run.Send(c); err != nil {
			return m.say("%v", err)
		}
	}
	if c == run.Stop {
		m.stopped = true
	}
	return m.say("%s", map[run.Command]string{run.Pause: "pausing after this step", run.Continue: "going on", run.SaveCheckpoint: "saving a checkpoint after this step",
		run.Evaluate: "evaluating after this step", run.Stop: "stopping after this step and a checkpoint"}[c])
}

// paused reports whether training pauses.
func (m *model) paused() bool {
	return m.shown().Phase == run.PhasePaused || m.training() && m.moment.Phase == run.PhasePaused // whichever was heard of first
}

// pause pauses training, or continues.
func (m *model) pause() tea.Cmd {
	if m.paused() {
		return m.send(run.Continue)
	}
	return m.send(run.Pause)
}

// interrupt is Ctrl-C.
func (m *model) interrupt() tea.Cmd {
	switch {
	case !m.training():
		return tea.Quit
	case m.stopped:
		m.outcome = AtOnce
		return tea.Quit
	}
	return tea.Batch(m.send(run.Stop), m.say("stopping after this step and a checkpoint; a second Ctrl-C leaves at once, without saving"))
}

// leave closes the dashboard, but first asks what to do with training in this process.
func (m *model) leave() tea.Cmd {
	if !m.training() {
		return tea.Quit
	}
	m.popup = &popup[model]{title: "leave", text: "training continues in this window's process", choices: []choice[model]{
		{"s", "stop: save a checkpoint and leave", func(m *model) tea.Cmd { return m.send(run.Stop) }},
		{"d", "leave it running in the background", (*model).detach},
		{"c", "stay", nil},
	}}
	return nil
}

func (m *model) askStop() tea.Cmd {
	m.popup = &popup[model]{title: "stop", text: "coil resume continues it", choices: []choice[model]{
		{"s", "stop training, after saving a checkpoint", func(m *model) tea.Cmd { return m.send(run.Stop) }},
		{"c", "continue", nil},
	}}
	return nil
}

// detach leaves training in the background: it stops here, and the caller lets another process resume it, exactly.
func (m *model) detach() tea.Cmd {
	if !m.training() {
		return tea.Quit // it is in the background already
	}
	m.outcome = Detach
	m.send(run.Stop)
	return m.say("moving to the background after this step and a checkpoint")
}
