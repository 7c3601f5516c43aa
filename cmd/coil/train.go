package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"coil/bench"
	"coil/config"
	"coil/config/schema"
	"coil/format"
	"coil/run"
	"coil/train"

	"github.com/spf13/cobra"
)

// defaultRoot is the folder of runs.
const defaultRoot = "runs"

func newTrain() *cobra.Command {
	var preset, name, out, dir string
	var dry bool
	var ui interfaceFlags
	var backends backendFlags
	var start warmStartFlags
	cmd := &cobra.Command{
		Use:   "train [CONFIG.toml]",
		Short: "Train a model",
		Example: `  coil train                                 the default preset
  coil train --model 1x1                     its baseline: the same layer, run once
  coil train --preset middle --steps 500     another preset, fewer steps
  coil train my.toml --train.rate 1e-3       a configuration file, with one key changed
  coil train --from latest --rate 3e-4       start with another run's weights
  coil train --from RUN --model 6x1 --grow middle  the same, with more layers
  coil train --detach                        in the background; coil watch shows it
  coil train --dry-run > my.toml             write the whole configuration; train nothing`,
		Long: "Trains the model of a preset or of a configuration file in TOML. A flag of its name sets any key. The run gets its own " +
			"folder in --out. On a terminal, the dashboard opens; ? shows its keys. " +
			"Ctrl-C saves a checkpoint and prints how to continue." + warmStartHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("train takes one configuration file, not %d arguments", len(args))}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&preset, "preset", "", "`name` of an embedded configuration: see coil presets")
	f.StringVar(&name, "name", "", "`name` of the run")
	f.StringVar(&out, "out", defaultRoot, "`folder` for the run's folder")
	f.StringVar(&dir, "run-dir", "", "exactly this `folder` for the run, which must be empty or new")
	start.add(cmd)
	ui.add(cmd)
	f.BoolVar(&dry, "dry-run", false, "print the configuration and, on stderr, its size and memory; train nothing")
	backends.add(cmd)
	keys := addKeys(cmd, everyKey)
	cmd.RegisterFlagCompletionFunc("preset", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return presetNames(), cobra.ShellCompDirectiveNoFileComp
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var parent *supervisor
		if !dry && ui.showsDashboard() {
			var err error
			if parent, err = supervise(cmd.ErrOrStderr(), syscall.SIGTERM); err != nil {
				return err
			}
		}
		from, err := start.find(cmd.ErrOrStderr(), out)
		if err != nil {
			return err
		}
		c, source, lines, err := from.configuration(preset, args)
		if err != nil {
			return err
		}
		if err := apply(&c, *keys); err != nil {
			return err
		}
		if err := c.Task.Absolute(); err != nil {
			return inputError{err}
		}
		_, made := c.Task.New()
		if err := lines.Locate(c.CheckMade(made), setBy(*keys)...); err != nil {
			return inputError{err}
		}
		if err := run.CheckName(name); err != nil {
			return usageError{fmt.Errorf("--name %s: %w", name, err)}
		}
		if dir != "" && cmd.Flags().Changed("out") {
			return usageError{fmt.Errorf("--run-dir %s and --out %s: --run-dir is the folder of the run, --out the folder in which coil makes it; give one of them", dir, out)}
		}
		if dry && ui.asJSON {
			return usageError{errors.New("--json and --dry-run: a dry run has no result; it prints a configuration in TOML")}
		}
		warnings := append(c.Warnings(), c.OtherTask(append(setBy(*keys), lines.Keys()...))...)
		if dry {
			return dryRun(cmd, c, source, warnings, backends, from)
		}
		info := run.Info{Args: os.Args, Seed: c.Train.Seed, Name: name}
		s := session{cmd: cmd, ui: ui, folder: out, supervisor: parent}
		if dir != "" {
			s.folder = filepath.Dir(dir)
		}
		s.prepare = func(w io.Writer, report func(train.Report)) (*job, error) {
			b, err := backends.open(w)
			if err != nil {
				return nil, err
			}
			j := &job{b: b}
			tk, err := prepareTask(w, c)
			if err != nil {
				return j, err
			}
			if j.t, err = train.NewOn(tk, c, b, report); err != nil {
				return j, err
			}
			if err := from.begin(j.t); err != nil {
				return j, err
			}
			info.Backend, info.Device, info.Parameters, info.WarmStart = b.Info().Name, b.Info().Device, int64(j.t.Model.Size), j.t.WarmStart
			first, err := j.t.First()
			if err != nil {
				return j, err
			}
			info.Variants = train.Variants(b.Info())
			if dir != "" {
				j.r, err = run.CreateAt(dir, c.Encode(), info, first...)
			} else {
				j.r, err = run.Create(out, name, c.Encode(), info, first...)
			}
			if err != nil {
				return j, err
			}
			describe(w, source, j.t, b)
			warn(w, warnings)
			fmt.Fprintf(w, "run      %s\n\n", j.r.Path())
			return j, nil
		}
		return s.run()
	}
	return cmd
}

// dryRun prints the configuration, and the size and memory of its training, and how many cores it can use.
func dryRun(cmd *cobra.Command, c config.Config, source string, warnings []string, backends backendFlags, from *warmStart) error {
	b, err := backends.open(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer b.Close()
	t, err := train.New(c, b, nil)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := from.begin(t); err != nil {
		return err
	}
	describe(cmd.ErrOrStderr(), source, t, b)
	if err := describeCores(cmd.ErrOrStderr(), t); err != nil {
		return err
	}
	warn(cmd.ErrOrStderr(), warnings)
	fmt.Fprintln(cmd.ErrOrStderr())
	_, err = cmd.OutOrStdout().Write(c.Encode())
	return err
}

// describeCores prints how many cores a step can use, if it is the CPU's.
func describeCores(w io.Writer, t *train.Trainer) error {
	m, err := t.Measure()
	if err != nil {
		return err
	}
	c, ok, err := bench.MostCores(m)
	if err != nil || !ok {
		return err
	}
	fmt.Fprintf(w, "cores    %d would be at most %s times as fast as one, counted, not measured; %s of sequences can run at the same time\n", c.Workers,
		format.Fixed(c.Balance*float64(c.Workers), 1), format.Plural(c.Lanes, "group"))
	return nil
}

// configuration reads the preset or file that the command line names. lines finds the keys in a file; it is nil for a preset.
func configuration(preset string, args []string) (c config.Config, source string, lines *schema.Lines, err error) {
	if len(args) == 1 {
		if preset != "" {
			return c, "", nil, usageError{fmt.Errorf("--preset %s and %s: a file names the preset that it starts from, as in preset = %q", preset, args[0], preset)}
		}
		text, err := run.ReadFile(args[0], run.MostText)
		if _, isPreset := config.Presets()[args[0]]; err != nil && isPreset {
			return c, "", nil, usageError{fmt.Errorf("there is no file %s; the preset of that name is --preset %s", args[0], args[0])}
		} else if err != nil {
			return c, "", nil, inputError{fileError("configuration", err)}
		}
		c = config.Default()
		if lines, err = c.Read(args[0], text); err != nil {
			return c, "", nil, inputError{err}
		}
		return c, args[0], lines, nil
	}
	if preset == "" {
		preset = config.DefaultPreset
	}
	if c, err = config.Preset(preset); err != nil {
		return c, "", nil, usageError{err}
	}
	return c, "preset " + preset, nil, nil
}
