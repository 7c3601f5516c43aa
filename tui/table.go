package tui

import (
	"fmt"
	"strings"

	"coil/tui/canvas"

	tea "github.com/charmbracelet/bubbletea"
)

// table is the keys of a screen M. Dispatch, help, the bottom line, the man page and docs/keys.md come from the one table.
type table[M any] []group[M]

// group is bindings that belong together.
type group[M any] struct {
	name     string
	bindings []binding[M]
}

// binding is a key and what it does.
type binding[M any] struct {
	keys []string // as bubbletea calls them; a mouse binding has none, and is handled in mouse
	name string   // as help calls them
	help string
	hint func(m *M) string // in the bottom line, "" to leave it out there now; nil always leaves it out
	do   func(m *M, key string) tea.Cmd
}

// plain is what a key does whatever its name.
func plain[M any](do func(*M) tea.Cmd) func(*M, string) tea.Cmd {
	return func(m *M, _ string) tea.Cmd { return do(m) }
}

// always is a hint that does not depend on the state.
func always[M any](hint string) func(*M) string { return func(*M) string { return hint } }

// find returns the binding of a key.
func (t table[M]) find(key string) (binding[M], bool) {
	for _, g := range t {
		for _, b := range g.bindings {
			for _, k := range b.keys {
				if k == key {
					return b, true
				}
			}
		}
	}
	return binding[M]{}, false
}

// drawHints draws the keys that do something useful in the state of m.
func (t table[M]) drawHints(a canvas.Area, m *M) {
	x := 1
	for _, g := range t {
		for _, b := range g.bindings {
			hint := ""
			if b.hint != nil {
				hint = b.hint(m)
			}
			key, _, _ := strings.Cut(b.name, " ")
			if hint == "" || x+len([]rune(key))+len([]rune(hint))+3 > a.Width() {
				continue
			}
			x = a.Text(x, 0, key, canvas.Key)
			x = a.Text(x, 0, " "+hint+"  ", canvas.Dim)
		}
	}
}

// drawHelp draws the table, scrolled down by scrolled lines but not beyond its end, and returns the lines by which it is scrolled.
func (t table[M]) drawHelp(a canvas.Area, scrolled int) int {
	inside := a.Box("keys", canvas.Focus)
	type row struct {
		key, text string
		style     canvas.Style
	}
	var rows []row
	for i, g := range t {
		if i > 0 {
			rows = append(rows, row{})
		}
		rows = append(rows, row{g.name, "", canvas.Title})
		for _, b := range g.bindings {
			rows = append(rows, row{b.name, b.help, canvas.Key})
		}
	}
	scrolled = max(0, min(scrolled, len(rows)-inside.Height()))
	for y, r := range rows[scrolled:] {
		inside.Sub(1, y, 12, 1).Text(0, 0, r.key, r.style)
		inside.Text(14, y, r.text, canvas.Plain)
	}
	return scrolled
}

// markdown is the table as Markdown, below headings of level 3.
func (t table[M]) markdown() string {
	var b strings.Builder
	for _, g := range t {
		fmt.Fprintf(&b, "\n### %s\n\n| key | does |\n|---|---|\n", g.name)
		for _, k := range g.bindings {
			fmt.Fprintf(&b, "| %s | %s |\n", k.name, k.help)
		}
	}
	return b.String()
}

// text is the table for help texts and man pages.
func (t table[M]) text() string {
	var b strings.Builder
	for _, g := range t {
		fmt.Fprintf(&b, "\n%s:\n", g.name)
		for _, k := range g.bindings {
			fmt.Fprintf(&b, "  %-12s %s\n", k.name, k.help)
		}
	}
	return b.String()
}
