package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"coil/backend"
	"coil/eval"
	"coil/format"
	"coil/metric"
	"coil/run"
	"coil/text"
	"coil/train"

	"github.com/spf13/cobra"
)

// interfaceFlags choose how a run is shown during training.
type interfaceFlags struct {
	asJSON, noTUI, detach bool
	appearance            appearanceFlags
}

func (f *interfaceFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the result as JSON; no dashboard")
	cmd.Flags().BoolVar(&f.noTUI, "no-tui", false, "lines of progress instead of the dashboard")
	cmd.Flags().BoolVar(&f.detach, "detach", false, "train in the background: coil watch shows it, coil control controls it")
	f.appearance.add(cmd)
}

// showsDashboard reports whether training is shown in the dashboard.
func (f *interfaceFlags) showsDashboard() bool {
	return !f.detach && !f.noTUI && !f.asJSON && canShow()
}

// session is the part that coil train and coil resume share: prepare a run, train it and report on it.
type session struct {
	cmd     *cobra.Command
	ui      interfaceFlags
	folder  string // of the runs, or of the run
	control run.Control
	// supervisor is the parent of this process if it has the dashboard, else nil.
	supervisor *supervisor
	// prepare prepares everything. It writes messages to w, and training calls report.
	prepare func(w io.Writer, report func(train.Report)) (*job, error)
}

// job is a run in training. Parts may be missing if the preparation failed.
type job struct {
	b backend.Backend
	t *train.Trainer
	r *run.Run
}

func (j *job) close() {
	if j == nil {
		return
	}
	if j.t != nil {
		j.t.Close()
	}
	if j.r != nil {
		j.r.Close()
	}
	if j.b != nil {
		j.b.Close()
	}
}

// run trains: in the background, in the dashboard, or with lines of progress.
func (s *session) run() error {
	defer survivePipes()()
	err := s.ui.appearance.check()
	switch {
	case err != nil:
		return err
	case s.ui.detach:
		return s.inBackground()
	case s.supervisor != nil:
		return s.inDashboard()
	}
	return s.inLines()
}

// The messages after the first signal.
const (
	stopping = "stopping: coil finishes the step and saves a checkpoint first"
	leaving  = "a second Ctrl-C leaves at once, without saving"
)

// inLines trains with lines of progress.
func (s *session) inLines() error {
	w := s.cmd.ErrOrStderr()
	p := newProgress(w)
	report := p.report
	var j *job
	if os.Getenv(detachedEnv) != "" {
		report = func(r train.Report) {
			p.report(r)
			if r.Event.Kind == run.KindSetup { // the run has begun
				announceRun(j.r)
			}
		}
	}
	j, err := s.prepare(w, report)
	defer j.close()
	if err != nil {
		return err
	}
	stop := watchSignals(w, stopping, leaving)
	defer stop.end()
	stop.first = func() { s.control.Send(run.Stop) }
	begin := time.Now()
	err = j.t.Run(j.r, s.control.Next)
	return s.finish(j, p, err, time.Since(begin), stop)
}

// finish reports how training ended.
func (s *session) finish(j *job, p *progress, err error, took time.Duration, stop *interrupt) error {
	cmd, t, r := s.cmd, j.t, j.r
	if err != nil && !errors.Is(err, train.ErrStopped) {
		with := ""
		if d := (*train.DivergedError)(nil); errors.As(err, &d) {
			with = fmt.Sprintf(" --step %d --train.rate %.2g", t.GoBack(), t.Config.Train.Rate/10)
		}
		return fmt.Errorf("%w; then continue with\n  coil resume %s%s", err, text.Path(r.Path()), with)
	}
	if s.ui.asJSON {
		o := outcome{r.Path(), t.Done(), err == nil, took.Seconds(), p.wait(), t.Task.Metric(), nil}
		if err == nil {
			o.HeldOut = p.result
		}
		if e := writeJSON(cmd.OutOrStdout(), o); e != nil {
			return e
		}
	} else if err == nil {
		fmt.Fprintln(cmd.ErrOrStderr())
		summary(cmd.OutOrStdout(), t, r, p, took)
	}
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "stopped at step %d of %d; continue with\n  coil resume %s\n", t.Done(), t.Config.Train.Steps, text.Path(r.Path()))
		return stop.err()
	}
	return nil
}

