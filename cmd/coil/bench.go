package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"coil/backend/cpu"
	"coil/bench"
	"coil/config"
	"coil/format"
	"coil/machine"
	"coil/run"

	"github.com/spf13/cobra"
)

// benchParts are what coil bench can measure.
var benchParts = []string{"machine", "matmul", "operations", "steps", "cores"}

func newBench() *cobra.Command {
	var rounds, workers int
	var seconds float64
	var parts, compare []string
	var save string
	var shapes bool
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bench [PRESET|CONFIG.toml]...",
		Short: "Measure this machine, and how much of it training uses",
		Example: `  coil bench                               the default preset
  coil bench bench-a bench-a1              two configurations in turn
  coil bench my.toml --only steps --json
  coil bench --only matmul --shapes        matmuls of many sizes
  COIL_CPU=avx2 coil bench                 with other kernels
  coil bench --save old.json               keep the result
  coil bench --compare old.json            measure the same again, and compare
  coil bench --compare old.json,new.json   compare two results`,
		Long: "Measures the peak of multiply-adds and the memory's bandwidth; matmuls of the model's sizes in the layouts of the " +
			"forward pass (NN), the input's gradient (NT) and the weight's (TN); every operation of a training step, among them " +
			"the optimizer's; and whole steps. Counts how the work of a step spreads over up to 64 cores, which need not be there. All but that are measured in turn, round after round, each between two measurements of the peak, and reported as shares of " +
			"the mean of these two.\n\n" +
			fmt.Sprintf("A round is discarded if one of its peaks is below %.0f %% of the upper quartile of all peaks of the run, because others used the cores; more rounds replace it, up to %d times as many as --rounds. ",
				100*bench.Quiet, bench.MoreRounds) +
			fmt.Sprintf("Figures are medians of the rounds that are left, followed in brackets by the median's interval at 95 %% (order statistics), which needs %d rounds.\n\n", bench.FewestRounds) +
			"--compare gives the ratio of the new speed to the old one, each relative to the peak of the same instant, with its interval at 99 % (Hodges and Lehmann's " +
			"estimate, Mann and Whitney's test). A row is faster or slower if 1 is outside the interval; chance alone does that to one row in a " +
			"hundred. The interval knows only the noise between rounds: what shifts a whole run, such as where the system places its memory, needs several runs.",
	}
	f := cmd.Flags()
	f.IntVar(&rounds, "rounds", 15, "`number` of rounds")
	f.Float64Var(&seconds, "seconds", 0.3, "`seconds` that a step runs in a round")
	f.StringSliceVar(&parts, "only", benchParts, "`parts` to measure: "+strings.Join(benchParts, ", "))
	f.BoolVar(&shapes, "shapes", false, "matmuls of a fixed set of sizes instead of the model's")
	f.IntVar(&workers, "workers", 0, "`number` of cores; 0 is all")
	f.StringVar(&save, "save", "", "write the result to a `file`")
	f.StringSliceVar(&compare, "compare", nil, "compare with the result in a `file`; of two files, the second with the first")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagFilename("save", "json")
	cmd.MarkFlagFilename("compare", "json")
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return presetNames(), cobra.ShellCompDirectiveDefault
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if rounds < 1 || rounds > bench.MostRounds {
			return usageError{fmt.Errorf("--rounds %d: want 1 to %d", rounds, bench.MostRounds)}
		}
		if !(seconds > 0 && seconds < 1e4) {
			return usageError{fmt.Errorf("--seconds %g: want more than 0, and less than 10000", seconds)}
		}
		for _, p := range parts {
			if !slices.Contains(benchParts, p) {
				return usageError{fmt.Errorf("--only %s: want some of %s", p, strings.Join(benchParts, ", "))}
			}
		}
		if len(compare) > 2 {
			return usageError{fmt.Errorf("--compare: want one file or two, not %d", len(compare))}
		}
		var loaded []*bench.Result
		for _, path := range compare {
			r, err := bench.Load(path)
			if err != nil {
				return inputError{err}
			}
			loaded = append(loaded, r)
		}
		if len(loaded) == 2 {
			if len(args) > 0 || save != "" {
				return usageError{errors.New("--compare with two files measures nothing: give it without configurations and --save")}
			}
			return printComparison(cmd.OutOrStdout(), bench.Compare(loaded[0], loaded[1]), asJSON)
		}
		if len(loaded) == 1 { // what is not said is as it was
			if len(args) == 0 {
				args = loaded[0].Configurations
			}
			if !f.Changed("only") {
				parts = loaded[0].Parts
			}
			if !f.Changed("shapes") {
				shapes = loaded[0].FixedShapes
			}
		}
		if len(args) == 0 {
			args = []string{config.DefaultPreset}
		}
		b, err := cpu.New(cpu.Options{Workers: workers})
		if err != nil {
			return usageError{err}
		}
		defer b.Close()
		var subjects []*bench.Subject
		defer func() {
			for _, s := range subjects {
				s.Close()
			}
		}()
		for _, name := range args {
			c, err := benchConfiguration(name)
			if err != nil {
				return err
			}
			s, err := bench.NewSubject(name, c, b)
			if err != nil {
				return err
			}
			subjects = append(subjects, s)
		}
		d := time.Duration(seconds * float64(time.Second))
		r := &bench.Result{Parts: parts, Configurations: args, FixedShapes: shapes}
		if err := measure(cmd.ErrOrStderr(), bench.NewMeter(b), subjects, r, rounds, d); err != nil {
			return err
		}
		if save != "" {
			if err := r.Save(save); err != nil {
				return err
			}
		}
		w := cmd.OutOrStdout()
		if len(loaded) == 0 {
			if asJSON {
				return writeJSON(w, r)
			}
			printMeasurements(w, r)
			return nil
		}
		if !asJSON {
			printMeasurements(w, r)
		}
		return printComparison(w, bench.Compare(loaded[0], r), asJSON)
	}
	return cmd
}

