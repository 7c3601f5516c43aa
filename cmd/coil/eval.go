package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"coil/config"
	"coil/eval"
	"coil/format"
	"coil/metric"
	"coil/model"
	"coil/task"

	"github.com/spf13/cobra"
)

func newEval() *cobra.Command {
	var o measureFlags
	var loops, exit string
	var primitives int
	var byPart, training bool
	cmd := &cobra.Command{
		Use:   "eval RUN",
		Short: "Measure a trained model on held-out examples, at any number of loops",
		Example: `  coil eval latest                     the newest run, as it was trained
  coil eval latest --loops 1..16       after each of 16 loops
  coil eval latest --exit 0.5,0.9      with a learned exit: each position leaves on its own
  coil eval runs/RUN --loops 2,4,8 --examples 10000 --json
  coil eval latest --parts --training  by depth of the quantity, on fresh problems of training
  coil eval prose --primitives 256     a model of text: also reasoning primitives`,
		Long: "Measures the weights of a run's checkpoint on held-out examples, which training never draws. --training takes training examples instead. " +
			"The column change shows how far the last loop moved the state, relative to its length: ‖s_t − s_{t−1}‖ / ‖s_{t−1}‖.\n\n" +
			"--exit q is for models with a learned exit (loops.exit = learned): a position leaves after the first loop by which its gate " +
			"would have left with probability q or more. The table shows the mean number of loops, and the loss and accuracy at the exit.\n\n" +
			"--parts also shows the accuracy of each part of the answers: digits of a sum, from the ones; products of a group's first elements by " +
			"their number; quantities of i-GSM by their depth. A constant has depth 1, and any other quantity is one deeper than the deepest " +
			"that it is made of. A held-out problem of i-GSM asks for one quantity; --training has the others too.\n\n" +
			"--primitives is for models of text: they answer questions of variable assignment (arXiv 2409.19044) and choose the number of the " +
			"question that they find likeliest after it. Up to 5 questions with answers stand before each, as many as the model's sequences " +
			"have room for. The table shows the share of right answers, and what a blind choice gets right.",
		Args: exactArgs(1, "a run"),
	}
	o.addRuns(cmd)
	f := cmd.Flags()
	f.StringVar(&loops, "loops", "", "`counts` of loops of the looped block: 4, or 1,2,4, or 1..16; by default, the trained count")
	f.StringVar(&exit, "exit", "", "`probabilities` at which a learned exit leaves: 0.9, or 0.5,0.9,1")
	f.BoolVar(&byPart, "parts", false, "also the accuracy of each part of the answers: of digits, for example")
	f.BoolVar(&training, "training", false, "training examples instead of held-out examples")
	f.IntVar(&primitives, "primitives", 0, "text: `number` of questions of each reasoning primitive")
	o.addExamples(cmd, 2048, 64)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		counts, err := parseCounts(loops)
		if err != nil {
			return err
		}
		thresholds, err := parseThresholds(exit)
		if err != nil {
			return err
		}
		if loops != "" && exit != "" {
			return usageError{errors.New("--loops and --exit: the exit decides after how many loops; give one of them")}
		}
		if primitives < 0 {
			return usageError{fmt.Errorf("--primitives %d: want 0 or more", primitives)}
		}
		if primitives > 0 && exit != "" {
			return usageError{errors.New("--primitives and --exit: primitives are answered after a fixed number of loops; give one of them")}
		}
		if byPart && exit != "" {
			return usageError{errors.New("--parts and --exit: parts are measured after a fixed number of loops; give one of them")}
		}
		split := task.HeldOut
		if training {
			split = task.Train
		}
		possible := func(c config.Config) error {
			if primitives > 0 && c.Task.Name != "text" {
				return usageError{fmt.Errorf("--primitives %d: the run's task is %s, and only models of text read the questions", primitives, c.Task.Name)}
			}
			if thresholds != nil && !c.Loops.LearnedExit() {
				return usageError{fmt.Errorf("--exit %s: the run has no learned exit; train one with --loops.exit learned", exit)}
			}
			return nil
		}
		return o.with(cmd, args[0], possible, func(m *trainedModel) error {
			x := evaluation{subject: m.subject(), Training: training}
			w := cmd.OutOrStdout()
			if byPart {
				if _, err := eval.Parted(m.Task); err != nil {
					return usageError{fmt.Errorf("--parts: %w", err)}
				}
			}
			if !o.asJSON {
				m.printTitle(w, split, o.examples)
			}
			if thresholds != nil {
				if x.Exits, err = evaluateExits(m, &o, split, thresholds); err != nil {
					return err
				}
			} else if x.Results, err = evaluate(m, &o, split, byPart, counts); err != nil {
				return err
			}
			if primitives > 0 {
				if x.Primitives, err = evaluatePrimitives(m, &o, counts, primitives); err != nil {
					return err
				}
			}
			switch {
			case o.asJSON:
				return writeJSON(w, x)
			case thresholds != nil:
				fmt.Fprint(w, exitTable(x.Metric, x.Exits))
			default:
				fmt.Fprint(w, evaluationTable(m.Model, x.Metric, x.Results))
				if byPart {
					fmt.Fprint(w, "\n"+partTable(x.Results))
				}
				if x.Primitives != nil {
					fmt.Fprint(w, "\n"+primitiveTable(m.Model, x.Primitives))
				}
			}
			return nil
		})
	}
	return cmd
}

