package main

import (
	"fmt"
	"os"

	"coil/config"
	"coil/eval"
	"coil/format"
	"coil/run"
	"coil/text"
	"coil/theory"
	"coil/train"

	"github.com/spf13/cobra"
)

// saveTheory makes a run that has the weights of a construction: one step at a learning rate of 0, which leaves them as they are,
// and the evaluation that ends every run.
func saveTheory(cmd *cobra.Command, name string, t *theory.Trainable, o theoryFlags) error {
	c := config.Default()
	c.Model, c.Task = t.Config, t.Task
	c.Train.Steps, c.Train.Batch, c.Train.Report, c.Train.Seed = 1, 16, 1, o.seed
	c.Train.Rate, c.Train.Warmup, c.Train.Schedule = 0, 0, "constant"
	c.Evaluate.Every, c.Evaluate.Final = 0, 512
	if err := c.Check(); err != nil {
		return usageError{err}
	}
	b, err := o.backends.open(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer b.Close()
	var result *eval.Result
	tr, err := train.New(c, b, func(r train.Report) {
		if r.Result != nil {
			result = r.Result
		}
	})
	if err != nil {
		return err
	}
	defer tr.Close()
	if err := tr.BeginWith(t.Arena(tr.Model), "begins with the weights of coil theory "+name); err != nil {
		return err
	}
	first, err := tr.First()
	if err != nil {
		return err
	}
	info := run.Info{Args: os.Args, Seed: c.Train.Seed, Backend: b.Info().Name, Device: b.Info().Device, Variants: train.Variants(b.Info()),
		Parameters: int64(tr.Model.Size)}
	r, err := run.CreateAt(o.save, c.Encode(), info, first...)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := tr.Run(r, nil); err != nil {
		return err
	}
	if o.asJSON {
		return nil
	}
	w, m := cmd.OutOrStdout(), tr.Task.Metric()
	fmt.Fprintf(w, "\nrun   %s: %s, %s parameters, held-out %s %s on %s examples\n", text.Path(r.Path()), tr.Model.Architecture, format.Count(tr.Model.Size),
		m, m.Format(result.Value(m)), format.Count(result.Examples))
	fmt.Fprintf(w, "next  coil eval %s --loops 1..%d   %s after each loop\n", text.Path(r.Path()), 2*tr.Model.Architecture.Count(), tr.Task.Metric())
	return nil
}
