package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"coil/backend"
	"coil/eval"
	"coil/run"
	"coil/task"
	"coil/train"

	"github.com/spf13/cobra"
)

// defaultRoot is the folder of runs.
const defaultRoot = "runs"

func newTrain() *cobra.Command {
	var preset, name, out, dir string
	var asJSON, dry bool
	var where backendFlags
	cmd := &cobra.Command{
		Use:   "train [CONFIG.toml]",
		Short: "Train a model",
		Example: `  coil train                                 the default preset
  coil train --model 1x1                     its baseline: the same layer, run once
  coil train --preset middle --steps 500     another preset, a shorter run
  coil train my.toml --train.rate 1e-3       a configuration file, with one key set anew
  coil train --dry-run > my.toml             write the whole configuration; train nothing`,
		Long: "Trains the model of a preset or a configuration file, which is TOML; every key can be set by a flag " +
			"of its name. The run lies in a folder of its own below --out. Ctrl-C saves a checkpoint and says how to go on.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("train takes one configuration file, not %d arguments", len(args))}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&preset, "preset", "", "`name` of an embedded configuration: see coil presets")
	f.StringVar(&name, "name", "", "`name` to remember the run by")
	f.StringVar(&out, "out", defaultRoot, "`folder` that the run's folder is made in")
	f.StringVar(&dir, "run-dir", "", "exactly this `folder` for the run, which must be empty or new")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	f.BoolVar(&dry, "dry-run", false, "print the configuration, and on stderr what it takes; train nothing")
	where.add(cmd)
	keys := addKeys(cmd)
	cmd.RegisterFlagCompletionFunc("preset", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return presetNames(), cobra.ShellCompDirectiveNoFileComp
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, source, err := configuration(preset, args)
		if err != nil {
			return err
		}
		if err := apply(&c, *keys); err != nil {
			return err
		}
		if err := c.Check(); err != nil {
			return usageError{err}
		}
		if err := run.CheckName(name); err != nil {
			return usageError{fmt.Errorf("--name %s: %w", name, err)}
		}
		b, err := where.open(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer b.Close()
		p := &progress{w: cmd.ErrOrStderr(), steps: c.Train.Steps}
		t, err := train.New(c, b, p.report)
		if err != nil {
			return err
		}
		defer t.Close()
		if dry {
			describe(cmd.ErrOrStderr(), source, t, b)
			fmt.Fprintln(cmd.ErrOrStderr())
			_, err := cmd.OutOrStdout().Write(c.Encode())
			return err
		}
		info := run.Info{Args: os.Args, Backend: b.Info().Name, Device: b.Info().Device, Seed: c.Train.Seed,
			Parameters: int64(t.Model.Size), Name: name}
		var r *run.Run
		if dir != "" {
			r, err = run.CreateAt(dir, c.Encode(), info)
		} else {
			r, err = run.Create(out, name, c.Encode(), info)
		}
		if err != nil {
			return err
		}
		defer r.Close()
		describe(cmd.ErrOrStderr(), source, t, b)
		fmt.Fprintf(cmd.ErrOrStderr(), "run      %s\n\n", r.Path())
		return drive(cmd, t, r, p, asJSON)
	}
	return cmd
}

// configuration reads the preset or file that the command line names.
func configuration(preset string, args []string) (c train.Config, source string, err error) {
	switch {
	case len(args) == 1 && preset != "":
		return c, "", usageError{fmt.Errorf("--preset %s and %s: only one of them can be the configuration", preset, args[0])}
	case len(args) == 1:
		text, err := os.ReadFile(args[0])
		if _, isPreset := train.Presets()[args[0]]; err != nil && isPreset {
			return c, "", usageError{fmt.Errorf("there is no file %s; the preset of that name is --preset %s", args[0], args[0])}
		} else if err != nil {
			return c, "", usageError{fmt.Errorf("configuration: %w", err)}
		}
		c = train.Default()
		if err := c.Parse(args[0], text); err != nil {
			return c, "", usageError{err}
		}
		return c, args[0], nil
	}
	if preset == "" {
		preset = train.DefaultPreset
	}
	if c, err = train.Preset(preset); err != nil {
		return c, "", usageError{err}
	}
	return c, "preset " + preset, nil
}

func newResume() *cobra.Command {
	var out string
	var step int
	var asJSON bool
	var where backendFlags
	cmd := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a run that was stopped",
		Example: `  coil resume latest               the newest run
  coil resume 2026-11-23_15        a run by the beginning of its name
  coil resume latest --step 500    from an earlier checkpoint`,
		Long: "Goes on from the run's newest checkpoint. Weights, moments, data and loop counts continue exactly: " +
			"on the cpu backend the result is the same, bit for bit, as that of a run that was never stopped.",
		Args: exactArgs(1, "a run"),
	}
	cmd.Flags().StringVar(&out, "out", defaultRoot, "`folder` of the runs")
	cmd.Flags().IntVar(&step, "step", -1, "`step` of the checkpoint to go on from, 0 for the beginning; the newest if not given")
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	where.add(cmd)
	cmd.ValidArgsFunction = completeRuns
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := run.Resolve(out, args[0])
		if err != nil {
			return usageError{err}
		}
		r, err := run.Open(path)
		if err != nil {
			return err
		}
		defer r.Close()
		c, err := configOf(r)
		if err != nil {
			return err
		}
		var from run.Checkpoint // none is the beginning
		if step != 0 {
			from, err = checkpointOf(r, step)
			if err != nil && (step > 0 || !errors.Is(err, run.ErrNoCheckpoint)) {
				return err
			}
		}
		if from.Step >= c.Train.Steps && ended(r) {
			fmt.Fprintf(cmd.ErrOrStderr(), "nothing to do: all %d steps are done; for more of them, set train.steps in\n  %s\nand resume again\n",
				c.Train.Steps, configPath(r))
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), outcome{Run: r.Path(), Steps: from.Step, Done: true})
			}
			return nil
		}
		b, err := where.open(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer b.Close()
		p := &progress{w: cmd.ErrOrStderr(), steps: c.Train.Steps}
		t, err := train.New(c, b, p.report)
		if err != nil {
			return err
		}
		defer t.Close()
		if from.Path != "" {
			if err := t.Resume(from); err != nil {
				return adviseModel(err, r)
			}
		}
		if err := r.Rewind(from.Step); err != nil {
			return err
		}
		describe(cmd.ErrOrStderr(), filepath.Base(r.Path()), t, b)
		fmt.Fprintf(cmd.ErrOrStderr(), "resume   from step %d of %d\n\n", from.Step, c.Train.Steps)
		return drive(cmd, t, r, p, asJSON)
	}
	return cmd
}

