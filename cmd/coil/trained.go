package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"coil/backend"
	"coil/config"
	"coil/eval"
	"coil/format"
	"coil/metric"
	"coil/run"
	"coil/task"
	"coil/train"

	"github.com/spf13/cobra"
)

// measureFlags say which weights of a run are measured, with which held-out examples, and where.
type measureFlags struct {
	root                  string
	step, examples, batch int
	seed                  uint64
	asJSON                bool
	backends              backendFlags
}

// addRuns adds the flag that stands before a command's own.
func (o *measureFlags) addRuns(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&o.root, "runs", defaultRoot, "`folder` of the runs")
	cmd.ValidArgsFunction = completeRuns
}

// addExamples adds the flags that stand behind a command's own, with its defaults.
func (o *measureFlags) addExamples(cmd *cobra.Command, examples, batch int) {
	f := cmd.Flags()
	f.IntVar(&o.step, "step", -1, "`step` of the checkpoint; by default, the newest")
	f.IntVar(&o.examples, "examples", examples, "`number` of examples of each kind")
	f.Uint64Var(&o.seed, "seed", train.HeldOutSeed, "`seed` of the examples")
	f.IntVar(&o.batch, "batch", batch, "`number` of examples at a time")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	o.backends.add(cmd)
}

// trainedModel is a model of a run, ready to be measured.
type trainedModel struct {
	eval.Trained
	run        *run.Run
	checkpoint run.Checkpoint
	batch      int
	stop       *interrupt
}

// with opens the model that the flags name, and calls f with it. check, if not nil, looks at its
// configuration first. Ctrl-C ends what f
// does with eval.ErrStopped.
func (o *measureFlags) with(cmd *cobra.Command, name string, check func(config.Config) error, f func(m *trainedModel) error) error {
	if o.examples < 1 || o.batch < 1 {
		return usageError{fmt.Errorf("--examples %d and --batch %d: both must be at least 1", o.examples, o.batch)}
	}
	path, err := run.Resolve(o.root, name)
	if err != nil {
		return inputError{err}
	}
	r, err := run.View(path)
	if err != nil {
		return err
	}
	c, checkpoint, err := trainedConfig(cmd.ErrOrStderr(), r, o.step)
	if err != nil {
		return err
	}
	if check != nil {
		if err := check(c); err != nil {
			return err
		}
	}
	b, err := o.backends.open(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer b.Close()
	m := &trainedModel{run: r, checkpoint: checkpoint, batch: min(o.batch, o.examples)}
	if m.Trained, err = train.Load(b, c, checkpoint); err != nil {
		return adviseModel(err, r)
	}
	defer m.Weights.Free()
	m.stop = watchSignals(cmd.ErrOrStderr(), "stopping", "a second Ctrl-C leaves at once")
	defer m.stop.end()
	switch err := f(m); {
	case errors.Is(err, backend.ErrMemory):
		return fmt.Errorf("%w; try a smaller --batch or fewer --loops", err)
	case errors.Is(err, eval.ErrStopped):
		return m.stop.err()
	default:
		return err
	}
}

// subject says what was measured, in the JSON of coil eval and coil lens.
type subject struct {
	Run    string        `json:"run"`
	Step   int           `json:"step"`
	Model  string        `json:"model"`
	Task   string        `json:"task"`
	Metric metric.Metric `json:"metric"`
}

func (m *trainedModel) subject() subject {
	return subject{m.run.Path(), m.checkpoint.Step, m.Model.Architecture.String(), m.Task.Name(), m.Task.Metric()}
}

// printTitle prints what is measured.
func (m *trainedModel) printTitle(w io.Writer, split task.Split, examples int) {
	which := "held-out"
	if split == task.Train {
		which = "training"
	}
	fmt.Fprintf(w, "%s · %s · %s · step %d · %s %s examples\n", filepath.Base(m.run.Path()), m.Model.Architecture, m.Task.Name(), m.checkpoint.Step,
		format.Count(task.Limit(m.Task, split, examples)*len(m.Task.Kinds())), which)
}

// trainedConfig returns the configuration of a run and its checkpoint of a step, or the newest if step is negative. They agree: with
// a changed configuration, coil would measure another model than was trained.
func trainedConfig(w io.Writer, r *run.Run, step int) (c config.Config, from run.Checkpoint, err error) {
	warnOf(w, r)
	if c, err = configOf(r); err != nil {
		return c, from, err
	}
	if from, err = checkpointOf(r, step); err != nil {
		return c, from, err
	}
	if err := train.Agrees(&c, from); err != nil {
		return c, from, adviseModel(err, r)
	}
	if edited, err := r.Edited(); err == nil && edited {
		fmt.Fprintf(w, "coil: %s was changed after coil wrote it; the model and its task are those of the checkpoint\n", configPath(r.Path()))
	}
	return c, from, nil
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

// checkpointOf returns the checkpoint of a step, or the newest if step is negative.
func checkpointOf(r *run.Run, step int) (run.Checkpoint, error) {
	if step < 0 {
		return r.Latest()
	}
	c, err := r.Checkpoint(step)
	if err != nil {
		err = usageError{err} // exitCode treats a damaged one differently
	}
	return c, err
}

// adviseModel adds what to do about a checkpoint that does not fit the run's configuration.
func adviseModel(err error, r *run.Run) error {
	if !errors.Is(err, train.ErrOtherModel) {
		return err
	}
	return fmt.Errorf("%w; undo the changes in %s", err, configPath(r.Path()))
}
