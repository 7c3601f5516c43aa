package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"coil/backend/cpu"
	"coil/bench"
	"coil/config"
	"coil/format"
	"coil/machine"

	"github.com/spf13/cobra"
)

// benchParts are what coil bench can measure.
var benchParts = []string{"machine", "matmul", "operations", "steps"}

func newBench() *cobra.Command {
	var rounds, workers int
	var seconds float64
	var parts []string
	var shapes bool
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bench [PRESET|CONFIG.toml]...",
		Short: "Measure this machine, and how much of it training uses",
		Example: `  coil bench                               the default preset
  coil bench bench-a bench-a1              two configurations in turn
  coil bench my.toml --only steps --json
  coil bench --only matmul --shapes        matmuls of many sizes
  COIL_CPU=avx2 coil bench                 with other kernels`,
		Long: "Measures the peak of multiply-adds and the memory's bandwidth; matmuls of the model's sizes in the layouts of the\n" +
			"forward pass (NN), the input's gradient (NT) and the weight's (TN); every operation of a training step; and whole\n" +
			"steps. They are measured in turn, round after round, together with the peak, and reported as shares of that peak.\n" +
			"Figures are medians, followed by the least and the greatest of the rounds in brackets.",
	}
	f := cmd.Flags()
	f.IntVar(&rounds, "rounds", 5, "`number` of rounds")
	f.Float64Var(&seconds, "seconds", 1, "`seconds` that a step runs in a round")
	f.StringSliceVar(&parts, "only", benchParts, "`parts` to measure: "+strings.Join(benchParts, ", "))
	f.BoolVar(&shapes, "shapes", false, "matmuls of a fixed set of sizes instead of the model's")
	f.IntVar(&workers, "workers", 0, "`number` of cores; 0 is all")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return presetNames(), cobra.ShellCompDirectiveDefault
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if rounds < 1 || !(seconds > 0 && seconds < 1e4) {
			return usageError{fmt.Errorf("--rounds %d and --seconds %g: both must be positive", rounds, seconds)}
		}
		for _, p := range parts {
			if !slices.Contains(benchParts, p) {
				return usageError{fmt.Errorf("--only %s: want some of %s", p, strings.Join(benchParts, ", "))}
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
		m, err := measure(cmd.ErrOrStderr(), b, subjects, parts, rounds, d, shapes)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(cmd.OutOrStdout(), m)
		}
		printMeasurements(cmd.OutOrStdout(), m)
		return nil
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

// measurements is the result of coil bench as JSON.
type measurements struct {
	Rounds     int               `json:"rounds"`
	Machine    *bench.Machine    `json:"machine,omitempty"`
	Matmuls    []benchMatmuls    `json:"matmuls,omitempty"`
	Operations []benchOperations `json:"operations,omitempty"`
	Steps      []bench.Step      `json:"steps,omitempty"`
	Resident   int64             `json:"peak_resident_bytes"` // of this process, all configurations together
}

type benchMatmuls struct {
	Name   string         `json:"name"`
	Shapes []bench.Matmul `json:"shapes"`
	NN     float64        `json:"nn"` // geometric means of the shares
	NT     float64        `json:"nt"`
	TN     float64        `json:"tn"`
}

type benchOperations struct {
	Name string            `json:"name"`
	Ops  []bench.Operation `json:"operations"`
}

func measure(progress io.Writer, b *cpu.CPU, subjects []*bench.Subject, parts []string, rounds int, d time.Duration, fixed bool) (*measurements, error) {
	m := &measurements{Rounds: rounds}
	say := func(what string) { fmt.Fprintf(progress, "measuring %s\n", what) }
	wanted := func(part string) bool { return slices.Contains(parts, part) }
	var err error
	if wanted("steps") { // first, so that the peak of resident memory is that of training
		say("steps")
		if m.Steps, err = bench.MeasureSteps(b, subjects, rounds, d); err != nil {
			return nil, err
		}
		m.Resident = machine.Read().Peak
	}
	if wanted("machine") {
		say("the machine")
		machine := bench.MeasureMachine(b, rounds)
		m.Machine = &machine
	}
	if wanted("matmul") {
		sets := []benchMatmuls{}
		if fixed {
			sets = append(sets, benchMatmuls{Name: "matmul"})
		} else {
			for _, s := range subjects {
				sets = append(sets, benchMatmuls{Name: s.Name})
			}
		}
		for i := range sets {
			say("matmuls of " + sets[i].Name)
			shapes := bench.Shapes
			if !fixed {
				shapes = bench.ShapesOf(subjects[i])
			}
			if sets[i].Shapes, err = bench.MeasureMatmuls(b, shapes, rounds, d/20); err != nil {
				return nil, err
			}
			sets[i].NN, sets[i].NT, sets[i].TN = bench.Mean(sets[i].Shapes)
		}
		m.Matmuls = sets
	}
	if wanted("operations") {
		for _, s := range subjects {
			say("operations of " + s.Name)
			ops, err := bench.MeasureOperations(b, s, rounds, d)
			if err != nil {
				return nil, err
			}
			m.Operations = append(m.Operations, benchOperations{s.Name, ops})
		}
	}
	return m, nil
}

func printMeasurements(w io.Writer, m *measurements) {
	share := func(s bench.Spread) string {
		return fmt.Sprintf("%s (%s-%s)", format.Percent(s.Median, 0), format.Points(s.Least, 0), format.Points(s.Most, 0))
	}
	if x := m.Machine; x != nil {
		fmt.Fprintf(w, "\n%s · %s kernels · %s\n", x.Device, x.Kernels, format.Plural(x.Workers, "worker"))
		fmt.Fprintf(w, "multiply-adds from registers  %s (%s - %s)\n", format.SI(x.FLOPs.Median, "FLOP/s"), format.SI(x.FLOPs.Least, ""), format.SI(x.FLOPs.Most, ""))
		fmt.Fprintf(w, "memory, a + b                 %s (%s - %s), %.0f FLOP a byte\n", format.SI(x.Bandwidth.Median, "B/s"), format.SI(x.Bandwidth.Least, ""),
			format.SI(x.Bandwidth.Most, ""), x.Balance)
	}
	for _, set := range m.Matmuls {
		rows := [][]string{{set.Name, "NN", "NT", "TN"}}
		for _, x := range set.Shapes {
			rows = append(rows, []string{fmt.Sprintf("%d×%d×%d", x.M, x.K, x.N), share(x.NN), share(x.NT), share(x.TN)})
		}
		rows = append(rows, []string{"geometric mean", format.Percent(set.NN, 0), format.Percent(set.NT, 0), format.Percent(set.TN, 0)})
		fmt.Fprintf(w, "\nMatmuls, share of the peak (tokens × inputs × outputs)\n%s", table(rows))
	}
	for _, set := range m.Operations {
		rows := [][]string{{set.Name, "calls", "ms", "of time", "of peak"}}
		update := 0.0
		for _, o := range set.Ops {
			if o.Update {
				update += o.Share
			}
			if o.Share < 0.001 {
				continue
			}
			peak := ""
			if o.Peak > 0 {
				peak = format.Percent(o.Peak, 0)
			}
			rows = append(rows, []string{o.Name, fmt.Sprint(o.Calls), format.Fixed(1e3*o.Seconds, 2), format.Percent(o.Share, 1), peak})
		}
		fmt.Fprintf(w, "\nOperations of a training step, on all workers together\n%sthe update of the weights takes %s of the time\n", table(rows), format.Percent(update, 1))
	}
	if len(m.Steps) > 0 {
		rows := [][]string{{"step", "model", "ms", "tokens/s", "FLOP/s", "of peak", "memory"}}
		for _, s := range m.Steps {
			rows = append(rows, []string{s.Name, s.Model, format.Fixed(1e3*s.Seconds.Median, 1), format.SI(s.Rate.Median, ""), format.SI(s.Speed.Median, ""),
				share(s.Share), format.Bytes(s.Memory)})
		}
		fmt.Fprintf(w, "\nWhole training steps\n%s", table(rows))
		if m.Resident > 0 {
			fmt.Fprintf(w, "peak resident memory of this process: %s\n", format.Bytes(m.Resident))
		}
	}
}