func configPath(r *run.Run) string { return filepath.Join(r.Path(), "config.toml") }

// configOf reads the configuration of a run, which its user may have changed.
func configOf(r *run.Run) (train.Config, error) {
	c := train.Default()
	text, err := r.Config()
	if err != nil {
		return c, err
	}
	if err := c.Parse(configPath(r), text); err != nil {
		return c, usageError{err}
	}
	if err := c.Check(); err != nil {
		return c, usageError{fmt.Errorf("%s: %w", configPath(r), err)}
	}
	return c, nil
}

// checkpointOf is the checkpoint of a step, or the newest for a negative one.
func checkpointOf(r *run.Run, step int) (run.Checkpoint, error) {
	if step < 0 {
		return r.Latest()
	}
	c, err := r.Checkpoint(step)
	if err != nil {
		err = usageError{err} // of a damaged one exitCode makes more
	}
	return c, err
}

// adviseModel says what to do about a checkpoint that does not fit the run's configuration.
func adviseModel(err error, r *run.Run) error {
	if !errors.Is(err, train.ErrOtherModel) {
		return err
	}
	return fmt.Errorf("%w; undo what was changed in %s", err, configPath(r))
}

// ended reports whether the last thing that the run did was to end.
func ended(r *run.Run) bool {
	h, _ := r.History() // lines that are garbled say nothing of it
	return len(h) > 0 && h[len(h)-1].Kind == run.KindEnd
}

// completeRuns completes the names of runs.
func completeRuns(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	out, err := cmd.Flags().GetString("out")
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	ids, err := run.List(out)
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return append([]string{"latest"}, ids...), cobra.ShellCompDirectiveDefault
}

// outcome is the result of a run as JSON.
type outcome struct {
	Run     string       `json:"run"`
	Steps   int          `json:"steps"`
	Done    bool         `json:"done"`
	Seconds float64      `json:"seconds"`
	Wait    float64      `json:"data_wait"` // share of the training time spent waiting for data
	Metric  string       `json:"metric"`
	HeldOut *eval.Result `json:"held_out,omitempty"`
}

// drive trains to the end, or until a signal, and prints the result.
func drive(cmd *cobra.Command, t *train.Trainer, r *run.Run, p *progress, asJSON bool) error {
	p.task, p.last, p.step = t.Task, time.Now(), t.Done()
	stop := watchSignals(cmd.ErrOrStderr(), "stopping: the step and a checkpoint are finished first; once more leaves at once, without")
	defer stop.end()
	begin := time.Now()
	err := t.Run(r, stop.asked)
	seconds := time.Since(begin).Seconds()
	if err != nil && !errors.Is(err, train.ErrStopped) {
		where, from := "", ""
		if d := (*train.DivergedError)(nil); errors.As(err, &d) {
			where = " in " + configPath(r)
			if cs, e := r.Checkpoints(); e == nil && len(cs) > 1 { // of the newest, the weights may be on their way already
				from = fmt.Sprintf(" --step %d", cs[len(cs)-2].Step)
			}
		}
		return fmt.Errorf("%w%s; then go on with\n  coil resume %s%s", err, where, r.Path(), from)
	}
	if asJSON {
		o := outcome{r.Path(), t.Done(), err == nil, seconds, p.wait(), eval.MetricName(t.Task), nil}
		if err == nil {
			o.HeldOut = p.result
		}
		if e := writeJSON(cmd.OutOrStdout(), o); e != nil {
			return e
		}
	} else if err == nil {
		fmt.Fprintln(cmd.ErrOrStderr())
		summary(cmd.OutOrStdout(), t, r, p, seconds)
	}
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "stopped at step %d of %d; go on with\n  coil resume %s\n", t.Done(), t.Config.Train.Steps, r.Path())
		return stop.err()
	}
	return nil
}

