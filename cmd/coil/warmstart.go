package main

import (
	"fmt"
	"io"
	"strings"

	"coil/config"
	"coil/config/schema"
	"coil/loop"
	"coil/run"
	"coil/train"

	"github.com/spf13/cobra"
)

// originHelp is the part of train's help about warmStartFlags.
const warmStartHelp = `

With --from, a run starts with the weights of another (those that evaluation uses) and a fresh optimizer. Without a preset or
file, it also uses the other run's configuration. The model must be the same, except that the loops of its blocks may differ, and
that it may have more layers, which --grow makes from the existing ones:

  middle  the middle block of --grow-block layers again, behind itself (MidAS, arXiv 2409.19044)
  last    the last block again (gradual stacking)
  whole   all layers again (progressive stacking)
  unroll  a layer for each that runs: k⊗L becomes k·L⊗1, which computes the same

The run's checkpoint of step 0 has the first weights, run.json says where they came from, and coil resume does not need the
other run.`

// warmStartFlags name the run whose weights another run starts with.
type warmStartFlags struct {
	from   string
	step   int
	growth loop.Growth
}

func (o *warmStartFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "start with the weights of this `run`")
	f.IntVar(&o.step, "from-step", -1, "`step` of its checkpoint; by default, the newest")
	f.StringVar(&o.growth.Method, "grow", "", "`method` that makes new layers from its layers: "+strings.Join(loop.Methods(), ", "))
	f.IntVar(&o.growth.Block, "grow-block", 0, "`number` of layers that middle and last add at a time; by default, 1")
	cmd.RegisterFlagCompletionFunc("from", completeRuns)
	cmd.RegisterFlagCompletionFunc("grow", cobra.FixedCompletions(loop.Methods(), cobra.ShellCompDirectiveNoFileComp))
}

// warmStart is a checkpoint to start from.
type warmStart struct {
	run        *run.Run
	checkpoint run.Checkpoint
	growth     loop.Growth
}

// find finds the checkpoint that the flags name, nil if they name none.
func (o *warmStartFlags) find(w io.Writer, root string) (*warmStart, error) {
	if o.from == "" {
		switch {
		case o.step >= 0:
			return nil, usageError{fmt.Errorf("--from-step %d needs --from: the run whose checkpoint it is", o.step)}
		case o.growth != loop.Growth{}:
			return nil, usageError{fmt.Errorf("--grow and --grow-block need --from: the run whose layers are to grow")}
		}
		return nil, nil
	}
	if err := o.growth.Check(); err != nil {
		return nil, err
	}
	path, err := run.Resolve(root, o.from)
	if err != nil {
		return nil, inputError{fmt.Errorf("--from: %w", err)}
	}
	r, err := run.View(path)
	if err != nil {
		return nil, err
	}
	_, c, err := trainedConfig(w, r, o.step)
	return &warmStart{r, c, o.growth}, err
}

// configuration reads the configuration that the command line names, or else that of the run.
func (o *warmStart) configuration(preset string, args []string) (config.Config, string, *schema.Lines, error) {
	if o == nil || preset != "" || len(args) > 0 {
		return configuration(preset, args)
	}
	c, err := configOf(o.run)
	return c, configPath(o.run.Path()), nil, err
}

// begin gives the trainer the checkpoint's weights, if there is one.
func (o *warmStart) begin(t *train.Trainer) error {
	if o == nil {
		return nil
	}
	return t.Begin(o.checkpoint, o.growth)
}