// evaluation is the result of coil eval as JSON.
type evaluation struct {
	subject
	Training   bool                   `json:"training,omitempty"` // on examples of training
	Results    []eval.Result          `json:"results,omitempty"`
	Primitives []eval.PrimitiveResult `json:"primitives,omitempty"`
	Exits      []eval.Exit            `json:"exits,omitempty"`
}

// evaluate measures a model at loop counts, that of its training if there are none.
func evaluate(m *trainedModel, o *measureFlags, split task.Split, byPart bool, counts []int) ([]eval.Result, error) {
	if counts == nil {
		counts = []int{m.Model.Architecture.Count()}
	}
	e, err := eval.New(m.Trained, m.batch, counts)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	if e.Split = split; byPart {
		if err := e.ByPart(); err != nil {
			return nil, err
		}
	}
	return e.Run(o.seed, o.examples, m.stop.asked)
}

// evaluatePrimitives lets a model of text answer the reasoning primitives at loop counts, that of its training if there are none.
func evaluatePrimitives(m *trainedModel, o *measureFlags, counts []int, each int) ([]eval.PrimitiveResult, error) {
	if counts == nil {
		counts = []int{m.Model.Architecture.Count()}
	}
	p, err := eval.NewPrimitives(m.Task.(task.Language), m.Model.Length, o.seed, each)
	if err != nil {
		return nil, usageError{err}
	}
	return p.Run(m.Trained, m.batch, counts, m.stop.asked)
}

// primitiveTable has a line for each loop count, one for a blind choice, and one for the questions that stood before.
func primitiveTable(m *model.Model, results []eval.PrimitiveResult) string {
	rows := [][]string{{"primitives", "all"}}
	chance, shots := []string{"blind choice"}, []string{"shots"}
	for i, r := range results {
		row := []string{fmt.Sprintf("%d loops", r.Loops)}
		if r.Loops == 1 {
			row[0] = "1 loop"
		}
		if r.Loops == m.Architecture.Count() && len(results) > 1 {
			row[0] += " *"
		}
		for _, k := range append([]eval.PrimitiveScore{r.PrimitiveScore}, r.Kinds...) {
			row = append(row, format.Percent(k.Accuracy, 1))
			if i == 0 {
				chance, shots = append(chance, format.Percent(k.Chance, 1)), append(shots, format.Fixed(k.Shots, 1))
				if k.Kind != "" {
					rows[0] = append(rows[0], k.Kind)
				}
			}
		}
		rows = append(rows, row)
	}
	return table(append(rows, chance, shots))
}

// evaluateExits measures a learned exit at some probabilities.
func evaluateExits(m *trainedModel, o *measureFlags, split task.Split, thresholds []float64) ([]eval.Exit, error) {
	g, err := eval.NewGateEvaluator(m.Trained, m.batch)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	g.Split = split
	return g.Sweep(o.seed, o.examples, thresholds, m.stop.asked)
}

