package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"coil/encode"
	"coil/eval"
	"coil/format"
	"coil/metric"
	"coil/plot"
	"coil/run"
	"coil/task"

	"github.com/spf13/cobra"
)

func newLens() *cobra.Command {
	var o measureFlags
	var folder, loops string
	cmd := &cobra.Command{
		Use:   "lens RUN",
		Short: "Look into a model after each loop, and find when it could stop",
		Example: `  coil lens latest                     after each loop that the newest run was trained with
  coil lens latest --loops 16          after each of 16 loops
  coil lens latest --out lens          tables and plots in a folder`,
		Long: `Applies the rest of the model to the state after every loop, at the targets of held-out examples, and prints means over
them: loss, accuracy, the entropy of the output, its Kullback-Leibler divergence from the output after the last loop (KL to last) and
after the previous loop (KL), the shares of answers that change (flips), become right and become wrong, how far the loop moved the
state (change, as in coil eval: ‖s_t − s_{t−1}‖ / ‖s_{t−1}‖, of all targets together), and the cosine of the two states.

The second table shows what each position would save and lose if it stopped by a rule that needs no training (Geiping et al., arXiv
2502.05171): when the state hardly moves (latent-diff), when the entropy of the output, the output, or the output without its
tail hardly changes (entropy-diff, kl, minp-kl), or when the answer has stayed the same for a number of loops (argmax-stability).
The thresholds of the source are marked. For comparison: a fixed number of loops, and an oracle that stops at the first right answer.`,
		Args: exactArgs(1, "a run"),
	}
	o.addRuns(cmd)
	f := cmd.Flags()
	f.StringVar(&folder, "out", "", "write lens.csv, exits.csv, lens.json and plots to this `folder`")
	f.StringVar(&loops, "loops", "", "`counts` of loops to look at: 16 or 1..16 for the first 16, or 1,2,4; by default, as trained")
	o.addExamples(cmd, 512, 16)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		counts, err := parseCounts(loops)
		if err != nil {
			return err
		}
		return o.with(cmd, args[0], nil, func(m *trainedModel) error {
			x, err := lookInto(m, &o, counts)
			if err != nil {
				return err
			}
			if folder != "" {
				if err := x.write(folder); err != nil {
					return err
				}
			}
			if o.asJSON {
				return writeJSON(cmd.OutOrStdout(), x)
			}
			m.printTitle(cmd.OutOrStdout(), task.HeldOut, o.examples)
			x.print(cmd.OutOrStdout())
			if folder != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "\nwritten to %s\n", folder)
			}
			return nil
		})
	}
	return cmd
}

// lensView is the result of coil lens.
type lensView struct {
	subject
	Trained int              `json:"trained_loops"`
	Loops   []eval.LoopStats `json:"loops"`
	Exits   []eval.ExitView  `json:"exits"`

	all int // loops that were run
}

// lookInto applies the lens to held-out examples.
func lookInto(m *trainedModel, o *measureFlags, counts []int) (*lensView, error) {
	loops := m.Model.Architecture.Count()
	x := &lensView{subject: m.subject(), Trained: loops}
	if counts != nil {
		loops = counts[len(counts)-1]
	}
	p, err := eval.NewProbe(m.Trained, m.batch, loops)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	l := eval.NewLensStats(loops, len(m.Task.Kinds()), eval.ExitRules(loops))
	if err := p.Each(o.seed, o.examples, m.stop.asked, l.Add); err != nil {
		return nil, err
	}
	x.all, x.Loops, x.Exits = loops, wanted(l.Views(), counts), l.Exits()
	return x, nil
}

// wanted returns the views after the wanted loops; one number asks for all loops up to it.
func wanted(views []eval.LoopStats, counts []int) []eval.LoopStats {
	if len(counts) < 2 {
		return views
	}
	return slices.DeleteFunc(views, func(v eval.LoopStats) bool { return !slices.Contains(counts, v.Loops) })
}

func (x *lensView) print(w io.Writer) {
	fmt.Fprint(w, table(x.loopRows(
		func(v float64) string { return format.Percent(v, 1) }, func(v float64) string { return format.Fixed(v, 4) })))
	if x.all > x.Trained && slices.ContainsFunc(x.Loops, func(v eval.LoopStats) bool { return v.Loops == x.Trained }) {
		fmt.Fprintln(w, "* as trained")
	}
	fmt.Fprintf(w, "\n%s", table(x.exitRows()))
	fmt.Fprintln(w, "* the threshold of the rule's source")
}

// loopRows has a line for each loop.
func (x *lensView) loopRows(share, plain func(float64) string) [][]string {
	head := []string{"loop", "loss", "accuracy"}
	if x.Metric == metric.ExactMatch {
		head = append(head, metric.ExactMatch.String())
	}
	rows := [][]string{append(head, "entropy", "KL to last", "KL", "flips", "to right", "to wrong", "change", "cosine")}
	for _, v := range x.Loops {
		name := strconv.Itoa(v.Loops)
		if v.Loops == x.Trained && x.all > x.Trained {
			name += " *"
		}
		row := []string{name, plain(v.Loss), share(v.Accuracy)}
		if x.Metric == metric.ExactMatch {
			row = append(row, share(v.Exact))
		}
		rows = append(rows, append(row, plain(v.Entropy), plain(v.ToLast), plain(v.KL), share(v.Flips), share(v.ToRight), share(v.ToWrong), plain(float64(v.Change)), plain(v.Cosine)))
	}
	return rows
}

