package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"coil/backend"
	"coil/config"
	"coil/eval"
	"coil/format"
	"coil/model"
	"coil/run"
	"coil/train"

	"github.com/spf13/cobra"
)

func newEval() *cobra.Command {
	var root, loops, exit string
	var step, examples, batch int
	var seed uint64
	var asJSON bool
	var backends backendFlags
	cmd := &cobra.Command{
		Use:   "eval RUN",
		Short: "Measure a trained model on held-out examples, at any number of loops",
		Example: `  coil eval latest                     the newest run, as it was trained
  coil eval latest --loops 1..16       after each of 16 loops
  coil eval latest --exit 0.5,0.9      with a learned exit: each position leaves on its own
  coil eval runs/RUN --loops 2,4,8 --examples 10000 --json`,
		Long: "Measures the weights of a run's checkpoint on examples that training never draws. The column change shows how far the last loop " +
			"moved the state, relative to its length: ‖s_t − s_{t−1}‖ / ‖s_{t−1}‖.\n\n" +
			"--exit q is for models with a learned exit (loops.exit = learned): a position leaves after the first loop by which its gate " +
			"would have left with probability q or more. The table shows the mean number of loops, and the loss and accuracy at the exit.",
		Args: exactArgs(1, "a run"),
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&root, "runs", defaultRoot, "`folder` of the runs")
	f.StringVar(&loops, "loops", "", "`counts` of loops of the looped block: 4, or 1,2,4, or 1..16; by default, the trained count")
	f.StringVar(&exit, "exit", "", "`probabilities` at which a learned exit leaves: 0.9, or 0.5,0.9,1")
	f.IntVar(&step, "step", -1, "`step` of the checkpoint; by default, the newest")
	f.IntVar(&examples, "examples", 2048, "`number` of held-out examples of each kind")
	f.Uint64Var(&seed, "seed", train.HeldOutSeed, "`seed` of the examples")
	f.IntVar(&batch, "batch", 64, "`number` of examples at a time")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	backends.add(cmd)
	cmd.ValidArgsFunction = completeRuns
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if examples < 1 || batch < 1 {
			return usageError{fmt.Errorf("--examples %d and --batch %d: both must be at least 1", examples, batch)}
		}
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
		path, err := run.Resolve(root, args[0])
		if err != nil {
			return inputError{err}
		}
		r, err := run.View(path)
		if err != nil {
			return err
		}
		c, checkpoint, err := trained(cmd.ErrOrStderr(), r, step)
		if err != nil {
			return err
		}
		b, err := backends.open(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer b.Close()
		if thresholds != nil && !c.Loops.LearnedExit() {
			return usageError{fmt.Errorf("--exit %s: the run has no learned exit; train one with --loops.exit learned", exit)}
		}
		return evaluate(cmd, c, r, checkpoint, b, counts, thresholds, seed, examples, min(batch, examples), asJSON)
	}
	return cmd
}

// evaluation is the result of coil eval as JSON.
type evaluation struct {
	Run     string        `json:"run"`
	Step    int           `json:"step"`
	Model   string        `json:"model"`
	Task    string        `json:"task"`
	Metric  string        `json:"metric"`
	Results []eval.Result `json:"results,omitempty"`
	Exits   []eval.Exit   `json:"exits,omitempty"`
}

func evaluate(cmd *cobra.Command, c config.Config, r *run.Run, checkpoint run.Checkpoint, b backend.Backend, counts []int, thresholds []float64,
	seed uint64, examples, batch int, asJSON bool) error {
	t, err := c.Task.New()
	if err != nil {
		return usageError{err}
	}
	m, err := model.New(c.Model, c.Loops, len(t.Vocabulary()), t.Length())
	if err != nil {
		return usageError{err}
	}
	weights, err := b.NewBuffer(m.Size)
	if err != nil {
		return err
	}
	defer weights.Free()
	if err := train.LoadWeights(checkpoint, m, weights, true); err != nil {
		return adviseModel(err, r)
	}
	if counts == nil {
		counts = []int{m.Architecture.Count()}
	}
	var e *eval.Evaluator
	var g *eval.GateEvaluator
	if thresholds == nil {
		e, err = eval.New(b, m, t, weights, batch, counts)
	} else {
		g, err = eval.NewGateEvaluator(b, m, t, weights, batch)
	}
	if errors.Is(err, backend.ErrMemory) {
		return fmt.Errorf("%w; try a smaller --batch or fewer --loops", err)
	} else if err != nil {
		return err
	}
	stop := watchSignals(cmd.ErrOrStderr(), "stopping", "a second Ctrl-C leaves at once")
	defer stop.end()
	w := cmd.OutOrStdout()
	if !asJSON {
		fmt.Fprintf(w, "%s · %s · %s · step %d · %s held-out examples\n", filepath.Base(r.Path()), m.Architecture, t.Name(), checkpoint.Step,
			format.Count(examples*len(t.Kinds())))
	}
	x := evaluation{Run: r.Path(), Step: checkpoint.Step, Model: m.Architecture.String(), Task: t.Name(), Metric: eval.MetricName(t)}
	if g == nil {
		defer e.Close()
		x.Results, err = e.Run(seed, examples, stop.asked)
	} else {
		defer g.Close()
		x.Exits, err = g.Sweep(seed, examples, thresholds, stop.asked)
	}
	switch {
	case errors.Is(err, eval.ErrStopped):
		return stop.err()
	case err != nil:
		return err
	case asJSON:
		return writeJSON(w, x)
	case g == nil:
		fmt.Fprint(w, evaluationTable(m, t.ExactMatch(), x.Results))
	default:
		fmt.Fprint(w, exitTable(t.ExactMatch(), x.Exits))
	}
	return nil
}

// exitTable has a line for each threshold of a learned exit, with columns for the kinds if there are several.
func exitTable(exact bool, exits []eval.Exit) string {
	head := []string{"exit at", "loops", "loss", "accuracy"}
	if exact {
		head = append(head, "exact match")
	}
	for _, k := range exits[0].Kinds {
		head = append(head, k.Kind)
	}
	rows := [][]string{head}
	for _, x := range exits {
		row := []string{strconv.FormatFloat(x.Threshold, 'g', -1, 64), format.Fixed(x.Loops, 2), format.Fixed(float64(x.Loss), 4), format.Percent(x.Accuracy, 1)}
		if exact {
			row = append(row, format.Percent(x.Exact, 1))
		}
		for _, k := range x.Kinds {
			score := k.Accuracy
			if exact {
				score = k.Exact
			}
			row = append(row, format.Percent(score, 1)+" after "+format.Fixed(k.Loops, 2))
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
func evaluationTable(m *model.Model, exact bool, results []eval.Result) string {
	head := []string{"loops", "depth", "loss", "accuracy"}
	if exact {
		head = append(head, "exact match")
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
		if exact {
			row = append(row, format.Percent(r.Exact, 1))
		}
		row = append(row, format.Fixed(float64(r.Change), 3))
		for _, k := range r.Kinds {
			if exact {
				row = append(row, format.Percent(k.Exact, 1))
			} else {
				row = append(row, format.Percent(k.Accuracy, 1))
			}
		}
		rows = append(rows, row)
	}
	s := table(rows)
	if trained {
		s += "* as trained\n"
	}
	return s
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
