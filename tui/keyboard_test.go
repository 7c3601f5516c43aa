package tui

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"coil/run"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/creack/pty"
)

// recorded is what terminals send for keys other than text: xterm, VTE, kitty, rxvt, the Linux console.
var recorded = []string{
	"\x1b[200~https://example.org/q?p=stop\r\nts\x1b[201~", "\x1b[200~q\x1b[A\x03ts\x1b[201~", "\x1b[200~é↑\x1b[201~", "\x1b[201~",
	"\x1b[<64;40;12M", "\x1b[<65;133;7M", "\x1b[<0;1;1M", "\x1b[<0;1;1m", "\x1b[<2;80;24M", "\x1b[<35;1000;500M", "\x1b[M`!!", "\x1b[Mqts",
	"\x1b[<64;40;12M\x1b[<64;40;12M\x1b[<64;41;12M", "\x1b[A", "\x1b[1;5A", "\x1b[1;2D", "\x1b[1;10C", "\x1b[5~", "\x1b[6;5~", "\x1b[15;2~", "\x1b[Z", "\x1b[7$", "\x1b[3$", "\x1b[5^",
	"\x1b[H", "\x1bOA", "\x1bOH", "\x1bOP", "\x1bO5q", "\x1bOM", "\x1b[[A", "\x1b[[q", "\x1b\x1b[A", "\x1b\x1bOq", "\x1b\x1b[99q", "\x1b[I", "\x1b[O", "\x1b[27;5;113~", "\x1b[113;5u", "\x1b[ 1q",
	"\x1b[?2026;2$y", "\x1b[?62;22c", "\x1b[24;80R", "\x1b]11;rgb:ffff/ffff/ffff\a", "\x1b]11;rgb:1111/1111/1111\x1b\\", "\x1bP1$r0q\x1b\\", "\x1b[<64;40;1q", "\x1b[<" + strings.Repeat("1;", 400) + "1M",
}

// parts sends the parts of a sequence, with waits that are longer than any between them if slow is set, and returns what
// bubbletea gets.
func parts(slow bool, parts ...string) string {
	var a assembler
	for i, p := range parts {
		a.add([]byte(p))
		if slow && i < len(parts)-1 && a.wait() > 0 {
			a.timeout()
		}
	}
	return string(a.whole)
}

// However a sequence is cut, by reads or by delays, it is what it is in one piece; of one that is cut after Esc, Esc may have
// been a key.
func TestCutSequences(t *testing.T) {
	without := func(s string) string { return strings.ReplaceAll(s, "\x1b", "") }
	for _, s := range recorded {
		whole := parts(false, s)
		for i := 1; i < len(s); i++ {
			if got := parts(false, s[:i], s[i:]); got != whole {
				t.Errorf("%q and %q become %q, want %q", s[:i], s[i:], got, whole)
			}
			slow := parts(true, s[:i], s[i:])
			if late := "\x1b" + strings.TrimLeft(slow, "\x1b"); s[0] == escape && s[1] == escape && i < 3 { // Esc, and an arrow
				if late != "\x1b" && !knownToBubbletea.MatchString(late) {
					t.Errorf("%q, a delay and %q become %q", s[:i], s[i:], slow)
				}
			} else if s[i-1] == escape && without(slow) != without(whole) || s[i-1] != escape && slow != whole {
				t.Errorf("%q, a delay and %q become %q, want %q", s[:i], s[i:], slow, whole)
			}
			for j := i + 1; j < len(s) && len(s) < 20; j++ {
				if got := parts(false, s[:i], s[i:j], s[j:]); got != whole {
					t.Errorf("%q, %q and %q become %q, want %q", s[:i], s[i:j], s[j:], got, whole)
				}
			}
		}
		if got := parts(false, s+"q"); got != whole+"q" {
			t.Errorf("a key after %q becomes %q", s, strings.TrimPrefix(got, whole))
		}
	}
}

// messages is what bubbletea makes of bytes that are written to a terminal.
type messages struct {
	all  []tea.Msg
	done func(tea.Msg) bool
}

func (m *messages) Init() tea.Cmd { return nil }
func (m *messages) View() string  { return "" }
func (m *messages) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg.(type) {
	case tea.KeyMsg, tea.MouseMsg:
		m.all = append(m.all, msg)
	}
	if m.done(msg) {
		return m, tea.Quit
	}
	return m, nil
}

// typed writes to a terminal, a part at a time, and returns the messages up to the key |.
func typed(t *testing.T, pause time.Duration, parts ...string) []tea.Msg {
	t.Helper()
	other, tty, err := pty.Open()
	if err != nil {
		t.Error(err)
		return nil
	}
	defer other.Close()
	defer tty.Close()
	m := &messages{done: func(msg tea.Msg) bool { k, ok := msg.(tea.KeyMsg); return ok && strings.HasSuffix(k.String(), "|") }}
	p := tea.NewProgram(m, tea.WithInput(&keyboard{File: tty}), tea.WithOutput(io.Discard), tea.WithoutSignalHandler())
	go func() {
		p.Send(nil) // it reads now, in raw mode
		for _, s := range append(parts, "|") {
			other.WriteString(s)
			time.Sleep(pause)
		}
	}()
	if _, err := p.Run(); err != nil {
		t.Error(err)
	}
	return m.all
}

// plainKeys are the keys with a character of their own that bubbletea makes of bytes.
func plainKeys(t *testing.T, s string) string {
	var b strings.Builder
	for _, msg := range typed(t, 0, s) {
		if k, ok := msg.(tea.KeyMsg); ok && !k.Paste {
			b.WriteString(string(k.Runes))
		}
	}
	return strings.TrimSuffix(b.String(), "|")
}

