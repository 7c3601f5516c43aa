package tui

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"coil/golden"
	"coil/run"

	tea "github.com/charmbracelet/bubbletea"
	"pgregory.net/rapid"
)

// desk is what a home screen of the tests acts on.
type desk struct {
	runs    []HomeStamp
	read    []string   // ids, in the order in which they were read
	done    [][]string // commands
	fails   error      // of a command
	trashed []string
}

func newDesk(n int) *desk {
	d := &desk{}
	for i := range n {
		d.runs = append(d.runs, HomeStamp{fmt.Sprintf("2026-11-23_15-20-%02d_ab%02d_name", 59-i%60, i), "1"})
	}
	return d
}

// runOf are runs of every kind.
func runOf(i int) HomeRun {
	states := []HomeRun{{State: "running", Alive: true, HeldOut: "51.0 %"}, {State: "finished", Done: true, HeldOut: "100.0 %"}, {State: "stopped"}, {State: "crashed"},
		{State: "unreadable", Problem: "run.json cannot be read: change its permissions"}}
	r := states[i%len(states)]
	if r.Problem == "" {
		r.Model, r.Task, r.Parameters, r.Step, r.Steps = "4⊗(1,4,1)", "p-hop", 602368, 100*i+50, 1200
		for n := range 30 {
			r.Losses = append(r.Losses, 4/float64(n+1))
		}
		r.Losses[20] = math.NaN()
	}
	return r
}

func (d *desk) options() HomeOptions {
	values := func(name, model, task string) Draft { return Draft{name, model, task, "auto", "1200", "1", "0.004"} }
	return HomeOptions{Root: "runs", Style: style(), Tasks: []string{"addition", "p-hop"},
		Presets: []HomePreset{{"default", "One layer looped four times.", values("default", "1x4", "p-hop")}, {"middle", "Middle looping.", values("middle", "1x(1,4,1)", "p-hop")}},
		Runs:    func() ([]HomeStamp, error) { return d.runs, nil },
		Read: func(id string) HomeRun {
			d.read = append(d.read, id)
			return runOf(slices.IndexFunc(d.runs, func(s HomeStamp) bool { return s.ID == id }))
		},
		Backends: func() []HomeBackend {
			return []HomeBackend{{"auto", true, "cpu here"}, {"cpu", true, "Processor"}, {"metal", false, "not available: no GPU"}}
		},
		Check: func(d Draft) Plan {
			var p Plan
			if d[FieldSteps] == "0" {
				p.Errors[FieldSteps] = "train.steps is 0, want at least 1"
				return p
			}
			p.Setup = run.Setup{Model: "1⊗4", Blocks: []int{1}, Loops: []int{4}, Parameters: 50624, FLOPs: 459000}
			if d[FieldPreset] == "middle" {
				p.Setup.Model, p.Setup.Blocks, p.Setup.Loops, p.Setup.Looped = "1⊗(1,4,1)", []int{1, 1, 1}, []int{1, 4, 1}, 1
			}
			return p
		},
		Memory: func(d Draft) (string, error) {
			if d[FieldSeed] == "7" {
				return "", errors.New("it needs 90 GiB, and there are 24")
			}
			return "19 MiB of 24 GiB on cpu", nil
		},
		Do: func(args []string) (string, error) {
			d.done = append(d.done, args)
			return "it is done", d.fails
		},
		Trash: func(id string) (string, error) {
			d.trashed = append(d.trashed, id)
			d.runs = slices.DeleteFunc(slices.Clone(d.runs), func(s HomeStamp) bool { return s.ID == id })
			return "runs/.trash/" + id, nil
		},
	}
}

// settle runs what a key asks for, and reports whether that ends the screen.
func settle(m *Home, cmd tea.Cmd) (quit bool) {
	if cmd == nil {
		return false
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			quit = settle(m, c) || quit
		}
		return quit
	case tea.QuitMsg:
		return true
	default:
		return settle(m, m.update(msg))
	}
}

// openHome is a home screen of w×h cells that has read all.
func openHome(d *desk, w, h int) *Home {
	m := newHome(d.options(), clock)
	m.update(tea.WindowSizeMsg{Width: w, Height: h})
	settle(m, m.scan())
	settle(m, m.check())
	settle(m, func() tea.Msg { return backends(m.o.Backends()) })
	return m
}

