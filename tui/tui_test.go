package tui

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"coil/golden"
	"coil/run"
	"coil/tui/canvas"

	tea "github.com/charmbracelet/bubbletea"
)

func TestMain(m *testing.M) {
	os.Setenv("TZ", "UTC")
	os.Exit(m.Run())
}

func TestScreens(t *testing.T) {
	r := newRun(t, "first", story(600, 1200))
	for _, size := range [][2]int{{200, 50}, {150, 44}, {120, 40}, {80, 24}, {60, 16}, {40, 10}, {20, 5}} {
		m := open(t, Options{Runs: []*run.Run{r}, Style: style()}, size[0], size[1])
		golden.Compare(t, fmt.Sprintf("%dx%d.txt", size[0], size[1]), m.canvas.Plain())
	}
	m := open(t, Options{Runs: []*run.Run{r}, Style: style()}, 100, 30)
	golden.Compare(t, "colour.ansi", m.canvas.ANSI(m.theme, canvas.Color256))
	golden.Compare(t, "16-colours.ansi", m.canvas.ANSI(m.theme, canvas.Color16))
	bare := m.canvas.ANSI(m.theme, canvas.NoColor)
	golden.Compare(t, "no-color.ansi", bare)
	if regexp.MustCompile(`\x1b\[[0-9;]*[34][0-9]`).MatchString(bare) {
		t.Error("there are colours without colours")
	}
	s := style()
	s.ASCII = true
	m = open(t, Options{Runs: []*run.Run{r}, Style: s}, 100, 30)
	golden.Compare(t, "ascii.txt", m.canvas.Plain())
	for _, c := range m.canvas.Plain() {
		if c > 0x7e {
			t.Errorf("%q is not ASCII", c)
		}
	}
	golden.Compare(t, "empty.txt", open(t, Options{Runs: []*run.Run{newRun(t, "", nil)}, Style: style()}, 100, 30).canvas.Plain())
	second := newRun(t, "second", story(900, 1200))
	golden.Compare(t, "two.txt", open(t, Options{Runs: []*run.Run{r, second}, Style: style()}, 120, 40).canvas.Plain())
}

// press sends keys, and draws.
func press(m *model, keys ...string) tea.Cmd {
	var last tea.Cmd
	for _, k := range keys {
		last = m.update(keyMsg(k))
	}
	m.draw()
	return last
}

// keyMsg is the message of a key.
func keyMsg(k string) tea.KeyMsg {
	named := map[string]tea.KeyType{"enter": tea.KeyEnter, "esc": tea.KeyEsc, "tab": tea.KeyTab, "shift+tab": tea.KeyShiftTab, "left": tea.KeyLeft,
		"right": tea.KeyRight, "up": tea.KeyUp, "down": tea.KeyDown, "home": tea.KeyHome, "end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown,
		"ctrl+c": tea.KeyCtrlC, "ctrl+z": tea.KeyCtrlZ, "ctrl+d": tea.KeyCtrlD, "ctrl+u": tea.KeyCtrlU, "ctrl+r": tea.KeyCtrlR, "delete": tea.KeyDelete, "backspace": tea.KeyBackspace, "shift+left": tea.KeyShiftLeft, "shift+right": tea.KeyShiftRight}
	if t, ok := named[k]; ok {
		return tea.KeyMsg{Type: t}
	}
	if k == " " {
		return tea.KeyMsg{Type: tea.KeySpace, Runes: []rune{' '}}
	}
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
}

func has(t *testing.T, m *model, want string) {
	t.Helper()
	if s := m.canvas.Plain(); !strings.Contains(s, want) {
		t.Errorf("%q is not on the screen:\n%s", want, s)
	}
}

func hasNot(t *testing.T, m *model, want string) {
	t.Helper()
	if s := m.canvas.Plain(); strings.Contains(s, want) {
		t.Errorf("%q is on the screen:\n%s", want, s)
	}
}

func TestKeys(t *testing.T) {
	r := newRun(t, "first", story(600, 1200))
	m := open(t, Options{Runs: []*run.Run{r}, Style: style()}, 120, 40)
	press(m, "?")
	has(t, m, "pause training, or continue")
	press(m, "esc")
	hasNot(t, m, "pause training, or continue")

	press(m, "3")
	has(t, m, "3 loops")
	hasNot(t, m, "1 loss")
	press(m, "4")
	has(t, m, "4 samples")
	press(m, "4")
	has(t, m, "1 loss")

	press(m, "1", "esc", "left", "left")
	has(t, m, "steps 580")
	press(m, "x")
	has(t, m, "x axis: time")
	press(m, "right", "left")
	has(t, m, "time 30 s")
	press(m, "esc")
	hasNot(t, m, "time 30 s")
	press(m, "x", "x", "z", "z")
	has(t, m, "zoomed")
	press(m, "esc", "y")
	hasNot(t, m, "zoomed")
	has(t, m, "loss: logarithmic axis")

	press(m, "9", "/", "4", "q", "backspace", "5", "0")
	has(t, m, "/450")
	hasNot(t, m, "the run begins")
	press(m, "backspace", "backspace", "backspace", "b", "e", "g", "i", "n", "enter")
	has(t, m, "the run begins")
	hasNot(t, m, "held-out")
	press(m, "esc")
	has(t, m, "held-out")
	press(m, "n")
	has(t, m, "only one run is shown")
	before := m.theme
	press(m, "c")
	if m.theme == before {
		t.Error("the theme is the same")
	}
}

