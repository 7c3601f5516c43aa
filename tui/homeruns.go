package tui

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// HomeStamp is a run, and a text that is another whenever the run has changed.
type HomeStamp struct{ ID, Stamp string }

// HomeRun is what the home screen shows of a run.
type HomeRun struct {
	ID, Path    string
	State       string
	Alive       bool // a process trains it
	Done        bool // all of its steps are
	Model, Task string
	Parameters  int64
	Step, Steps int
	HeldOut     string    // for people; "" if there is none
	Losses      []float64 // of training, from the first report to the newest
	Problem     string    // why it can't be read
}

func (r HomeRun) resumable() bool { return !r.Alive && !r.Done && r.Problem == "" && r.State != "" }

// runList is the runs.
type runList struct {
	runs     []string // ids, the newest first
	known    map[string]knownRun
	problem  error // why there is no list
	scanned  bool  // once at least
	scanning bool

	scanTook  time.Duration // the list alone
	scanEnded time.Time
	at        string // the id of the chosen run
	first     int    // the first one on the screen
	marked    map[string]bool
}

// knownRun is a run that was read.
type knownRun struct {
	HomeRun
	stamp string // at that time; "" of one that was never read
	want  string // its stamp now
	read  time.Time
	took  time.Duration
}

func newRunList() runList {
	return runList{known: map[string]knownRun{}, marked: map[string]bool{}}
}

// scanned is the list of runs.
type scanned struct {
	runs []HomeStamp
	took time.Duration
	err  error
}

// readRuns is some runs that were read.
type readRuns map[string]knownRun

// scan lists the runs. At most one scan, with the reading that follows, runs at a time.
func (m *Home) scan() tea.Cmd {
	if m.scanning {
		return nil
	}
	m.scanning = true
	list := m.o.Runs
	return func() tea.Msg {
		begin := time.Now()
		runs, err := list()
		return scanned{runs, time.Since(begin), err}
	}
}

func (m *Home) takeScan(s scanned) tea.Cmd {
	m.dirty = m.dirty || !m.scanned || m.problem != nil || s.err != nil
	m.scanned, m.problem, m.scanTook, m.scanEnded = true, s.err, s.took, m.clock()
	if s.err != nil {
		m.scanning = false
		return nil
	}
	old := m.chosenIndex()
	m.runs = m.runs[:0]
	there := map[string]bool{}
	for _, r := range s.runs {
		there[r.ID] = true
		m.runs = append(m.runs, r.ID)
		k := m.known[r.ID]
		k.want = r.Stamp
		m.known[r.ID] = k
	}
	for id := range m.known {
		if !there[id] {
			delete(m.known, id)
			delete(m.marked, id)
			m.dirty = true
		}
	}
	if !there[m.at] && len(m.runs) > 0 {
		m.at = m.runs[max(0, min(old, len(m.runs)-1))]
		m.dirty = true
	}
	return m.readNext()
}

// A piece of reading takes about as long as readPiece, unless one run takes longer. The list, and each run, is read again only
// after restFactor times as long as that takes, so that reading takes no more than a small part of a core from training.
const (
	scanEvery  = 300 * time.Millisecond
	readPiece  = 50 * time.Millisecond
	restFactor = 20
)

// readNext reads some of the runs that have changed: first those on the screen.
func (m *Home) readNext() tea.Cmd {
	now := m.clock()
	var ids []string
	stale := func(ids []string) (some []string) {
		for _, id := range ids {
			if k := m.known[id]; k.stamp != k.want && now.Sub(k.read) >= restFactor*k.took {
				some = append(some, id)
			}
		}
		return some
	}
	first := min(m.first, len(m.runs))
	ids = append(stale(m.runs[first:]), stale(m.runs[:first])...)
	if len(ids) == 0 {
		m.scanning = false
		return nil
	}
	wants := map[string]string{}
	for _, id := range ids {
		wants[id] = m.known[id].want
	}
	read := m.o.Read
	return func() tea.Msg {
		all := readRuns{}
		for begin, i := time.Now(), 0; i < len(ids) && (i == 0 || time.Since(begin) < readPiece); i++ {
			start := time.Now()
			r := read(ids[i])
			all[ids[i]] = knownRun{HomeRun: r, stamp: wants[ids[i]], want: wants[ids[i]], read: now, took: time.Since(start)}
		}
		return all
	}
}

func (m *Home) takeRuns(all readRuns) tea.Cmd {
	for id, k := range all {
		if _, ok := m.known[id]; ok {
			m.known[id] = k
		}
	}
	m.dirty = true
	return m.readNext()
}

// chosenIndex is the index of the chosen run in the list, or −1.
func (m *Home) chosenIndex() int {
	for i, id := range m.runs {
		if id == m.at {
			return i
		}
	}
	return -1
}

// chosen is the run on which the cursor stands.
func (m *Home) chosen() (HomeRun, bool) {
	k, ok := m.known[m.at]
	return k.HomeRun, ok
}

func (m *Home) move(by int) tea.Cmd {
	if len(m.runs) > 0 {
		m.at = m.runs[max(0, min(len(m.runs)-1, m.chosenIndex()+by))]
	}
	return nil
}

// path is where a run lies.
func (m *Home) path(id string) string { return filepath.Join(m.o.Root, id) }