func pressHome(m *Home, keys ...string) (quit bool) {
	for _, k := range keys {
		quit = settle(m, m.update(keyMsg(k)))
	}
	return quit
}

func plainHome(m *Home) string {
	m.draw()
	return m.canvas.Plain()
}

func TestHomeScreens(t *testing.T) {
	for _, size := range [][2]int{{40, 10}, {60, 15}, {80, 24}, {120, 40}} {
		m := openHome(newDesk(30), size[0], size[1])
		golden.Compare(t, fmt.Sprintf("home-%dx%d.txt", size[0], size[1]), plainHome(m))
		pressHome(m, "n")
		golden.Compare(t, fmt.Sprintf("home-form-%dx%d.txt", size[0], size[1]), plainHome(m))
	}
	m := openHome(newDesk(5), 80, 24)
	m.style.ASCII = true
	golden.Compare(t, "home-ascii.txt", plainHome(m))
	m = openHome(newDesk(0), 80, 24)
	golden.Compare(t, "home-empty.txt", plainHome(m))
}

func homeHas(t *testing.T, m *Home, texts ...string) {
	t.Helper()
	s := plainHome(m)
	for _, text := range texts {
		if !strings.Contains(s, text) {
			t.Errorf("%q is missing:\n%s", text, s)
		}
	}
}

// What keys ask for among the runs.
func TestHomeRuns(t *testing.T) {
	d := newDesk(5)
	m := openHome(d, 120, 30)
	path := func(i int) string { return "runs/" + d.runs[i].ID }
	asks := func(want []string, keys ...string) {
		t.Helper()
		m.args = nil
		if quit := pressHome(m, keys...); quit != (want != nil) || !slices.Equal(m.args, want) {
			t.Errorf("%v asks for %q, and leaves: %t", keys, m.args, quit)
		}
	}
	asks([]string{"watch", path(0)}, "enter")
	asks(nil, "r")
	homeHas(t, m, "it is training")
	asks([]string{"resume", path(2)}, "j", "j", "r")
	asks(nil, "b")
	asks(nil, "k", "r")
	homeHas(t, m, "all 1200 steps are done; coil resume")
	asks(nil, "t")
	homeHas(t, m, "no process trains it")
	asks(nil, "v")
	homeHas(t, m, "mark two or more")
	asks(nil, " ", " ")
	homeHas(t, m, "2 marked", "v compare")
	asks([]string{"watch", path(1), path(2)}, "v")
	asks(nil, "w")
	asks(nil, "esc", "end", "o")
	homeHas(t, m, "cannot be read")
	asks(nil, "esc", "home", "t")
	homeHas(t, m, "stop training, after saving")
	asks(nil, "esc")
	asks(nil, "t", "s")
	want := [][]string{{"resume", path(2), "--detach"}, {"report", path(1), path(2), "--out", "runs/compared"}, {"control", path(0), "stop"}}
	if !slices.EqualFunc(d.done, want, slices.Equal) {
		t.Errorf("done is %q", d.done)
	}
	d.fails = errors.New("the disk is full")
	asks(nil, "w")
	homeHas(t, m, "the disk is full")
}

// The trash takes a run only after a question, says where to, and never takes one that is trained.
func TestHomeTrash(t *testing.T) {
	d := newDesk(5)
	m := openHome(d, 120, 30)
	pressHome(m, "x")
	homeHas(t, m, "is training")
	pressHome(m, "y", "j", "x")
	homeHas(t, m, "Nothing is deleted", "runs/.trash")
	pressHome(m, "n", "x", "esc")
	if len(d.trashed) > 0 {
		t.Errorf("%q are in the trash", d.trashed)
	}
	second, third := d.runs[1].ID, d.runs[2].ID
	pressHome(m, "x", "y")
	homeHas(t, m, "moved to runs/.trash/"+second, "4 runs")
	if m.at != third {
		t.Errorf("the cursor is on %s, not on %s", m.at, third)
	}
	pressHome(m, " ", " ", "x")
	homeHas(t, m, "2 marked runs")
	pressHome(m, "y")
	if len(d.trashed) != 3 || len(m.marked) != 0 || len(m.runs) != 2 {
		t.Errorf("%q are in the trash, %v are marked, %q are left", d.trashed, m.marked, m.runs)
	}
}

