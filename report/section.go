package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"coil/format"
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
	if len(s.Loops) == 0 || s.LayersPerBlock < 1 {
		return ""
	}
	layers := format.Plural(s.LayersPerBlock, "layer")
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
	at := "at step " + count(r.steps)
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
		for _, e := range slices.Backward(r.log) {
			if e.Kind == run.KindError {
				failure = printable(e.Text, mostText)
				break
			}
		}
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
		ratio = fmt.Sprintf("%dx params / %dx FLOPs of one layer", s.LayersPerBlock*len(s.Loops), s.Depth())
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
	if r.begun.IsZero() {
		add("made", moment(r.Info.Created))
	} else {
		add("begun", moment(r.begun), "last event "+moment(r.last), "ran for "+format.NoBreak(format.Duration(r.ran)))
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
		add("held-out "+s.Metric, optional(s.HeldOut, percent), at(r.evaluation().Step))
	}
	if s.Best != nil && (s.HeldOut == nil || *s.Best != *s.HeldOut) {
		add("best", optional(s.Best, percent), at(s.BestStep))
	}
	if s.HeldOutLoss != nil {
		add("held-out loss", optional(s.HeldOutLoss, format.Number), "")
	}
	if p, ok := r.newest("loss"); ok {
		add("training loss", exact(p.y, format.Number(p.y)), at(int(p.x)))
	}
	of := ""
	if s.Planned > 0 {
		of = "of " + count(s.Planned)
	}
	add("steps", exact(float64(s.Steps), count(s.Steps)), of)
	if p, ok := r.newest("seconds"); ok {
		add("training time", exact(p.y, format.Seconds(p.y)), "without pauses and evaluation")
	}
	if p, ok := r.newest("tokens"); ok {
		add("tokens", exact(p.y, format.SI(p.y, "")), "")
	}
	if p, ok := r.newest("tokens_per_second"); ok {
		add("tokens/s", exact(p.y, format.SI(p.y, "")), "in the last report")
	}
	if p, ok := r.newest("memory_peak"); ok {
		add("memory", exact(p.y, format.Bytes(p.y)), "at most")
	}
	return h
}

// loops is the last look into the model after each loop.
func loops(r *Record) table {
	last := r.evaluation()
	v := last.Values()
	t := table{Title: "After each loop", Note: "What the model predicts, at step " + count(last.Step) +
		", if the looped block ends after that loop; and the norm of the loop's change relative to that of the state before.",
		Head: []string{"loop", r.setup.Metric}}
	var others []string
	for _, name := range []string{"accuracy", "exact", "loss", "change"} {
		if name != r.metric() && len(loopsOf(v, name)) > 0 {
			others = append(others, name)
			t.Head = append(t.Head, map[string]string{"exact": "exact match"}[name])
			if t.Head[len(t.Head)-1] == "" {
				t.Head[len(t.Head)-1] = name
			}
		}
	}
	for _, n := range loopsOf(v, r.metric()) {
		row := []cell{exact(float64(n), strconv.Itoa(n)), bar(share(v, atLoop(r.metric(), n)))}
		for _, name := range others {
			write := format.Number
			if name == "accuracy" || name == "exact" {
				write = percent
			}
			row = append(row, valueOf(v, atLoop(name, n), write))
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) < 2 {
		t.Rows = nil // it is the evaluation itself
	}
	return t
}

func share(v map[string]run.Number, name string) cell { return valueOf(v, name, percent) }

func valueOf(v map[string]run.Number, name string, write func(float64) string) cell {
	y, ok := v[name]
	if !ok {
		return optional(nil, nil)
	}
	return exact(float64(y), write(float64(y)))
}

// kinds is the last evaluation by kind of example.
func kinds(r *Record) table {
	last := r.evaluation()
	t := table{Title: "Held-out examples", Head: []string{"kind", "accuracy", "exact match"}}
	values := last.Values()
	if len(values) == 0 {
		return t
	}
	t.Note = "At step " + count(last.Step) + "."
	if n, ok := values["examples"]; ok {
		t.Note = "At step " + count(last.Step) + ", on " + format.NoBreak(format.Plural(int(n), "example")) + "."
	}
	row := func(kind, suffix string) {
		accuracy, match := share(values, "accuracy"+suffix), share(values, "exact"+suffix)
		if r.metric() == "exact" {
			match = bar(match)
		} else {
			accuracy = bar(accuracy)
		}
		t.Rows = append(t.Rows, []cell{words(kind), accuracy, match})
	}
	names := kindsOf(r)
	for _, k := range names {
		row(k, " "+k)
	}
	if len(names) != 1 {
		row("all", "")
	}
	return t
}

// kindsOf are the kinds of the last evaluation: those of the setup in its order, then any others.
func kindsOf(r *Record) []string {
	var names []string
	for name := range r.evaluation().Values() {
		if k, ok := strings.CutPrefix(name, "accuracy "); ok {
			names = append(names, k)
		}
	}
	place := func(k string) int {
		if i := slices.Index(r.setup.Kinds, k); i >= 0 {
			return i
		}
		return len(r.setup.Kinds)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(place(a)-place(b), cmp.Compare(a, b)) })
	return names
}

// times is where the time of a step goes.
func times(r *Record) table {
	t := table{Title: "Where a step's time goes", Head: []string{"operations", "share"}}
	step := -1.0
	for name := range r.train {
		if strings.HasPrefix(name, "time_") {
			p, _ := r.newest(name)
			step = max(step, p.x)
		}
	}
	for name := range r.train {
		group, ok := strings.CutPrefix(name, "time_")
		if p, _ := r.newest(name); ok && p.x == step && p.y != 0 {
			t.Rows = append(t.Rows, []cell{words(group), bar(exact(p.y, percent(p.y)))})
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
	for _, e := range slices.Backward(r.evals) {
		if e.Eval == nil || len(e.Eval.Samples) == 0 {
			continue
		}
		t := &table{Title: "Samples", Note: "Held-out examples at step " + count(e.Step) + ".",
			Head: []string{"kind", "question", "wanted", "said", ""}}
		if r.setup.Task == "addition" && r.keys["task.addition.order"] == "least" {
			t.Note += " Answers are reversed: the last digit comes first."
		}
		for _, s := range e.Eval.Samples[:min(len(e.Eval.Samples), mostSamples)] {
			mark := cell{Text: "✗ wrong", Class: "wrong"}
			if s.Right {
				mark = cell{Text: "✓ right", Class: "right"}
			}
			row := []cell{words(s.Kind), code(s.Question), code(s.Want), code(s.Said), mark}
			t.Rows = append(t.Rows, row)
		}
		return t
	}
	return nil
}

func code(s string) cell { return cell{Text: printable(s, 2000), Class: "code"} }

// mostLogged is how many lines of the log are shown at its beginning, and at its end.
const mostLogged = 100

// logTable lists the events other than training.
func logTable(r *Record) *table {
	t := &table{Title: "Log", Head: []string{"time", "step", "", ""}}
	for i, e := range r.log {
		if left := len(r.log) - 2*mostLogged; left > 0 && i >= mostLogged && i < mostLogged+left {
			if i == mostLogged {
				t.Rows = append(t.Rows, []cell{{}, {}, {}, words(fmt.Sprintf("… %d more …", left))})
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
