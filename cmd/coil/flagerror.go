package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"coil/config"
	"coil/config/schema"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// elsewhere lists flags of other programs for which coil has another flag, argument or command. The names of keys in other
// programs stand beside the keys.
var elsewhere = []struct {
	names   []string
	flag    string // only for commands that have it
	instead string
}{
	{[]string{"config", "cfg", "conf", "config-file", "config-path"}, "preset", "the configuration is an argument, as in coil train FILE.toml, or --preset NAME"},
	{[]string{"device", "accelerator", "platform", "gpu", "cuda", "mps"}, "backend", `did you mean "--backend"?`},
	{[]string{"threads", "num-threads", "num-workers", "cpus", "n-jobs"}, "workers", `did you mean "--workers"?`},
	{[]string{"bf16", "fp16", "amp", "dtype", "precision", "mixed-precision"}, "bfloat16", `did you mean "--bfloat16"?`},
	{[]string{"output", "output-dir", "out-dir", "save-dir", "log-dir", "logdir", "work-dir"}, "out", `did you mean "--out"?`},
	{[]string{"out"}, "runs", `--out is where results go; did you mean "--runs"?`},
	{[]string{"runs"}, "run-dir", `--runs is where runs are read; did you mean "--out"?`},
	{[]string{"resume", "resume-from", "resume-from-checkpoint", "continue", "load"}, "from", "coil resume RUN continues a run; --from RUN starts with another run's weights"},
	{[]string{"init-from", "pretrained", "checkpoint", "ckpt"}, "from", `did you mean "--from"?`},
	{[]string{"run-name", "experiment-name", "exp-name"}, "name", `did you mean "--name"?`},
	{[]string{"background", "daemon"}, "detach", `did you mean "--detach"?`},
	{[]string{"vocab-size", "vocab", "size", "model-size"}, "vocabulary", `did you mean "--vocabulary"?`},
	{[]string{"tokenizer", "file", "vocab", "model"}, "tokenizer.file", `did you mean "--tokenizer.file"?`},
	{[]string{"no-dashboard", "quiet", "no-progress"}, "no-tui", `did you mean "--no-tui"?`},
}

// flagError says what is wrong with a flag in coil's words.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	var required *pflag.ValueRequiredError
	var syntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &missing) && missing.GetSpecifiedShortnames() != "":
		wrong := missing.GetSpecifiedShortnames()
		return usageError{fmt.Errorf("no flag -%s: flags have two dashes%s", wrong, flagHint(cmd, wrong))}
	case errors.As(err, &missing):
		wrong := missing.GetSpecifiedName()
		return usageError{fmt.Errorf("no flag --%s%s", wrong, flagHint(cmd, wrong))}
	case errors.As(err, &invalid):
		return usageError{invalidValue(invalid)}
	case errors.As(err, &required):
		return usageError{fmt.Errorf("--%s needs a value: %s", required.GetFlag().Name, wantedBy(required.GetFlag()))}
	case errors.As(err, &syntax):
		return usageError{fmt.Errorf("%s is no flag: want --name or --name=value", syntax.GetSpecifiedFlag())}
	}
	return usageError{err}
}

// flagHint ends the error of a flag that does not exist with the one that was meant.
func flagHint(cmd *cobra.Command, wrong string) string {
	plain := strings.ReplaceAll(strings.ToLower(wrong), "_", "-")
	for _, e := range elsewhere {
		if cmd.Flags().Lookup(e.flag) != nil && slices.Contains(e.names, plain) {
			return "; " + e.instead
		}
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	c := config.Default()
	var keys []schema.Key
	for _, k := range c.Keys() {
		if cmd.Flags().Lookup(k.Name) != nil {
			keys = append(keys, k)
		}
	}
	best := schema.Nearest(wrong, names)
	if key := schema.NearestKey(wrong, keys); slices.Contains(names, key) && best != wrong {
		if best == "" || !strings.EqualFold(best, plain) {
			best = key
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", "--"+best)
	}
	return fmt.Sprintf("; %s --help lists them all", cmd.CommandPath())
}

func invalidValue(e *pflag.InvalidValueError) error {
	f := e.GetFlag()
	var wrong *schema.Error
	if errors.As(e, &wrong) {
		return fmt.Errorf("--%s%s", f.Name, wrong.Text)
	}
	if errors.Is(e, strconv.ErrRange) {
		return fmt.Errorf("--%s is %s, which is too large", f.Name, strings.TrimSpace(e.GetValue()))
	}
	return fmt.Errorf("--%s is %q, want %s", f.Name, e.GetValue(), wantedBy(f))
}

// wantedBy says what a flag's values are.
func wantedBy(f *pflag.Flag) string {
	switch v := f.Value.(type) {
	case *keyFlag:
		return v.wanted
	}
	switch f.Value.Type() {
	case "int":
		return "a whole number"
	case "uint64":
		return "a whole number of 0 or more"
	case "float64":
		return "a number"
	case "duration":
		return "a time with its unit, as in 30s, 5m or 0s"
	case "bool":
		return "true or false, or nothing"
	}
	name, _ := pflag.UnquoteUsage(f)
	return "its " + name
}

// joinBooleans turns the two arguments --key true into --key=true, for keys of the configuration that are true or false: such
// a flag may stand alone, so pflag would take the word after it for an argument.
func joinBooleans(args []string) []string {
	c := config.Default()
	boolean := map[string]bool{}
	for _, k := range c.Keys() {
		boolean["--"+k.Name] = k.Kind() == "true or false"
	}
	var joined []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(joined, args[i:]...)
		}
		if boolean[args[i]] && i+1 < len(args) && (args[i+1] == "true" || args[i+1] == "false") {
			joined = append(joined, args[i]+"="+args[i+1])
			i++
			continue
		}
		joined = append(joined, args[i])
	}
	return joined
}
