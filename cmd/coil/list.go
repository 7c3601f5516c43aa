package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"coil/format"
	"coil/report"
	"coil/run"

	"github.com/spf13/cobra"
)

func newList() *cobra.Command {
	var root string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the runs with their state, model, task, steps and result",
		Example: `  coil list
  coil list --runs experiments/p-hop-laptop/cells
  coil list --json`,
		Long: "The newest run comes first. A run is finished, stopped, running, paused, failed (with an error), or crashed (its process " +
			"ended without a message). Held-out is the accuracy or exact match of the last evaluation, and age is the time since " +
			"the run began.",
		Args: exactArgs(0, "no arguments"),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&root, "runs", defaultRoot, "`folder` of the runs")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, err := listed(root)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(cmd.OutOrStdout(), list)
		}
		if len(list) == 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "there are no runs in %s; coil train starts one\n", root)
			return nil
		}
		if _, err = io.WriteString(cmd.OutOrStdout(), listTable(list, time.Now())); err != nil {
			return err
		}
		for _, l := range list {
			if l.Crash != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "coil: %s %s\n", l.ID, l.Crash)
			}
		}
		return nil
	}
	return cmd
}

// listing is a line of coil list.
type listing struct {
	report.Summary
	Name    string    `json:"name,omitempty"`
	Created time.Time `json:"created"`
	Error   string    `json:"error,omitempty"` // why the run can't be read
}

// unreadable is the state of a run that can't be read.
const unreadable = "unreadable"

// listed are the runs of a folder, the newest first.
func listed(root string) ([]listing, error) {
	ids, err := run.List(root)
	if err != nil {
		return nil, err
	}
	list := []listing{}
	for _, id := range slices.Backward(ids) {
		l, _ := listingOf(root, id)
		list = append(list, l)
	}
	return list, nil
}

// listingOf reads a run in root; the record is nil if that can't be read.
func listingOf(root, id string) (listing, *report.Record) {
	path := filepath.Join(root, id)
	r, err := run.View(path)
	if err != nil {
		return listing{Summary: report.Summary{ID: id, Path: path, Status: unreadable}, Error: err.Error()}, nil
	}
	record := report.Read(r)
	return listing{Summary: record.Summary(), Name: r.Info().Name, Created: r.Info().Created}, record
}

// listTable has a line for each run.
func listTable(list []listing, now time.Time) string {
	rows := [][]string{{"run", "state", "model", "task", "step", "held-out", "age"}}
	for _, l := range list {
		step, result, age := "", "", ""
		if l.Status != unreadable {
			step = strconv.Itoa(l.Steps)
			if l.Planned > 0 {
				step += "/" + strconv.Itoa(l.Planned)
			}
			age = format.Duration(max(0, now.Sub(l.Created).Truncate(time.Second)))
		}
		if l.HeldOut != nil {
			result = l.Metric.Format(float64(*l.HeldOut))
		}
		rows = append(rows, []string{l.ID, string(l.Status), l.Model, l.Task, step, result, age})
	}
	return table(rows)
}
