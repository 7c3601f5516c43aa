package main

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"coil/config"
	"coil/experiment"
	"coil/thorough"

	"github.com/spf13/pflag"
)

// documents are the pages that show commands.
func documents(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	for _, pattern := range []string{"../../*.md", "../../docs/*.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatal(paths, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			pages[strings.TrimPrefix(path, "../../")] = string(text)
		}
	}
	return pages
}

// shown is a command that a document shows in a console block, with what it prints.
type shown struct {
	line   string   // of the command
	extra  []string // flags that make it short, from a comment before the block: <!-- test: FLAGS -->
	exact  bool     // numbers are compared too: <!-- test: exact -->
	long   bool     // it takes minutes, and no flag makes it short: <!-- test: long -->
	output []string
}

// sessions finds the console blocks of a document. A comment before a block may give each command flags of its own, with |
// between them.
func sessions(page string) []shown {
	var all []shown
	var comment string
	inside := false
	var flags []string
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case inside && line == "```":
			inside, comment = false, ""
		case inside && isCommand:
			s := shown{line: command}
			if len(flags) > 0 {
				switch what := strings.TrimSpace(flags[0]); what {
				case "exact":
					s.exact = true
				case "long":
					s.long = true
				default:
					s.extra = strings.Fields(what)
				}
			}
			if len(flags) > 1 {
				flags = flags[1:]
			}
			all = append(all, s)
		case inside:
			all[len(all)-1].output = append(all[len(all)-1].output, line)
		case line == "```console":
			inside, flags = true, strings.Split(comment, "|")
		default:
			comment = ""
			if c, ok := strings.CutPrefix(line, "<!-- test: "); ok {
				comment = strings.TrimSuffix(c, "-->")
			}
		}
	}
	return all
}

var (
	shownRun      = regexp.MustCompile(`\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_[0-9a-f]{4}`)
	shownBackend  = regexp.MustCompile(`^backend  cpu · .* kernels · .*`)
	shownDuration = regexp.MustCompile(`\b\d+(\.\d+)? (years|days|h|min|m|s|ms)\b( \d+ s\b)?`)
	shownUnit     = regexp.MustCompile(`\b[KMGT]iB\b`)
	shownNumber   = regexp.MustCompile(`[-+<>]?\d[\d.]*(e[-+]\d+)?( [kMGT]\b)?`)
	shownNumbers  = regexp.MustCompile(`#( #)+`)
)

// shape is a line without what depends on the machine and on the length of training: numbers, times and spaces.
func shape(line string) string {
	line = shownRun.ReplaceAllString(line, "RUN")
	line = shownBackend.ReplaceAllString(line, "backend")
	line = shownDuration.ReplaceAllString(line, "TIME")
	line = shownUnit.ReplaceAllString(line, "iB")
	line = shownNumber.ReplaceAllString(line, "#")
	return shownNumbers.ReplaceAllString(strings.Join(strings.Fields(line), " "), "#")
}

// compare returns what is wrong with the output that a document shows. "…" stands for any lines; if there is one, every
// other line must occur, and else the output must be exactly these lines.
func compare(s shown, got string) string {
	form := shape
	if s.exact {
		form = func(line string) string { return strings.TrimRight(line, " ") }
	}
	var want, have []string
	elided := false
	for _, line := range s.output {
		if strings.TrimSpace(line) == "…" {
			elided = true
		} else if line = form(line); line != "" {
			want = append(want, line)
		}
	}
	for line := range strings.Lines(got) {
		if line = form(strings.TrimRight(line, "\n")); line != "" {
			have = append(have, line)
		}
	}
	for _, line := range want {
		if !slices.Contains(have, line) {
			return "no line of the output is like " + line
		}
	}
	if !elided && !slices.Equal(want, have) {
		return "the lines are not those of the output"
	}
	return ""
}