// describe prints what is about to be trained.
func describe(w io.Writer, source string, t *train.Trainer, b backend.Backend) {
	m := t.Model
	a, i := m.Architecture, b.Info()
	fmt.Fprintf(w, "coil     %s\n", source)
	fmt.Fprintf(w, "model    %s · %s parameters · depth %d · %dx params / %dx FLOPs of one layer · %sFLOPs a token\n", a,
		count(int64(m.Size)), a.Depth(), a.Layers(), a.Depth(), scaled(float64(m.FLOPs())))
	fmt.Fprintf(w, "task     %s · %s · sequences of %d tokens\n", t.Task.Name(), strings.Join(t.Task.Kinds(), ", "), t.Task.Length())
	fmt.Fprintf(w, "backend  %s · %s\n", i.Name, describeDevice(i.Device, i.Kernels, i.Workers, i.Memory))
	fmt.Fprintf(w, "memory   %s: weights and moments %s, gradients %s, activations %s, workspace %s\n", bytes(t.Memory.Total()),
		bytes(t.Memory.Buffers), bytes(t.Memory.Accumulators), bytes(t.Memory.Activations), bytes(t.Memory.Workspace+t.Memory.Batch))
}

// summary prints the result, where the run lies, and what to try next.
func summary(w io.Writer, t *train.Trainer, r *run.Run, p *progress, seconds float64) {
	res := p.result
	if res == nil {
		return
	}
	fmt.Fprintf(w, "%s after %d steps, %s: held-out %s %s on %s examples (loss %.4f)\n", t.Model.Architecture, t.Done(),
		duration(time.Duration(seconds*1e9)), eval.MetricName(t.Task), percent(res.Headline(t.Task)), count(int64(res.Examples)), res.Loss)
	for _, k := range res.Kinds {
		fmt.Fprintf(w, "  %-8s %s\n", k.Kind, percent(k.Headline(t.Task)))
	}
	fmt.Fprintf(w, "data  %.2f %% of the training time spent waiting for it\n", 100*p.wait())
	fmt.Fprintf(w, "run   %s\n", r.Path())
	fmt.Fprintf(w, "next  coil eval %s --loops 1..%d   accuracy after each loop\n", r.Path(), 2*t.Model.Architecture.Count())
}

// progress prints lines as training goes.
type progress struct {
	w       io.Writer
	steps   int
	task    task.Task
	last    time.Time // a line was printed
	perStep float64
	step    int     // of the last report
	trained float64 // seconds, without evaluation and checkpoints
	waited  float64 // of them, for data
	result  *eval.Result
	header  bool
}

// wait is the share of the training time spent waiting for data.
func (p *progress) wait() float64 { return p.waited / max(p.trained, 1e-9) }

// lineEvery is the least time between two lines of progress.
const lineEvery = 2 * time.Second

func (p *progress) report(r train.Report) {
	e := r.Event
	switch e.Kind {
	case run.KindTrain:
		// A smoothed time per step makes a steady estimate.
		if p.perStep == 0 {
			p.perStep = r.Seconds
		}
		p.perStep += 0.1 * (r.Seconds - p.perStep)
		window := r.Seconds * float64(e.Step-p.step)
		p.step = e.Step
		p.trained += window
		p.waited += window * float64(e.Values["data_wait"])
		if time.Since(p.last) < lineEvery && e.Step != p.steps {
			return
		}
		p.last = time.Now()
		p.head()
		left := time.Duration(p.perStep * float64(p.steps-e.Step) * 1e9)
		fmt.Fprintf(p.w, "%*d/%d  %8.4f  %8s  %9s  %9s\n", digits(p.steps), e.Step, p.steps, float64(e.Values["loss"]),
			percent(float64(e.Values["accuracy"])), scaled(float64(e.Values["tokens_per_second"])), duration(left))
	case run.KindEval:
		p.result = r.Result
		if e.Step != p.steps {
			p.head()
			fmt.Fprintf(p.w, "%*d/%d  held-out %s %s\n", digits(p.steps), e.Step, p.steps, eval.MetricName(p.task),
				percent(r.Result.Headline(p.task)))
		}
	}
}

// head prints what the columns are, before the first line.
func (p *progress) head() {
	if !p.header {
		p.header = true
		fmt.Fprintf(p.w, "%*s  %8s  %8s  %9s  %9s\n", 2*digits(p.steps)+1, "step", "loss", "accuracy", "tokens/s", "left")
	}
}

func digits(n int) int { return len(fmt.Sprint(n)) }
