package tui

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"coil/run"

	tea "github.com/charmbracelet/bubbletea"
)

// paints opens a program whose output can be seen, at a time that the test sets.
func paints(t *testing.T) (p *program, m *model, screen *bytes.Buffer, now *time.Time) {
	t.Helper()
	m = open(t, Options{Runs: []*run.Run{newRun(t, "", nil)}, Style: style()}, 80, 24)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m.clock = func() time.Time { return at }
	screen = &bytes.Buffer{}
	return newProgram(m, screen), m, screen, &at
}

// A frame is painted whole at first and after a resize, and then only its changed lines, with a limit on frames per second.
func TestPaint(t *testing.T) {
	p, _, screen, now := paints(t)
	painted := func(msg tea.Msg) int {
		screen.Reset()
		p.Update(msg)
		p.View()
		return strings.Count(screen.String(), ";1H")
	}
	size := tea.WindowSizeMsg{Width: 80, Height: 24}
	if n := painted(size); n != 24 {
		t.Errorf("%d lines at first", n)
	}
	if n := painted(keyMsg("x")); n != 0 {
		t.Errorf("%d lines at once after the first frame", n)
	}
	if !p.waiting {
		t.Error("no next frame is waited for")
	}
	*now = now.Add(time.Second / framesPerSecond)
	if n := painted(redraw{}); n < 1 || n > 12 {
		t.Errorf("%d lines after a key that changes the footer and the axes", n)
	}
	*now = now.Add(time.Second)
	if n := painted(keyMsg("q")); n != 0 { // leaves; nothing changes
		t.Errorf("%d lines without a change", n)
	}
	*now = now.Add(time.Second)
	if n := painted(size); n != 24 {
		t.Errorf("%d lines after a resize", n)
	}
	*now = now.Add(time.Second)
	if n := painted(tea.ResumeMsg{}); n != 24 {
		t.Errorf("%d lines after the program was suspended", n)
	}
}

// The renderer's frames do not reach the terminal, and what sets the terminal does.
func TestOutput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	shown, _, _, _ := paints(t)
	p := tea.NewProgram(shown, tea.WithAltScreen(), tea.WithFPS(60), tea.WithoutSignalHandler(), tea.WithInput(nil), tea.WithOutput(output{w}))
	go func() {
		time.Sleep(100 * time.Millisecond) // several looks of the renderer
		p.Send(tea.WindowSizeMsg{Width: 80, Height: 24})
		time.Sleep(100 * time.Millisecond)
		p.Quit()
	}()
	if _, err := p.Run(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	written, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\x1b[?1049h", "\x1b[?25l", "\x1b[?1049l", "\x1b[?25h"} {
		if !strings.Contains(string(written), want) {
			t.Errorf("%q is not among %q", want, written)
		}
	}
	if strings.Contains(string(written), "\x1b[H ") || strings.Contains(string(written), "\x1b[H\r") {
		t.Errorf("a frame is among %q", written)
	}
}

// A panic in the dashboard ends it with an error, in drawing too.
func TestFaultEnds(t *testing.T) {
	p, m, _, _ := paints(t)
	m.runs = nil // a fault
	p.dirty = true
	p.View()
	if p.fault == nil || !strings.Contains(p.fault.Error(), "the dashboard failed") {
		t.Errorf("the fault is %v", p.fault)
	}
	if _, cmd := p.Update(tick{}); cmd == nil || cmd() != tea.Quit() {
		t.Error("it does not end")
	}
	p, m, _, _ = paints(t)
	m.runs = nil
	if same, cmd := p.Update(keyMsg("p")); same != p || cmd == nil || p.fault == nil {
		t.Error("a fault of a key does not end it")
	}
}
