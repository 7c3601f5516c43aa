package main

import (
	"fmt"
	"io"
	"strings"

	"coil/config"
	"coil/config/schema"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// isKey marks flags that set a key of the configuration.
const isKey = "configuration key"

// help prints examples first, then flags and commands.
func help(cmd *cobra.Command, _ []string) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s\n", cmd.Short)
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.Long != "" {
		for paragraph := range strings.SplitSeq(strings.TrimSpace(cmd.Long), "\n\n") {
			if !strings.Contains(paragraph, "\n  ") { // else it is a table
				paragraph = wrap(paragraph, 0)
			}
			fmt.Fprintf(w, "\n%s\n", paragraph)
		}
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
	own, keys := flagsOf(cmd)
	printFlags(w, "Flags:", own)
	printFlags(w, "Keys of the configuration (the defaults, also those of a file, are in brackets):", keys)
}

// flagsOf are the flags of a command that are shown: its own, and those that are keys of the configuration.
func flagsOf(cmd *cobra.Command) (own, keys []*pflag.Flag) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Hidden || f.Name == "help":
		case f.Annotations[isKey] != nil:
			keys = append(keys, f)
		default:
			own = append(own, f)
		}
	})
	return own, keys
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
		fmt.Fprintf(w, "  %-*s  %s\n", width, flagText(f), wrap(flagUsage(f), width+4))
	}
}

// flagUsage says what a flag is for, and its default.
func flagUsage(f *pflag.Flag) string {
	_, usage := pflag.UnquoteUsage(f)
	if f.Annotations[isKey] != nil || f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "-1" {
		usage += " [" + f.DefValue + "]"
	}
	return usage
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

// setting is a key of the configuration with the value that a flag gave it.
type setting struct{ key, value string }

// keyFlag is a flag that sets a key of the configuration. Its value stays text until the configuration is read.
type keyFlag struct {
	key    string
	kind   string
	wanted string     // what its values are
	shown  string     // the default, for help
	given  *[]setting // of the command, in their order
}

func (f *keyFlag) String() string { return f.shown }
func (f *keyFlag) Type() string   { return strings.ReplaceAll(f.kind, " or ", "|") }

func (f *keyFlag) Set(s string) error {
	c := config.Default()
	if err := c.Set(f.key, s); err != nil {
		return err
	}
	*f.given = append(*f.given, setting{f.key, s})
	return nil
}

// addKeys adds a flag for every wanted key of the configuration, and one for its alias.
func addKeys(cmd *cobra.Command, wanted func(key string) bool) *[]setting {
	given := new([]setting)
	defaults := config.Default()
	for _, k := range defaults.Keys() {
		if !wanted(k.Name) {
			continue
		}
		f := &keyFlag{key: k.Name, kind: k.Kind(), wanted: k.Wanted(), shown: k.Value(), given: given}
		usage := k.Help
		names := []string{k.Name}
		if k.Alias != "" && k.Name != k.Alias {
			usage += " (also --" + k.Alias + ")"
			alias := *f
			alias.shown = ""
			names = append(names, k.Alias)
			cmd.Flags().Var(&alias, k.Alias, "`"+k.Kind()+"` "+k.Help)
			cmd.Flags().Lookup(k.Alias).Hidden = true
		}
		cmd.Flags().Var(f, k.Name, usage)
		cmd.Flags().Lookup(k.Name).Annotations = map[string][]string{isKey: {}}
		for _, name := range names {
			completeKey(cmd, name, k)
		}
	}
	cmd.Flags().SortFlags = false
	return given
}

// completeKey completes the values of a key that has few, and lets a flag that is true or false stand alone.
func completeKey(cmd *cobra.Command, flag string, k schema.Key) {
	values := k.Values
	if k.Kind() == "true or false" {
		values = []string{"true", "false"}
		cmd.Flags().Lookup(flag).NoOptDefVal = "true"
	}
	cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

func everyKey(string) bool { return true }

// apply sets in c the keys that flags set.
func apply(c *config.Config, given []setting) error {
	for _, s := range given {
		if err := c.Set(s.key, s.value); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// setBy are the keys that flags set.
func setBy(given []setting) []string {
	var keys []string
	for _, s := range given {
		keys = append(keys, s.key)
	}
	return keys
}

func newCompletion() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Write the script that completes coil's commands and flags in a shell",
		Example: `  coil completion bash > /etc/bash_completion.d/coil
  coil completion zsh > "${fpath[1]}/_coil"
  coil completion fish > ~/.config/fish/completions/coil.fish`,
		Long:      "The shells are " + strings.Join(shells, ", ") + ". The script takes effect in shells that you start later.",
		ValidArgs: shells,
		Args:      exactArgs(1, "a shell"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			}
			return usageError{fmt.Errorf("no completion for %q; want one of %s", args[0], strings.Join(shells, ", "))}
		},
	}
}