// withChosen does something with the chosen run, if there is one.
func (m *Home) withChosen(do func(r HomeRun) tea.Cmd) tea.Cmd {
	if r, ok := m.chosen(); ok {
		return do(r)
	}
	return m.say("there are no runs yet: n starts one")
}

func (m *Home) openRun() tea.Cmd {
	return m.withChosen(func(r HomeRun) tea.Cmd {
		if r.Problem != "" {
			return m.notice(m.at, r.Problem)
		}
		return m.onTerminal("watch", m.path(m.at))
	})
}

func (m *Home) mark() tea.Cmd {
	return m.withChosen(func(HomeRun) tea.Cmd {
		if m.marked[m.at] {
			delete(m.marked, m.at)
		} else {
			m.marked[m.at] = true
		}
		return m.move(1)
	})
}

// chosenPaths returns the marked runs in order, or the chosen one if none is marked.
func (m *Home) chosenIDs() []string {
	var ids []string
	for _, id := range m.runs {
		if m.marked[id] {
			ids = append(ids, id)
		}
	}
	if ids == nil && m.chosenIndex() >= 0 {
		ids = []string{m.at}
	}
	return ids
}

func (m *Home) compare() tea.Cmd {
	ids := m.chosenIDs()
	if len(m.marked) < 2 {
		return m.say("Space marks runs: mark two or more to compare")
	}
	args := []string{"watch"}
	for _, id := range ids {
		args = append(args, m.path(id))
	}
	return m.onTerminal(args...)
}

func (m *Home) resumeRun(do func(args ...string) tea.Cmd, more ...string) tea.Cmd {
	return m.withChosen(func(r HomeRun) tea.Cmd {
		switch {
		case r.Alive:
			return m.say("it is training: Enter opens it")
		case r.Done:
			return m.say("all %d steps are done; coil resume %s --steps N continues with more", r.Steps, m.at)
		}
		return do(append([]string{"resume", m.path(m.at)}, more...)...)
	})
}

func (m *Home) resumeHere() tea.Cmd { return m.resumeRun(m.onTerminal) }

func (m *Home) resumeInBackground() tea.Cmd {
	return m.resumeRun(func(args ...string) tea.Cmd { return m.do("resume in the background", args...) }, "--detach")
}

func (m *Home) askStop() tea.Cmd {
	return m.withChosen(func(r HomeRun) tea.Cmd {
		if !r.Alive {
			return m.say("no process trains it")
		}
		path := m.path(m.at)
		m.popup = &popup[Home]{title: "stop", text: m.at + "\nr resumes it.", choices: []choice[Home]{
			{"s", "stop training, after saving a checkpoint", func(m *Home) tea.Cmd { return m.do("stop", "control", path, "stop") }},
			{"c", "continue", nil},
		}}
		return nil
	})
}

// ReportFolder is the folder, in that of the runs, of a report of several.
const ReportFolder = "compared"

func (m *Home) report() tea.Cmd {
	return m.withChosen(func(HomeRun) tea.Cmd {
		ids := m.chosenIDs()
		args := []string{"report"}
		for _, id := range ids {
			args = append(args, m.path(id))
		}
		if len(ids) > 1 {
			args = append(args, "--out", filepath.Join(m.o.Root, ReportFolder))
		}
		return m.do("report", args...)
	})
}

func (m *Home) askTrash() tea.Cmd {
	return m.withChosen(func(HomeRun) tea.Cmd {
		ids := m.chosenIDs()
		for _, id := range ids {
			if m.known[id].Alive {
				return m.say("%s is training: t stops it", id)
			}
		}
		what := ids[0]
		if len(ids) > 1 {
			what = fmt.Sprintf("%d marked runs", len(ids))
		}
		text := fmt.Sprintf("%s\nNothing is deleted: they go to %s.", what, filepath.Join(m.o.Root, ".trash"))
		if len(ids) == 1 {
			text = strings.Replace(text, "they go", "it goes", 1)
		}
		m.popup = &popup[Home]{title: "trash", text: text, choices: []choice[Home]{
			{"y", "move to the trash", func(m *Home) tea.Cmd { return m.trash(ids) }},
			{"n", "keep", nil},
		}}
		return nil
	})
}

func (m *Home) trash(ids []string) tea.Cmd {
	trash := m.o.Trash
	return func() tea.Msg {
		var to []string
		for _, id := range ids {
			path, err := trash(id)
			if err != nil {
				return done{"trash", "", err}
			}
			to = append(to, path)
		}
		said := fmt.Sprintf("moved to %s", to[0])
		if len(to) > 1 {
			said = fmt.Sprintf("moved %d runs to %s", len(to), filepath.Dir(to[0]))
		}
		return done{"trash", said, nil}
	}
}

// listMouse handles the mouse among the runs.
func (m *Home) listMouse(msg tea.MouseMsg, by int) tea.Cmd {
	wasIn := !m.inForm
	m.inForm = false
	if by != 0 {
		return m.move(3 * by)
	}
	row := m.first + msg.Y - m.listed.rows
	if msg.Button != tea.MouseButtonLeft || msg.Y < m.listed.rows || msg.Y >= m.listed.end || row >= len(m.runs) {
		return nil
	}
	again := wasIn && m.runs[row] == m.at
	m.at = m.runs[row]
	if again {
		return m.openRun()
	}
	return nil
}