// No sequence of a terminal turns into a character key, and a burst has the same number of events.
func TestNoKeysOfSequences(t *testing.T) {
	if keys := plainKeys(t, strings.Join(recorded, "")); keys != "" {
		t.Errorf("keys are %q", keys)
	}
	var cut []string
	for _, s := range []string{"\x1b[<64;40;12M", "\x1b[200~stop it\x1b[201~", "\x1b[1;5A"} {
		for i := 2; i < len(s); i++ {
			cut = append(cut, s[:i], s[i:])
		}
	}
	for _, msg := range typed(t, 2*time.Millisecond, cut...) {
		if k, ok := msg.(tea.KeyMsg); ok && k.Type == tea.KeyRunes && !k.Paste && k.String() != "|" {
			t.Errorf("a part of a sequence is the key %q", k)
		}
	}
	wheel := 0
	for _, msg := range typed(t, 0, strings.Repeat("\x1b[<65;133;47M", 300)) {
		if e, ok := msg.(tea.MouseMsg); ok && e.Button == tea.MouseButtonWheelDown && e.X == 132 && e.Y == 46 {
			wheel++
		} else if !ok && fmt.Sprint(msg) != "|" {
			t.Errorf("a burst of the wheel is %v", msg)
		}
	}
	if wheel != 300 {
		t.Errorf("%d of 300 events of the wheel", wheel)
	}
}

// Keys are what they were: Esc alone, twice, and before other keys; characters of several bytes; Ctrl-C within a sequence.
func TestKeysAreWhole(t *testing.T) {
	var wg sync.WaitGroup
	for _, k := range []struct {
		parts []string
		want  []string
	}{
		{[]string{"\x1b"}, []string{"esc", "|"}},
		{[]string{"\x1b", "["}, []string{"esc", "[", "|"}},
		{[]string{"\xe2", "\x86", "\x91"}, []string{"↑", "|"}},
		{[]string{"\x1b[<64;4", "\x03"}, []string{"ctrl+c", "|"}},
		{[]string{"\x1b]11;", "\x03"}, []string{"ctrl+c", "|"}},
		{[]string{"\t\r\x1b[Z\x1b[D"}, []string{"tab", "enter", "shift+tab", "left", "|"}},
	} {
		wg.Go(func() {
			var got []string
			for _, msg := range typed(t, bracketWait+200*time.Millisecond, k.parts...) {
				got = append(got, fmt.Sprint(msg))
			}
			if !slices.Equal(got, k.want) {
				t.Errorf("%q become the keys %q, want %q", k.parts, got, k.want)
			}
		})
	}
	wg.Wait()
}

// A paste whose end was lost, and an answer without end, do not take the keyboard for ever.
func TestLostEnds(t *testing.T) {
	for _, s := range []string{"\x1b[200~text", "\x1b]11;"} {
		var a assembler
		a.add([]byte(s))
		a.silence(time.Minute)
		if a.add([]byte("q")); string(a.whole) != "q" {
			t.Errorf("after %q, q becomes %q", s, a.whole)
		}
	}
}

// Pasted text goes into the filter, and nowhere else.
func TestPaste(t *testing.T) {
	m := open(t, Options{Style: style(), Training: &Training{Control: new(run.Control), Log: func() []string { return nil }}}, 100, 30)
	paste := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("q"), Paste: true}
	m.update(paste)
	if m.popup != nil {
		t.Error("a pasted q asks how to leave")
	}
	// If it were taken for the unknown key "[q]", as bubbletea writes it, there would be no message.
	if !strings.Contains(m.message, "pasted text is ignored") {
		t.Errorf("after pasting a q, the message is %q", m.message)
	}
	press(m, "q")
	if m.popup == nil {
		t.Fatal("q does not ask how to leave")
	}
	if m.update(paste); m.popup == nil {
		t.Error("a pasted q answers a question")
	}
	press(m, "esc", "/")
	if m.update(paste); m.filter != "q" {
		t.Errorf("the filter is %q after a paste", m.filter)
	}
}

// After the program was suspended the terminal reports the mouse again.
func TestMouseAfterSuspension(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	shown, _, _, _ := paints(t)
	p := tea.NewProgram(shown, tea.WithFPS(60), tea.WithoutSignalHandler(), tea.WithInput(nil), tea.WithOutput(output{w}))
	go func() {
		p.Send(tea.ResumeMsg{})
		time.Sleep(200 * time.Millisecond)
		p.Quit()
	}()
	if _, err := p.Run(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	written, err := io.ReadAll(r)
	if err != nil || !strings.Contains(string(written), "\x1b[?1002h") || !strings.Contains(string(written), "\x1b[?1006h") {
		t.Errorf("written is %q, %v", written, err)
	}
}

// Any input is the same in one read and in several.
func FuzzReads(f *testing.F) {
	for i, s := range recorded {
		f.Add(s, i)
	}
	f.Fuzz(func(t *testing.T, s string, at int) {
		i := int(uint(at) % uint(len(s)+1))
		whole := parts(false, s)
		if got := parts(false, s[:i], s[i:]); got != whole {
			t.Errorf("%q and %q become %q, want %q", s[:i], s[i:], got, whole)
		}
		if got := parts(false, strings.Split(s, "")...); utf8.ValidString(s) && got != whole {
			t.Errorf("%q, letter by letter, becomes %q, want %q", s, got, whole)
		}
	})
}