// Commands go to the process that trains the run, through its folder.
func TestSteering(t *testing.T) {
	r := newRun(t, "first", story(600, 1200))
	watched, err := run.View(r.Path())
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, Options{Runs: []*run.Run{watched}, Style: style()}, 120, 40)
	press(m, "p", "s", "e", "t")
	has(t, m, "stop training, after saving a checkpoint")
	press(m, "c")
	hasNot(t, m, "stop training, after saving a checkpoint")
	press(m, "ts") // both at once
	for _, want := range []run.Command{run.Pause, run.SaveCheckpoint, run.Evaluate, run.Stop} {
		if q, ok, err := r.NextCommand(); q.Command != want || !ok || err != nil {
			t.Errorf("asked is %v, %v, %v, want %s", q, ok, err, want)
		}
	}
	if cmd := press(m, "q"); cmd == nil {
		t.Error("q does not leave")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	press(m, "s")
	has(t, m, "no process trains the run")
}

// In the process that trains, q asks, and Ctrl-C stops first and leaves then.
func TestTrainingHere(t *testing.T) {
	var control run.Control
	var made *run.Run
	o := Options{Style: style(), Training: &Training{Start: func() {}, Signaled: func() bool { return false }, Run: func() *run.Run { return made }, Control: &control,
		Activity: func() run.Activity { return run.Activity{Phase: run.PhaseTraining, Step: 600, Loop: 3} }, Log: func() []string { return []string{"a word from a library"} }}}
	m := open(t, o, 120, 40)
	has(t, m, "preparing")
	made = newRun(t, "", story(600, 1200))
	m.update(tick{})
	m.draw()
	has(t, m, "● ") // the loop that is running
	has(t, m, "loop 3 forward")
	has(t, m, "a word from a library")
	press(m, "q")
	has(t, m, "leave it running in the background")
	press(m, "esc")
	hasNot(t, m, "leave it running in the background")
	if control.Next() != "" {
		t.Error("something was asked")
	}
	press(m, "ctrl+c")
	if c := control.Next(); c != run.Stop {
		t.Errorf("Ctrl-C asks for %q", c)
	}
	has(t, m, "a second Ctrl-C leaves at once")
	if press(m, "ctrl+c"); m.outcome != AtOnce {
		t.Error("the second Ctrl-C does not leave")
	}
	if err := made.Append(run.Event{Kind: run.KindStop, Step: 600, Time: begin}); err != nil {
		t.Fatal(err)
	}
	if m.update(trained{}) == nil {
		t.Error("the dashboard stays when training has been stopped")
	}

	m = open(t, o, 120, 40)
	m.update(tick{})
	press(m, "d")
	if c := control.Next(); c != run.Stop || m.outcome != Detach {
		t.Errorf("d asks for %q, and leaves with %d", c, m.outcome)
	}
}

// When all steps are done the dashboard stays, for there is something to see.
func TestStaysAtTheEnd(t *testing.T) {
	r := newRun(t, "", append(story(1200, 1200), run.Event{Kind: run.KindEnd, Step: 1200, Time: begin}))
	o := Options{Style: style(), Training: &Training{Start: func() {}, Signaled: func() bool { return false }, Run: func() *run.Run { return r }, Control: new(run.Control),
		Activity: func() run.Activity { return run.Activity{Phase: run.PhaseDone} }, Log: func() []string { return nil }}}
	m := open(t, o, 120, 40)
	if m.update(trained{}) != nil {
		t.Error("it leaves")
	}
	m.draw()
	has(t, m, "finished")
	if press(m, "q") == nil || m.popup != nil {
		t.Error("q asks though there is nothing to lose")
	}
}

func TestExport(t *testing.T) {
	r := newRun(t, "", story(600, 1200))
	m := open(t, Options{Runs: []*run.Run{r}, Style: style()}, 120, 40)
	press(m, "5", "w")
	for _, name := range []string{"gradient-norm-step-000600.csv", "gradient-norm-step-000600.svg", "learning-rate-step-000600.csv", "learning-rate-step-000600.svg"} {
		text, err := os.ReadFile(filepath.Join(r.Path(), "plots", name))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(text), map[string]string{".csv": "series,steps,y", ".svg": "<svg"}[filepath.Ext(name)]) {
			t.Errorf("%s holds %.80s", name, text)
		}
	}
	if err := os.RemoveAll(filepath.Join(r.Path(), "plots")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.Path(), "plots"), nil, 0o666); err != nil { // in the way
		t.Fatal(err)
	}
	press(m, "w")
	has(t, m, "could not write the chart")
}

func TestMouse(t *testing.T) {
	r := newRun(t, "", story(600, 1200))
	m := open(t, Options{Runs: []*run.Run{r}, Style: style()}, 120, 40)
	at := func(b tea.MouseButton, x, y int) {
		m.update(tea.MouseMsg{X: x, Y: y, Button: b, Action: tea.MouseActionPress})
		m.draw()
	}
	at(tea.MouseButtonWheelUp, 30, 6)
	has(t, m, "zoomed")
	at(tea.MouseButtonLeft, 30, 6)
	if !m.charts.hasCursor || m.focus != lossID {
		t.Error("a click sets no cursor")
	}
	at(tea.MouseButtonRight, 30, 6)
	at(tea.MouseButtonRight, 30, 6)
	hasNot(t, m, "zoomed")
	at(tea.MouseButtonLeft, 90, 6)
	if m.focus != loopsID || m.full {
		t.Errorf("the focus is on %d", m.focus)
	}
	at(tea.MouseButtonLeft, 90, 6)
	if !m.full {
		t.Error("a second click does not fill the screen")
	}
}
