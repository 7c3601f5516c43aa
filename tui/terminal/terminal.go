// Package terminal reports what the dashboard needs to know about the terminal, its size and its colours, and prevents a query
// for its background colour.
//
// Importing bubbletea asks the terminal for its background colour, and waits up to five seconds for a terminal that does
// not answer. It does not ask if lipgloss already has a background. Packages are initialised in the order of their import
// paths, as far as their imports allow, and coil/tui/terminal comes before github.com/charmbracelet/bubbletea; so this
// package must not import bubbletea, and main must import this package.
package terminal

import (
	"os"
	"slices"
	"strings"

	"coil/tui/canvas"

	"github.com/charmbracelet/lipgloss"
	"golang.org/x/term"
)

func init() { lipgloss.SetHasDarkBackground(true) }

// Size returns the size of a terminal in cells; ok is false if f is not a terminal.
func Size(f *os.File) (width, height int, ok bool) {
	width, height, err := term.GetSize(int(f.Fd()))
	return width, height, err == nil
}

// Dumb reports whether the environment says that no program should draw on the terminal.
func Dumb() bool {
	return os.Getenv("TERM") == "dumb" || os.Getenv("TERM") == "" || os.Getenv("CI") != ""
}

// Depth returns the number of colours that the environment allows: none with NO_COLOR or on a terminal without colours, otherwise
// the number given by TERM and COLORTERM.
func Depth() canvas.Depth {
	name := os.Getenv("TERM")
	begins := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	switch {
	case os.Getenv("NO_COLOR") != "" || name == "dumb" || name == "" || strings.HasSuffix(name, "-m") || strings.HasSuffix(name, "-mono"):
		return canvas.NoColor
	case name == "linux": // has 16, whatever COLORTERM of another terminal says
		return canvas.Color16
	case os.Getenv("COLORTERM") != "", strings.Contains(name, "256color"), strings.Contains(name, "direct"),
		begins("xterm-kitty", "xterm-ghostty", "alacritty", "foot", "wezterm", "tmux", "contour"):
		return canvas.Color256
	case begins("xterm", "screen", "rxvt", "linux", "ansi", "cygwin", "konsole", "st-", "vte", "putty", "Eterm", "cons25"), strings.Contains(name, "color"):
		return canvas.Color16
	}
	return canvas.NoColor
}

// ASCII reports whether the terminal has no characters but ASCII: its locale has none, or it is the console of Linux, whose
// fonts have at most 512 characters.
func ASCII() bool {
	if os.Getenv("TERM") == "linux" {
		return true
	}
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
