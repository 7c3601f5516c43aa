package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"coil/metric"
	"coil/plot"
	"coil/run"
	"coil/thorough"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// made is a report, taken apart.
type made struct {
	folder   string
	page     string
	text     string // that is shown, without the plots
	data     []float64
	elements map[string]int
}

// report writes the report of runs and checks what is true of every one: the page is well-formed, needs nothing from
// outside, and each plot is there as an element and as two files. Run go test -artifacts to look at them.
func report(t *testing.T, runs ...*run.Run) made {
	t.Helper()
	var records []*Record
	for _, r := range runs {
		records = append(records, Read(r))
	}
	return written(t, records)
}

func written(t *testing.T, records []*Record) made {
	t.Helper()
	folder := filepath.Join(t.ArtifactDir(), "report")
	index, err := Write(folder, records)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	m := made{folder: folder, page: string(b), elements: map[string]int{}}
	m.parse(t)
	m.checkFiles(t)
	return m
}

func (m *made) parse(t rapid.TB) {
	t.Helper()
	var text strings.Builder
	d := xml.NewDecoder(strings.NewReader(m.page))
	var open []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			name := x.Name.Local
			open = append(open, name)
			m.elements[name]++
			m.checkElement(t, x)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if !slices.Contains(open, "svg") && !slices.Contains(open, "style") {
				text.WriteString(string(x) + " ")
			}
		}
	}
	m.text = strings.Join(strings.Fields(strings.ReplaceAll(text.String(), "\u202f", "")), " ")
}

