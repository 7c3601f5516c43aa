package terminal

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Saved is how a terminal was set before a program took it.
type Saved struct {
	f     *os.File
	state term.State
}

// Save remembers how the terminal f is set.
func Save(f *os.File) (*Saved, error) {
	state, err := term.GetState(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	return &Saved{f, *state}, nil
}

// Changed reports whether the terminal is set in another way now, as the dashboard sets it.
func (s *Saved) Changed() bool {
	now, err := term.GetState(int(s.f.Fd()))
	return err == nil && *now != s.state
}

// leave ends all that the dashboard may have begun: reports of the mouse and the focus, bracketed paste, a hidden cursor,
// colours, and the alternate screen.
const leave = "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l"

// Restore sets the terminal, whose screen is w, as it was. What was typed and not read is dropped: it may be a report of the mouse.
func (s *Saved) Restore(w io.Writer) error {
	if _, err := io.WriteString(w, leave); err != nil {
		return err
	}
	flushInput(int(s.f.Fd())) // at worst the shell gets it
	return term.Restore(int(s.f.Fd()), &s.state)
}
