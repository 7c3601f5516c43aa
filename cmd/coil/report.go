package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"coil/report"
	"coil/run"

	"github.com/spf13/cobra"
)

func newReport() *cobra.Command {
	var out, root string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report RUN…",
		Short: "Write a page with the plots and results of one or more runs",
		Example: `  coil report latest                        the newest run, in its own folder
  coil report RUN1 RUN2 --out compared      two runs in the same plots
  coil report runs/* --json                 a summary of each run, for scripts`,
		Long: "Writes a folder with index.html, a page that needs no network, and every plot as SVG and PNG, and prints the path " +
			"of the page. A run may still be training, or have crashed: the report shows what it has so far. A report replaces an earlier " +
			"report in the folder, but never any other files.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("report takes at least one run: its folder, its id, the beginning of its id, or latest")}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&out, "out", "", "`folder` of the report; by default, for one run, report in the run's folder")
	f.StringVar(&root, "runs", defaultRoot, "`folder` of the runs")
	f.BoolVar(&asJSON, "json", false, "print a summary of each run as JSON, and write no report")
	cmd.ValidArgsFunction = completeRuns
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if asJSON && out != "" {
			return usageError{errors.New("--json and --out: with --json no report is written")}
		}
		paths, err := resolveAll(root, args)
		if err != nil {
			return err
		}
		if !asJSON && out == "" && len(paths) > 1 {
			return usageError{fmt.Errorf("a report of %d runs needs a folder of its own: give one with --out FOLDER", len(paths))}
		}
		var records []*report.Record
		for _, path := range paths {
			r, err := run.View(path)
			if err != nil {
				return err
			}
			warnOf(cmd.ErrOrStderr(), r)
			records = append(records, report.Read(r))
		}
		if asJSON {
			summaries := make([]report.Summary, len(records))
			for i, r := range records {
				summaries[i] = r.Summary()
			}
			return writeJSON(cmd.OutOrStdout(), summaries)
		}
		if out == "" {
			out = filepath.Join(records[0].Path, "report")
		}
		page, err := report.Write(out, records)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), page)
		return err
	}
	return cmd
}

// resolveAll finds the folders of runs, each once: of runs/*, latest is one of the others.
func resolveAll(root string, names []string) ([]string, error) {
	var paths []string
	for _, name := range names {
		path, err := run.Resolve(root, name)
		if err != nil {
			return nil, inputError{err}
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, usageError{err}
		}
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}
