package main

import (
	"fmt"
	"strconv"
	"strings"

	"coil/experiment"
	"coil/format"
	"coil/theory"

	"github.com/spf13/cobra"
)

// keepingFlags are the grid of coil theory NAME --train.
type keepingFlags struct {
	noise, rates, seeds string
	steps, batch        int
}

func (k *keepingFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&k.noise, "noise", "0,1e-3,1e-2", "with --train: standard `deviations` of the noise on all weights")
	f.StringVar(&k.rates, "rates", "1e-6,1e-5,1e-4,1e-3", "with --train: learning `rates`")
	f.StringVar(&k.seeds, "seeds", "1..2", "with --train: `seeds` of noise and data")
	f.IntVar(&k.steps, "steps", 200, "with --train: `number` of steps")
	f.IntVar(&k.batch, "batch", 16, "with --train: `number` of sequences in a step")
}

// check returns an error if flags contradict each other.
func (k *keepingFlags) check(cmd *cobra.Command, o theoryFlags) error {
	for _, name := range []string{"noise", "rates", "seeds", "steps", "batch"} {
		if !o.train && cmd.Flags().Changed(name) {
			return usageError{fmt.Errorf("--%s is for --train", name)}
		}
	}
	if o.train && (o.explain || o.picture != "" || o.save != "" || o.snap) {
		return usageError{fmt.Errorf("--train trains and keeps no run: give it without --explain, --picture, --save and --snap")}
	}
	if o.picture != "" && (o.explain || o.save != "" || o.asJSON) {
		return usageError{fmt.Errorf("--picture draws and does nothing else: give it without --explain, --save and --json")}
	}
	return nil
}

// keeping is the grid.
func (k *keepingFlags) keeping() (g experiment.Keeping, err error) {
	g.Steps, g.Batch = k.steps, k.batch
	for _, list := range []struct {
		name, text string
		into       *[]float64
	}{{"noise", k.noise, &g.Noise}, {"rates", k.rates, &g.Rates}} {
		for part := range strings.SplitSeq(list.text, ",") {
			v, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
			if err != nil {
				return g, usageError{fmt.Errorf("--%s %s: %q is not a number, want some with commas between them", list.name, list.text, part)}
			}
			*list.into = append(*list.into, v)
		}
	}
	if g.Seeds, err = parseSeeds(k.seeds); err != nil {
		return g, usageError{fmt.Errorf("--seeds: %w", err)}
	}
	if err := g.Check(); err != nil {
		return g, usageError{err}
	}
	return g, nil
}

// trainTheory trains from a construction's weights, and prints how well the models do afterwards.
func trainTheory(cmd *cobra.Command, c *theory.Construction, t *theory.Trainable, o theoryFlags) error {
	g, err := o.keeping.keeping()
	if err != nil {
		return err
	}
	b, err := o.backends.open(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer b.Close()
	all := len(g.Noise) * len(g.Rates) * len(g.Seeds)
	kept, err := g.Run(t, b, func(done int) {
		if !o.asJSON {
			fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d trainings\n", done, all)
		}
	})
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if o.asJSON {
		return writeJSON(w, struct {
			About string            `json:"about"`
			Steps int               `json:"steps"`
			Batch int               `json:"batch"`
			Kept  []experiment.Kept `json:"kept"`
		}{c.About, g.Steps, g.Batch, kept})
	}
	fmt.Fprintf(w, "%s: held-out accuracy after %s of AdamW, by noise and learning rate, mean of %s\n\n", c.About, format.Plural(g.Steps, "step"), format.Plural(len(g.Seeds), "seed"))
	head := []string{"noise", "before"}
	for _, rate := range g.Rates {
		head = append(head, strconv.FormatFloat(rate, 'g', -1, 64))
	}
	rows := [][]string{head}
	for i := range g.Noise {
		cells := kept[i*len(g.Rates):][:len(g.Rates)]
		row := []string{strconv.FormatFloat(cells[0].Noise, 'g', -1, 64), format.Percent(cells[0].Mean(true), 1)}
		for _, c := range cells {
			row = append(row, format.Percent(c.Mean(false), 1))
		}
		rows = append(rows, row)
	}
	_, err = fmt.Fprint(w, table(rows))
	return err
}
