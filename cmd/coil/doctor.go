package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"coil/doctor"
	"coil/format"
	"coil/metal"
	"coil/metal/bridge"

	"github.com/spf13/cobra"
)

func newDoctor() *cobra.Command {
	var asJSON, short, speed bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine this Mac's GPU: whether it is fit for training, and how fast it is",
		Example: `  coil doctor
  coil doctor --short               part of the suite, no measurements
  coil doctor --speed               only measurements, and what coil launches assumes beside them
  coil doctor --json > report.json  to send with a bug report
  MTL_DEBUG_LAYER=1 MTL_SHADER_VALIDATION=1 coil doctor   with Metal's own checks`,
		Long: "Compiles every shader, compares every kernel with a float64 reference in float32 and bfloat16, measures kernels and\n" +
			"training steps beside the chip's published peak and the rates that coil launches assumes, and ends with a verdict: exit code\n" +
			"0 if all is well, 1 if not, 69 without a GPU.\n" +
			"The first run with --backend metal makes the short examination by itself, once for each chip and version of the system.",
		Args: exactArgs(0, "no arguments"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the whole report as JSON")
	cmd.Flags().BoolVar(&short, "short", false, "run part of the suite and measure nothing")
	cmd.Flags().BoolVar(&speed, "speed", false, "measure, also a step of gpt-2, and prove nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if short && speed {
			return usageError{errors.New("--short measures nothing and --speed proves nothing; use one of them")}
		}
		d, err := bridge.Open()
		if errors.Is(err, bridge.ErrUnavailable) {
			return usageError{errors.New(why(err))}
		} else if err != nil {
			return err
		}
		return examine(cmd, d, doctor.Options{Short: short, Speed: speed}, asJSON)
	}
	return cmd
}

// examine examines a device, prints what it finds, and returns an error if the device is not fit.
func examine(cmd *cobra.Command, d metal.Device, o doctor.Options, asJSON bool) error {
	w := cmd.OutOrStdout()
	if asJSON {
		w = cmd.ErrOrStderr()
	}
	signals := watchSignals(cmd.ErrOrStderr(), "stopping after the current examination", "a second Ctrl-C leaves at once")
	defer signals.end()
	o.Version, o.Stop, o.Progress = version(), signals.asked, func(x any) { printFinding(w, x) }
	r, err := doctor.Examine(d, o)
	if err != nil {
		return err
	}
	printVerdict(w, r)
	if asJSON {
		if err := writeJSON(cmd.OutOrStdout(), r); err != nil {
			return err
		}
	}
	switch {
	case r.Stopped:
		return signals.err()
	case len(r.Problems) > 0:
		return fmt.Errorf("this GPU is not fit for training: %s", format.Plural(len(r.Problems), "problem"))
	}
	return nil
}

