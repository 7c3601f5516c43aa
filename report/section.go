package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"coil/format"
	"coil/metric"
	"coil/run"
	"coil/text"
)

// sectionOf is the part of the page about one run, without its plots.
func sectionOf(r *Record) section {
	s := section{ID: printable(r.Info.ID, 200), Model: printable(r.setup.Model, 100), Words: architecture(&r.setup), Status: r.Status,
		Facts: facts(r), Headlines: headlines(r), Samples: samples(r), Log: logTable(r),
		Config: printable(r.config, mostFile), Info: printable(r.info, mostFile)}
	s.Outcome, s.Failure = outcome(r)
	for _, t := range []table{loops(r), kinds(r), times(r)} {
		if len(t.Rows) > 0 {
			s.Tables = append(s.Tables, t)
		}
	}
	for _, o := range r.omitted {
		s.Omitted = append(s.Omitted, printable(o, 300))
	}
	return s
}

// mostFile is how many characters of a file are shown.
const mostFile = 1 << 16

// architecture says in words what runs: 1 layer, run 4 times.
func architecture(s *run.Setup) string {
	if len(s.Loops) == 0 || len(s.Blocks) != len(s.Loops) || slices.Min(s.Blocks) < 1 {
		return ""
	}
	layers := format.Plural(s.Blocks[0], "layer")
	if slices.Min(s.Blocks) < slices.Max(s.Blocks) {
		return fmt.Sprintf("blocks of %s layers, run %s times", enumerate(s.Blocks), enumerate(s.Loops))
	}
	if len(s.Loops) > 1 {
		return fmt.Sprintf("%d blocks of %s, run %s times", len(s.Loops), layers, enumerate(s.Loops))
	}
	switch s.Loops[0] {
	case 1:
		return layers + ", run once"
	case 2:
		return layers + ", run twice"
	}
	return fmt.Sprintf("%s, run %d times", layers, s.Loops[0])
}

