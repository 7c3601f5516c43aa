package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"coil/train"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// isKey marks flags that set a key of the configuration.
const isKey = "configuration key"

// help prints examples first, then what there is.
func help(cmd *cobra.Command, _ []string) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s\n", cmd.Short)
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.Long != "" {
		fmt.Fprintf(w, "\n%s\n", cmd.Long)
	}
	fmt.Fprintf(w, "\nUsage: %s\n", strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nCommands:\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-12s %s\n", c.Name(), c.Short)
			}
		}
		fmt.Fprintf(w, "\ncoil COMMAND --help shows a command's examples and flags.\n")
	}
	var own, keys []*pflag.Flag
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Hidden || f.Name == "help":
		case f.Annotations[isKey] != nil:
			keys = append(keys, f)
		default:
			own = append(own, f)
		}
	})
	printFlags(w, "Flags:", own)
	printFlags(w, "Keys of the configuration (the default preset's values in brackets):", keys)
}

func printFlags(w io.Writer, title string, flags []*pflag.Flag) {
	if len(flags) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	width := 0
	for _, f := range flags {
		width = max(width, len(flagText(f)))
	}
	for _, f := range flags {
		usage := f.Usage
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			usage += " [" + f.DefValue + "]"
		}
		fmt.Fprintf(w, "  %-*s  %s\n", width, flagText(f), usage)
	}
}

func flagText(f *pflag.Flag) string {
	s := "--" + f.Name
	if f.Shorthand != "" {
		s = "-" + f.Shorthand + ", " + s
	}
	if name, _ := pflag.UnquoteUsage(f); name != "" && f.Value.Type() != "bool" {
		s += " " + strings.ToUpper(name)
	}
	return s
}

// keyFlag is a flag that sets a key of a configuration, kept as text until the configuration is read.
type keyFlag struct {
	key    string
	kind   string
	value  string
	shown  string // the default, for help
	given  bool
	values *[]*keyFlag // of the command, in the order given
}

func (f *keyFlag) String() string { return f.shown }
func (f *keyFlag) Type() string   { return f.kind }

func (f *keyFlag) Set(s string) error {
	c := train.Default()
	if err := c.Set(f.key, s); err != nil {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), f.key+": "))
	}
	f.value = s
	if !f.given {
		f.given = true
		*f.values = append(*f.values, f)
	}
	return nil
}

// addKeys adds a flag for every key of the configuration, and short names for the most used.
func addKeys(cmd *cobra.Command) *[]*keyFlag {
	values := new([]*keyFlag)
	defaults, err := train.Preset(train.DefaultPreset)
	if err != nil {
		panic("coil: the default preset is wrong")
	}
	short := map[string]string{"model.layers": "model", "train.steps": "steps", "train.batch": "batch", "train.rate": "rate", "train.seed": "seed", "task.name": "task"}
	for _, k := range defaults.Keys() {
		f := &keyFlag{key: k.Name, kind: k.Kind(), shown: k.Value(), values: values}
		usage := k.Help
		if s := short[k.Name]; s != "" {
			usage += " (also --" + s + ")"
			alias := *f
			alias.shown = ""
			cmd.Flags().Var(&alias, s, "`"+k.Kind()+"` "+k.Help)
			cmd.Flags().Lookup(s).Hidden = true
		}
		cmd.Flags().Var(f, k.Name, usage)
		flag := cmd.Flags().Lookup(k.Name)
		flag.Annotations = map[string][]string{isKey: {}}
		if k.Kind() == "true or false" {
			flag.NoOptDefVal = "true"
		}
	}
	cmd.Flags().SortFlags = false
	return values
}

// apply lays the flags over c.
func apply(c *train.Config, flags []*keyFlag) error {
	for _, f := range flags {
		if err := c.Set(f.key, f.value); err != nil {
			return usageError{err}
		}
	}
	return nil
}

func newMan() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the man pages to a folder",
		Example: "  coil man ~/.local/share/man/man1",
		Args:    exactArgs(1, "a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o777); err != nil {
				return fmt.Errorf("man pages: %w", err)
			}
			header := &doc.GenManHeader{Title: "COIL", Section: "1", Source: "coil", Manual: "coil"}
			cmd.Root().DisableAutoGenTag = true
			if err := doc.GenManTree(cmd.Root(), header, args[0]); err != nil {
				return fmt.Errorf("man pages: %w", err)
			}
			pages, _ := filepath.Glob(filepath.Join(args[0], "coil*.1"))
			fmt.Fprintf(cmd.OutOrStdout(), "%d pages in %s\n", len(pages), args[0])
			return nil
		},
	}
	return cmd
}