// exitTable has a line for each threshold of a learned exit, with columns for the kinds if there are several.
func exitTable(judged metric.Metric, exits []eval.Exit) string {
	head := []string{"exit at", "loops", "loss", "accuracy"}
	others := beside(judged)
	for _, m := range others {
		head = append(head, m.String())
	}
	for _, k := range exits[0].Kinds {
		head = append(head, k.Kind)
	}
	rows := [][]string{head}
	for _, x := range exits {
		row := []string{strconv.FormatFloat(x.Threshold, 'g', -1, 64), format.Fixed(x.Loops, 2), format.Fixed(float64(x.Loss), 4), format.Percent(x.Accuracy, 1)}
		for _, m := range others {
			row = append(row, m.Format(x.Value(m)))
		}
		for _, k := range x.Kinds {
			row = append(row, judged.Format(k.Value(judged))+" after "+format.Fixed(k.Loops, 2))
		}
		rows = append(rows, row)
	}
	return table(rows)
}

// parseThresholds reads "0.5,0.9": probabilities above 0.
func parseThresholds(s string) ([]float64, error) {
	if s == "" {
		return nil, nil
	}
	var thresholds []float64
	for part := range strings.SplitSeq(s, ",") {
		q, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !(q > 0 && q <= 1) {
			return nil, usageError{fmt.Errorf("--exit %s: want probabilities above 0, as in 0.9 or 0.5,0.9,1", s)}
		}
		thresholds = append(thresholds, q)
	}
	return thresholds, nil
}

// evaluationTable has a line for each loop count, with columns for the kinds if there are several.
func evaluationTable(m *model.Model, judged metric.Metric, results []eval.Result) string {
	head := []string{"loops", "depth", "loss", "accuracy"}
	others := beside(judged)
	for _, m := range others {
		head = append(head, m.String())
	}
	head = append(head, "change")
	for _, k := range results[0].Kinds {
		head = append(head, k.Kind)
	}
	rows := [][]string{head}
	trained := false
	for _, r := range results {
		a := m.Architecture.WithCount(r.Loops)
		mark := ""
		if r.Loops == m.Architecture.Count() && len(results) > 1 {
			mark, trained = " *", true
		}
		row := []string{strconv.Itoa(r.Loops) + mark, strconv.Itoa(a.Depth()), format.Fixed(float64(r.Loss), 4), format.Percent(r.Accuracy, 1)}
		for _, m := range others {
			row = append(row, m.Format(r.Value(m)))
		}
		row = append(row, format.Fixed(float64(r.Change), 3))
		for _, k := range r.Kinds {
			row = append(row, judged.Format(k.Value(judged)))
		}
		rows = append(rows, row)
	}
	s := table(rows)
	if trained {
		s += "* as trained\n"
	}
	return s
}

// partTable has a line for each part of the answers, with a column for each loop count.
func partTable(results []eval.Result) string {
	rows := [][]string{{"part", "targets"}}
	for _, r := range results {
		rows[0] = append(rows[0], format.Plural(r.Loops, "loop"))
	}
	for i, p := range results[0].Parts {
		row := []string{p.Name, format.Count(p.Targets)}
		for _, r := range results {
			row = append(row, format.Percent(r.Parts[i].Accuracy, 1))
		}
		rows = append(rows, row)
	}
	return table(rows)
}

// beside are the figures that a table shows besides loss and accuracy.
func beside(judged metric.Metric) []metric.Metric {
	switch judged {
	case metric.Accuracy:
		return nil
	case metric.BitsPerByte:
		return []metric.Metric{metric.BitsPerByte, metric.Perplexity}
	}
	return []metric.Metric{judged}
}

// parseCounts reads "4", "1,2,4" or "1..16" as ascending loop counts.
func parseCounts(s string) ([]int, error) {
	if s == "" {
		return nil, nil
	}
	const most = 1024
	bad := usageError{fmt.Errorf("--loops %s: want a count, counts in ascending order, or a range, as in 4, 1,2,4 or 1..16, up to %d", s, most)}
	var counts []int
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, isRange := strings.Cut(strings.TrimSpace(part), "..")
		a, err := strconv.Atoi(lo)
		b := a
		if isRange && err == nil {
			b, err = strconv.Atoi(hi)
		}
		if err != nil || a < 1 || b < a || b > most || len(counts) > 0 && a <= counts[len(counts)-1] {
			return nil, bad
		}
		for n := a; n <= b; n++ {
			counts = append(counts, n)
		}
	}
	return counts, nil
}