// words are the arguments of a command line that a document shows.
func words(line string) []string {
	line = strings.TrimPrefix(line, "go run ./cmd/")
	return strings.Fields(strings.TrimPrefix(line, "coil"))
}

// expanded are arguments with the files that their patterns name, as a shell gives them.
func expanded(t *testing.T, args []string) []string {
	t.Helper()
	var all []string
	for _, a := range args {
		files, err := filepath.Glob(a)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(a, "*") || len(files) == 0 {
			files = []string{a}
		}
		all = append(all, files...)
	}
	return all
}

// The documents show what coil prints, except for numbers: flags in comments cut training short.
func TestDocuments(t *testing.T) {
	pages := documents(t)
	blocks := 0
	var names []string
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		n := len(sessions(pages[name]))
		if blocks += n; n > 0 {
			names = append(names, name)
		}
	}
	for _, name := range thorough.Cases(t, 6, "documents", names) {
		all := sessions(pages[name])
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.CopyFS(filepath.Join(folder, "docs"), os.DirFS("../../docs")); err != nil { // the reader's folder is the repository
				t.Fatal(err)
			}
			t.Chdir(folder)
			for _, s := range all {
				if s.long {
					if wrong := mistake("coil " + strings.Join(words(s.line), " ")); wrong != "" {
						t.Errorf("%s: %s", s.line, wrong)
					}
					continue
				}
				out, err := exec.Command("coil", append(expanded(t, words(s.line)), s.extra...)...).CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %v: %s", s.line, err, out)
				}
				if wrong := compare(s, string(out)); wrong != "" {
					t.Errorf("%s shows\n$ %s\n%s\n%s; it prints\n%s", name, s.line, strings.Join(s.output, "\n"), wrong, out)
				}
			}
		})
	}
	if blocks < 10 {
		t.Errorf("%d console sessions were found", blocks)
	}
}

func TestCompareShown(t *testing.T) {
	const printed = "run   runs/2026-11-23_18-47-04_111f\n\n 10/20    1.3193    37.0 %      188 k       24 s\nmemory 3 MiB: 5 KiB\n"
	for _, c := range []struct {
		shown string
		same  bool
	}{
		{"run runs/2020-01-01_00-00-00_abcd\n\n100/1200 0.1 5.0 % 7.1 k 2 m 07 s\nmemory 19 GiB: 593 MiB", true},
		{"run runs/2020-01-01_00-00-00_abcd\n100/1200 0.1 5.0 % 7.1 k 7 s", false},
		{"run runs/2020-01-01_00-00-00_abcd\n…", true},
		{"…\nmemory 3 MiB", false},
		{"run runs/2020-01-01_00-00-00_abcd\n100/1200 0.1 accuracy 5.0 % 7.1 k 7 s\nmemory 3 MiB: 5 KiB", false},
	} {
		if wrong := compare(shown{output: strings.Split(c.shown, "\n")}, printed); (wrong == "") != c.same {
			t.Errorf("%q: %q", c.shown, wrong)
		}
	}
	if wrong := compare(shown{output: []string{"100"}, exact: true}, "101\n"); wrong == "" {
		t.Error("exactly compared, numbers may differ")
	}
}

// mentioned finds the command lines in a document or a help text that are shown without what they print: in indented lines
// and, between backquotes, in sentences.
func mentioned(page string) []string {
	var all []string
	comment := regexp.MustCompile(`  .*`)
	command := regexp.MustCompile(`(?:^|[ /])(coil( .*|$))`)
	for line := range strings.Lines(page) {
		if code, ok := strings.CutPrefix(line, "    "); ok || strings.HasPrefix(line, "  coil") || strings.HasPrefix(line, "  COIL_") {
			if !ok {
				code = strings.TrimSpace(line)
			}
			code = comment.ReplaceAllString(strings.TrimSpace(code), "")
			if m := command.FindStringSubmatch(code); m != nil && !slices.ContainsFunc([]string{"go build", "go install", "go test", "python"}, func(other string) bool { return strings.HasPrefix(code, other) }) {
				all = append(all, m[1])
			}
		}
	}
	for _, m := range regexp.MustCompile("`([^`\n]*(?:\n[^`\n]+)?)`").FindAllStringSubmatch(page, -1) {
		if code := strings.Join(strings.Fields(m[1]), " "); strings.HasPrefix(code, "coil ") {
			all = append(all, code)
		}
	}
	return all
}

