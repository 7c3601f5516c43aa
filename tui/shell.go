package tui

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"coil/tui/canvas"

	tea "github.com/charmbracelet/bubbletea"
)

// shell is what the screens have in common: a canvas of the terminal's size, a theme, a message, and the fault that ended it.
type shell struct {
	clock func() time.Time
	style Style
	theme *canvas.Theme
	fault error

	width, height int
	canvas        *canvas.Canvas
	frame         string
	dirty         bool

	message   string // in the bottom line
	messageAt time.Time
	touched   time.Time // the last key or mouse event
}

func newShell(style Style, clock func() time.Time) shell {
	s := shell{clock: clock, style: style, theme: style.Theme, canvas: canvas.New(0, 0), dirty: true}
	if s.theme == nil {
		s.theme = canvas.Themes()[0]
	}
	return s
}

func (s *shell) common() *shell { return s }

func (s *shell) resize(msg tea.WindowSizeMsg) {
	s.width, s.height, s.dirty = max(0, msg.Width), max(0, msg.Height), true
}

// say shows a message in the bottom line for a while.
func (s *shell) say(format string, args ...any) tea.Cmd {
	s.message, s.messageAt, s.dirty = fmt.Sprintf(format, args...), s.clock(), true
	return nil
}

// forget takes the message away that has been there for a while.
func (s *shell) forget() {
	if s.message != "" && s.clock().Sub(s.messageAt) > 8*time.Second {
		s.message, s.dirty = "", true
	}
}

func (s *shell) nextTheme() tea.Cmd {
	themes := canvas.Themes()
	i := slices.Index(themes, s.theme)
	s.theme = themes[(i+1)%len(themes)]
	return s.say("theme %s", s.theme.Name)
}

// clear makes an empty canvas of the screen's size.
func (s *shell) clear() canvas.Area {
	s.canvas.Resize(s.width, s.height)
	s.canvas.ASCII = s.style.ASCII
	s.canvas.Clear()
	return s.canvas.Area()
}

// render returns the frame, which is drawn if anything has changed.
func (s *shell) render(draw func()) string {
	if s.dirty {
		draw()
		s.frame = s.canvas.ANSI(s.theme, s.style.Depth)
		s.dirty = false
	}
	return s.frame
}

// fail remembers a fault of the screen, which ends it.
func (s *shell) fail(v any) tea.Cmd {
	if s.fault == nil {
		s.fault = fmt.Errorf("the dashboard failed: %v\n%s", v, debug.Stack())
	}
	return tea.Quit
}
