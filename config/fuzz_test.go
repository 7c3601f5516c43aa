package config

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lineOf matches the beginning of an error with a line.
var lineOf = regexp.MustCompile(`^fuzz\.toml:[1-9][0-9]*: .`)

// Any text is either a configuration, which is written and read as the same, or an error whose every line says where.
func FuzzParse(f *testing.F) {
	for _, text := range Presets() {
		f.Add(string(text))
	}
	f.Add(string(Default().Encode()))
	for _, s := range []string{
		"", "#", "\n\n", "=", "a", "[", "[model", "[model]\nwidth = \"wide\"", "[model]\nwidth = 1e400", "[model]\nwidth = -1", "model = 1", "[[model]]\nwidth = 8",
		"[model]\nlayers = \"2x\"", "[model]\nlayers = '2x(1,2)'\nwidth = 8", "[model]\nlayers = [1]", "Model.width = 8", "model.width = 8\nmodel.width = 16", "model.wdith = 8",
		"[train]\nrate = nan", "[train]\nrate = -inf", "[train]\nrate = 1", "[train]\nseed = -1", "[train]\nseed = 9223372036854775807", "[train]\nseed = 0x10", "[train]\nsteps = 1979-05-27",
		"preset = 'middle'", "preset = 'middel'", "preset = 1", "preset = ''", "preset = 'middle'\n[train]\nsteps = 5", "[task]\nname = 'addition'", "[task]\nname = 'x'", "[task.p-hop]\nhops = 0",
		"a = 1\r\n\r\n[b]\r\nc = 2", "\ufeff[model]", "\ufeff[modLl]", strings.Repeat("x={", 10_000), "x=" + strings.Repeat("[", 10_000), "\x00", "\xff", "[model]\nwidth = \"\xff\"", "x = '''\n\n", "[a.b.c]\nd = 1\n[a]\nb = 2",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		if err := c.Parse("fuzz.toml", []byte(text)); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !lineOf.MatchString(line) {
					t.Errorf("the error says %q, which has no line, of\n%s", line, text)
				}
			}
			return
		}
		var again Config // every key is written, so nothing is left to a default
		if err := again.Parse("fuzz.toml", c.Encode()); err != nil {
			t.Fatalf("written, it is no configuration: %v\n%s", err, c.Encode())
		}
		if d := cmp.Diff(c, again); d != "" {
			t.Errorf("written and read, it differs: %s", d)
		}
	})
}
