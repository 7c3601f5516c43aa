package main

import (
	"fmt"
	"io"

	"coil/bench"
	"coil/config"
	"coil/format"
	"coil/metal"

	"github.com/spf13/cobra"
)

func newLaunches() *cobra.Command {
	var asJSON, bfloat bool
	var chip string
	cmd := &cobra.Command{
		Use:   "launches [PRESET|CONFIG.toml]...",
		Short: "Count the work of a training step on an Apple GPU, on any machine",
		Example: `  coil launches default bench-c
  coil launches my.toml --chip "M3 Max"
  coil launches --json`,
		Long: "Lowers a training step as the Metal backend does and counts its launches, the bytes that they move compared with the\n" +
			"least possible, and their FLOPs. From these, a chip's published figures and rates that it assumes, it predicts the time\n" +
			"of a step. It uses no GPU and measures nothing: coil doctor --speed measures each assumed rate on a Mac.",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return presetNames(), cobra.ShellCompDirectiveDefault
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&bfloat, "bfloat16", false, "with activations in bfloat")
	cmd.Flags().StringVar(&chip, "chip", "", "predict for this `chip` only, such as \"M1 Pro\"")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			args = []string{config.DefaultPreset}
		}
		if chip != "" {
			if _, ok := metal.ChipNamed(chip); !ok {
				return usageError{fmt.Errorf("--chip %s: unknown chip; want one of %s", chip, chipNames())}
			}
		}
		var all []*bench.Launches
		for _, name := range args {
			c, err := benchConfiguration(name)
			if err != nil {
				return err
			}
			l, err := bench.CountLaunches(name, c, metal.Options{BFloat16: bfloat})
			if err != nil {
				return err
			}
			all = append(all, l)
		}
		if asJSON {
			return writeJSON(cmd.OutOrStdout(), all)
		}
		for _, l := range all {
			printLaunches(cmd.OutOrStdout(), l, chip)
		}
		printAssumptions(cmd.OutOrStdout())
		return nil
	}
	return cmd
}

func chipNames() string {
	names := ""
	for i, c := range metal.Chips {
		if i > 0 {
			names += ", "
		}
		names += c.Name
	}
	return names
}

func printLaunches(w io.Writer, l *bench.Launches, chip string) {
	rows := [][]string{{l.Name, "calls", "launches", "FLOP", "moves", "least", "ratio", "FLOP/byte"}}
	for _, k := range l.Ops {
		flops, intensity := "", ""
		if k.FLOPs > 0 {
			flops, intensity = format.SI(float64(k.FLOPs), ""), fmt.Sprintf("%.0f", k.Intensity)
		}
		rows = append(rows, []string{k.Name, fmt.Sprint(k.Calls), fmt.Sprint(k.Launches), flops, format.Bytes(k.Moved), format.Bytes(k.Least),
			fmt.Sprintf("%.2f", k.Ratio), intensity})
	}
	fmt.Fprintf(w, "%s, %s, %d tokens a step\n\n%s\n", l.Name, l.Model, l.Tokens, table(rows))
	fmt.Fprintf(w, "%d launches: %.1f for each of the %d layers that run, forward and backward, and %.0f others; %d wait for earlier ones\n",
		l.Launches, l.PerLayer, l.Layers, float64(l.Launches)-l.PerLayer*float64(l.Layers), l.Barriers)
	fmt.Fprintf(w, "%s in matmuls, %s moved (%.2f times the least possible), %s of memory\n\n", format.SI(float64(l.FLOPs), "FLOP"), format.Bytes(l.Moved),
		float64(l.Moved)/float64(l.Least), format.Bytes(l.Memory))
	rows = [][]string{{"predicted for", "TFLOP/s", "GB/s", "ms a step", "tokens/s", "of peak"}}
	wanted, _ := metal.ChipNamed(chip)
	for _, p := range l.Chips {
		if chip == "" || p.Chip == wanted {
			rows = append(rows, []string{p.Chip.Name, fmt.Sprint(p.Chip.TFLOPS), fmt.Sprint(p.Chip.Bandwidth), format.Fixed(1e3*p.Seconds, 1),
				format.SI(p.Rate, ""), format.Percent(p.Share, 1)})
		}
	}
	fmt.Fprintf(w, "%s\n", table(rows))
}

// printAssumptions lists the rates that predictions assume.
func printAssumptions(w io.Writer) {
	fmt.Fprintln(w, "The predictions assume:")
	r := metal.AssumedRates()
	for _, a := range metal.Assumptions {
		fmt.Fprintf(w, "  %-14s  %7s %s\n", a.Name, rate(a, *a.Of(&r)), a.Meaning)
	}
	fmt.Fprintln(w, "On a Mac, coil doctor --speed measures each of these rates.")
}

// rate writes a rate as a share or a time.
func rate(a metal.Assumption, x float64) string {
	if a.Seconds {
		return format.Fixed(1e6*x, 1) + " µs"
	}
	return format.Percent(x, 0)
}
