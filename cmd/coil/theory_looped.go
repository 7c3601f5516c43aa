package main

import (
	"fmt"
	"strconv"
	"strings"

	"coil/config"
	"coil/task"
	"coil/theory"

	"github.com/spf13/cobra"
)

func newTheoryLooped() (*cobra.Command, builder) {
	cmd := &cobra.Command{
		Use:   "looped",
		Short: "Any layers on any schedule as one looped layer",
		Example: `  coil theory looped
  coil theory looped --layers 3 --schedule 0,2,1,1,0 --explain
  coil theory looped --layers 24 --depth 24 --width 32
  coil theory looped --run latest             the layers of a trained model
  coil theory looped --save looped            a run with the weights, for coil eval and coil lens`,
		Long: "Compiles R random layers, which run in the order of a schedule, into one layer that runs once for each entry of the schedule. A few numbers of the " +
			"state say which layer is next. The outputs are equal to the last bit.\n\n" +
			"--run compiles the layers of a trained model, on held-out examples of its task. The model must have at least two layers and the architecture of the proofs: " +
			"model.norm = none, model.activation = relu, and model.positions = learned or none.\n\n" +
			"--save makes a run with the compiled layer and a token # in front of each sequence, on the task of the trained model, or else on the task teacher: the targets are what " +
			"the layers themselves say.",
	}
	var c theory.LoopedConfig
	var schedule string
	var depth int
	f := cmd.Flags()
	f.IntVar(&c.Layers, "layers", 3, "`number` of layers R")
	f.IntVar(&depth, "depth", 8, "`length` L of a random schedule")
	f.StringVar(&schedule, "schedule", "", "the `layers` in their order, from 0: 0,2,1,1")
	shapeFlags(cmd, &c.Shape, &c.Scale)
	f.IntVar(&c.Vocabulary, "vocabulary", 8, "`number` of tokens that it reads")
	f.IntVar(&c.Length, "length", 16, "`number` of positions n")
	var of string
	from := measureFlags{batch: 1}
	f.StringVar(&of, "run", "", "compile the layers of this `run`")
	f.StringVar(&from.root, "runs", defaultRoot, "`folder` of the runs")
	f.IntVar(&from.step, "step", -1, "`step` of the run's checkpoint; by default, the newest")
	cmd.RegisterFlagCompletionFunc("run", completeRuns)
	return finish(cmd, func(o theoryFlags) (*theory.Construction, error) {
		if of != "" {
			for _, name := range []string{"layers", "depth", "schedule", "width", "heads", "head-width", "hidden", "scale", "vocabulary", "length"} {
				if cmd.Flags().Changed(name) {
					return nil, usageError{fmt.Errorf("--run and --%s: the sizes are those of the run", name)}
				}
			}
			from.examples, from.seed = o.examples, o.seed
			return loopTrained(cmd, &from, of)
		}
		if cmd.Flags().Changed("step") {
			return nil, usageError{fmt.Errorf("--step is for --run")}
		}
		c := c
		c.Examples, c.Seed, c.Scale = o.examples, o.seed, scaleOf(c.Scale, c.Shape)
		if err := c.Shape.Check(); err != nil {
			return nil, usageError{err}
		}
		switch {
		case schedule != "" && cmd.Flags().Changed("depth"):
			return nil, usageError{fmt.Errorf("--depth and --schedule: the length of a schedule is its depth; give one of them")}
		case schedule != "":
			for entry := range strings.SplitSeq(schedule, ",") {
				r, err := strconv.Atoi(strings.TrimSpace(entry))
				if err != nil {
					return nil, usageError{fmt.Errorf("--schedule %s: %q is not a layer, want numbers from 0 to %d with commas between them", schedule, entry, c.Layers-1)}
				}
				c.Schedule = append(c.Schedule, r)
			}
		case depth < 1 || depth > theory.MaxDepth:
			return nil, usageError{fmt.Errorf("--depth is %d, want 1 to %d", depth, theory.MaxDepth)}
		default:
			c.Schedule = theory.RandomSchedule(c.Layers, depth, o.seed)
		}
		return asUsage(theory.NewLooped(c))
	})
}

// loopTrained compiles the layers of a run's model, on held-out examples.
func loopTrained(cmd *cobra.Command, o *measureFlags, name string) (c *theory.Construction, err error) {
	o.backends.name = "cpu" // it only reads the weights
	var of task.Config
	err = o.with(cmd, name, func(c config.Config) error { of = c.Task; return nil }, func(m *trainedModel) error {
		arena := make([]float32, m.Model.Size)
		if err := m.Weights.Read(0, arena); err != nil {
			return err
		}
		var sequences [][]int32
		sampler, ex := m.Task.NewSampler(), task.NewExample(m.Task)
		for i := range o.examples {
			sampler.Sample(o.seed, uint64(i), task.HeldOut, &ex)
			sequences = append(sequences, append([]int32{}, ex.Tokens...))
		}
		if c, err = theory.NewLoopedModel(m.Model, arena, of, sequences); err != nil {
			return inputError{err}
		}
		return nil
	})
	return c, err
}
