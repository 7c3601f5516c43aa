package tui

import (
	"slices"
	"time"

	"coil/run"

	tea "github.com/charmbracelet/bubbletea"
)

// model is the state of the dashboard.
type model struct {
	shell
	o       Options
	now     time.Time // of the last poll
	runs    []*watched
	top     int // of runs: the one that panels of a single run show
	outcome Outcome
	places  []place // of the panels of the last frame

	focus     panelID
	full      bool // the focused panel alone
	scrolled  [panelCount]int
	charts    chartState
	help      bool
	popup     *popup[model]
	filter    string
	filtering bool
	drawn     time.Time // second of the last frame

	experiment Experiment

	moment  run.Activity // of the training in this process
	stopped bool         // it was asked to stop
	done    bool         // it has ended
}

func newModel(o Options, clock func() time.Time) *model {
	m := &model{shell: newShell(o.Style, clock), o: o, now: clock(), charts: newChartState()}
	for _, r := range o.Runs {
		m.runs = append(m.runs, watch(r))
	}
	if o.Training != nil || o.Experiment != nil {
		m.runs = append(m.runs, watch(nil))
	}
	return m
}

func (m *model) close() {
	for _, w := range m.runs {
		w.close()
	}
}

// shown is the run that panels of a single run show.
func (m *model) shown() *watched { return m.runs[m.top] }

// Messages of the dashboard to itself.
type (
	tick    struct{}
	trained struct{} // training in this process has ended
)

func (m *model) Init() tea.Cmd {
	if t := m.o.Training; t != nil {
		begin := func() tea.Msg {
			time.Sleep(2 * time.Second / framesPerSecond) // the first frame goes first
			t.Start()
			<-t.Done
			return trained{}
		}
		return tea.Batch(nextTick(0), begin)
	}
	return nextTick(0)
}

func nextTick(after time.Duration) tea.Cmd {
	return tea.Tick(after, func(time.Time) tea.Msg { return tick{} })
}

func (m *model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.resize(msg)
	case tick:
		return m.poll()
	case trained:
		return m.ended()
	case tea.KeyMsg:
		m.dirty, m.touched = true, m.clock()
		if msg.Paste && !m.filtering {
			return m.say("pasted text is ignored; / opens the filter, which takes it")
		}
		if msg.Type == tea.KeyEsc && msg.Alt { // Esc twice
			return tea.Batch(m.key(tea.KeyMsg{Type: tea.KeyEsc}), m.key(tea.KeyMsg{Type: tea.KeyEsc}))
		}
		if msg.Type == tea.KeyRunes && len(msg.Runes) > 1 && !m.filtering && !msg.Paste { // keys that arrived together
			var all []tea.Cmd
			for _, r := range msg.Runes {
				all = append(all, m.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}}))
			}
			return tea.Batch(all...)
		}
		return m.key(msg)
	case tea.MouseMsg:
		m.touched = m.clock()
		return m.mouse(msg)
	}
	return nil
}

// poll reads what is new. While there is more to read, it continues at once, between keys.
func (m *model) poll() tea.Cmd {
	m.now = m.clock()
	after := pollEvery
	if m.now.Sub(m.touched) > restAfter && m.runs[0].run != nil {
		after = restEvery
	}
	if t := m.o.Training; t != nil {
		if m.runs[0].run == nil {
			m.runs[0].run = t.Run()
		}
		if now := t.Activity(); now != m.moment {
			m.moment, m.dirty = now, true
		}
		if m.done && t.Signaled() { // there may be no user to press a key
			return tea.Quit
		}
	}
	if m.o.Experiment != nil {
		m.followCells()
	}
	for _, w := range m.runs {
		m.dirty = w.poll(m.now) || m.dirty
		if w.more {
			after = time.Millisecond
		}
	}
	if second := m.now.Truncate(time.Second); m.training() && !second.Equal(m.drawn) { // the clock continues
		m.drawn, m.dirty = second, true
	}
	m.forget()
	return nextTick(after)
}

// ended is what happens when training in this process has ended.
func (m *model) ended() tea.Cmd {
	m.done, m.dirty = true, true
	m.runs[0].run = m.o.Training.Run()
	m.runs[0].poll(m.clock())
	if w := m.runs[0]; w.run == nil || w.State != run.KindEnd { // the rest is said on the normal screen
		return tea.Quit
	}
	return nil
}

// training reports whether a run is trained in this process now.
func (m *model) training() bool { return m.o.Training != nil && !m.done }

func (m *model) key(msg tea.KeyMsg) tea.Cmd {
	key := msg.String()
	switch {
	case key == "ctrl+c":
		return m.interrupt()
	case m.popup != nil:
		do, closed := m.popup.answer(key)
		if closed {
			m.popup = nil
		}
		if do != nil {
			return do(m)
		}
		return nil
	case m.filtering:
		m.filterKey(msg)
		return nil
	}
	if m.help && (key == "q" || key == "enter") {
		m.help = false
		return nil
	}
	if b, ok := dashboardKeys.find(key); ok {
		return b.do(m, key)
	}
	return nil
}

func (m *model) nextRun(by int) tea.Cmd {
	if len(m.runs) == 1 {
		return m.say("only one run is shown: coil watch RUN RUN … shows several")
	}
	m.top = (m.top + by + len(m.runs)) % len(m.runs)
	return nil
}

func (m *model) toggleHelp() tea.Cmd {
	m.help = !m.help
	m.scrolled[helpID] = 0
	return nil
}

// out leaves one layer.
func (m *model) out() tea.Cmd {
	switch {
	case m.help:
		m.help = false
	case m.filter != "":
		m.filter = ""
	case m.full:
		m.full = false
	case m.charts.hasCursor:
		m.charts.hasCursor = false
	default:
		m.charts.span, m.charts.end = 1, 1
	}
	return nil
}

func (m *model) scroll(by int) tea.Cmd {
	id := m.focus
	if m.help {
		id = helpID
	}
	m.scrolled[id] = max(0, m.scrolled[id]+by) // panels hold it below their own length
	return nil
}

func (m *model) toggleFull() tea.Cmd {
	m.full = !m.full
	return nil
}

func (m *model) showPanel(n int) tea.Cmd {
	m.full = !m.full || m.focus != panelID(n)
	m.focus = panelID(n)
	return nil
}

// focusBy moves the focus among the panels on the screen, or on a full screen among all.
func (m *model) focusBy(by int) tea.Cmd {
	ids := make([]panelID, 0, panelCount)
	for _, p := range m.places {
		ids = append(ids, p.id)
	}
	if len(ids) < 2 {
		ids = ids[:0]
		for id := range panelID(numbered) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	i := max(0, slices.Index(ids, m.focus))
	m.focus = ids[((i+by)%len(ids)+len(ids))%len(ids)]
	return nil
}

// view draws the frame, if anything has changed.
func (m *model) view() string { return m.render(m.draw) }
