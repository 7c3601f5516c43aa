package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"coil/run"

	"github.com/spf13/cobra"
)

func newSteer() *cobra.Command {
	var out string
	var wait time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "steer RUN COMMAND",
		Short: "Tell a run that is trained elsewhere to pause, continue, save, evaluate or stop",
		Example: `  coil steer latest pause        wait after this step, until it is told to continue
  coil steer latest continue
  coil steer latest checkpoint   save a checkpoint after this step
  coil steer latest evaluate     evaluate on held-out examples after this step
  coil steer latest stop         save a checkpoint after this step, and end`,
		Long: "The run may be in the background, in another window, or on another machine that shares its folder. " +
			"It takes a command between two steps; coil steer waits until it has.",
		Args: exactArgs(2, "a run and a command"),
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&out, "out", defaultRoot, "`folder` of the runs")
	f.DurationVar(&wait, "wait", 30*time.Second, "`time` to wait until the run has acted; 0s is not to wait")
	f.BoolVar(&asJSON, "json", false, "print the event with which the run has answered, as JSON")
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return completeRuns(cmd, args, typed)
		}
		var names []string
		for _, c := range run.Commands() {
			names = append(names, string(c))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		command, err := run.ParseCommand(args[1])
		if err != nil {
			return usageError{err}
		}
		path, err := run.Resolve(out, args[0])
		if err != nil {
			return inputError{err}
		}
		r, err := run.View(path)
		if err != nil {
			return err
		}
		events, err := r.Events()
		if err != nil {
			return err
		}
		defer events.Close()
		if _, err := answer(events, ""); err != nil && !errors.Is(err, io.EOF) { // to the end of what there is
			return err
		}
		if err := r.Send(command); err != nil || wait == 0 {
			return err
		}
		e, err := await(r, events, command, wait)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(cmd.OutOrStdout(), e)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s after step %d\n", map[string]string{run.KindPause: "paused", run.KindContinue: "training continues", run.KindCheckpoint: "saved a checkpoint",
			run.KindEval: "evaluated", run.KindStop: "stopped", run.KindEnd: "ended"}[e.Kind], e.Step)
		return nil
	}
	return cmd
}

// answers are the events by which a run shows that it has done what it was told.
var answers = map[run.Command]string{run.Pause: run.KindPause, run.Continue: run.KindContinue, run.Save: run.KindCheckpoint, run.Evaluate: run.KindEval, run.Stop: run.KindStop}

// await waits for the answer to a command.
func await(r *run.Run, events *run.EventReader, command run.Command, wait time.Duration) (run.Event, error) {
	deadline := time.Now().Add(wait)
	for {
		e, err := answer(events, answers[command])
		if !errors.Is(err, io.EOF) {
			return e, err
		}
		if _, alive, err := r.Holder(); err == nil && !alive {
			if e, err := answer(events, answers[command]); err == nil { // its last word
				return e, nil
			}
			return e, fmt.Errorf("the process that trained %s has ended before it could %s", r.Info().ID, command)
		}
		if time.Now().After(deadline) {
			return e, fmt.Errorf("%s has not answered to %s in %s: its step may be long, or it %s already; --wait sets how long to wait", r.Info().ID, command, wait,
				map[run.Command]string{run.Pause: "waits", run.Continue: "goes on", run.Save: "has a checkpoint of this step", run.Evaluate: "ends", run.Stop: "ends"}[command])
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// answer reads events up to one of a kind, or of the end of the run. The error is io.EOF if there is none yet.
func answer(events *run.EventReader, kind string) (run.Event, error) {
	for {
		e, err := events.Next()
		var garbled *run.LineError
		switch {
		case errors.As(err, &garbled):
		case err != nil:
			return e, err
		case kind != "" && (e.Kind == kind || e.Kind == run.KindEnd):
			return e, nil
		case kind != "" && e.Kind == run.KindError:
			return e, fmt.Errorf("the run failed: %s", e.Text)
		}
	}
}
