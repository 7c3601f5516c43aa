package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"coil/thorough"
)

var (
	escape = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]`)
	colour = regexp.MustCompile(`\x1b\[(?:[0-9;]*;)?(?:[34][0-7]|9[0-7]|10[0-7]|[34]8;5;[0-9]+)[;m]`)
	many   = regexp.MustCompile(`\x1b\[(?:[0-9;]*;)?[34]8;5;[0-9]+`)
)

// What a terminal is called decides what is written to it: colours and characters that it has, and no escape sequence to
// one that knows none.
func TestTerminals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "runs", "run")
	config := tinyFile(t)
	mustCoil(t, "train", config, "--run-dir", path)
	written := func(t *testing.T, env []string, args ...string) string {
		t.Helper()
		p := startOnTerminal(t, 100, 30, env, append([]string{"coil"}, args...)...)
		p.wantExit(t, exitOK)
		return p.shown()
	}
	once := []string{"watch", path, "--once"}
	type terminal struct {
		env                  []string
		coloured, many, only bool // only ASCII
	}
	for _, k := range thorough.Cases(t, 14, "terminals", []terminal{
		{[]string{"TERM=xterm-256color"}, true, true, false},
		{[]string{"TERM=xterm"}, true, false, false},
		{[]string{"TERM=screen"}, true, false, false},
		{[]string{"TERM=screen-256color"}, true, true, false},
		{[]string{"TERM=screen.xterm-256color"}, true, true, false},
		{[]string{"TERM=tmux"}, true, true, false},
		{[]string{"TERM=tmux-256color"}, true, true, false},
		{[]string{"TERM=linux"}, true, false, true},
		{[]string{"TERM=linux", "COLORTERM=truecolor"}, true, false, true},
		{[]string{"TERM=xterm", "COLORTERM=truecolor"}, true, true, false},
		{[]string{"TERM=xterm", "LC_ALL=C"}, true, false, true},
		{[]string{"TERM=vt100"}, false, false, false},
		{[]string{"TERM=xterm-256color", "NO_COLOR=1"}, false, false, false},
		{[]string{"TERM=screen", "NO_COLOR=1"}, false, false, false},
	}) {
		t.Run(strings.Join(k.env, " "), func(t *testing.T) {
			t.Parallel()
			s := written(t, append([]string{"COLORTERM="}, k.env...), once...)
			if colour.MatchString(s) != k.coloured || many.MatchString(s) != k.many {
				t.Errorf("colours: %v, of 256: %v: %q", !k.coloured, !k.many, s)
			}
			if ascii := onlyASCII(s); ascii != k.only {
				t.Errorf("only ASCII: %v: %q", ascii, s)
			}
			if !strings.Contains(escape.ReplaceAllString(s, ""), "p-hop") {
				t.Errorf("it shows %q", s)
			}
		})
	}
	// Every kind of output: lines of training, progress, tables, help, lists, errors, and what would be the dashboard.
	kinds := [][]string{
		{"--help"}, {"train", "--help"}, {"watch", "--help"}, {"version"},
		{"list", "--runs", filepath.Dir(path)}, {"presets"}, {"presets", "default"}, {"backends"},
		{"train", config, "--no-tui", "--run-dir", filepath.Join(dir, "DUMB")}, {"train", config, "--dry-run"}, {"resume", path},
		once, {"watch", path}, {"watch", path, "--no-tui"}, {"verify", path}, {"task", "p-hop"},
		{"eval", path, "--loops", "1..2", "--examples", "8"}, {"lens", path, "--examples", "8"}, {"report", path},
		{"experiment", "p-hop", "--dry-run", "--seeds", "1", "--set", "train.steps=10"},
	}
	for _, args := range thorough.Cases(t, 10, "kinds of output", kinds) {
		t.Run(strings.ReplaceAll(strings.Join(args[:min(2, len(args))], " "), dir, ""), func(t *testing.T) {
			t.Parallel()
			if s := written(t, []string{"TERM=dumb", "COLORTERM=truecolor"}, args...); strings.ContainsAny(strings.ReplaceAll(s, "\r\n", "\n"), "\x1b\r\b") || s == "" {
				t.Errorf("to a dumb terminal it writes %q", s)
			}
			again := append([]string(nil), args...)
			for i := range again {
				again[i] = strings.ReplaceAll(again[i], "DUMB", "console")
			}
			if len(args) == 2 && args[0] == "watch" && args[1] == path { // the dashboard: TestTrainOnConsole
				return
			}
			if s := written(t, []string{"TERM=linux"}, again...); !onlyASCII(s) {
				t.Errorf("to the console of Linux it writes %q", s)
			}
		})
	}
}

// The dashboard on a console that has no other characters.
func TestTrainOnConsole(t *testing.T) {
	t.Parallel()
	p := startOnTerminal(t, 100, 30, []string{"TERM=linux"}, "coil", "train", tinyFile(t), "--run-dir", filepath.Join(t.TempDir(), "run"))
	p.await(t, "finished")
	p.press(t, "q")
	p.wantExit(t, exitOK)
	if s := p.shown(); !onlyASCII(s) {
		t.Errorf("it writes %q", s)
	}
}

func onlyASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
