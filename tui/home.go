package tui

import (
	"os"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// HomeOptions say what a home screen shows and does. Its functions are called on other goroutines.
type HomeOptions struct {
	Root string // the folder of the runs, as the user knows it
	Out  string // the value of --out with which coil train makes a run in Root, "" if that is its default

	Runs func() ([]HomeStamp, error) // the newest first; quick
	Read func(id string) HomeRun     // may take a while

	Presets  []HomePreset
	Tasks    []string
	Backends func() []HomeBackend        // the choices; may take a moment
	Check    func(Draft) Plan            // as the command line does; may take a moment
	Memory   func(Draft) (string, error) // planned; may take a moment

	Do    func(args []string) (said string, err error) // runs a command of coil that needs no terminal
	Trash func(id string) (to string, err error)       // moves a run

	Style Style
}

// Home is the home screen: the runs, and the form of a new one. It keeps its state from one Show to the next.
type Home struct {
	shell
	o     HomeOptions
	popup *popup[Home]
	help  bool
	shift int      // how far help is scrolled down
	args  []string // of the command that is to be run on the terminal

	runList
	form
	inForm bool
	listed listPlace
	formed formPlace
}

// NewHome makes a home screen.
func NewHome(o HomeOptions) *Home { return newHome(o, time.Now) }

func newHome(o HomeOptions, clock func() time.Time) *Home {
	m := &Home{shell: newShell(o.Style, clock), o: o, runList: newRunList()}
	m.form.begin(o.Presets, o.Out)
	return m
}

// Show shows the screen on a terminal until the user leaves it, or stop is closed, which killed says. args is the command line
// of coil, after its name, that the user wants on the terminal now; nil to leave.
func (m *Home) Show(input, out *os.File, stop <-chan struct{}) (args []string, killed bool, err error) {
	m.args, m.dirty = nil, true
	killed, err = show(m, input, out, stop)
	return m.args, killed, err
}

// Returned says how a command ended that Show asked for: with a failure, and then what it wrote to standard error, or without.
func (m *Home) Returned(args []string, failed bool, said string) {
	if failed {
		m.notice("coil "+args[0], said)
		return
	}
	m.inForm = false
	if args[0] == "train" {
		m.at = "" // the newest, which it is
	}
}

// notice shows a text until it is closed.
func (m *Home) notice(title, text string) tea.Cmd {
	if text == "" {
		text = "it failed without a message"
	}
	m.popup = &popup[Home]{title: title + " (Esc closes)", text: text}
	m.dirty = true
	return nil
}

// Messages of the home screen to itself.
type (
	homeTick struct{}
	backends []HomeBackend
	done     struct {
		what, said string
		err        error
	}
)

func (m *Home) Init() tea.Cmd {
	m.scanning, m.checking = false, false // what an earlier Show began is lost
	m.checked = false
	look := func() tea.Msg { return backends(m.o.Backends()) }
	return tea.Batch(m.poll(), look, m.check())
}

func (m *Home) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.resize(msg)
	case homeTick:
		return m.poll()
	case scanned:
		return m.takeScan(msg)
	case readRuns:
		return m.takeRuns(msg)
	case backends:
		m.backends, m.dirty = msg, true
	case checkedDraft:
		return m.takeCheck(msg)
	case plannedMemory:
		return m.takeMemory(msg)
	case done:
		return m.takeDone(msg)
	case tea.KeyMsg:
		m.dirty, m.touched, m.message = true, m.clock(), ""
		return m.keys(msg)
	case tea.MouseMsg:
		m.touched = m.clock()
		return m.mouse(msg)
	}
	return nil
}

func (m *Home) poll() tea.Cmd {
	m.forget()
	next := tea.Tick(scanEvery, func(time.Time) tea.Msg { return homeTick{} })
	if m.clock().Sub(m.scanEnded) < restFactor*m.scanTook {
		return next
	}
	return tea.Batch(next, m.scan())
}

// keys takes apart what arrived together.
func (m *Home) keys(msg tea.KeyMsg) tea.Cmd {
	if msg.Paste && !m.inForm {
		return m.say("pasted text is ignored among the runs")
	}
	if msg.Type == tea.KeyEsc && msg.Alt { // Esc twice
		return tea.Batch(m.key(tea.KeyMsg{Type: tea.KeyEsc}), m.key(tea.KeyMsg{Type: tea.KeyEsc}))
	}
	if msg.Paste {
		return m.paste(msg.Runes)
	}
	if msg.Type == tea.KeyRunes && len(msg.Runes) > 1 && !msg.Alt {
		var all []tea.Cmd
		for _, r := range msg.Runes {
			all = append(all, m.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}}))
		}
		return tea.Batch(all...)
	}
	return m.key(msg)
}

func (m *Home) key(msg tea.KeyMsg) tea.Cmd {
	key := msg.String()
	switch {
	case key == "ctrl+c":
		return m.leave()
	case m.popup != nil:
		do, closed := m.popup.answer(key)
		if closed {
			m.popup = nil
		}
		if do != nil {
			return do(m)
		}
		return nil
	case m.help:
		switch key {
		case "up", "k", "pgup":
			m.shift = max(0, m.shift-10)
		case "down", "j", "pgdown":
			m.shift += 10 // drawHelp holds it
		case "?", "esc", "q", "enter":
			m.help = false
		}
		return nil
	}
	for _, t := range []table[Home]{m.table(), homeGeneral} {
		if b, ok := t.find(key); ok {
			return b.do(m, key)
		}
	}
	if m.inForm {
		return m.typed(msg)
	}
	return nil
}

func (m *Home) leave() tea.Cmd {
	m.args = nil
	return tea.Quit
}

func (m *Home) toggleHelp() tea.Cmd {
	m.help, m.shift = true, 0
	return nil
}

func (m *Home) other() tea.Cmd {
	m.inForm = !m.inForm
	return nil
}

func (m *Home) toForm() tea.Cmd {
	m.inForm = true
	return nil
}

// out leaves one layer.
func (m *Home) out() tea.Cmd {
	switch {
	case m.popup != nil:
		m.popup = nil
	case m.help:
		m.help = false
	case m.inForm:
		m.inForm = false
	default:
		clear(m.marked)
	}
	return nil
}

// onTerminal leaves the screen to a command of coil.
func (m *Home) onTerminal(args ...string) tea.Cmd {
	m.args = args
	return tea.Quit
}

// do runs a command of coil in the background.
func (m *Home) do(what string, args ...string) tea.Cmd {
	m.say("%s …", what)
	run := m.o.Do
	return func() tea.Msg {
		said, err := run(args)
		return done{what, said, err}
	}
}

func (m *Home) takeDone(d done) tea.Cmd {
	m.dirty = true
	if d.err != nil {
		return m.notice(d.what, d.err.Error())
	}
	m.say("%s: %s", d.what, d.said)
	return m.scan()
}

// mouse handles the mouse.
func (m *Home) mouse(msg tea.MouseMsg) tea.Cmd {
	if msg.Action != tea.MouseActionPress {
		return nil
	}
	m.dirty = true
	by := 0
	switch msg.Button {
	case tea.MouseButtonRight:
		return m.out()
	case tea.MouseButtonWheelUp:
		by = -1
	case tea.MouseButtonWheelDown:
		by = 1
	}
	switch {
	case m.popup != nil:
	case m.help:
		m.shift = max(0, m.shift+3*by)
	case m.listed.has(msg.X, msg.Y):
		return m.listMouse(msg, by)
	case m.formed.has(msg.X, msg.Y):
		return m.formMouse(msg, by)
	}
	return nil
}

func (m *Home) view() string { return m.render(m.draw) }