// What is typed into the form is checked, becomes a command line, and is lost by nothing that goes wrong.
func TestHomeForm(t *testing.T) {
	d := newDesk(1)
	m := openHome(d, 120, 40)
	pressHome(m, "n", "down", "down", "down", "ctrl+u", "0")
	homeHas(t, m, "train.steps is 0, want at least 1", "coil train --preset default --steps=0")
	if pressHome(m, "enter") || m.args != nil {
		t.Error("it starts what is wrong")
	}
	pressHome(m, "backspace", "5", "0", "q", "backspace", "up", "up", "up", "right") // q is a character here
	if want := (Draft{"default", "1x5", "p-hop", "auto", "50", "1", "0.004"}); m.draft != want {
		t.Errorf("the draft is %q", m.draft)
	}
	pressHome(m, "up", "m") // another preset keeps typed values
	if want := (Draft{"middle", "1x5", "p-hop", "auto", "50", "1", "0.004"}); m.draft != want {
		t.Errorf("the draft is %q", m.draft)
	}
	homeHas(t, m, "◀ 4x", "19 MiB of 24 GiB", "50 624 parameters")
	if want := []string{"train", "--preset", "middle", "--model=1x5", "--steps=50"}; !pressHome(m, "enter") || !slices.Equal(m.args, want) {
		t.Errorf("it starts %q", m.args)
	}
	m.Returned(m.args, true, "coil: diverged at step 3")
	homeHas(t, m, "diverged at step 3", "1x5")
	if pressHome(m, "enter"); !m.inForm || m.draft[FieldSteps] != "50" {
		t.Errorf("the draft is %q after a failure", m.draft)
	}
	pressHome(m, "ctrl+d")
	if want := []string{"train", "--preset", "middle", "--model=1x5", "--steps=50", "--detach"}; len(d.done) != 1 || !slices.Equal(d.done[0], want) {
		t.Errorf("in the background it starts %q", d.done)
	}
	pressHome(m, "down", "down", "down", "down", "down", "ctrl+u", "7")
	homeHas(t, m, "it needs 90 GiB")
	if pressHome(m, "enter") {
		t.Error("it starts what has no memory")
	}
	pressHome(m, "ctrl+r")
	if want := m.preset().Values; m.draft != want {
		t.Errorf("the draft is %q after Ctrl-R", m.draft)
	}
	m.update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("12 3\x1b"), Paste: true})
	if m.draft[FieldSeed] != "1123" {
		t.Errorf("the seed is %q after a paste", m.draft[FieldSeed])
	}
	m.into = "elsewhere"
	homeHas(t, m, "--out=elsewhere")
	pressHome(m, "esc")
	if m.inForm {
		t.Error("Esc stays in the form")
	}
}

// Enter before the check has ended starts training when it has; a draft that was checked earlier is never started.
func TestHomeStartsWhatIsChecked(t *testing.T) {
	m := openHome(newDesk(1), 120, 40)
	pressHome(m, "n", "down", "down", "down")
	late := m.update(keyMsg("0")) // 12000
	if late == nil || m.current() {
		t.Fatal("nothing is checked")
	}
	if cmd := m.update(keyMsg("enter")); cmd != nil || !m.starting {
		t.Error("it does not wait for the check")
	}
	if !settle(m, late) || !slices.Contains(m.args, "--steps=12000") {
		t.Errorf("it starts %q", m.args)
	}
}

