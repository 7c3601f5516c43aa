package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"coil/run"

	"github.com/spf13/cobra"
)

func newControl() *cobra.Command {
	var root string
	var wait time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "control RUN COMMAND",
		Aliases: []string{"steer"},
		Short:   "Pause, continue, save, evaluate or stop a run that another process trains",
		Example: `  coil control latest pause        pause after this step, until coil control latest continue
  coil control latest continue
  coil control latest checkpoint   save a checkpoint after this step
  coil control latest evaluate     evaluate on held-out examples after this step
  coil control latest stop         save a checkpoint after this step, and end`,
		Long: "The run may be in the background, in another window, or on another machine that shares its folder. " +
			"It obeys between two steps, and coil control waits until it has. If the run is already paused, or training, coil control says so at once.",
		Args: exactArgs(2, "a run and a command"),
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&root, "runs", defaultRoot, "`folder` of the runs")
	f.DurationVar(&wait, "wait", 30*time.Second, "`time` to wait until the run has acted; 0s does not wait")
	f.BoolVar(&asJSON, "json", false, "print the event with which the run answers, as JSON")
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
		if asJSON && wait == 0 {
			return usageError{errors.New("--json and --wait 0s: --json prints the answer of the run, so coil must wait for it")}
		}
		path, err := run.Resolve(root, args[0])
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
		if err := toTheEnd(events); err != nil {
			return err
		}
		before, so := already(r, command)
		if so && command == run.Stop { // no process to ask
			return printAnswer(cmd, before, asJSON, true)
		}
		if err := r.Send(command); err != nil || wait == 0 {
			return err
		}
		e, so, err := awaitAnswer(r, events, command, wait, so)
		switch {
		case err != nil:
			return err
		case so:
			return printAnswer(cmd, before, asJSON, true)
		}
		return printAnswer(cmd, e, asJSON, false)
	}
	return cmd
}

// printAnswer prints the event that answers a command.
func printAnswer(cmd *cobra.Command, e run.Event, asJSON, already bool) error {
	w := cmd.OutOrStdout()
	does := map[string]string{run.KindPause: "paused", run.KindCheckpoint: "saved a checkpoint", run.KindEval: "evaluated", run.KindStop: "stopped", run.KindEnd: "ended"}[e.Kind]
	switch {
	case asJSON:
		return writeJSON(w, e)
	case already && does == "":
		fmt.Fprintf(w, "already training, since step %d\n", e.Step)
	case already:
		fmt.Fprintf(w, "already %s, at step %d\n", does, e.Step)
	case does == "":
		fmt.Fprintf(w, "training continues after step %d\n", e.Step)
	default:
		fmt.Fprintf(w, "%s after step %d\n", does, e.Step)
	}
	return nil
}

// already returns the event that brought the run into the state that the command asks for, if the run is in that state: it
// is paused, is training, has a checkpoint of the step at which it is paused, or has stopped or ended.
func already(r *run.Run, command run.Command) (run.Event, bool) {
	h, _ := r.History() // garbled lines say nothing about it
	var state, saved run.Event
	for _, e := range h.Log {
		switch e.Kind {
		case run.KindStart, run.KindResume, run.KindContinue, run.KindPause, run.KindStop, run.KindEnd, run.KindError:
			state = e
		case run.KindCheckpoint:
			saved = e
		}
	}
	_, alive, err := r.Holder()
	if err != nil {
		return state, false
	}
	switch command {
	case run.Pause:
		return state, alive && state.Kind == run.KindPause
	case run.Continue:
		return state, alive && (state.Kind == run.KindStart || state.Kind == run.KindResume || state.Kind == run.KindContinue)
	case run.SaveCheckpoint:
		return saved, alive && state.Kind == run.KindPause && saved.Kind != "" && saved.Step == state.Step
	case run.Stop:
		return state, !alive && (state.Kind == run.KindStop || state.Kind == run.KindEnd)
	}
	return state, false
}

// answerKinds are the events by which a run shows that it has obeyed a command.
var answerKinds = map[run.Command]string{run.Pause: run.KindPause, run.Continue: run.KindContinue, run.SaveCheckpoint: run.KindCheckpoint, run.Evaluate: run.KindEval, run.Stop: run.KindStop}

// awaitAnswer waits for the answer to a command. already is true if the run was in the wanted state before; then the run only
// notes that it received the command, unless an earlier pending command changes its state first.
func awaitAnswer(r *run.Run, events *run.EventReader, command run.Command, wait time.Duration, so bool) (e run.Event, already bool, err error) {
	deadline := time.Now().Add(wait)
	a := answering{command: command, so: so}
	for {
		e, err := a.next(events)
		if !errors.Is(err, io.EOF) {
			return e, a.noted, err
		}
		if _, alive, err := r.Holder(); err == nil && !alive {
			if e, err := a.next(events); err == nil { // its last word
				return e, a.noted, nil
			}
			return e, false, fmt.Errorf("the process that trained %s has ended before it could %s", r.Info().ID, command)
		}
		if time.Now().After(deadline) {
			return e, false, fmt.Errorf("%s has not answered %s within %s: its step may take long; --wait sets how long to wait", r.Info().ID, command, wait)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// answering is how far the answer to a command is read.
type answering struct {
	command run.Command
	so      bool // the run is as the command asks
	noted   bool // and has noted the command
}

// next reads events up to the answer. The error is io.EOF if there is none yet.
func (a *answering) next(events *run.EventReader) (run.Event, error) {
	for {
		e, err := events.Next()
		var garbled *run.LineError
		switch {
		case errors.As(err, &garbled):
		case err != nil:
			return e, err
		case e.Kind == answerKinds[a.command] || e.Kind == run.KindEnd:
			return e, nil
		case e.Kind == run.KindError:
			return e, fmt.Errorf("the run failed: %s", e.Text)
		case e.Kind == run.KindNote && a.so && strings.HasPrefix(e.Text, string(a.command)+", asked by "):
			a.noted = true
			return e, nil
		case e.Kind == run.KindPause || e.Kind == run.KindContinue:
			a.so = false
		}
	}
}

// toTheEnd skips the existing events.
func toTheEnd(events *run.EventReader) error {
	for {
		_, err := events.Next()
		var garbled *run.LineError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.As(err, &garbled):
			return err
		}
	}
}