// enumerate writes 1, 4 and 1.
func enumerate(n []int) string {
	var parts []string
	for _, n := range n {
		parts = append(parts, strconv.Itoa(n))
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

// outcome says how the run stands, and of a run that failed why.
func outcome(r *Record) (standing, failure string) {
	at := "at step " + count(r.history.Step)
	if r.setup.Steps > 0 {
		at += " of " + count(r.setup.Steps)
	}
	resume := fmt.Sprintf("; coil resume %s continues it", printable(text.Path(r.Info.ID), 200))
	switch r.Status {
	case Finished:
		return at, ""
	case Stopped:
		return at + resume, ""
	case Running, Paused:
		return at + ", when this was written", ""
	case Failed:
		failure, _ = r.history.Failure()
		failure = printable(failure, mostText)
		return at, failure
	}
	if r.Crash != nil {
		return at + resume, printable(r.Crash.String(), mostText)
	}
	return at + ": its process ended without a message" + resume, ""
}

// facts say what was trained, on what, and when.
func facts(r *Record) []fact {
	s := &r.setup
	var f []fact
	add := func(name string, parts ...string) {
		parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
		if len(parts) > 0 {
			f = append(f, fact{name, printable(strings.Join(parts, " · "), 500)})
		}
	}
	var ratio, depth, flops string
	if s.Depth() > 0 {
		ratio = fmt.Sprintf("%dx params / %dx FLOPs of one layer", s.Layers(), s.Depth())
		depth = fmt.Sprint("depth ", s.Depth())
	}
	if s.FLOPs > 0 {
		flops = format.NoBreak(format.SI(float64(s.FLOPs), "FLOPs")) + " a token"
	}
	if s.Parameters > 0 {
		add("model", count(s.Parameters)+" parameters", depth, ratio, flops)
	}
	if o := r.Info.WarmStart; o != nil {
		add("first weights", o.String())
	}
	length, batch := "", ""
	if s.Length > 0 {
		length = fmt.Sprintf("sequences of %d tokens", s.Length)
	}
	if s.Batch > 0 {
		batch = fmt.Sprintf("batches of %d", s.Batch)
	}
	add("task", s.Task, strings.Join(s.Kinds, ", "), length, batch)
	kernels, workers := "", ""
	if s.Kernels != "" {
		kernels = s.Kernels + " kernels"
	}
	if s.Workers > 0 {
		workers = format.Plural(s.Workers, "worker")
	}
	add("device", s.Backend, s.Device, kernels, workers)
	add("host", r.Info.Host, strings.TrimSpace(r.Info.OS+" "+r.Info.Arch), r.Info.GoVersion)
	if s.Memory > 0 {
		add("memory", format.NoBreak(format.Bytes(s.Memory))+" planned")
	}
	if h := r.history; h.Began.IsZero() {
		add("made", moment(r.Info.Created))
	} else {
		add("begun", moment(h.Began), "last event "+moment(h.Newest), "ran for "+format.NoBreak(format.Duration(h.Ran())))
	}
	return f
}

// headlines are the numbers to see first.
func headlines(r *Record) []headline {
	s := r.Summary()
	var h []headline
	add := func(name string, c cell, note string) { h = append(h, headline{name, c, note}) }
	at := func(step int) string { return "at step " + count(step) }
	if s.HeldOut != nil {
		add("held-out "+s.Metric.String(), optional(s.HeldOut, inFigures(s.Metric)), at(r.history.HeldOut.Step()))
	}
	if s.Best != nil && (s.HeldOut == nil || *s.Best != *s.HeldOut) {
		add("best", optional(s.Best, inFigures(s.Metric)), at(s.BestStep))
	}
	if s.HeldOutLoss != nil {
		add("held-out loss", optional(s.HeldOutLoss, format.Number), "")
	}
	if p, ok := r.newest(run.Loss); ok {
		add("training loss", exact(p.Y, format.Number(p.Y)), at(int(p.X)))
	}
	of := ""
	if s.Planned > 0 {
		of = "of " + count(s.Planned)
	}
	add("steps", exact(float64(s.Steps), count(s.Steps)), of)
	if p, ok := r.newest(run.Seconds); ok {
		add("training time", exact(p.Y, format.Seconds(p.Y)), "without pauses and evaluation")
	}
	if p, ok := r.newest(run.Tokens); ok {
		add("tokens", exact(p.Y, format.SI(p.Y, "")), "")
	}
	if p, ok := r.newest(run.TokensPerSecond); ok {
		add("tokens/s", exact(p.Y, format.SI(p.Y, "")), "in the last report")
	}
	if p, ok := r.newest(run.Utilization); ok {
		add("of the peak", exact(p.Y, format.Percent(p.Y, 1)), "model FLOPs in the last report, of what the device can multiply and add in float32")
	}
	if p, ok := r.newest(run.MemoryPeak); ok {
		add("memory", exact(p.Y, format.Bytes(p.Y)), "at most")
	}
	return h
}

// loops is the last look into the model after each loop.
func loops(r *Record) table {
	last, keys := &r.history.HeldOut, r.history.HeldOut.CurrentKeys()
	t := table{Title: "After each loop", Note: "What the model predicts, at step " + count(last.Step()) +
		", if the looped block ends after that loop; and the norm of the loop's change relative to that of the state before.",
		Head: []string{"loop", r.setup.Metric.String()}}
	type column struct {
		of    run.Quantity
		head  string
		write func(float64) string
	}
	var others []column
	for _, c := range []column{{run.Accuracy, metric.Accuracy.String(), percent}, {run.Exact, metric.ExactMatch.String(), percent},
		{run.BitsPerByte, metric.BitsPerByte.String(), inFigures(metric.BitsPerByte)}, {run.Loss, "loss", format.Number}, {run.Change, "change", format.Number}} {
		if c.of != r.judged() && len(run.Loops(keys, c.of)) > 0 {
			others = append(others, c)
			t.Head = append(t.Head, c.head)
		}
	}
	for _, n := range run.Loops(keys, r.judged()) {
		value := valueOf(last, r.judged().After(n), inFigures(r.setup.Metric))
		if r.setup.Metric.IsShare() {
			value = bar(value)
		}
		row := []cell{exact(float64(n), strconv.Itoa(n)), value}
		for _, c := range others {
			row = append(row, valueOf(last, c.of.After(n), c.write))
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) < 2 {
		t.Rows = nil // it is the evaluation itself
	}
	return t
}

// inFigures writes values of a metric.
func inFigures(m metric.Metric) func(float64) string {
	return func(x float64) string { return format.NoBreak(m.Format(x)) }
}

// valueOf is a value of the newest event.
func valueOf(s *run.Series, k run.Key, write func(float64) string) cell {
	y, ok := s.Current(k)
	if !ok {
		return optional(nil, nil)
	}
	return exact(y, write(y))
}

// kinds is the last evaluation by kind of example.
func kinds(r *Record) table {
	last := &r.history.HeldOut
	figures := []metric.Metric{metric.Accuracy, metric.ExactMatch}
	if !slices.Contains(figures, r.setup.Metric) {
		figures[1] = r.setup.Metric
	}
	t := table{Title: "Held-out examples", Head: []string{"kind", figures[0].String(), figures[1].String()}}
	keys := last.CurrentKeys()
	if len(keys) == 0 {
		return t
	}
	t.Note = "At step " + count(last.Step()) + "."
	if n, ok := last.Current(run.Examples.Key()); ok {
		t.Note = "At step " + count(last.Step()) + ", on " + format.NoBreak(format.Plural(int(n), "example")) + "."
	}
	row := func(name, part string) {
		cells := []cell{words(name)}
		for _, m := range figures {
			c := valueOf(last, run.Judged(m).Of(part), inFigures(m))
			if m == r.setup.Metric && m.IsShare() {
				c = bar(c)
			}
			cells = append(cells, c)
		}
		t.Rows = append(t.Rows, cells)
	}
	names := kindsOf(keys, r.setup.Kinds)
	for _, k := range names {
		row(k, k)
	}
	if len(names) != 1 {
		row("all", "")
	}
	return t
}

// kindsOf are the kinds that there are: those that are known in their order, then any others.
func kindsOf(keys []run.Key, known []string) []string {
	names := run.Parts(keys, run.Accuracy)
	place := func(k string) int {
		if i := slices.Index(known, k); i >= 0 {
			return i
		}
		return len(known)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(place(a)-place(b), cmp.Compare(a, b)) })
	return names
}

// times is where the time of a step goes.
func times(r *Record) table {
	t := table{Title: "Where a step's time goes", Head: []string{"operations", "share"}}
	step := -1.0
	train := &r.history.Train
	kinds := run.Parts(train.Keys(), run.Time)
	for _, kind := range kinds {
		p, _ := train.Last(run.Time.Of(kind))
		step = max(step, p.Step)
	}
	for _, kind := range kinds {
		if p, _ := train.Last(run.Time.Of(kind)); p.Step == step && p.Y != 0 {
			t.Rows = append(t.Rows, []cell{words(kind), bar(exact(p.Y, percent(p.Y)))})
		}
	}
	slices.SortFunc(t.Rows, func(a, b []cell) int {
		x, _ := strconv.ParseFloat(a[1].Value, 64)
		y, _ := strconv.ParseFloat(b[1].Value, 64)
		return cmp.Or(cmp.Compare(y, x), cmp.Compare(a[0].Text, b[0].Text))
	})
	t.Note = fmt.Sprintf("At step %s.", count(int64(step)))
	return t
}

// mostSamples is how many samples are shown.
const mostSamples = 32

// samples are what the model said at the last evaluation that has any.
func samples(r *Record) *table {
	step, samples := r.history.Samples()
	if len(samples) == 0 {
		return nil
	}
	t := &table{Title: "Samples", Note: "Held-out examples at step " + count(step) + ".",
		Head: []string{"kind", "question", "wanted", "said", ""}}
	if r.setup.Task == "addition" && r.keys["task.addition.order"] == "least" {
		t.Note += " Answers are reversed: the last digit comes first."
	}
	if samples[0].Loops > 0 {
		t.Note += " The model continues each text at several loop counts."
		t.Head = []string{"loops", "text", "how it goes on", "what the model writes"}
		for _, s := range samples[:min(len(samples), mostSamples)] {
			t.Rows = append(t.Rows, []cell{exact(float64(s.Loops), strconv.Itoa(s.Loops)), code(s.Question), code(s.Want), code(s.Said)})
		}
		return t
	}
	for _, s := range samples[:min(len(samples), mostSamples)] {
		mark := cell{Text: "✗ wrong", Class: "wrong"}
		if s.Right {
			mark = cell{Text: "✓ right", Class: "right"}
		}
		t.Rows = append(t.Rows, []cell{words(s.Kind), code(s.Question), code(s.Want), code(s.Said), mark})
	}
	return t
}

func code(s string) cell { return cell{Text: printable(s, 2000), Class: "code"} }

// mostLogged is how many lines of the log are shown at its beginning, and at its end.
const mostLogged = 100

// logTable lists the events other than training.
func logTable(r *Record) *table {
	t := &table{Title: "Log", Head: []string{"time", "step", "", ""}}
	var log []run.Event
	for _, e := range r.history.Log {
		switch e.Kind {
		case run.KindStart, run.KindSetup, run.KindResume, run.KindPause, run.KindContinue, run.KindNote, run.KindStop, run.KindEnd, run.KindError:
			log = append(log, e)
		}
	}
	left := len(log) - 2*mostLogged
	for i, e := range log {
		if left > 0 && i >= mostLogged && i < mostLogged+left {
			if i == mostLogged {
				t.Rows = append(t.Rows, []cell{{}, {}, {}, words(fmt.Sprintf("… %d more …", left+r.history.Omitted))})
			}
			continue
		}
		t.Rows = append(t.Rows, []cell{words(moment(e.Time)), exact(float64(e.Step), count(e.Step)), {Text: e.Kind, Class: e.Kind}, words(logText(e))})
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

func logText(e run.Event) string {
	switch {
	case e.Setup != nil:
		return fmt.Sprintf("%s, %s steps, on %s %s", e.Setup.Model, count(e.Setup.Steps), e.Setup.Backend, e.Setup.Device)
	case e.Text != "":
		return e.Text
	}
	return map[string]string{
		run.KindStart: "the run begins", run.KindPause: "training waits", run.KindContinue: "training continues",
		run.KindResume: "continues from the checkpoint of this step", run.KindStop: "stopped by the user", run.KindEnd: "all steps are done",
	}[e.Kind]
}