// Hundreds of runs are read in pieces, those on the screen first, and only again when they have changed.
func TestHomeReadsInPieces(t *testing.T) {
	d := newDesk(500)
	m := newHome(d.options(), clock)
	m.update(tea.WindowSizeMsg{Width: 80, Height: 24})
	cmd := m.scan()
	if m.scan() != nil {
		t.Error("two scans at a time")
	}
	cmd = m.update(cmd())
	if len(d.read) > 0 || len(m.runs) != 500 {
		t.Fatalf("%d of %d runs are read before the list is shown", len(d.read), len(m.runs))
	}
	homeHas(t, m, "500 runs", d.runs[0].ID[20:])
	m.first = 100
	settle(m, m.readNext())
	if d.read[0] != d.runs[100].ID {
		t.Errorf("the first that is read is %s", d.read[0])
	}
	settle(m, cmd)
	d.read = nil
	settle(m, m.scan())
	if len(d.read) > 0 {
		t.Errorf("%d runs are read that have not changed", len(d.read))
	}
	d.runs[7].Stamp = "2"
	m.clock = func() time.Time { return clock().Add(time.Minute) }
	settle(m, m.scan())
	if len(d.read) != 1 || d.read[0] != d.runs[7].ID {
		t.Errorf("of one that has changed, %q are read", d.read)
	}
}

func TestHomeMouse(t *testing.T) {
	d := newDesk(5)
	m := openHome(d, 120, 30)
	at := func(b tea.MouseButton, x, y int) bool {
		m.draw()
		return settle(m, m.update(tea.MouseMsg{X: x, Y: y, Button: b, Action: tea.MouseActionPress}))
	}
	if at(tea.MouseButtonLeft, 10, 5); m.at != d.runs[2].ID {
		t.Errorf("a click chooses %s:\n%s", m.at, plainHome(m))
	}
	if !at(tea.MouseButtonLeft, 10, 5) || !slices.Equal(m.args, []string{"watch", "runs/" + d.runs[2].ID}) {
		t.Errorf("a second click asks for %q", m.args)
	}
	if at(tea.MouseButtonWheelUp, 10, 5); m.at != d.runs[0].ID {
		t.Errorf("the wheel chooses %s", m.at)
	}
	if at(tea.MouseButtonLeft, 80, 6); !m.inForm || m.field != FieldSteps {
		t.Errorf("a click chooses %s", m.field)
	}
	if at(tea.MouseButtonRight, 80, 6); m.inForm {
		t.Error("a right click stays in the form")
	}
}

// Whatever keys, mouse, sizes and answers are, there is a frame, and it fits the screen.
func TestHomeTakesAnything(t *testing.T) {
	var keys []string
	for _, g := range homeKeys() {
		for _, b := range g.bindings {
			keys = append(keys, b.keys...)
		}
	}
	keys = append(keys, "a", "ä", "(", "1", "9", "y", "s", "backspace")
	rapid.Check(t, func(t *rapid.T) {
		d := newDesk(rapid.IntRange(0, 40).Draw(t, "runs"))
		m := openHome(d, 0, 0)
		m.style.ASCII = rapid.Bool().Draw(t, "ascii")
		for range rapid.IntRange(1, 12).Draw(t, "messages") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				m.update(tea.WindowSizeMsg{Width: rapid.IntRange(-1, 220).Draw(t, "width"), Height: rapid.IntRange(-1, 60).Draw(t, "height")})
			case 1:
				settle(m, m.update(tea.MouseMsg{X: rapid.IntRange(-1, 220).Draw(t, "x"), Y: rapid.IntRange(-1, 60).Draw(t, "y"), Action: tea.MouseActionPress,
					Button: rapid.SampledFrom([]tea.MouseButton{tea.MouseButtonLeft, tea.MouseButtonRight, tea.MouseButtonWheelUp, tea.MouseButtonWheelDown}).Draw(t, "button")}))
			case 2:
				d.runs = d.runs[:rapid.IntRange(0, len(d.runs)).Draw(t, "left")]
				settle(m, m.scan())
			default:
				if key := rapid.SampledFrom(keys).Draw(t, "key"); key != "ctrl+z" {
					pressHome(m, key)
				}
			}
			lines := strings.Split(strings.TrimSuffix(plainHome(m), "\n"), "\n")
			if len(lines) > max(1, m.height) {
				t.Fatalf("%d lines on %d", len(lines), m.height)
			}
			for _, l := range lines {
				if len([]rune(l)) > m.width {
					t.Fatalf("wider than %d: %q", m.width, l)
				}
			}
		}
	})
}
