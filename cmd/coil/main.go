// Command coil trains looped transformers.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"coil/backend"
	"coil/run"
	"coil/train"

	"github.com/spf13/cobra"
)

// The exit codes, besides 128 + n for a run that was stopped by signal n.
const (
	exitOK       = 0
	exitFailed   = 1 // the run failed
	exitUsage    = 2 // the command line or the configuration is wrong
	exitDiverged = 3 // a loss was not finite
	exitMismatch = 4 // a checkpoint is damaged or of another model
)

// usageError is an error in what the user asked.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// signalError says that a signal stopped the run.
type signalError struct{ number int }

func (e signalError) Error() string { return "stopped" }

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

// execute runs a command line and returns the exit code.
func execute(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	code := exitCode(err)
	if s := (signalError{}); err != nil && !errors.As(err, &s) {
		fmt.Fprintf(stderr, "coil: %s\n", err)
		if code == exitUsage && !strings.Contains(err.Error(), "--help") {
			fmt.Fprintf(stderr, "coil --help and coil COMMAND --help show what there is\n")
		}
	}
	return code
}

func exitCode(err error) int {
	var usage usageError
	var diverged *train.DivergedError
	var signal signalError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &signal):
		return 128 + signal.number
	case errors.As(err, &diverged):
		return exitDiverged
	case errors.Is(err, train.ErrOtherModel), errors.Is(err, run.ErrDamaged):
		return exitMismatch
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, backend.ErrMemory):
		return exitFailed
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "coil",
		Short: "Train looped transformers",
		Long: "A looped transformer runs a block of k layers L times (k⊗L): the parameters of k layers, the depth of k·L.\n" +
			"coil trains such models in pure Go on any machine.",
		Example: `  coil train                     train the default: one layer looped four times, on p-hop induction
  coil train --model 1x1         the same layer, run once
  coil eval latest --loops 1..8  accuracy after each loop
  coil task p-hop                what the task looks like`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("no command %q%s", args[0], suggestion(cmd, args[0]))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w%s", err, flagSuggestion(err))}
	})
	root.AddCommand(newTrain(), newResume(), newEval(), newTask(), newPresets(), newBackends(), newMan())
	root.SetHelpFunc(help)
	root.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help"}) // --help is enough
	return root
}

func suggestion(cmd *cobra.Command, wrong string) string {
	if near := cmd.SuggestionsFor(wrong); len(near) > 0 {
		return fmt.Sprintf("; did you mean %q?", near[0])
	}
	return ""
}

// flagSuggestion helps with a configuration key that does not exist.
func flagSuggestion(err error) string {
	_, name, ok := strings.Cut(err.Error(), "unknown flag: --")
	if !ok {
		return ""
	}
	c := train.Default()
	if _, hint, ok := strings.Cut(c.Set(name, "").Error(), ";"); ok {
		return ";" + strings.ReplaceAll(hint, `mean "`, `mean "--`)
	}
	return ""
}

// exactArgs is like cobra's, with an error that says what is wanted.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %s, not %d arguments", cmd.CommandPath(), what, len(args))}
		}
		return nil
	}
}
