package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"

	"coil/config"
	"coil/run"
	"coil/text"
	"coil/train"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// resumeFlags choose the checkpoint and the configuration with which coil resume continues.
type resumeFlags struct {
	step             int
	fallback, edited bool
	set              *[]setting
}

func newResume() *cobra.Command {
	var root string
	var o resumeFlags
	var ui interfaceFlags
	var backends backendFlags
	cmd := &cobra.Command{
		Use:   "resume RUN",
		Short: "Continue a run that was stopped",
		Example: `  coil resume latest                 the newest run
  coil resume 2026-11-23_15          a run by the beginning of its name
  coil resume latest --steps 4000    with more steps, or another key that may change
  coil resume latest --step 500      from an earlier checkpoint
  coil resume latest --fallback      from the newest checkpoint that is whole`,
		Long: "Continues from the run's newest checkpoint. Weights, moments, data and loop counts continue exactly: " +
			"on the cpu backend, with the same kernels (coil backends names them), the result has the same bits as a run that was never stopped. " +
			"With other kernels, the bits differ, and the run says so.\n\n" +
			"Flags such as --train.rate 1e-4 change keys and are written into the run's config.toml. Model, task, loops, regularizer, seed, " +
			"batch and optimizer can't change. coil accepts a config.toml that was edited by hand only with --edited.",
		Args: exactArgs(1, "a run"),
	}
	f := cmd.Flags()
	f.StringVar(&root, "runs", defaultRoot, "`folder` of the runs")
	f.IntVar(&o.step, "step", -1, "`step` of the checkpoint to continue from, 0 for the beginning; by default, the newest")
	f.BoolVar(&o.fallback, "fallback", false, "if the newest checkpoint is damaged, continue from the newest whole one, and say so")
	f.BoolVar(&o.edited, "edited", false, "accept a config.toml that was edited by hand")
	f.SortFlags = false
	ui.add(cmd)
	backends.add(cmd)
	o.set = addKeys(cmd, everyKey)
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Annotations[isKey] != nil {
			flag.Annotations, flag.DefValue = nil, ""
			flag.Hidden = !train.MayChange(flag.Name)
		}
	})
	cmd.ValidArgsFunction = completeRuns
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var parent *supervisor
		if ui.showsDashboard() {
			var err error
			if parent, err = supervise(cmd.ErrOrStderr(), syscall.SIGTERM); err != nil {
				return err
			}
		}
		if o.fallback && o.step >= 0 {
			return usageError{errors.New("--fallback and --step: the step names the checkpoint; give one of them")}
		}
		for _, s := range *o.set {
			if !train.MayChange(s.key) {
				return usageError{fmt.Errorf("%s can't change in a run that has begun; coil train --from %s starts another run with its weights", s.key, text.Path(args[0]))}
			}
		}
		path, err := run.Resolve(root, args[0])
		if err != nil {
			return inputError{err}
		}
		c, from, err := findResumePoint(path, o)
		if err != nil {
			return err
		}
		if done := trained(c, from, path); done != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "nothing to do: %s\n", done)
			if ui.asJSON {
				return writeJSON(cmd.OutOrStdout(), outcome{Run: path, Steps: from.Step, Done: true})
			}
			return nil
		}
		s := session{cmd: cmd, ui: ui, folder: path, supervisor: parent}
		s.prepare = func(w io.Writer, report func(train.Report)) (*job, error) {
			return resume(path, o, backends, w, report)
		}
		return s.run()
	}
	return cmd
}

// findResumePoint finds the point from which a run would continue, or the reason why it can't.
func findResumePoint(path string, o resumeFlags) (c config.Config, from run.Checkpoint, err error) {
	r, err := run.Open(path)
	if err != nil {
		return c, from, err
	}
	defer r.Close()
	c, from, _, err = resumePoint(r, o)
	return c, from, err
}

