package main

import (
	"errors"
	"fmt"

	"coil/run"
	"coil/train"

	"github.com/spf13/cobra"
)

func newVerify() *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify RUN",
		Short: "Check that a run is whole: every file, event and byte of its checkpoints",
		Example: `  coil verify latest         the newest run
  coil verify runs/RUN --json`,
		Long: "Reads the whole run and changes nothing. Checksums find whatever a disk, a copy or a program has changed. The checkpoints " +
			"must belong to this run and to the model of its configuration. Exit codes: 0 everything is whole, 4 something is damaged or missing, " +
			"1 something could not be read.",
		Args:              exactArgs(1, "a run"),
		ValidArgsFunction: completeRuns,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&out, "out", defaultRoot, "`folder` of the runs")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := run.Resolve(out, args[0])
		if err != nil {
			return usageError{err}
		}
		r, err := run.View(path)
		if err != nil {
			return err
		}
		c, configErr := configOf(r)
		findings := r.Verify(func(checkpoint run.Checkpoint) error {
			if configErr != nil {
				return nil
			}
			return train.Verify(&c, checkpoint)
		})
		if configErr != nil {
			findings = append(findings, run.Finding{Part: "config.toml", Err: fmt.Errorf("%w: %w", run.ErrDamaged, configErr)})
		}
		if asJSON {
			if err := writeJSON(cmd.OutOrStdout(), findings); err != nil {
				return err
			}
		} else {
			for _, f := range findings {
				state, text := "ok", f.Text
				if f.Err != nil {
					state, text = "BAD", f.Err.Error()
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-24s  %-3s  %s\n", f.Part, state, text)
			}
		}
		code := exitOK
		for _, f := range findings {
			switch {
			case f.Err == nil:
			case errors.Is(f.Err, run.ErrUnreadable):
				code = max(code, exitFailed)
			default:
				code = exitMismatch
			}
		}
		if code != exitOK {
			return silentError{code}
		}
		return nil
	}
	return cmd
}