func printFinding(w io.Writer, x any) {
	switch x := x.(type) {
	case doctor.Shader:
		if x.Error != "" {
			fmt.Fprintf(w, "shader   %-16s FAILED\n%s\n", x.Name, x.Error)
			return
		}
		form := ""
		if len(x.Form) > 0 {
			form = " with " + strings.Join(x.Form, ", ")
		}
		fmt.Fprintf(w, "shader   %-16s compiled in %.2f s%s\n", x.Name, x.Seconds, form)
	case doctor.Finding:
		if len(x.Failures) > 0 {
			fmt.Fprintf(w, "kernels  %-16s %-8s FAILED %d times in %s; first failure:\n  %s\n", x.Subject, x.Precision, len(x.Failures),
				format.Plural(x.Trials, "trial"), x.Failures[0])
			if x.Replaced {
				fmt.Fprintf(w, "         %-16s %-8s plainer kernels pass and are used from now on\n", x.Subject, x.Precision)
			}
			return
		}
		fmt.Fprintf(w, "kernels  %-16s %-8s %4d trials, largest error %.2f of the tolerance, %.1f s\n", x.Subject, x.Precision, x.Trials, x.Worst, x.Seconds)
	case doctor.Speed:
		fmt.Fprintf(w, "speed    %-34s %8.1f µs  %13s%s  %s\n", x.Name, 1e6*x.Seconds, format.SI(x.Bytes, "B/s"), ofPeak(x.Bandwidth), flops(x.FLOPs, x.Share))
	case doctor.StepTime:
		if x.Skipped != "" {
			fmt.Fprintf(w, "step     %-10s not measured: %s\n", x.Preset, x.Skipped)
			return
		}
		predicted := ""
		if x.Predicted > 0 {
			predicted = fmt.Sprintf(" (predicted %.2f)", 1e3*x.Predicted)
		}
		fmt.Fprintf(w, "step     %-10s %7.2f ms%s, GPU %.2f ms, encoding %.2f ms for %d launches; %s, %s\n", x.Preset, 1e3*x.Seconds, predicted, 1e3*x.GPU,
			1e3*x.Encode, x.Launches, format.Rate(x.Rate, "tokens"), flops(x.FLOPs, x.Share))
	case doctor.Rate:
		verdict := "holds"
		if !x.Holds {
			verdict = "does not hold"
		}
		a := metal.Assumptions[slices.IndexFunc(metal.Assumptions, func(a metal.Assumption) bool { return a.Name == x.Name })]
		fmt.Fprintf(w, "assumed  %-14s %7s %s\n         measured %s (%s): %s\n", x.Name, rate(a, x.Assumed), a.Meaning, rate(a, x.Measured), x.By, verdict)
	}
}

func flops(x, share float64) string {
	if x == 0 {
		return ""
	}
	return format.SI(x, "FLOP/s") + ofPeak(share)
}

func ofPeak(share float64) string {
	if share == 0 {
		return ""
	}
	return " (" + format.Percent(share, 0) + " of the peak)"
}

func printVerdict(w io.Writer, r *doctor.Report) {
	s, g := r.System, r.GPU
	fmt.Fprintf(w, "\nchip     %s, family Apple%d", g.Name, g.Family)
	if s.GPUCores > 0 {
		fmt.Fprintf(w, ", %d GPU cores", s.GPUCores)
	}
	if g.Chip.TFLOPS > 0 {
		fmt.Fprintf(w, "; published: %.1f TFLOP/s, %.0f GB/s", g.Chip.TFLOPS, g.Chip.Bandwidth)
	}
	fmt.Fprintf(w, "\nmemory   %s for the GPU, largest buffer %s, %d KiB a threadgroup", format.Bytes(g.WorkingSet), format.Bytes(g.MaxBuffer), g.ThreadgroupBytes>>10)
	if s.Memory > 0 {
		fmt.Fprintf(w, ", of %s", format.Bytes(s.Memory))
	}
	fmt.Fprintf(w, "\nsystem   %s %s %s\n", s.OS, s.Build, s.Model)
	lowPower := ""
	if g.After.LowPower {
		lowPower = ", low-power mode is on"
	}
	power := s.Power
	if power == "" {
		power = "unknown"
	}
	fmt.Fprintf(w, "power    %s%s; thermal state %s before, %s after\n\n", power, lowPower, g.Condition.Thermal, g.After.Thermal)
	describeVariants(w, r.Variants)
	if !g.HasBFloat() {
		fmt.Fprintln(w, "         this GPU has no bfloat16, so --bfloat16 is refused")
	}
	switch {
	case r.Stopped:
		fmt.Fprintf(w, "stopped after %s\n", format.Seconds(r.Seconds))
	case len(r.Problems) == 0:
		fmt.Fprintf(w, "all is well, after %s\n", format.Seconds(r.Seconds))
	default:
		fmt.Fprintln(w, "not fit for training:")
		for _, p := range r.Problems {
			fmt.Fprintf(w, "  %s\n", p)
		}
	}
}
