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

	history *run.History
	last    time.Time // of the report that a line was printed for
	header  bool
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, history: run.NewHistory(0)} // the newest values are enough
}

// wait is the share of the training time since this process began that was spent waiting for data.
func (p *progress) wait() float64 { return p.history.Waited / max(p.history.Trained, 1e-9) }

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
	h := p.history
	h.Add(e)
	switch e.Kind {
	case run.KindSetup:
		p.last = e.Time
	case run.KindTrain:
		p.train(e)
	case run.KindEval:
		if m := h.Setup.Metric; e.Step != h.Setup.Steps {
			v, _ := h.HeldOut.Current(run.Judged(m).Key())
			p.line(e, "held-out %s %s", m, m.Format(v))
		}
	case run.KindPause:
		p.line(e, "paused")
	case run.KindContinue:
		p.line(e, "training continues")
	case run.KindNote:
		p.line(e, "%s", e.Text)
	}
}

func (p *progress) train(e run.Event) {
	h := p.history
	if e.Time.Sub(p.last) < lineEvery && h.Setup.Share(e.Step, h.Seconds) < 1 {
		return
	}
	p.last = e.Time
	value := func(q run.Quantity) float64 {
		v, _ := h.Train.Value(q.Key())
		return v
	}
	used := "" // of the peak, if that is known
	if v, ok := h.Train.Value(run.Utilization.Key()); ok {
		used = fmt.Sprintf("  %7s", format.Percent(v, 0))
	}
	p.line(e, "%8s  %8s  %9s%s  %9s", format.Fixed(value(run.Loss), 4), format.Percent(value(run.Accuracy), 1),
		format.SI(value(run.TokensPerSecond), ""), used, format.Seconds(h.Left()))
}

// line prints a line that begins with the step, and before the first line the names of the columns.
func (p *progress) line(e run.Event, format string, args ...any) {
	if p.silent.Load() {
		return
	}
	n := p.history.Setup.Steps
	if !p.header {
		p.header = true
		used := ""
		if p.history.Setup.Peak > 0 {
			used = "  of peak"
		}
		fmt.Fprintf(p.w, "%*s  %8s  %8s  %9s%s  %9s\n", 2*digits(n)+1, "step", "loss", "accuracy", "tokens/s", used, "left")
	}
	fmt.Fprintf(p.w, "%*d/%d  %s\n", digits(n), e.Step, n, fmt.Sprintf(format, args...))
}

func digits(n int) int { return len(fmt.Sprint(n)) }
