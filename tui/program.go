package tui

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// screen is what a program shows: the dashboard, or the home screen.
type screen interface {
	Init() tea.Cmd
	update(tea.Msg) tea.Cmd
	view() string
	common() *shell
}

// program is a screen that paints its own frames, and ends when it panics.
//
// bubbletea's renderer checks for a new frame that many times a second, whether there is one or not, and each time takes a core
// from training for longer than drawing does: at 15 a second a training step takes 2.7 % longer. So it looks once a second, at a
// frame that is always the same, and its writing of it, after a resize, does not reach the terminal: see [output].
type program struct {
	shown   screen
	*shell            // of the shown rows
	out     io.Writer // the terminal
	lines   []string  // that were painted last; nil if that is not known
	painted time.Time
	waiting bool // for the time of the next frame
}

// rendererTicks is how many times a second bubbletea's renderer looks, and rendererFrame what it sees.
const (
	rendererTicks = 1
	rendererFrame = " "
)

// output is the terminal as bubbletea's renderer writes to it: what sets the terminal gets there, frames don't. These begin
// with the cursor's way home.
type output struct{ *os.File }

func (o output) Write(b []byte) (int, error) {
	const home = "\x1b[H"
	if len(b) > len(home) && string(b[:len(home)]) == home {
		return len(b), nil
	}
	return o.File.Write(b)
}

// redraw is the message that it is time for the next frame.
type redraw struct{}

func newProgram(s screen, out io.Writer) *program {
	return &program{shown: s, shell: s.common(), out: out}
}

func (p *program) Init() tea.Cmd { return p.shown.Init() }

func (p *program) Update(msg tea.Msg) (m tea.Model, cmd tea.Cmd) {
	defer func() {
		if v := recover(); v != nil {
			m, cmd = p, p.fail(v)
		}
	}()
	switch msg.(type) {
	case redraw:
		p.waiting = false
	case tea.WindowSizeMsg, tea.ResumeMsg:
		p.lines, p.dirty = nil, true
	}
	if p.fault != nil { // of drawing
		return p, tea.Quit
	}
	cmd = p.shown.update(msg)
	if _, ok := msg.(tea.ResumeMsg); ok { // bubbletea has set the rest of the terminal again
		cmd = tea.Batch(cmd, tea.EnableMouseCellMotion)
	}
	if wait := p.wait(); p.dirty && wait > 0 && !p.waiting {
		p.waiting = true
		cmd = tea.Batch(cmd, tea.Tick(wait, func(time.Time) tea.Msg { return redraw{} }))
	}
	return p, cmd
}

// wait is how long it is until another frame may be drawn.
func (p *program) wait() time.Duration {
	return time.Second/framesPerSecond - p.clock().Sub(p.painted)
}

func (p *program) View() string {
	defer func() {
		if v := recover(); v != nil {
			p.fail(v)
		}
	}()
	if p.dirty && p.width > 0 && p.wait() <= 0 {
		p.paint(p.shown.view())
	}
	return rendererFrame
}

// paint writes the lines of a frame that are not on the screen yet.
func (p *program) paint(frame string) {
	p.painted = p.clock()
	lines := strings.Split(frame, "\n")
	var b bytes.Buffer
	for i, line := range lines {
		if i >= len(p.lines) || p.lines[i] != line {
			fmt.Fprintf(&b, "\x1b[%d;1H%s", i+1, line)
		}
	}
	p.lines = lines
	p.out.Write(b.Bytes()) // the next read reports a terminal that is gone
}
