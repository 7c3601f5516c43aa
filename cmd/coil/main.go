// Command coil trains looped transformers.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"coil/backend"
	"coil/experiment"
	"coil/format"
	"coil/loop"
	"coil/metal/bridge"
	"coil/run"
	"coil/text"
	"coil/train"
	"coil/tui/terminal"

	"github.com/spf13/cobra"
)

// The exit codes, besides 128 + n for a run that was stopped by signal n.
const (
	exitOK       = 0
	exitFailed   = 1  // the run failed
	exitCrashed  = 2  // the program crashed: Go exits with this code
	exitUsage    = 64 // the command line or the configuration is wrong
	exitNoDevice = 69 // macOS has no GPU for this process
	exitBusy     = 75 // another process trains the cell; sysexits.h calls it a temporary failure
	exitDiverged = 3  // a loss was not finite
	exitMismatch = 4  // a checkpoint is damaged or of another model
)

// usageError is a mistake in the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// inputError is a mistake in what the command line names: a file with errors, a run that does not exist. The help of the
// command would not help.
type inputError struct{ err error }

func (e inputError) Error() string { return e.err.Error() }
func (e inputError) Unwrap() error { return e.err }

// fileError is the error of an operation on a file: the operation, the path, and the system's reason.
func fileError(what string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s: %s: %w", what, path.Path, path.Err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// signalError says that a signal stopped the run.
type signalError struct{ number int }

func (e signalError) Error() string { return "stopped" }

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

// execute runs a command line and returns the exit code.
func execute(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	out := &output{clean: text.Writer{W: stdout, ASCII: onASCII(stdout)}, raw: stdout}
	root.SetArgs(joinBooleans(args))
	root.SetOut(out)
	stderr = &text.Writer{W: stderr, ASCII: onASCII(stderr)}
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	if err == nil && out.err != nil {
		err = fmt.Errorf("could not write the result: %w", out.err)
	}
	code := exitCode(err)
	if err != nil && !printed(err) {
		fmt.Fprintf(stderr, "coil: %s\n", err)
		if errors.As(err, &usageError{}) && !strings.Contains(err.Error(), "--help") {
			fmt.Fprintf(stderr, "%s --help shows how to use it\n", cmd.CommandPath())
		}
	}
	return code
}

// onASCII reports whether w is a terminal that shows only ASCII characters.
func onASCII(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, _, ok = terminal.Size(f)
	return ok && terminal.ASCII()
}

// said reports whether an error has already been reported.
func printed(err error) bool {
	return errors.As(err, &signalError{}) || errors.As(err, &silentError{})
}

// output is standard output. It shows control characters, which may come from files, instead of passing them on. It remembers
// a failed write: a result that reached nobody is not a success.
type output struct {
	clean text.Writer
	raw   io.Writer // for drawings, whose control characters come from coil
	err   error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.clean.Write(p)
	if err != nil {
		o.err = err
	}
	return n, err
}

func exitCode(err error) int {
	var usage usageError
	var input inputError
	var diverged *train.DivergedError
	var signal signalError
	var silent silentError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &signal):
		return 128 + signal.number
	case errors.As(err, &silent):
		return silent.code
	case errors.As(err, &diverged):
		return exitDiverged
	case errors.Is(err, train.ErrOtherModel), errors.Is(err, run.ErrDamaged):
		return exitMismatch
	case errors.As(err, &usage), errors.As(err, &input), errors.Is(err, loop.ErrGrowth):
		return exitUsage
	case errors.Is(err, bridge.ErrNoDevice):
		return exitNoDevice
	case errors.Is(err, experiment.ErrBusy):
		return exitBusy
	case errors.Is(err, backend.ErrMemory):
		return exitFailed
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "coil [COMMAND]",
		Short: "Train looped transformers",
		Long: "A looped transformer runs a block of k layers L times (k⊗L): the parameters of k layers, the depth of k·L. " +
			"coil trains such models in pure Go on any machine, and in Metal on a Mac with Apple silicon.\n\n" +
			"On a terminal, coil without a command opens the home screen, which lists the runs in runs/, opens, resumes, compares and " +
			"stops them, and starts new ones; ? shows its keys.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 coil crashed, 3 the loss became NaN or infinite, 4 a checkpoint is damaged or of another model, 64 the " +
			"command line or the configuration is wrong, 69 macOS offers no GPU, 75 another process trains the cell, 128 + n stopped by signal n.",
		Example: `  coil                           the home screen: runs, and a form to start one
  coil train                     train the default: one layer looped four times, on p-hop induction
  coil train --model 1x1         the same layer, run once
  coil eval latest --loops 1..8  accuracy after each loop
  coil task p-hop                an example of the task, explained`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return noCommand(cmd, args[0])
			}
			return nil
		},
	}
	var showVersion bool
	root.Flags().BoolVar(&showVersion, "version", false, "print the version, like coil version")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if showVersion {
			return printVersion(cmd.OutOrStdout(), false)
		}
		if !canWatch() {
			return cmd.Help()
		}
		appearance := appearanceFlags{theme: os.Getenv("COIL_THEME")}
		style, err := appearance.style()
		if err != nil {
			return err
		}
		parent, err := supervise(cmd.ErrOrStderr(), nil)
		if err != nil {
			return err
		}
		return home(cmd, parent, defaultRoot, style)
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newTrain(), newResume(), newVerify(), newList(), newWatch(), newControl(), newEval(), newLens(), newReport(), newExperiment(), newTheory(), newTask(), newTokenizer(), newPresets(), newBackends(), newBench(), newLaunches(), newDoctor(), newCompletion(), newMan(), newVersion())
	root.SuggestionsMinimumDistance = 2
	root.SetHelpFunc(help)
	root.SetHelpCommand(&cobra.Command{Use: "help [COMMAND]", Hidden: true, RunE: func(cmd *cobra.Command, args []string) error {
		of, rest, err := root.Find(args)
		if err != nil || len(rest) > 0 {
			return noCommand(root, args[0])
		}
		return of.Help()
	}})
	return root
}

func noCommand(root *cobra.Command, wrong string) error {
	hint := ""
	if near := root.SuggestionsFor(wrong); len(near) > 0 {
		hint = fmt.Sprintf("; did you mean %q?", near[0])
	}
	return usageError{fmt.Errorf("no command %q%s", wrong, hint)}
}

// exactArgs is like cobra's ExactArgs, with an error that says what the command takes.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %s, not %s", cmd.Name(), what, format.Plural(len(args), "argument"))}
		}
		return nil
	}
}
