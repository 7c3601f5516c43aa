package main

import (
	"fmt"
	"strings"

	"coil/config"
	"coil/encode"
	"coil/task"

	"github.com/spf13/cobra"
)

func newTask() *cobra.Command {
	var preset string
	var examples int
	var seed uint64
	var heldOut, asJSON bool
	cmd := &cobra.Command{
		Use:   "task [NAME]",
		Short: "Print examples of a task that a person can follow",
		Example: `  coil task p-hop
  coil task addition --examples 3 --task.addition.digits 2
  coil task i-gsm --held-out
  coil task p-hop --task.p-hop.sampler planted --task.p-hop.hops 8
  coil task --preset addition                    as a preset has it`,
		Long: "The tasks are " + strings.Join(config.TaskNames(), ", ") + ".",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("task takes one task, not %d arguments", len(args))}
			}
			return nil
		},
		ValidArgs: config.TaskNames(),
	}
	f := cmd.Flags()
	f.StringVar(&preset, "preset", config.DefaultPreset, "`name` of the preset whose task settings are used")
	f.IntVar(&examples, "examples", 1, "`number` of examples of each kind")
	f.Uint64Var(&seed, "seed", 1, "`seed` of the examples")
	f.BoolVar(&heldOut, "held-out", false, "held-out examples instead of training examples")
	f.BoolVar(&asJSON, "json", false, "print tokens and targets as JSON, an example a line")
	given := addKeys(cmd, func(key string) bool { return strings.HasPrefix(key, "task.") && key != "task.name" })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := config.Preset(preset)
		if err != nil {
			return usageError{err}
		}
		if err := apply(&c, *given); err != nil {
			return err
		}
		if len(args) == 1 {
			c.Task.Name = args[0]
		}
		t, err := c.Task.New()
		if err != nil {
			return usageError{err}
		}
		if examples < 1 {
			return usageError{fmt.Errorf("--examples %d: want at least 1", examples)}
		}
		return printExamples(cmd, t, seed, examples, heldOut, asJSON)
	}
	return cmd
}

// exampleJSON is a line of coil task --json.
type exampleJSON struct {
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
			if asJSON {
				line := exampleJSON{kind, task.Render(t, ex.Tokens), ex.Tokens, ex.Targets}
				if err := encode.Line(w, line); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(w, "%s · %s\n", t.Name(), kind)
			if err := t.Explain(w, ex); err != nil {
				return err
			}
			fmt.Fprintln(w)
		}
	}
	return nil
}