// checkElement checks that an element runs no program and loads nothing, and refers to nothing outside the folder.
func (m *made) checkElement(t rapid.TB, e xml.StartElement) {
	t.Helper()
	if slices.Contains([]string{"script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "use", "foreignObject"}, e.Name.Local) {
		t.Errorf("the page has an element %s", e.Name.Local)
	}
	for _, a := range e.Attr {
		switch name := a.Name.Local; {
		case strings.HasPrefix(name, "on"):
			t.Errorf("the page has an attribute %s", name)
		case name == "href" && strings.HasPrefix(a.Value, "#"):
			if !strings.Contains(m.page, fmt.Sprintf("id=%q", a.Value[1:])) {
				t.Errorf("the page has no %s", a.Value)
			}
		case name == "href" || name == "src":
			if _, err := os.Stat(filepath.Join(m.folder, a.Value)); err != nil || filepath.Base(a.Value) != a.Value {
				t.Errorf("the page refers to %s: %v", a.Value, err)
			}
		case strings.Contains(a.Value, "url("):
			t.Errorf("the page refers to %s", a.Value)
		case e.Name.Local == "data" && name == "value":
			x, err := strconv.ParseFloat(a.Value, 64)
			if err != nil {
				t.Errorf("a number of the page: %v", err)
			}
			m.data = append(m.data, x)
		}
	}
	if e.Name.Local == "style" && (strings.Contains(m.page, "@import") || strings.Contains(m.page, "url(")) {
		t.Error("the style loads something")
	}
}

func (m *made) checkFiles(t rapid.TB) {
	t.Helper()
	entries, err := os.ReadDir(m.folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(m.folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		switch filepath.Ext(e.Name()) {
		case ".png":
			c, err := png.DecodeConfig(bytes.NewReader(b))
			if err != nil || c.Width != 2*plot.Width || c.Height != 2*plot.Height {
				t.Errorf("%s has %d x %d pixels: %v", e.Name(), c.Width, c.Height, err)
			}
		case ".svg":
			var svg struct {
				XMLName xml.Name
			}
			if err := xml.Unmarshal(b, &svg); err != nil || svg.XMLName.Local != "svg" {
				t.Errorf("%s: %v", e.Name(), err)
			}
			if b = bytes.ReplaceAll(b, []byte("× NaN or infinite"), nil); bytes.Contains(b, []byte("NaN")) || bytes.Contains(b, []byte("Inf")) {
				t.Errorf("%s has a place that is no number", e.Name())
			}
		}
	}
	if want := 1 + 2*m.elements["svg"]; len(entries) != want || m.elements["figure"] != m.elements["svg"] {
		t.Errorf("%d files and %d figures for %d plots", len(entries), m.elements["figure"], m.elements["svg"])
	}
}

// has checks that the page shows texts.
func (m *made) has(t *testing.T, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !strings.Contains(m.text, s) {
			t.Errorf("the page does not show %q; it shows\n%s", s, m.text)
		}
	}
}

func (m *made) hasPlots(t *testing.T, names ...string) {
	t.Helper()
	for _, n := range names {
		if !strings.Contains(m.page, fmt.Sprintf("<figure id=%q>", n)) {
			t.Errorf("the page has no plot %s", n)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	s := looped(1, 4)
	m := report(t, story{config: config, setup: s, events: usual(s, 1200, 0)}.tell(t))
	m.has(t, "1⊗4", "1 layer, run 4 times", "finished at step 1200 of 1200", "50000 parameters · depth 4 · 1x params / 4x FLOPs of one layer · 459kFLOPs a token",
		"p-hop · 4 hops · sequences of 64 tokens · batches of 64", "cpu · Some CPU · avx512 kernels · 2 workers", "19MiB planned",
		"begun 2026-11-24 09:30:00 · last event", "After each loop", "kind accuracy exact match", "matmul 55.0%", "✗ wrong", "✓ right", "dbacbadcabdcabcd",
		"pause, asked by process 123 on here", "training waits", "continues from the checkpoint of this step", `layers = "1x4"`, `"host": "here"`, "training time 26s")
	m.hasPlots(t, "loss", "accuracy", "learning-rate", "gradient-norm", "tokens-per-second", "memory", "temperature", "metric-by-loop", "change-by-loop")
	if strings.Contains(m.text, "Passed over") {
		t.Error("something was passed over")
	}
}

// Every number that is shown is one of the run.
func TestNumbersAreTheRuns(t *testing.T) {
	t.Parallel()
	s := looped(4, 1, 4, 1)
	s.Metric, s.Kinds = metric.ExactMatch, []string{"n=2", "n=4", "n=8"}
	events := usual(s, 900, 0.3)
	known := map[float64]bool{float64(s.Parameters): true, float64(s.Depth()): true, 900: true, 0: true}
	for _, e := range events {
		known[float64(e.Step)] = true
		for _, numbers := range []iter.Seq2[run.Key, run.Number]{e.Train.Numbers(), e.Eval.Numbers()} {
			for k, y := range numbers {
				known[float64(y)], known[float64(k.Loop)] = true, true
			}
		}
	}
	r := story{config: config, setup: s, events: events}.tell(t)
	m := report(t, r)
	if len(m.data) < 50 {
		t.Errorf("only %d numbers", len(m.data))
	}
	for _, x := range m.data {
		if !known[x] {
			t.Errorf("%v is no number of the run", x)
		}
	}
	m.has(t, "4⊗(1,4,1)", "3 blocks of 4 layers, run 1, 4 and 1 times", "held-out exact match", "n=8", "crashed at step 900 of 1200: its process ended without a message")
	m.hasPlots(t, "exact-match", "kinds")
	if last := evaluation(s, 900, 0.3); !slices.Contains(m.data, float64(*last.Eval.Loops[2].Exact)) {
		t.Error("the last evaluation's exact match after loop 3 is missing")
	}
}

// What a killed process did, and its successor did again, counts once.
func TestResumedRun(t *testing.T) {
	s := looped(1, 4)
	whole := []run.Event{{Kind: run.KindStart}, train(s, 100, 0), evaluation(s, 100, 0), {Kind: run.KindResume, Step: 100}, train(s, 200, 0), evaluation(s, 200, 0), {Kind: run.KindStop, Step: 200}}
	broken := slices.Insert(slices.Clone(whole), 3, train(s, 200, 3), train(s, 300, 3), evaluation(s, 300, 3))
	a, b := Read(story{config: config, events: whole}.tell(t)), Read(story{config: config, events: broken}.tell(t))
	if d := cmp.Diff(a.history.Train.Keys(), b.history.Train.Keys()); d != "" {
		t.Error(d)
	}
	for _, k := range a.history.Train.Keys() {
		if d := cmp.Diff(a.trained(k), b.trained(k)); d != "" {
			t.Errorf("%s: %s", k, d)
		}
	}
	if a, b := a.Summary(), b.Summary(); *a.HeldOut != *b.HeldOut || *a.Best != *b.Best || b.Steps != 200 {
		t.Errorf("%+v, %+v", a, b)
	}
}

func TestStatus(t *testing.T) {
	s := looped(1, 4)
	begun := []run.Event{{Kind: run.KindStart}, {Kind: run.KindSetup, Setup: &s}, {Kind: run.KindCheckpoint, Step: 10}}
	for _, c := range []struct {
		last []run.Event
		held bool
		want Status
		text string
	}{
		{[]run.Event{{Kind: run.KindEnd, Step: 1200}}, false, Finished, "at step 1200 of 1200"},
		{[]run.Event{{Kind: run.KindEnd, Step: 1200}, {Kind: run.KindNote, Step: 1200, Text: "x"}, {Kind: "later", Step: 1300}}, false, Finished, "at step 1200 of 1200"},
		{[]run.Event{{Kind: run.KindStop, Step: 20}}, false, Stopped, "at step 20 of 1200; coil resume 2026-11-24_09-30-00_ab12 continues it"},
		{[]run.Event{{Kind: run.KindError, Step: 20, Text: "diverged at step 21"}}, false, Failed, "diverged at step 21"},
		{nil, false, Crashed, "at step 10 of 1200: its process ended without a message; coil resume"},
		{[]run.Event{{Kind: run.KindPause, Step: 20}}, false, Crashed, ""},
		{nil, true, Running, "at step 10 of 1200, when this was written"},
		{[]run.Event{{Kind: run.KindPause, Step: 20}}, true, Paused, "at step 20 of 1200, when this was written"},
		{[]run.Event{{Kind: run.KindPause, Step: 20}, {Kind: run.KindContinue, Step: 20}}, true, Running, ""},
		{[]run.Event{{Kind: run.KindStop, Step: 20}, {Kind: run.KindResume, Step: 20}}, false, Crashed, ""},
	} {
		r := story{config: config, events: append(slices.Clone(begun), c.last...)}.open(t)
		if !c.held {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		rec := Read(r)
		if got := rec.Summary().Status; got != c.want {
			t.Errorf("after %v it is %s, want %s", c.last, got, c.want)
		}
		m := written(t, []*Record{rec})
		m.has(t, string(c.want), c.text)
		if c.held {
			r.Close()
		}
	}
}

// A run with little data has a report, too.
func TestScantRuns(t *testing.T) {
	t.Parallel()
	s := looped(1, 4)
	all := map[string]struct {
		story story
		spoil func(t *testing.T, path string)
		want  []string
	}{
		"no event":        {story{config: config}, nil, []string{"1⊗4", "p-hop", "crashed at step 0 of 1200", "made 20"}},
		"only begun":      {story{config: config, events: []run.Event{{Kind: run.KindStart}}}, nil, []string{"the run begins"}},
		"one report":      {story{config: config, events: []run.Event{train(s, 10, 0)}}, nil, []string{"training loss"}},
		"one evaluation":  {story{config: config, events: []run.Event{evaluation(s, 10, 0)}}, nil, []string{"held-out accuracy"}},
		"empty values":    {story{config: config, events: []run.Event{{Kind: run.KindTrain, Step: 1}, {Kind: run.KindEval, Step: 1}}}, nil, nil},
		"empty setup":     {story{config: config, events: []run.Event{{Kind: run.KindSetup}, {Kind: run.KindSetup, Setup: &run.Setup{}}}}, nil, []string{"1⊗4"}},
		"hopeless setup":  {story{config: config, events: []run.Event{{Kind: run.KindSetup, Setup: &run.Setup{Model: "?", Blocks: []int{-1}, Loops: []int{-5}, Looped: 9, Steps: -3, Parameters: -8}}}}, nil, nil},
		"empty config":    {story{}, nil, nil},
		"garbled config":  {story{config: "[model\nlayers"}, nil, []string{"the keys of config.toml:2: ", "is not TOML"}},
		"nested config":   {story{config: "a = 1\nb = " + strings.Repeat("[", 3000) + strings.Repeat("]", 3000)}, nil, []string{"the keys of config.toml:2: arrays and tables are nested"}},
		"steps of config": {story{config: "[train]\nsteps = \"many\""}, nil, nil},
		"no config": {story{config: config}, func(t *testing.T, path string) { remove(t, path, "config.toml") },
			[]string{"Passed over", "the configuration: "}},
		"no events": {story{config: config}, func(t *testing.T, path string) { remove(t, path, "events.jsonl") },
			[]string{"Passed over", "read the events: "}},
		"garbled lines": {story{config: config, events: []run.Event{train(s, 10, 0)}}, func(t *testing.T, path string) {
			spill(t, path, "x\n{}\n\n[]\n{\"kind\":3}\n{\"kind\":\"train\",\"step\":\"x\"}\n{\"kind\":\"train\",\"values\":{\"loss\":\"low\"}}\n"+
				"{\"kind\":\"end\",\"step\":12,\"time\":\"2026-11-24T09:31:00+01:00\"}\n")
		}, []string{"finished at step 12", "line 2 of events.jsonl: not an event: ", "line 3 of events.jsonl: not an event: it has no kind", "1 more lines of events.jsonl"}},
		"a cut line": {story{config: config, events: []run.Event{train(s, 10, 0)}}, func(t *testing.T, path string) { spill(t, path, `{"kind":"trai`) },
			[]string{"the last line of events.jsonl, 13 bytes without an end", "crashed at step 10"}},
		"of a newer version": {story{config: config, events: []run.Event{train(s, 10, 0)}}, func(t *testing.T, path string) {
			spill(t, path, `{"kind":"dream","step":11,"time":"2026-11-24T09:31:00+01:00","sheep":3}`+"\n"+
				`{"kind":"train","step":20,"time":"2026-11-24T09:31:01+01:00","values":{"loss":0.5,"sharpness":12,"entropy_loop_1":2},"mood":"good"}`+"\n"+
				`{"kind":"eval","step":20,"time":"2026-11-24T09:31:01+01:00","values":{"loss":0.5,"calibration":0.1}}`+"\n")
		}, []string{"1 event of the unknown kind \"dream\"", "the unknown member \"mood\" of 1 event", "the unknown member \"sheep\" of 1 event"}},
	}
	for _, name := range thorough.Cases(t, 4, "runs", slices.Sorted(maps.Keys(all))) {
		c := all[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := c.story.tell(t)
			if c.spoil != nil {
				c.spoil(t, r.Path())
			}
			m := report(t, r)
			m.has(t, c.want...)
			if passed := strings.Contains(m.text, "Passed over"); passed != (c.spoil != nil || name == "garbled config" || name == "nested config") {
				t.Errorf("passed over: %v", passed)
			}
			if name == "of a newer version" {
				m.hasPlots(t, "value-1", "value-2", "value-3")
			}
		})
	}
}

func remove(t *testing.T, path, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(path, name)); err != nil {
		t.Fatal(err)
	}
}

// spill writes more to the events.
func spill(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(path, "events.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// What is not a finite number is a gap, and the caption says how many there are.
func TestNumbersThatAreNone(t *testing.T) {
	nan, inf := run.Number(math.NaN()), run.Number(math.Inf(1))
	at := func(step int, loss run.Number) run.Event {
		return run.Event{Kind: run.KindTrain, Step: step, Train: &run.Train{Loss: &loss, GradNorm: &nan, Rate: new(-inf), Machine: run.Machine{Memory: &inf}}}
	}
	events := []run.Event{at(1, 2), at(2, nan), at(3, 1), at(4, inf), at(5, -inf), at(6, 1e300), at(7, -1e300), at(8, 3), at(9, nan),
		{Kind: run.KindEval, Step: 9, Eval: run.EvalOf(map[string]run.Number{"loss": nan, "accuracy": nan, "accuracy_loop_1": inf, "accuracy_loop_2": nan, "change_loop_1": -inf, "examples": nan})},
		{Kind: run.KindError, Step: 9, Text: "diverged"}}
	r := story{config: config, events: events}.tell(t)
	m := report(t, r)
	m.has(t, "training loss NaN", "held-out loss NaN", "5 values are NaN or infinite", "diverged")
	m.hasPlots(t, "loss")
	if m.elements["figure"] != 1 {
		t.Errorf("%d plots, want only that of the loss", m.elements["figure"])
	}
	if s := Read(r).Summary(); s.Best != nil || !math.IsNaN(float64(*s.Loss)) || !math.IsNaN(float64(*s.HeldOut)) {
		t.Errorf("%+v", s)
	}
}

// Whatever a run's texts are, they are only texts in the page.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	evil := "</script><script>alert(1)</script><img src=x onerror=alert(2)>&lt;\"'`{{.}}]]>--></pre></svg>\x00\x1b[31m\u202e\xff⊗"
	s := looped(1, 4)
	s.Model, s.Task, s.Kinds, s.Device = evil, evil, []string{evil}, evil
	e := evaluation(s, 10, 0)
	e.Eval.Samples = []run.Sample{{Kind: evil, Question: evil, Want: evil, Said: evil}, {Question: strings.Repeat("long ", 10000)}}
	e.Eval.Kinds = append(e.Eval.Kinds, run.KindScore{Kind: evil, Score: run.Score{Accuracy: new(run.Number(0.5))}})
	again := e
	again.Step = 20
	events := []run.Event{{Kind: run.KindSetup, Setup: &s}, e, again, {Kind: run.KindTrain, Step: 10, Train: run.TrainOf(map[string]run.Number{evil: 1, "cosine_" + evil: 1, "time_" + evil: 1})},
		{Kind: run.KindNote, Step: 10, Text: evil}, {Kind: evil, Step: 10}, {Kind: run.KindError, Step: 10, Text: evil + strings.Repeat(evil, 1000)}}
	a := story{id: "<b>&'\"⊗", config: "# " + evil + "\n[model]\nlayers = \"1x4\"\n", events: events}.tell(t)
	b := story{id: "<i>onclick=alert(1)", config: "[model]\nlayers = \"<u>\"\n\"<u>\" = 1\n", events: events}.tell(t)
	m := report(t, a)
	m.has(t, "</script><script>alert(1)</script><img src=x onerror=alert(2)>&lt;\"'`{{.}}]]>--></pre></svg>", "1 event of the unknown kind")
	if strings.Contains(m.page, "\u202e") {
		t.Error("the page has text that turns what follows around")
	}
	if len(m.page) > 1<<19 {
		t.Errorf("the page has %d bytes", len(m.page))
	}
	m = report(t, a, b)
	m.has(t, "model.<u>")
}

// Many runs share each plot, and their differences a table.
func TestOverlay(t *testing.T) {
	t.Parallel()
	var runs []*run.Run
	for i := range 9 {
		s := looped(1, i+1)
		s.Steps = 1200 + i
		runs = append(runs, story{id: fmt.Sprintf("2026-11-24_09-30-0%d_ab%d0", i, i), config: strings.Replace(config, "1x4", fmt.Sprint("1x", i+1), 1), setup: s,
			events: usual(s, 600+50*i, float64(i)/3)}.tell(t))
	}
	m := report(t, runs...)
	m.has(t, "9 runs", "Results", "differ in their dashes", "Configuration", "The keys that differ. key ab00 1⊗1", "model.layers 1x1 1x2 1x3 1x4 1x5 1x6 1x7 1x8 1x9", "run held-out best status parameters", "crashed 50000 8 950")
	m.hasPlots(t, "loss", "accuracy", "last-by-loop", "run-8-metric-by-loop")
	if strings.Contains(m.text, "train.rate 0.001") {
		t.Error("a key that does not differ is in the table")
	}
	svg, err := os.ReadFile(filepath.Join(m.folder, "loss.svg"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(svg, []byte("stroke-dasharray")) {
		t.Error("the ninth run looks like the first")
	}
	for i := range runs {
		if !bytes.Contains(svg, fmt.Appendf(nil, ">ab%d0 1x%d<", i, i+1)) || !bytes.Contains(svg, []byte(plot.Hex(plot.Color(i).Light))) {
			t.Errorf("the legend lacks run %d", i)
		}
	}
}

func TestLabels(t *testing.T) {
	of := func(id, name, model string) *Record {
		return &Record{Info: run.Info{ID: id, Name: name}, setup: run.Setup{Model: model}}
	}
	for _, c := range []struct {
		records []*Record
		want    []string
	}{
		{[]*Record{of("2026-11-24_09-30-00_ab12_x", "x", "m"), of("2026-11-24_09-30-00_ab13_y", "y", "m")}, []string{"x", "y"}},
		{[]*Record{of("2026-11-24_09-30-00_ab12_x", "x", "m"), of("2026-11-24_09-30-00_ab13_x", "x", "m")}, []string{"ab12_x", "ab13_x"}},
		{[]*Record{of("2026-11-24_09-30-00_ab12", "", "m"), of("2026-11-24_09-30-01_ab12", "", "n")}, []string{"2026-11-24_09-30-00_ab12 m", "2026-11-24_09-30-01_ab12 n"}},
		{[]*Record{of("mine", "", "m"), of("2026-11-24_09-30-01_ab12", "", "m")}, []string{"mine", "ab12"}},
	} {
		if d := cmp.Diff(c.want, labelsOf(c.records)); d != "" {
			t.Error(d)
		}
	}
}

// The report of a very long run is small.
func TestLongRun(t *testing.T) {
	const reports = 200_000
	s := looped(1, 4)
	s.Steps = reports
	r := story{config: config, setup: s, events: []run.Event{{Kind: run.KindStart}, {Kind: run.KindSetup, Setup: &s}}}.tell(t)
	var lines bytes.Buffer
	for step := 1; step <= reports; step++ {
		y := math.Sin(float64(step)*12.9898) * 0.04
		fmt.Fprintf(&lines, `{"kind":"train","step":%d,"time":"2026-11-24T09:31:00+01:00","values":{"loss":%.4f,"grad_norm":%.4f}}`+"\n", step, 1+y, 2+y)
	}
	spill(t, r.Path(), lines.String())
	m := report(t, r)
	size := 0
	entries, err := os.ReadDir(m.folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += int(fi.Size())
	}
	if perPlot := size / m.elements["svg"]; perPlot > 160_000 { // of a dozen
		t.Errorf("%d bytes for each plot", perPlot)
	}
}

// The same run gives the same bytes.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	s := looped(1, 4)
	r := story{config: config, setup: s, events: usual(s, 1200, 0)}.tell(t)
	a, err := render([]*Record{Read(r)})
	if err != nil {
		t.Fatal(err)
	}
	b, err := render([]*Record{Read(r)})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Error("two reports of the same run differ")
	}
}

// Any events make a page that is well-formed, and numbers of any size plots.
func TestAnyEvents(t *testing.T) {
	folder := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom([]string{"loss", "accuracy", "exact", "lr", "grad_norm", "memory", "seconds", "tokens", "tokens_per_second", "time_matmul", "cosine_a", "regularizer",
			"accuracy_loop_1", "accuracy_loop_2", "loss_loop_3", "change_loop_1", "accuracy a", "exact a", "examples", "new", "x_loop_0", "_loop_"})
		number := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-2, 2), rapid.SampledFrom([]float64{0, 1, 1e-300, math.MaxFloat64, math.SmallestNonzeroFloat64, math.NaN(), math.Inf(1), math.Inf(-1)}))
		values := rapid.MapOfN(name, rapid.Map(number, func(x float64) run.Number { return run.Number(x) }), 0, 8)
		rec := &Record{history: run.NewHistory(run.CurvePoints)}
		for range rapid.IntRange(0, 30).Draw(rt, "events") {
			e := run.Event{Kind: rapid.SampledFrom([]string{run.KindTrain, run.KindTrain, run.KindEval, run.KindResume, run.KindNote, run.KindSetup, "other"}).Draw(rt, "kind"),
				Step: rapid.OneOf(rapid.IntRange(0, 40), rapid.Int()).Draw(rt, "step"), Train: run.TrainOf(values.Draw(rt, "values")), Eval: run.EvalOf(values.Draw(rt, "scores")), Text: rapid.String().Draw(rt, "text"),
				Time: time.Unix(rapid.Int64Range(0, 1<<32).Draw(rt, "time"), 0)}
			if rapid.Bool().Draw(rt, "with a setup") {
				e.Setup = &run.Setup{Blocks: rapid.SliceOf(rapid.Int()).Draw(rt, "layers"), Loops: rapid.SliceOf(rapid.Int()).Draw(rt, "loops"), Metric: metric.ExactMatch, Kinds: []string{"b", "a"}}
			}
			rec.history.Add(e)
		}
		rec.setup = rec.history.Setup
		rec.completeSetup()
		p, charts := newPage([]*Record{rec})
		figures := append(p.Figures, append(p.Runs[0].Figures, p.Runs[0].Training...)...)
		for i, c := range charts {
			drawn := strings.ReplaceAll(string(figures[i].SVG), "× NaN or infinite", "")
			if strings.Contains(drawn, "NaN") || strings.Contains(drawn, "Inf") {
				rt.Errorf("plot %s has a place that is no number", c.name)
			}
			touch(rt, filepath.Join(folder, c.name+".svg"))
			touch(rt, filepath.Join(folder, c.name+".png"))
		}
		b, err := p.encode()
		if err != nil {
			rt.Fatal(err)
		}
		m := made{folder: folder, page: string(b), elements: map[string]int{}}
		m.parse(rt)
	})
}

func touch(t rapid.TB, path string) {
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
}
