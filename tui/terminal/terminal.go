// Package terminal is what the dashboard needs to know of the terminal: its size, its colours, and that nobody asks it
// for its background.
//
// Importing bubbletea asks the terminal for its background colour, and waits up to five seconds for a terminal that does
// not answer. It does not ask if lipgloss has been told before. Packages are initialised in the order of their import
// paths, as far as their imports allow, and coil/tui/terminal comes before github.com/charmbracelet/bubbletea; so this
// package must not import bubbletea, and main must import this package.
package terminal

import (
	"os"
	"strings"

	"coil/tui/canvas"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
	"golang.org/x/term"
)

func init() { lipgloss.SetHasDarkBackground(true) }

// Size is how many cells a terminal has; ok is false if f is none.
func Size(f *os.File) (width, height int, ok bool) {
	width, height, err := term.GetSize(int(f.Fd()))
	return width, height, err == nil
}

// Dumb reports whether the environment says that no program should draw on the terminal.
func Dumb() bool { return os.Getenv("TERM") == "dumb" || os.Getenv("CI") != "" }

// Depth is how many colours the environment allows: none with NO_COLOR, and what TERM and COLORTERM tell.
func Depth() canvas.Depth {
	switch termenv.EnvColorProfile() {
	case termenv.Ascii:
		return canvas.NoColor
	case termenv.ANSI:
		return canvas.Color16
	}
	return canvas.Color256
}

// ASCII reports whether the locale has no characters but ASCII.
func ASCII() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			return !utf8(v)
		}
	}
	return false // a container without a locale still has a terminal that can
}

func utf8(locale string) bool {
	locale = strings.ToLower(strings.ReplaceAll(locale, "-", ""))
	return strings.Contains(locale, "utf8")
}