// mistake returns what is wrong with a command line: the command, its flags, or a name of something built in. Words in
// capitals stand for whatever the reader puts there.
func mistake(line string) string {
	line, _, _ = strings.Cut(line, "…")
	line, _, _ = strings.Cut(line, " > ")
	line, _, _ = strings.Cut(line, " | ")
	args := joinBooleans(strings.Fields(strings.NewReplacer("[", "", "]", "", `"`, "").Replace(strings.TrimPrefix(line, "coil"))))
	placeholder := func(s string) bool { return strings.ToUpper(s) == s && strings.ToLower(s) != s }
	if len(args) == 0 || placeholder(args[0]) {
		return ""
	}
	cmd, rest, err := newRoot().Find(args)
	if err != nil {
		return err.Error()
	}
	if len(args) == len(rest) && !strings.HasPrefix(args[0], "-") {
		return "no command " + args[0]
	}
	for i, a := range rest {
		if strings.HasPrefix(a, "-") && i+1 < len(rest) && placeholder(rest[i+1]) && rest[i+1] != "-" {
			if f := cmd.Flags().Lookup(strings.TrimLeft(a, "-")); f != nil && f.Value.Type() != "string" {
				rest[i+1] = "1" // --step STEP
			}
		}
	}
	if err := cmd.ParseFlags(rest); errors.Is(err, pflag.ErrHelp) {
		return ""
	} else if err != nil {
		return err.Error()
	}
	if p := cmd.Flags().Lookup("preset"); p != nil && p.Value.String() != "" && !placeholder(p.Value.String()) {
		if _, err := config.Preset(p.Value.String()); err != nil {
			return err.Error()
		}
	}
	for _, a := range cmd.Flags().Args() {
		if placeholder(a) || strings.ContainsAny(a, "./") {
			continue
		}
		if cmd.Name() == "experiment" {
			if _, err := experiment.Named(a, "laptop"); err != nil {
				return err.Error()
			}
		}
		if valid := cmd.ValidArgs; len(valid) > 0 && !slices.Contains(valid, a) {
			return cmd.Name() + " takes no " + a
		}
	}
	return ""
}

// Every other command line in the documents and in the help of the commands has a command, flags and names that there are.
func TestMentionedCommands(t *testing.T) {
	pages := documents(t)
	for _, c := range commands(newRoot()) {
		pages["the help of "+c.CommandPath()] = c.Example + "\n" + c.Long
	}
	n, every := 0, thorough.Every(t, 5, "command lines")
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		for _, line := range mentioned(pages[name]) {
			if n++; n%every != 0 {
				continue
			}
			if wrong := mistake(line); wrong != "" {
				t.Errorf("%s: %q: %s", name, line, wrong)
			}
		}
	}
	if n < 150 {
		t.Errorf("%d command lines were found", n)
	}
	for _, line := range []string{"coil trian", "coil train --no-such", "coil train --preset mddle", "coil experiment p-hup", "coil train --train.rate x", "coil presets mddle", "coil eval RUN --step x"} {
		if mistake(line) == "" {
			t.Errorf("%q counts as right", line)
		}
	}
	for _, line := range []string{"coil COMMAND --help", "coil eval RUN --step STEP", "coil launches [PRESET…]", "coil train --preset NAME"} {
		if wrong := mistake(line); wrong != "" {
			t.Errorf("%q: %s", line, wrong)
		}
	}
}
