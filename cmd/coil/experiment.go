package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"coil/backend"
	"coil/experiment"
	"coil/format"
	"coil/run"
	"coil/text"
	"coil/train"
	"coil/tui"

	"github.com/spf13/cobra"
)

// experimentFlags are the flags of coil experiment.
type experimentFlags struct {
	size, out, seeds, executor   string
	sets                         []string
	jobs                         int
	dry, results, retry, asJSON  bool
	noTUI                        bool
	appearance                   appearanceFlags
	image, claim, mount, program string
	backends                     backendFlags
}

func newExperiment() *cobra.Command {
	var o experimentFlags
	cmd := &cobra.Command{
		Use:   "experiment [NAME | GRID.toml]",
		Short: "Train a grid of models under equal conditions, and put the results in a table",
		Example: `  coil experiment                          the built-in experiments, and how long each takes
  coil experiment p-hop --dry-run          its cells; trains nothing
  coil experiment p-hop                    train the remaining cells and print the table
  coil experiment p-hop --results          the results so far
  coil experiment addition --seeds 1..5    more seeds; finished cells stay
  coil experiment my-grid.toml             a grid of your own
  coil experiment p-hop --size paper --executor slurm`,
		Long: "An experiment asks one question of many models. It is a grid of cells that differ only in what the question is about, with several " +
			"seeds each; each cell is an ordinary run in its own folder. Ctrl-C saves every cell in training, and the same command continues; a " +
			"finished cell is never trained again. On a terminal, the dashboard shows the cells; after leaving it, coil prints lines of progress. On a " +
			"CPU, cells run side by side, one on each core. --executor slurm and --executor kubernetes write a manifest for an engine that trains the " +
			"cells elsewhere, in a folder that its machines share. coil gathers the results from the folder, whoever trained the cells.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("experiment takes one name or file, not %d arguments", len(args))}
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return experiment.Names("laptop"), cobra.ShellCompDirectiveDefault
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.size, "size", "laptop", "`size`: laptop takes minutes to an hour on two cores; paper is that of the paper, for a GPU")
	f.StringVar(&o.seeds, "seeds", "", "`seeds` instead of the experiment's: 1,2,3 or 1..5")
	f.StringArrayVar(&o.sets, "set", nil, "set a `key=value` of every cell's configuration, as in --set train.steps=500")
	f.Lookup("set").DefValue = ""
	f.StringVar(&o.out, "out", "experiments", "`folder` that the experiment's folder is in")
	f.BoolVar(&o.dry, "dry-run", false, "list the cells and what they cost; train nothing")
	f.BoolVar(&o.results, "results", false, "print the results so far; train nothing")
	f.BoolVar(&o.retry, "retry", false, "train failed cells again")
	f.IntVar(&o.jobs, "jobs", 0, "`number` of cells at a time; by default, one for each core, as far as memory permits")
	f.BoolVar(&o.asJSON, "json", false, "print JSON; no dashboard")
	f.BoolVar(&o.noTUI, "no-tui", false, "lines of progress instead of the dashboard")
	o.appearance.add(cmd)
	o.backends.add(cmd)
	f.StringVar(&o.executor, "executor", "local", "`who` trains the cells: local, slurm or kubernetes")
	f.StringVar(&o.program, "program", "coil", "slurm, kubernetes: the `path` of coil on the machines that train")
	f.StringVar(&o.image, "image", "", "kubernetes: an `image` that has coil")
	f.StringVar(&o.claim, "claim", "", "kubernetes: the PersistentVolumeClaim `name` that holds the folder of --out")
	f.StringVar(&o.mount, "mount", "/experiments", "kubernetes: the `path` at which pods mount it")
	cmd.RegisterFlagCompletionFunc("size", cobra.FixedCompletions([]string{"laptop", "paper"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("executor", cobra.FixedCompletions([]string{"local", "slurm", "kubernetes"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return o.list(cmd)
		}
		return o.run(cmd, args[0])
	}
	cmd.AddCommand(newExperimentCell())
	return cmd
}

// newExperimentCell is the command of one cell, which executors run.
func newExperimentCell() *cobra.Command {
	var backends backendFlags
	cmd := &cobra.Command{
		Use:   "cell FOLDER CELL",
		Short: "Train one cell of an experiment to its end, as executors do",
		Example: `  coil experiment cell experiments/p-hop-laptop 1x4_s1
  coil experiment cell experiments/p-hop-laptop 7      by its number, from 0`,
		Long: "Starts or continues the cell, or does nothing if it is finished. SIGTERM and Ctrl-C save a checkpoint first.",
		Args: exactArgs(2, "the folder of an experiment and a cell"),
	}
	cmd.Flags().SortFlags = false
	backends.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := experiment.Open(args[0])
		if err != nil {
			return inputError{err}
		}
		var c experiment.Cell
		if n, e := strconv.Atoi(args[1]); e == nil {
			if n < 0 || n >= len(f.Cells) {
				return usageError{fmt.Errorf("cell %d: %s has cells 0 to %d", n, args[0], len(f.Cells)-1)}
			}
			c = f.Cells[n]
		} else if c, err = f.Cell(args[1]); err != nil {
			return usageError{err}
		}
		defer survivePipes()()
		w := cmd.ErrOrStderr()
		b, err := backends.open(w)
		if err != nil {
			return err
		}
		defer b.Close()
		stop := watchSignals(w, stopping, leaving)
		defer stop.end()
		var control run.Control
		stop.first = func() { control.Send(run.Stop) }
		p := newProgress(w)
		fmt.Fprintf(w, "%s\n", c.Title())
		for _, err := range f.Damage(c) {
			fmt.Fprintf(w, "coil: %v\n", err)
		}
		err = f.Train(c, b, p.report, control.Next)
		if errors.Is(err, train.ErrStopped) {
			return stop.err()
		}
		return err
	}
	return cmd
}

// grid reads the experiment that the command line names, applies the changes of its flags, and makes its cells.
func (o *experimentFlags) grid(name string) (experiment.Grid, []experiment.Cell, error) {
	var g experiment.Grid
	var err error
	if strings.HasSuffix(name, ".toml") {
		text, e := os.ReadFile(name)
		if e != nil {
			return g, nil, inputError{fileError("the grid", e)}
		}
		if g, err = experiment.Parse(name, text); err == nil && g.Name == "" {
			g.Name = strings.TrimSuffix(filepath.Base(name), ".toml")
		}
	} else {
		g, err = experiment.Named(name, o.size)
	}
	if err == nil {
		err = g.CheckName()
	}
	if err != nil {
		return g, nil, inputError{err}
	}
	if o.seeds != "" {
		if g.Seeds, err = parseSeeds(o.seeds); err != nil {
			return g, nil, err
		}
	}
	for _, s := range o.sets {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return g, nil, usageError{fmt.Errorf("--set %s: want key=value, as in train.steps=500", s)}
		}
		if err := g.Set(key, value); err != nil {
			return g, nil, usageError{fmt.Errorf("--set %s: %w", s, err)}
		}
	}
	cells, err := g.Cells()
	if err != nil {
		return g, nil, usageError{fmt.Errorf("%s: %w", name, err)}
	}
	return g, cells, nil
}

// parseSeeds reads "1,2,3" or "1..5".
func parseSeeds(s string) ([]uint64, error) {
	var seeds []uint64
	bad := usageError{fmt.Errorf("--seeds %s: want seeds, or a range, as in 1,2,3 or 1..5", s)}
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, isRange := strings.Cut(strings.TrimSpace(part), "..")
		a, err := strconv.ParseUint(lo, 10, 63)
		b := a
		if isRange && err == nil {
			b, err = strconv.ParseUint(hi, 10, 63)
		}
		if err != nil || b < a || b-a >= 10_000 {
			return nil, bad
		}
		for ; a <= b; a++ {
			seeds = append(seeds, a)
		}
	}
	return seeds, nil
}

// finishedIn returns the finished cells in the folder of an experiment, if it exists.
func finishedIn(path string) func(experiment.Cell) bool {
	f := experiment.Folder{Path: path}
	return func(c experiment.Cell) bool {
		state, _, err := f.State(c)
		return err == nil && state == experiment.Done
	}
}

func (o *experimentFlags) run(cmd *cobra.Command, name string) error {
	if o.jobs < 0 {
		return usageError{fmt.Errorf("--jobs %d: want at least 1, or 0 for one on each core", o.jobs)}
	}
	var parent *supervisor
	if !o.dry && !o.results && !o.noTUI && !o.asJSON && o.executor == "local" && canShow() {
		var err error
		if parent, err = supervise(cmd.ErrOrStderr(), syscall.SIGTERM); err != nil {
			return err
		}
	}
	g, cells, err := o.grid(name)
	if err != nil {
		return err
	}
	if o.results {
		f, err := experiment.Open(filepath.Join(o.out, g.Name))
		if err != nil {
			return usageError{fmt.Errorf("%w; coil experiment %s starts it", err, text.Path(name))}
		}
		return o.printTable(cmd, f)
	}
	if err := o.checkExecutor(); err != nil {
		return err
	}
	b, err := o.backends.open(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	cost, err := o.announce(cmd.ErrOrStderr(), g, cells, b)
	info := b.Info()
	b.Close() // the cells have their own
	switch {
	case err != nil:
		return err
	case o.dry:
		return o.plan(cmd, g, cells, cost)
	}
	f, err := experiment.Make(o.out, g, cells)
	if err != nil {
		return usageError{err}
	}
	if o.executor != "local" {
		return o.manifest(cmd, f)
	}
	jobs := o.jobs
	if jobs == 0 {
		jobs = max(1, info.Workers) // one on a GPU
		if fit := info.Memory / 2 / max(1, cost.Memory); int64(jobs) > fit {
			jobs = max(1, int(fit))
			fmt.Fprintf(cmd.ErrOrStderr(), "%s at a time, of %s each: there is no memory for more\n", format.Plural(jobs, "cell"), format.Bytes(cost.Memory))
		}
	}
	return o.local(cmd, parent, f, jobs, info)
}

// announce prints what is about to be trained, and its cost.
func (o *experimentFlags) announce(w io.Writer, g experiment.Grid, cells []experiment.Cell, b backend.Backend) (experiment.Cost, error) {
	done := finishedIn(filepath.Join(o.out, g.Name))
	speeds := speedsOf(b)
	cost, err := experiment.Estimate(cells, b, done, speeds)
	if err != nil {
		return cost, err
	}
	speeds.Save() // what can't be kept is measured again
	i := b.Info()
	fmt.Fprintf(w, "experiment  %s · %s\n", g.Name, g.Title)
	if g.Question != "" {
		fmt.Fprintf(w, "question    %s\n", wrap(g.Question, 12))
	}
	fmt.Fprintf(w, "cells       %d, %d finished\n", cost.Cells, cost.Cells-cost.Left)
	fmt.Fprintf(w, "cost        %s in all; the remaining cells take about %s on %s\n", format.SI(cost.Work, "FLOPs"), format.Seconds(cost.Seconds),
		describeDevice(i.Device, i.Kernels, i.Workers, i.Memory))
	fmt.Fprintf(w, "folder      %s\n\n", filepath.Join(o.out, g.Name))
	var warnings []string
	for _, c := range cells {
		for _, s := range c.Config.Warnings() {
			if !slices.Contains(warnings, s) {
				warnings = append(warnings, s)
			}
		}
	}
	warn(w, warnings)
	return cost, nil
}

// plannedCell is a cell of a dry run as JSON.
type plannedCell struct {
	Name       string  `json:"name"`
	Title      string  `json:"title"`
	Parameters int64   `json:"parameters"`
	Depth      int     `json:"depth"`
	FLOPs      float64 `json:"flops"`
	State      string  `json:"state"`
}

// plan lists the cells of a dry run, and what they cost.
func (o *experimentFlags) plan(cmd *cobra.Command, g experiment.Grid, cells []experiment.Cell, cost experiment.Cost) error {
	done := finishedIn(filepath.Join(o.out, g.Name))
	var planned []plannedCell
	rows := [][]string{{"cell", "parameters", "depth", "FLOPs", "state"}}
	for _, c := range cells {
		p := plannedCell{c.Name, c.Title(), int64(c.Model().Size), c.Model().Architecture.Depth(), c.Work(), "waiting"}
		if done(c) {
			p.State = "finished"
		}
		planned = append(planned, p)
		rows = append(rows, []string{p.Title, format.Count(p.Parameters), strconv.Itoa(p.Depth), format.SI(p.FLOPs, ""), p.State})
	}
	if o.asJSON {
		return writeJSON(cmd.OutOrStdout(), struct {
			Name    string        `json:"name"`
			FLOPs   float64       `json:"flops"`
			Seconds float64       `json:"seconds_left"`
			Cells   []plannedCell `json:"cells"`
		}{g.Name, cost.Work, cost.Seconds, planned})
	}
	_, err := io.WriteString(cmd.ErrOrStderr(), table(rows))
	return err
}

// local trains in processes of this machine.
func (o *experimentFlags) local(cmd *cobra.Command, parent *supervisor, f *experiment.Folder, jobs int, info backend.Info) error {
	program, err := ownProgram()
	if err != nil {
		return err
	}
	defer survivePipes()()
	w := cmd.ErrOrStderr()
	stopAsked, atOnce := make(chan struct{}), make(chan struct{})
	stop := watchSignals(w, "stopping: every cell in training saves a checkpoint first", leaving)
	defer stop.end()
	stop.first = func() { close(stopAsked) }
	stop.second = func(int) { close(atOnce); stop.second = os.Exit }
	lines := &cellLines{w: w}
	l := experiment.Local{Jobs: jobs, Workers: info.Workers, Retry: o.retry, Busy: exitBusy, Report: lines.report,
		Command: func(c experiment.Cell, workers int) *exec.Cmd {
			args := []string{"experiment", "cell", f.Path, c.Name, "--backend", info.Name}
			if info.Workers > 0 {
				args = append(args, "--workers", strconv.Itoa(workers))
			}
			if o.backends.bfloat {
				args = append(args, "--bfloat16")
			}
			return exec.Command(program, args...)
		}}
	if parent != nil {
		err = o.inDashboard(w, parent, f, &l, stop, stopAsked, atOnce)
	} else {
		err = l.Run(f, stopAsked, atOnce)
	}
	if errors.Is(err, experiment.ErrStopped) {
		fmt.Fprintf(w, "stopped; the same command continues\n")
		return stop.err()
	}
	return errors.Join(o.printTable(cmd, f), err)
}

// inDashboard trains on another goroutine and shows the cells in the dashboard on this one, until all are finished or the user
// leaves; then it prints lines of progress.
func (o *experimentFlags) inDashboard(w io.Writer, parent *supervisor, f *experiment.Folder, l *experiment.Local, stop *interrupt, stopAsked, atOnce chan struct{}) error {
	style, err := o.appearance.style()
	if err != nil {
		return err
	}
	screen, err := parent.takeScreen()
	if err != nil {
		return err
	}
	var newest atomic.Pointer[experiment.Progress]
	newest.Store(&experiment.Progress{})
	var showing atomic.Bool
	showing.Store(true)
	lines := l.Report
	l.Report = func(p experiment.Progress) {
		newest.Store(&p)
		if !showing.Load() {
			lines(p)
		}
	}
	leave, ended := make(chan struct{}), make(chan error, 1)
	close := sync.OnceFunc(func() { close(leave) })
	first := stop.first
	stop.first = func() { close(); first() } // messages belong on the normal screen
	go func() {
		ended <- l.Run(f, stopAsked, atOnce)
		close()
	}()
	_, fault := tui.Run(tui.Options{Style: style, Experiment: func() tui.Experiment { return experimentOf(f, newest.Load()) }}, os.Stdin, screen.terminal, leave)
	screen.giveBack(w)
	showing.Store(false)
	if fault != nil {
		fmt.Fprintf(w, "%v\n", fault)
	}
	select {
	case err := <-ended:
		return err
	default:
	}
	if !stop.asked() {
		fmt.Fprintf(w, "training continues; Ctrl-C stops it\n")
	}
	return <-ended
}

// experimentOf is what the dashboard shows of an experiment.
func experimentOf(f *experiment.Folder, p *experiment.Progress) tui.Experiment {
	e := tui.Experiment{Name: f.Grid.Name, Left: p.Left}
	states := map[experiment.State]tui.CellState{experiment.Waiting: tui.CellWaits, experiment.Running: tui.CellRuns, experiment.Failed: tui.CellFailed, experiment.Done: tui.CellDone}
	for _, s := range p.Cells {
		c := tui.Cell{Title: s.Cell.Title(), Path: f.RunPath(s.Cell), State: states[s.State], Damaged: s.Damaged, Value: math.NaN(), Metric: s.Cell.Metric(),
			Share: float64(s.Step) / float64(s.Cell.Config.Train.Steps)}
		if s.HasMetric {
			c.Value = s.Metric
		}
		e.Cells = append(e.Cells, c)
	}
	return e
}

// cellLines prints a line for each cell that ends, and from time to time the state of the others.
type cellLines struct {
	w    io.Writer
	told map[string]experiment.State
	last time.Time
}

// silence is the longest time without a line.
const silence = 30 * time.Second

func (l *cellLines) report(p experiment.Progress) {
	first := l.told == nil
	if first {
		l.told = map[string]experiment.State{}
		l.last = time.Now()
	}
	left := ""
	if p.Left > 0 {
		left = "   about " + format.Seconds(p.Left) + " left"
	}
	for _, s := range p.Cells {
		if before, ok := l.told[s.Cell.Name]; ok && before == s.State {
			continue
		}
		l.told[s.Cell.Name] = s.State
		if first {
			continue
		}
		switch s.State {
		case experiment.Done:
			fmt.Fprintf(l.w, "%3d/%d  %-32s %8s%s\n", p.Done, p.N, s.Cell.Title(), s.Cell.Metric().Format(s.Metric), left)
		case experiment.Failed:
			fmt.Fprintf(l.w, "failed %-32s %s\n", s.Cell.Title(), s.Text)
		default:
			continue
		}
		l.last = time.Now()
	}
	if time.Since(l.last) > silence {
		l.last = time.Now()
		var running []string
		for _, s := range p.Cells {
			if s.State == experiment.Running {
				running = append(running, fmt.Sprintf("%s at step %d/%d", s.Cell.Title(), s.Step, s.Cell.Config.Train.Steps))
			}
		}
		fmt.Fprintf(l.w, "%7s of the work · %s%s\n", format.Percent(p.Share, 1), strings.Join(running, ", "), left)
	}
}

// printTable writes the results to the folder, and prints the table.
func (o *experimentFlags) printTable(cmd *cobra.Command, f *experiment.Folder) error {
	r, files, err := f.Write()
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	for _, x := range r.Damaged {
		fmt.Fprintf(cmd.ErrOrStderr(), "coil: %s: %s\n", x.Cell, x.Why)
	}
	if o.asJSON {
		text, err := r.JSON()
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	}
	if r.Finished == 0 {
		fmt.Fprintf(w, "no cell of %s is finished yet\n", f.Path)
	} else {
		fmt.Fprintf(w, "\n%s: %d of %d cells finished; %s on held-out examples, mean ± spread over seeds, and the best\n", r.Name, r.Finished, r.Cells, r.Metric)
		for _, t := range r.Tables() {
			if t.Title != "" {
				fmt.Fprintf(w, "\n%s\n", t.Title)
			}
			io.WriteString(w, table(t.Rows))
		}
		var names []string
		for _, f := range files {
			names = append(names, filepath.Base(f))
		}
		fmt.Fprintf(w, "\nresults  %s\n", wrap(f.Path+": "+strings.Join(names, ", "), 9))
	}
	for _, x := range r.Failed {
		fmt.Fprintf(w, "failed   %s: %s\n", x.Cell, x.Why)
	}
	if len(r.Failed) > 0 {
		return fmt.Errorf("%s failed; --retry trains failed cells again", format.Plural(len(r.Failed), "cell"))
	}
	return nil
}

// cluster is what the command line says about another engine.
func (o *experimentFlags) cluster() experiment.Cluster {
	return experiment.Cluster{Program: o.program, Jobs: o.jobs, CPUs: o.backends.workers, Retry: o.retry,
		Image: o.image, Claim: o.claim, Mount: o.mount}
}

// checkExecutor checks the command line before anything is measured or made.
func (o *experimentFlags) checkExecutor() error {
	switch o.executor {
	case "local":
		return nil
	case "slurm":
	case "kubernetes":
		if err := o.cluster().CheckKubernetes(); err != nil {
			return usageError{err}
		}
	default:
		return usageError{fmt.Errorf("--executor %s: there are local, slurm and kubernetes", o.executor)}
	}
	if o.backends.name == "metal" {
		return usageError{fmt.Errorf("--backend metal: with --executor %s cells train on the cpu backend", o.executor)}
	}
	return nil
}

// manifest writes the file for another engine, and prints the command that submits it.
func (o *experimentFlags) manifest(cmd *cobra.Command, f *experiment.Folder) error {
	c := o.cluster()
	write := f.Slurm
	if o.executor == "kubernetes" {
		write = f.Kubernetes
	} else if len(f.Cells) > 1 {
		var asked error
		if c.MaxArraySize, asked = maxArraySize(); asked != nil && len(f.Cells) > experiment.SlurmArraySize {
			fmt.Fprintf(cmd.ErrOrStderr(), "Slurm's MaxArraySize is not known here (%v), so arrays end at the usual %d; on the cluster, scontrol show config prints it\n",
				asked, experiment.SlurmArraySize-1)
		}
	}
	submit, err := write(c)
	if err != nil {
		return usageError{err}
	}
	if o.asJSON {
		return writeJSON(cmd.OutOrStdout(), struct {
			Submit string `json:"submit"`
		}{submit})
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), submit)
	return err
}

// maxArraySize asks Slurm how long its arrays may be.
func maxArraySize() (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // the controller may not answer
	defer cancel()
	out, err := exec.CommandContext(ctx, "scontrol", "show", "config").Output()
	if err != nil {
		return 0, errors.New("scontrol does not answer")
	}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(line, "=")
		if n, err := strconv.Atoi(strings.TrimSpace(value)); strings.TrimSpace(name) == "MaxArraySize" && err == nil && n > 0 {
			return n, nil
		}
	}
	return 0, errors.New("scontrol does not say")
}
