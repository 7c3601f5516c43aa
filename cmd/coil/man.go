package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"coil/backend/cpu"
	"coil/text"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the man pages to a folder",
		Example: "  coil man ~/.local/share/man/man1",
		Long:    "Writes a page for coil and one for each command, such as coil-train.1, which man coil-train shows.",
		Args:    exactArgs(1, "a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o777); err != nil {
				return fileError("man pages", err)
			}
			n := 0
			for _, c := range allCommands(cmd.Root()) {
				page := filepath.Join(args[0], manName(c)+".1")
				if err := os.WriteFile(page, []byte(manPage(c)), 0o666); err != nil {
					return fileError("man pages", err)
				}
				n++
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d pages in %s\n", n, args[0])
			return nil
		},
	}
}

// allCommands returns a command and all visible commands below it.
func allCommands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			all = append(all, allCommands(sub)...)
		}
	}
	return all
}

// manName is the name of a command's page: "coil-experiment-cell".
func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manItem is a word and its meaning: an item of a list in a man page.
type manItem struct{ word, meaning string }

// exitCodes are coil's exit codes.
var exitCodes = []manItem{
	{"0", "Done."},
	{"1", "The command failed."},
	{"2", "coil crashed; the stack trace is in the run's folder, as crash.txt."},
	{"3", "Training diverged: the loss became NaN or infinite."},
	{"4", "A checkpoint is damaged, or of another model."},
	{"64", "The command line or a configuration is wrong."},
	{"69", "macOS offers no GPU."},
	{"75", "Another process trains the cell (coil experiment cell)."},
	{"130, 143", "Stopped by Ctrl-C or SIGTERM, after saving a checkpoint."},
}

// environment are the variables that coil reads.
var environment = []manItem{
	{cpu.KernelVariable, "Kernels of the cpu backend: avx512, avx2, neon or portable; by default, the best that the processor supports."},
	{"COIL_THEME", "Theme of the dashboard, like --theme."},
	{"NO_COLOR", "If set: no colours."},
	{"CI", "If set: no dashboard, except for coil watch."},
	{"TERM", "If it is dumb: no dashboard."},
	{"LC_ALL, LC_CTYPE, LANG", "Without UTF-8, the dashboard has ASCII characters only."},
}

// files are where coil reads and writes.
var files = []manItem{
	{"runs/", "The runs, each in its own folder; runs/latest is a link to the newest one."},
	{"runs/RUN/config.toml", "The configuration of a run: every key."},
	{"runs/RUN/run.json", "What the run ran on."},
	{"runs/RUN/events.jsonl", "What happened, a line of JSON for each report."},
	{"runs/RUN/checkpoints/step-N/", "Weights and the state of the optimizer, in safetensors."},
	{"experiments/NAME/", "An experiment: its grid.toml, a run for each cell in cells/, and the results."},
}

// manPage is the page of a command, in the language of man(7).
func manPage(c *cobra.Command) string {
	var b strings.Builder
	name := manName(c)
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"coil %s\" \"User Commands\"\n", roff(strings.ToUpper(name)), roff(built().Version))
	section := func(title string) { fmt.Fprintf(&b, ".SH %s\n", title) }
	terms := func(title string, list []manItem) {
		if len(list) == 0 {
			return
		}
		section(title)
		for _, t := range list {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(t.word), roff(t.meaning))
		}
	}
	section("NAME")
	fmt.Fprintf(&b, "%s \\- %s\n", roff(name), roff(lowerFirst(c.Short)))
	section("SYNOPSIS")
	fmt.Fprintf(&b, ".B %s\n", roff(strings.TrimSuffix(c.UseLine(), " [flags]")))
	if c.Long != "" {
		section("DESCRIPTION")
		for paragraph := range strings.SplitSeq(strings.TrimSpace(c.Long), "\n\n") {
			if strings.Contains(paragraph, "\n  ") { // a table
				fmt.Fprintf(&b, ".PP\n.nf\n%s\n.fi\n", roff(paragraph))
			} else {
				fmt.Fprintf(&b, ".PP\n%s\n", roff(strings.Join(strings.Fields(paragraph), " ")))
			}
		}
	}
	if c.HasAvailableSubCommands() {
		var list []manItem
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				list = append(list, manItem{sub.CommandPath(), sub.Short + "."})
			}
		}
		terms("COMMANDS", list)
	}
	own, keys := flagsOf(c)
	terms("OPTIONS", flagTerms(own))
	terms("KEYS OF THE CONFIGURATION", flagTerms(keys))
	if c.Example != "" {
		section("EXAMPLES")
		fmt.Fprintf(&b, ".nf\n%s\n.fi\n", roff(c.Example))
	}
	terms("EXIT STATUS", exitCodes)
	terms("ENVIRONMENT", environment)
	terms("FILES", files)
	section("SEE ALSO")
	var also []string
	if c.HasParent() {
		also = append(also, manName(c.Parent()))
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			also = append(also, manName(sub))
		}
	}
	for i, page := range also {
		end := ","
		if i == len(also)-1 {
			end = ""
		}
		fmt.Fprintf(&b, ".BR %s (1)%s\n", roff(page), end)
	}
	return b.String()
}

func flagTerms(flags []*pflag.Flag) []manItem {
	var list []manItem
	for _, f := range flags {
		list = append(list, manItem{flagText(f), flagUsage(f)})
	}
	return list
}

// roff escapes a text for man(7), so that every character stands for itself and no line is a request.
func roff(s string) string {
	var b strings.Builder
	begins := true
	for _, r := range text.Clean(s) {
		switch {
		case begins && r == '.':
			b.WriteString(`\&.`)
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r >= 0x80:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
		begins = r == '\n'
	}
	return b.String()
}

// lowerFirst begins a sentence with a small letter.
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
