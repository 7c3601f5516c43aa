package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"coil/config"
	"coil/encode"
	"coil/run"
	"coil/task"
	"coil/train"

	"github.com/spf13/cobra"
)

func newTask() *cobra.Command {
	var preset, root, of string
	var examples int
	var seed uint64
	var heldOut, training, asJSON bool
	var step int
	cmd := &cobra.Command{
		Use:   "task [NAME]",
		Short: "Print examples of a task that a person can follow",
		Example: `  coil task p-hop
  coil task addition --examples 3 --task.addition.digits 2
  coil task i-gsm --held-out
  coil task p-hop --task.p-hop.sampler planted --task.p-hop.hops 8
  coil task --preset addition                    with the settings of a preset
  coil task --train --step 3 --json              the third batch that coil train sees
  coil task --train --run latest --json          the first batch of a run`,
		Long: "The tasks are " + strings.Join(task.Names(), ", ") + ".",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("task takes one task, not %d arguments", len(args))}
			}
			return nil
		},
		ValidArgs: task.Names(),
	}
	f := cmd.Flags()
	f.StringVar(&preset, "preset", config.DefaultPreset, "`name` of the preset whose settings are used")
	f.StringVar(&of, "run", "", "use the settings and the seed of this `run`")
	f.StringVar(&root, "runs", defaultRoot, "`folder` of the runs")
	f.IntVar(&examples, "examples", 1, "`number` of examples of each kind")
	f.Uint64Var(&seed, "seed", 1, "`seed` of the examples; with --run, by default that of the run")
	f.BoolVar(&heldOut, "held-out", false, "held-out examples instead of training examples")
	f.BoolVar(&training, "train", false, "the batch of a training step, sequence by sequence, exactly as a run with these settings and seed sees it")
	f.IntVar(&step, "step", 1, "`number` of the step, for --train; the first is 1")
	f.BoolVar(&asJSON, "json", false, "print tokens and targets as JSON, one example a line")
	given := addKeys(cmd, func(key string) bool {
		return strings.HasPrefix(key, "task.") && key != "task.name" || key == "train.batch"
	})
	cmd.RegisterFlagCompletionFunc("run", completeRuns)
	cmd.RegisterFlagCompletionFunc("preset", cobra.FixedCompletions(presetNames(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := config.Preset(preset)
		if err != nil {
			return usageError{err}
		}
		if of != "" {
			if cmd.Flags().Changed("preset") {
				return usageError{errors.New("--run and --preset: both give the settings; use one of them")}
			}
			if c, err = runConfig(root, of); err != nil {
				return err
			}
			if !cmd.Flags().Changed("seed") {
				seed = c.Train.Seed
			}
		}
		if err := apply(&c, *given); err != nil {
			return err
		}
		if len(args) == 1 {
			c.Task.Name = task.Name(args[0])
		}
		t, err := c.Task.New()
		if err != nil {
			return usageError{err}
		}
		if err := task.Prepare(t, nil); err != nil {
			return inputError{err}
		}
		if training {
			for _, other := range []string{"held-out", "examples"} {
				if cmd.Flags().Changed(other) {
					return usageError{fmt.Errorf("--train and --%s: a batch is %d training examples", other, c.Train.Batch)}
				}
			}
			if step < 1 {
				return usageError{fmt.Errorf("--step is %d, want at least 1", step)}
			}
			return printBatch(cmd, t, c.Train, seed, step, asJSON)
		}
		if cmd.Flags().Changed("step") {
			return usageError{errors.New("--step is for --train")}
		}
		if examples < 1 {
			return usageError{fmt.Errorf("--examples %d: want at least 1", examples)}
		}
		return printExamples(cmd, t, seed, examples, heldOut, asJSON)
	}
	return cmd
}

// runConfig is the configuration of a run that is named.
func runConfig(root, name string) (config.Config, error) {
	path, err := run.Resolve(root, name)
	if err != nil {
		return config.Config{}, inputError{err}
	}
	r, err := run.View(path)
	if err != nil {
		return config.Config{}, err
	}
	return configOf(r)
}

// printBatch prints the examples of a training step in their order.
func printBatch(cmd *cobra.Command, t task.Task, o config.Train, seed uint64, step int, asJSON bool) error {
	for i, ex := range train.Batch(t, o.Batch, seed, step-1) {
		if err := printExample(cmd.OutOrStdout(), t, t.Kinds()[ex.Kind], i, ex, asJSON); err != nil {
			return err
		}
	}
	return nil
}

// printExample prints one example; number is its place among those of its kind, or in its batch.
func printExample(w io.Writer, t task.Task, kind string, number int, ex task.Example, asJSON bool) error {
	if asJSON {
		return encode.Line(w, exampleJSON{number, kind, task.Render(t, ex.Tokens), ex.Tokens, ex.Targets})
	}
	fmt.Fprintf(w, "%s · %s\n", t.Name(), kind)
	if err := t.Explain(w, ex); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// exampleJSON is a line of coil task --json.
type exampleJSON struct {
	Index   int     `json:"index"` // of the kind; with --train, of the batch
	Kind    string  `json:"kind"`
	Text    string  `json:"text"`
	Tokens  []int32 `json:"tokens"`
	Targets []int32 `json:"targets"`
}

func printExamples(cmd *cobra.Command, t task.Task, seed uint64, examples int, heldOut, asJSON bool) error {
	split := task.Train
	if heldOut {
		split = task.HeldOut
	}
	w := cmd.OutOrStdout()
	s, ex := t.NewSampler(), task.NewExample(t)
	for k, kind := range t.Kinds() {
		for i := range examples {
			s.SampleKind(seed, uint64(i), split, k, &ex)
			if err := printExample(w, t, kind, i, ex, asJSON); err != nil {
				return err
			}
		}
	}
	return nil
}
