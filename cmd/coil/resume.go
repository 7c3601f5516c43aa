package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"coil/config"
	"coil/run"
	"coil/train"

	"github.com/spf13/cobra"
)

func newResume() *cobra.Command {
	var out string
	var step int
	var front frontFlags
	var where backendFlags
	cmd := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a run that was stopped",
		Example: `  coil resume latest               the newest run
  coil resume 2026-11-23_15        a run by the beginning of its name
  coil resume latest --step 500    from an earlier checkpoint`,
		Long: "Goes on from the run's newest checkpoint. Weights, moments, data and loop counts continue exactly: " +
			"on the cpu backend the result is the same, bit for bit, as that of a run that was never stopped.",
		Args: exactArgs(1, "a run"),
	}
	cmd.Flags().StringVar(&out, "out", defaultRoot, "`folder` of the runs")
	cmd.Flags().IntVar(&step, "step", -1, "`step` of the checkpoint to go on from, 0 for the beginning; the newest if not given")
	cmd.Flags().SortFlags = false
	front.add(cmd)
	where.add(cmd)
	cmd.ValidArgsFunction = completeRuns
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := run.Resolve(out, args[0])
		if err != nil {
			return inputError{err}
		}
		c, from, err := look(path, step)
		if err != nil {
			return err
		}
		if from.Step >= c.Train.Steps && ended(path) {
			fmt.Fprintf(cmd.ErrOrStderr(), "nothing to do: all %d steps are done; for more of them, set train.steps in\n  %s\nand resume again\n",
				c.Train.Steps, configPath(path))
			if front.asJSON {
				return writeJSON(cmd.OutOrStdout(), outcome{Run: path, Steps: from.Step, Done: true})
			}
			return nil
		}
		s := session{cmd: cmd, front: front, folder: path}
		s.prepare = func(w io.Writer, report func(train.Report)) (*job, error) {
			return resume(path, step, where, w, report)
		}
		return s.run()
	}
	return cmd
}

// look finds out where a run would go on, or why it can't.
func look(path string, step int) (c config.Config, from run.Checkpoint, err error) {
	r, err := run.Open(path)
	if err != nil {
		return c, from, err
	}
	defer r.Close()
	return point(r, step)
}

// point is where a run goes on: its configuration, and the checkpoint, none being the beginning with the seed's weights.
func point(r *run.Run, step int) (c config.Config, from run.Checkpoint, err error) {
	origin := r.Info().Origin
	if c, err = configOf(r); err != nil || step == 0 && origin == nil {
		return c, from, err
	}
	from, err = checkpointOf(r, step)
	switch {
	case origin != nil && errors.Is(err, run.ErrNoCheckpoint):
		err = fmt.Errorf("%w, not even of the weights that it began with, those of %s: begin anew with coil train --from", err, origin)
	case step < 0 && errors.Is(err, run.ErrNoCheckpoint):
		err = nil
	}
	return c, from, err
}

// resume makes a run ready to go on.
func resume(path string, step int, where backendFlags, w io.Writer, report func(train.Report)) (*job, error) {
	j := &job{}
	var err error
	if j.r, err = run.Open(path); err != nil {
		return j, err
	}
	c, from, err := point(j.r, step)
	if err != nil {
		return j, err
	}
	if j.b, err = where.open(w); err != nil {
		return j, err
	}
	if j.t, err = train.New(c, j.b, report); err != nil {
		return j, err
	}
	if from.Path != "" {
		if err := j.t.Resume(from); err != nil {
			return j, adviseModel(err, j.r)
		}
	}
	if err := j.r.Rewind(from.Step); err != nil {
		return j, err
	}
	describe(w, filepath.Base(j.r.Path()), j.t, j.b)
	warn(w, c.Warnings())
	fmt.Fprintf(w, "resume   from step %d of %d\n\n", from.Step, c.Train.Steps)
	return j, nil
}

func configPath(path string) string { return filepath.Join(path, "config.toml") }

// configOf reads the configuration of a run, which its user may have changed.
func configOf(r *run.Run) (config.Config, error) {
	text, err := r.Config()
	if err != nil {
		return config.Config{}, err
	}
	c, err := config.Stored(configPath(r.Path()), text)
	if err != nil {
		return c, inputError{err}
	}
	return c, nil
}

// checkpointOf is the checkpoint of a step, or the newest for a negative one.
func checkpointOf(r *run.Run, step int) (run.Checkpoint, error) {
	if step < 0 {
		return r.Latest()
	}
	c, err := r.Checkpoint(step)
	if err != nil {
		err = usageError{err} // of a damaged one exitCode makes more
	}
	return c, err
}

// adviseModel says what to do about a checkpoint that does not fit the run's configuration.
func adviseModel(err error, r *run.Run) error {
	if !errors.Is(err, train.ErrOtherModel) {
		return err
	}
	return fmt.Errorf("%w; undo what was changed in %s", err, configPath(r.Path()))
}

// ended reports whether the last thing that the run did was to end.
func ended(path string) bool {
	r, err := run.View(path)
	if err != nil {
		return false
	}
	h, _ := r.History() // lines that are garbled say nothing of it
	return len(h) > 0 && h[len(h)-1].Kind == run.KindEnd
}