// exitRows has a line for each rule and threshold: loops run, what that saves, and what it costs.
func (x *lensView) exitRows() [][]string {
	last := x.Loops[len(x.Loops)-1]
	full := x.headline(last.Accuracy, last.Exact)
	rows := [][]string{{"exit", "threshold", "loops", "saved", x.judged().String(), "vs all loops"}}
	for _, e := range x.Exits {
		threshold := strconv.FormatFloat(e.Threshold, 'g', -1, 64)
		switch {
		case e.Rule == "oracle":
			threshold = ""
		case e.Default():
			threshold += " *"
		default:
			threshold += "  "
		}
		v := x.headline(e.Accuracy, e.Exact)
		rows = append(rows, []string{e.Rule, threshold, format.Fixed(e.Loops, 2), format.Percent(1-e.Loops/float64(x.all), 1), format.Percent(v, 1), format.Change(v-full, 1)})
	}
	return rows
}

// judged is the figure that exits are compared by: a share of the targets or examples.
func (x *lensView) judged() metric.Metric {
	if x.Metric.IsShare() {
		return x.Metric
	}
	return metric.Accuracy
}

// headline is the metric by which the task is judged.
func (x *lensView) headline(accuracy, exact float64) float64 {
	if x.Metric == metric.ExactMatch {
		return exact
	}
	return accuracy
}

// write writes tables and plots to a folder.
func (x *lensView) write(folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fileError("--out", err)
	}
	full := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	exits := [][]string{{"rule", "threshold", "loops", "accuracy", "exact"}}
	for _, e := range x.Exits {
		exits = append(exits, []string{e.Rule, full(e.Threshold), full(e.Loops), full(e.Accuracy), full(e.Exact)})
	}
	loops := x.loopRows(full, full)
	for _, row := range loops {
		row[0] = strings.TrimSuffix(row[0], " *")
	}
	var text bytes.Buffer
	err := encode.JSON(&text, x)
	if err != nil {
		return err
	}
	files := map[string][]byte{"lens.csv": lines(loops), "exits.csv": lines(exits), "lens.json": text.Bytes()}
	for name, p := range x.plots() {
		files[name+".svg"], files[name+".png"] = p.SVG(plot.Width, plot.Height), p.PNG(plot.Width, plot.Height)
	}
	for name, b := range files {
		if err := run.ReplaceFile(filepath.Join(folder, name), b); err != nil {
			return fileError("--out", err)
		}
	}
	return nil
}

// lines are rows as CSV.
func lines(rows [][]string) []byte {
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.WriteAll(rows) // a builder takes everything
	return []byte(b.String())
}

// plots are the metric against loops, the measures of change against loops, and the metric against the loops that each exit
// rule runs.
func (x *lensView) plots() map[string]*plot.Chart {
	title := func(of string) string { return x.Model + " · " + x.Task + " · " + of }
	loops, shares := plot.Axis{Label: "loop", Unit: plot.Whole}, plot.Axis{Unit: plot.Share, Zero: true, One: true}
	chart := func(of string, lines ...plot.Series) *plot.Chart {
		for i := range lines {
			lines[i].Color = i
		}
		return &plot.Chart{Title: title(of), X: loops, Series: lines}
	}
	line := func(name string, of func(eval.LoopStats) float64) plot.Series {
		l := plot.Series{Name: name, Kind: plot.Marked}
		for _, v := range x.Loops {
			l.Points = append(l.Points, plot.Point{X: float64(v.Loops), Y: of(v)})
		}
		return l
	}
	plots := map[string]*plot.Chart{
		"lens": chart(x.judged().String(),
			line(x.judged().String(), func(v eval.LoopStats) float64 { return x.headline(v.Accuracy, v.Exact) }),
			line("share of answers that change", func(v eval.LoopStats) float64 { return v.Flips })),
		"change": chart("what a loop changes",
			line("loss", func(v eval.LoopStats) float64 { return v.Loss }), line("entropy", func(v eval.LoopStats) float64 { return v.Entropy }),
			line("KL to the last loop", func(v eval.LoopStats) float64 { return v.ToLast }),
			line("change of the state", func(v eval.LoopStats) float64 { return float64(v.Change) }),
			line("cosine", func(v eval.LoopStats) float64 { return v.Cosine })),
	}
	plots["lens"].Y = shares
	exits := &plot.Chart{Title: title(x.judged().String() + " at the exit"), X: plot.Axis{Label: "loops run, mean"}, Y: shares}
	var rules []string
	for _, e := range x.Exits {
		if !slices.Contains(rules, e.Rule) {
			rules = append(rules, e.Rule)
		}
	}
	for i, rule := range rules {
		l := plot.Series{Name: rule, Color: i, Kind: plot.Marked}
		for _, e := range x.Exits {
			if e.Rule == rule {
				l.Points = append(l.Points, plot.Point{X: e.Loops, Y: x.headline(e.Accuracy, e.Exact)})
			}
		}
		exits.Series = append(exits.Series, l)
	}
	plots["exits"] = exits
	return plots
}