// resumePoint is the point from which a run continues: its configuration with the changes of flags, and the checkpoint. Without
// a checkpoint, the run starts with the seed's weights. passed are the newer checkpoints that are given up.
func resumePoint(r *run.Run, o resumeFlags) (c config.Config, from run.Checkpoint, passed []error, err error) {
	if c, err = configOf(r); err != nil {
		return c, from, nil, err
	}
	start := r.Info().WarmStart
	switch {
	case o.fallback:
		from, passed, err = r.LatestWhole()
	case o.step == 0 && start == nil && !hasCheckpoint(r, 0):
	default:
		from, err = checkpointOf(r, o.step)
	}
	switch {
	case start != nil && (errors.Is(err, run.ErrNoCheckpoint) || errors.Is(err, run.ErrLost)):
		err = fmt.Errorf("run %s has no checkpoint, not even of its first weights, which came from %s: put its checkpoints back, or start again with coil train --from", r.Path(), start)
		if o.step >= 0 {
			err = usageError{err}
		}
	case o.step < 0 && errors.Is(err, run.ErrNoCheckpoint):
		err = nil
	}
	if err != nil {
		return c, from, passed, err
	}
	if from.Path != "" {
		if err := train.Agrees(&c, from); err != nil {
			return c, from, passed, adviseModel(err, r)
		}
	}
	if err := checkEdited(r, &c, from, o.edited); err != nil {
		return c, from, passed, err
	}
	if err := apply(&c, *o.set); err != nil {
		return c, from, passed, err
	}
	_, made := c.Task.New()
	if err := c.CheckMade(made); err != nil {
		return c, from, passed, usageError{err}
	}
	return c, from, passed, nil
}

// hasCheckpoint reports whether there is a checkpoint of a step, whole or not.
func hasCheckpoint(r *run.Run, step int) bool {
	_, err := r.Checkpoint(step)
	return err == nil || errors.Is(err, run.ErrDamaged) || errors.Is(err, run.ErrUnreadable)
}

// checkEdited returns an error if config.toml was changed by hand, perhaps by accident, and --edited is not given.
func checkEdited(r *run.Run, c *config.Config, from run.Checkpoint, meant bool) error {
	edited, err := r.Edited()
	if err != nil || !edited || meant {
		return err
	}
	what := ""
	if from.Path != "" {
		changes, known := train.Changes(c, from)
		if known && changes == nil {
			return nil // only its formatting
		}
		if known {
			what = fmt.Sprintf(": since step %d, %s", from.Step, strings.Join(changes, "; "))
		}
	}
	return usageError{fmt.Errorf("%s was changed after coil wrote it%s; if you want the change, continue with\n  coil resume %s --edited\nand otherwise undo it; coil resume RUN --KEY VALUE changes a key without editing",
		configPath(r.Path()), what, text.Path(r.Path()))}
}

// resume prepares a run for continuing.
func resume(path string, o resumeFlags, backends backendFlags, w io.Writer, report func(train.Report)) (*job, error) {
	j := &job{}
	var err error
	if j.r, err = run.Open(path); err != nil {
		return j, err
	}
	warnOf(w, j.r)
	c, from, passed, err := resumePoint(j.r, o)
	if err != nil {
		return j, err
	}
	if j.b, err = backends.open(w); err != nil {
		return j, err
	}
	tk, err := prepareTask(w, c)
	if err != nil {
		return j, err
	}
	if j.t, err = train.NewOn(tk, c, j.b, report); err != nil {
		return j, err
	}
	if from.Path != "" {
		if err := j.t.Resume(from); err != nil {
			return j, adviseModel(err, j.r)
		}
	}
	if edited, err := j.r.Edited(); err != nil {
		return j, err
	} else if edited || len(*o.set) > 0 {
		if err := j.r.SetConfig(c.Encode()); err != nil {
			return j, err
		}
	}
	for _, err := range passed {
		text := fmt.Sprintf("going back to step %d: %v", from.Step, err)
		fmt.Fprintf(w, "coil: %s\n", text)
		if err := j.r.Append(run.Event{Kind: run.KindNote, Step: from.Step, Text: text}); err != nil {
			return j, err
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

// warnOf prints the problems of a run that is still usable, and whether it crashed.
func warnOf(w io.Writer, r *run.Run) {
	if err := r.Damage(); err != nil {
		fmt.Fprintf(w, "coil: %v\n", err)
	}
	if c, ok := r.Crash(); ok {
		fmt.Fprintf(w, "coil: the run %s\n", c)
	}
}

// trained says that a run has done all its steps or used its time, and how to give it more; "" if there is something left to do.
func trained(c config.Config, from run.Checkpoint, path string) string {
	r, err := run.View(path)
	if err != nil {
		return ""
	}
	h, _ := r.History() // garbled lines say nothing about it
	switch {
	case !h.Ended():
		return ""
	case from.Step >= c.Train.Steps:
		return fmt.Sprintf("all %d steps are done; for more of them:\n  coil resume %s --steps %d", c.Train.Steps, text.Path(path), 2*c.Train.Steps)
	case c.Train.Time > 0 && h.SecondsAt(from.Step) >= c.Train.Time:
		return fmt.Sprintf("all %g seconds of training are used; for more of them:\n  coil resume %s --train.time %g", c.Train.Time, text.Path(path), 2*c.Train.Time)
	}
	return ""
}
