package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"coil/eval"
	"coil/format"
	"coil/run"
	"coil/train"
)

// progress prints lines as training goes.
type progress struct {
	w      io.Writer
	silent atomic.Bool // the dashboard shows it
	result *eval.Result

	setup   run.Setup
	last    time.Time // of the report that a line was printed for
	perStep float64   // seconds, smoothed
	step    int       // of the last report
	trained float64   // seconds, without evaluation and checkpoints
	waited  float64   // of them, for data, since this process began
	seconds float64   // of them, since this process began
	header  bool
}

// wait is the share of the training time spent waiting for data.
func (p *progress) wait() float64 { return p.waited / max(p.seconds, 1e-9) }

// lineEvery is the least time between two lines of progress.
const lineEvery = 2 * time.Second

// report takes what a trainer reports.
func (p *progress) report(r train.Report) {
	if r.Result != nil {
		p.result = r.Result
	}
	p.event(r.Event)
}

// event takes an event of a run.
func (p *progress) event(e run.Event) {
	switch e.Kind {
	case run.KindSetup:
		if e.Setup != nil {
			p.setup = *e.Setup
		}
		p.step, p.last, p.trained = e.Step, e.Time, 0
		if e.Seconds != nil {
			p.trained = float64(*e.Seconds)
		}
	case run.KindTrain:
		p.train(e)
	case run.KindEval:
		if e.Step != p.setup.Steps {
			p.line(e, "held-out %s %s", p.setup.Metric, format.Percent(float64(e.Values()[p.metric()]), 1))
		}
	case run.KindPause:
		p.line(e, "paused")
	case run.KindContinue:
		p.line(e, "training continues")
	case run.KindNote:
		p.line(e, "%s", e.Text)
	}
}

// metric is the name of the value by which the task is judged.
func (p *progress) metric() string {
	if p.setup.Metric == "exact match" {
		return "exact"
	}
	return "accuracy"
}

func (p *progress) train(e run.Event) {
	steps := float64(e.Step - p.step)
	took := float64(e.Values()["seconds"]) - p.trained
	p.step, p.trained = e.Step, float64(e.Values()["seconds"])
	if steps > 0 && took > 0 {
		if p.perStep == 0 {
			p.perStep = took / steps
		}
		// A smoothed time per step makes a steady estimate.
		p.perStep += 0.1 * (took/steps - p.perStep)
		p.seconds += took
		p.waited += took * float64(e.Values()["data_wait"])
	}
	if e.Time.Sub(p.last) < lineEvery && e.Step != p.setup.Steps {
		return
	}
	p.last = e.Time
	left := time.Duration(p.perStep * float64(p.setup.Steps-e.Step) * 1e9)
	p.line(e, "%8s  %8s  %9s  %9s", format.Fixed(float64(e.Values()["loss"]), 4), format.Percent(float64(e.Values()["accuracy"]), 1),
		format.SI(float64(e.Values()["tokens_per_second"]), ""), format.Duration(left))
}

// line prints a line that begins with the step, and before the first line the names of the columns.
func (p *progress) line(e run.Event, format string, args ...any) {
	if p.silent.Load() {
		return
	}
	n := p.setup.Steps
	if !p.header {
		p.header = true
		fmt.Fprintf(p.w, "%*s  %8s  %8s  %9s  %9s\n", 2*digits(n)+1, "step", "loss", "accuracy", "tokens/s", "left")
	}
	fmt.Fprintf(p.w, "%*d/%d  %s\n", digits(n), e.Step, n, fmt.Sprintf(format, args...))
}

func digits(n int) int { return len(fmt.Sprint(n)) }