// outcome is the result of a run as JSON.
type outcome struct {
	Run     string        `json:"run"`
	Steps   int           `json:"steps"`
	Done    bool          `json:"done"`
	Seconds float64       `json:"seconds"`
	Wait    float64       `json:"data_wait"` // share of the training time spent waiting for data
	Metric  metric.Metric `json:"metric"`
	HeldOut *eval.Result  `json:"held_out,omitempty"`
}

// describe prints what is about to be trained.
func describe(w io.Writer, source string, t *train.Trainer, b backend.Backend) {
	m := t.Model
	a, i := m.Architecture, b.Info()
	fmt.Fprintf(w, "coil     %s\n", source)
	fmt.Fprintf(w, "model    %s · %s parameters · depth %d · %dx params / %dx FLOPs of one layer · %s a token\n", a,
		format.Count(m.Size), a.Depth(), a.Layers(), a.Depth(), format.SI(float64(m.FLOPs()), "FLOPs"))
	fmt.Fprintf(w, "task     %s · %s · sequences of %d tokens\n", t.Task.Name(), strings.Join(t.Task.Kinds(), ", "), t.Task.Length())
	describeText(w, t.Task, t.Config)
	if t.WarmStart != nil {
		fmt.Fprintf(w, "weights  %s\n", t.WarmStart)
	}
	fmt.Fprintf(w, "backend  %s · %s\n", i.Name, describeDevice(i.Device, i.Kernels, i.Workers, i.Memory))
	describeVariants(w, i.Variants)
	fmt.Fprintf(w, "memory   %s: weights and moments %s, gradients %s, activations %s, workspace %s\n", format.Bytes(t.Memory.Total()),
		format.Bytes(t.Memory.Buffers), format.Bytes(t.Memory.Accumulators), format.Bytes(t.Memory.Activations), format.Bytes(t.Memory.Workspace+t.Memory.Constants+t.Memory.Batch))
}

// warn prints the warnings about settings.
func warn(w io.Writer, warnings []string) {
	for _, s := range warnings {
		fmt.Fprintf(w, "warning  %s\n", s)
	}
}

// describeVariants prints which variants of kernels are used, and why no faster ones.
func describeVariants(w io.Writer, variants []backend.Variant) {
	var parts []string
	for _, v := range variants {
		parts = append(parts, v.Subject+": "+v.Name)
	}
	if parts == nil {
		return
	}
	fmt.Fprintf(w, "kernels  %s\n", strings.Join(parts, " · "))
	for _, v := range variants {
		if v.Reason != "" {
			reason, _, _ := strings.Cut(v.Reason, "\n")
			fmt.Fprintf(w, "         %s: %s, not %s\n", v.Subject, v.Name, reason)
		}
	}
}

// summary prints the result, the run's folder, and what to try next.
func summary(w io.Writer, t *train.Trainer, r *run.Run, p *progress, took time.Duration) {
	res, m := p.result, t.Task.Metric()
	if res == nil {
		return
	}
	fmt.Fprintf(w, "%s after %d steps, %s: held-out %s %s on %s examples (loss %s)\n", t.Model.Architecture, t.Done(),
		format.Duration(took), m, m.Format(res.Value(m)), format.Count(res.Examples), format.Fixed(float64(res.Loss), 4))
	for _, k := range res.Kinds {
		fmt.Fprintf(w, "  %-8s %s\n", k.Kind, m.Format(k.Value(m)))
	}
	fmt.Fprintf(w, "data  %s of the training time spent waiting for it\n", format.Percent(p.wait(), 2))
	fmt.Fprintf(w, "run   %s\n", r.Path())
	fmt.Fprintf(w, "next  coil eval %s --loops 1..%d   %s after each loop\n", text.Path(r.Path()), 2*t.Model.Architecture.Count(), t.Task.Metric())
	if t.Config.Loops.LearnedExit() {
		fmt.Fprintf(w, "      coil eval %s --exit 0.1,0.5,0.9   each position leaves on its own\n", text.Path(r.Path()))
	}
}