// benchConfiguration is a preset's or a file's configuration.
func benchConfiguration(name string) (config.Config, error) {
	var preset string
	var args []string
	if _, ok := config.Presets()[name]; ok {
		preset = name
	} else {
		args = []string{name}
	}
	c, _, lines, err := configuration(preset, args)
	if err != nil {
		return c, err
	}
	_, made := c.Task.New()
	if err := lines.Locate(c.CheckMade(made)); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// measure fills the result.
func measure(progress io.Writer, m *bench.Meter, subjects []*bench.Subject, r *bench.Result, rounds int, d time.Duration) error {
	say := func(what string) { fmt.Fprintf(progress, "measuring %s\n", what) }
	wanted := func(part string) bool { return slices.Contains(r.Parts, part) }
	var err error
	if wanted("steps") { // first, so that the peak of resident memory is that of training
		say("steps")
		if r.Steps, err = m.Steps(subjects, rounds, d); err != nil {
			return err
		}
		now := machine.Read()
		r.Resident, r.Files = now.Peak, now.Files
	}
	if wanted("machine") {
		say("the machine")
		x, err := m.Machine(rounds, d/2)
		if err != nil {
			return err
		}
		r.Machine = &x
	}
	matmuls := func(name string, shapes []bench.Shape) error {
		say("matmuls of " + name)
		x, err := m.Matmuls(name, shapes, rounds, d/6)
		r.Matmuls = append(r.Matmuls, x)
		return err
	}
	switch {
	case !wanted("matmul"):
	case r.FixedShapes:
		if err := matmuls("matmul", bench.Shapes); err != nil {
			return err
		}
	default:
		for _, s := range subjects {
			if err := matmuls(s.Name, bench.ShapesOf(s)); err != nil {
				return err
			}
		}
	}
	if wanted("operations") {
		for _, s := range subjects {
			say("operations of " + s.Name)
			x, err := m.Operations(s, rounds, d)
			if err != nil {
				return err
			}
			r.Operations = append(r.Operations, x)
		}
	}
	if wanted("cores") {
		for _, s := range subjects {
			x, err := bench.CoresOf(s)
			if err != nil {
				return err
			}
			r.Cores = append(r.Cores, x)
		}
	}
	m.Finish(r)
	return nil
}

// dashed writes a number, or a dash where no quiet round is left.
func dashed(x float64, write func(float64) string) string {
	if math.IsNaN(x) {
		return "-"
	}
	return write(x)
}

// withInterval writes a figure and the interval of its median, if there is one.
func withInterval(f *bench.Figure, value, bound func(float64) string) string {
	switch {
	case f == nil:
		return "-"
	case f.Interval == nil:
		return value(f.Median)
	}
	return fmt.Sprintf("%s (%s-%s)", value(f.Median), bound(f.Interval[0]), bound(f.Interval[1]))
}

func share(f *bench.Figure) string {
	return withInterval(f, func(x float64) string { return format.Percent(x, 0) }, func(x float64) string { return format.Points(x, 0) })
}

func perSecond(f *bench.Figure, unit string) string {
	return withInterval(f, func(x float64) string { return format.SI(x, unit) }, func(x float64) string { return format.SI(x, "") })
}

func milliseconds(f *bench.Figure) string {
	ms := func(x float64) string { return format.Fixed(1e3*x, 2) }
	return withInterval(f, ms, ms)
}

func ofTime(x run.Number) string {
	return dashed(float64(x), func(x float64) string { return format.Percent(x, 1) })
}

func printMeasurements(w io.Writer, r *bench.Result) {
	fmt.Fprintf(w, "\n%s · %s kernels · %s\n", r.Device, r.Kernels, format.Plural(r.Workers, "worker"))
	if x := r.Machine; x != nil {
		fmt.Fprintf(w, "multiply-adds from registers  %s\n", perSecond(x.FLOPs, "FLOP/s"))
		fmt.Fprintf(w, "memory, a + b                 %s, %s FLOP a byte\n", perSecond(x.Bandwidth, "B/s"),
			dashed(float64(x.Balance), func(x float64) string { return format.Fixed(x, 0) }))
	}
	for _, set := range r.Matmuls {
		rows := [][]string{{set.Name, "NN", "NT", "TN"}}
		for _, x := range set.Shapes {
			rows = append(rows, []string{x.String(), share(x.NN.Share), share(x.NT.Share), share(x.TN.Share)})
		}
		mean := func(x run.Number) string {
			return dashed(float64(x), func(x float64) string { return format.Percent(x, 0) })
		}
		rows = append(rows, []string{"geometric mean", mean(set.NN), mean(set.NT), mean(set.TN)})
		fmt.Fprintf(w, "\nMatmuls, share of the peak (tokens × inputs × outputs)\n%s", table(rows))
	}
	for _, set := range r.Operations {
		rows := [][]string{{set.Name, "calls", "ms", "of time", "of peak"}}
		for _, o := range set.Ops {
			if o.Share < bench.SmallShare {
				continue
			}
			peak := ""
			if o.Peak != nil {
				peak = share(o.Peak)
			}
			rows = append(rows, []string{o.Name, fmt.Sprint(o.Calls), milliseconds(o.Seconds), ofTime(o.Share), peak})
		}
		fmt.Fprintf(w, "\nOperations of a training step, on all workers together\n%s", table(rows))
		fmt.Fprintf(w, "the update of the weights (%s) takes %s ms, %s of the time\n", set.Optimizer, milliseconds(set.Update), ofTime(set.Share))
	}
	if len(r.Steps) > 0 {
		rows := [][]string{{"step", "model", "ms", "tokens/s", "FLOP/s", "of peak", "memory"}}
		si := func(x float64) string { return format.SI(x, "") }
		for _, s := range r.Steps {
			rows = append(rows, []string{s.Name, s.Model, dashed(1e3*s.Seconds.Value(), func(x float64) string { return format.Fixed(x, 1) }),
				dashed(s.Rate.Value(), si), dashed(s.Speed.Value(), si), share(s.Share), format.Bytes(s.Memory)})
		}
		fmt.Fprintf(w, "\nWhole training steps\n%s", table(rows))
		if r.Resident > 0 {
			fmt.Fprintf(w, "peak resident memory of this process: %s", format.Bytes(r.Resident))
			if r.Files > 0 {
				fmt.Fprintf(w, ", including %s of the program's file", format.Bytes(r.Files))
			}
			fmt.Fprintln(w)
		}
	}
	for _, x := range r.Cores {
		rows := [][]string{{x.Name, "lanes", "workers a lane", "shared work", "barriers", "balance", "speed-up", "memory"}}
		for _, c := range x.Counts {
			rows = append(rows, []string{format.Plural(c.Workers, "worker"), fmt.Sprint(c.Lanes), fmt.Sprint(c.Team), format.Percent(c.Shared, 0), fmt.Sprint(c.Barriers),
				format.Percent(c.Balance, 0), format.Fixed(c.Balance*float64(c.Workers), 1), format.Bytes(c.Memory)})
		}
		fmt.Fprintf(w, "\nCores that a training step could use, counted, not measured (%s of sequences)\n%s", format.Plural(x.Groups, "group"), table(rows))
	}
	printNoise(w, r)
}

// printNoise says which rounds were discarded, and what is left with too few.
func printNoise(w io.Writer, r *bench.Result) {
	discarded, all := 0, 0
	var few []string
	for _, c := range r.Counts() {
		discarded += c.Discarded
		all += c.Discarded + c.Quiet
		if c.Quiet < bench.FewestRounds {
			few = append(few, fmt.Sprintf("  %s: %d of %d", c.Name, c.Quiet, c.Quiet+c.Discarded))
		}
	}
	if all == 0 {
		return
	}
	fmt.Fprintf(w, "\n%d of %s discarded, in which the peak fell below %.0f %% of its upper quartile, %s\n", discarded, format.Plural(all, "round"), 100*bench.Quiet, format.SI(r.Peak, "FLOP/s"))
	if len(few) > 0 {
		fmt.Fprintf(w, "fewer than %d quiet rounds, so that there is no interval; measure again with more --rounds, or when nobody else uses the cores:\n%s\n",
			bench.FewestRounds, strings.Join(few, "\n"))
	}
}

func printComparison(w io.Writer, c bench.Comparison, asJSON bool) error {
	if asJSON {
		return writeJSON(w, c)
	}
	if len(c.Other) > 0 {
		fmt.Fprintf(w, "\nthe results differ in %s: what is compared is how much of its own peak each machine reaches, not time\n", strings.Join(c.Other, " and "))
	}
	show := func(d bench.Difference, f *bench.Figure) string {
		return dashed(f.Value(), func(x float64) string {
			switch d.Unit {
			case bench.ShareOfPeak:
				return format.Percent(x, 1)
			case bench.PerSecond:
				return format.SI(x, "")
			}
			return format.Fixed(1e3*x, 2) + " ms"
		})
	}
	set := ""
	var rows [][]string
	for _, d := range c.Rows {
		if d.Set != set {
			set = d.Set
			rows = append(rows, []string{set, "old", "new", "speed", "at 99 %", ""})
		}
		line := []string{"  " + d.Row, show(d, d.Old), show(d, d.New), "", "", string(d.Verdict)}
		if s := d.Speed; s != nil {
			line[3], line[4] = format.Fixed(s.Estimate, 3), format.Fixed(s.Low, 3)+"-"+format.Fixed(s.High, 3)
		}
		rows = append(rows, line)
	}
	fmt.Fprintf(w, "\nThe new result compared with the old one, relative to the peak\n%s", table(rows))
	for _, a := range c.Absent {
		fmt.Fprintf(w, "not compared: %s\n", a)
	}
	return nil
}
