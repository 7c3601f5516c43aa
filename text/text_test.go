package text

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "plain\n\ttext ⊗ 😀 \uFFFD": "plain\n\ttext ⊗ 😀 \uFFFD",
		"\x1b[31mred\x1b]0;title\a": `\x1b[31mred\x1b]0;title\x07`,
		"a\x00b\rc\x7f":             `a\x00b\x0dc\x7f`,
		"\u009b2J":                  `\u009b2J`,
		"\x9b2J":                    "\uFFFD2J",
		"txt.\u202egpj":             `txt.\u202egpj`,
	} {
		if got := Clean(s); got != want {
			t.Errorf("%q becomes %q, want %q", s, got, want)
		}
	}
	if got := Line("a\nb\tc\x1b"); got != `a\nb\tc\x1b` {
		t.Errorf("%q", got)
	}
}

// Whatever is written, in whatever pieces, no control character comes out, and text stays as it is.
func TestWriter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) })).Draw(t, "text")
		var b bytes.Buffer
		w := &Writer{W: &b}
		for rest := []byte(s); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			if k, err := w.Write(rest[:n]); k != n || err != nil {
				t.Fatal(k, err)
			}
			rest = rest[n:]
		}
		got := b.String()
		for _, r := range got {
			if control(r) {
				t.Fatalf("%q becomes %q", s, got)
			}
		}
		if Clean(s) == s && !strings.Contains(s, "\r") && got != s {
			t.Fatalf("%q becomes %q", s, got)
		}
		if !utf8.ValidString(got) {
			t.Fatalf("%q is no text", got)
		}
	})
}

// What Quote writes, a shell reads as the words that went in.
func TestQuote(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is missing")
	}
	words := []string{"plain", "a b", "", "it's", `back\slash`, "$HOME", "`id`", "!x", "*", "~", "=ls", "a\nb", "\x1b[31m", "ü⊗", "a;b", "-x", "#", "\x9b", "\"", "a'\n'b", "{a,b}"}
	for _, w := range words {
		out, err := exec.Command(bash, "-c", "cd /nowhere 2>/dev/null; printf '%s\\0' "+Quote(w)).Output()
		if err != nil || string(out) != w+"\x00" {
			t.Errorf("%q is written %s, and read %q, %v", w, Quote(w), out, err)
		}
		if Line(Quote(w)) != Quote(w) {
			t.Errorf("%q is written %q", w, Quote(w))
		}
	}
	if got := Quote("coil", "resume", "a b"); got != "coil resume 'a b'" {
		t.Error(got)
	}
	for path, want := range map[string]string{"-rf": "./-rf", "runs/a": "runs/a", "-a b": "'./-a b'"} {
		if got := Path(path); got != want {
			t.Errorf("%q is %q, want %q", path, got, want)
		}
	}
}

func TestCell(t *testing.T) {
	if got, want := Cell("a|b\nc\x1b`<b>` \\"), "a\\|b c\\\\x1b`&lt;b>` \\\\"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
