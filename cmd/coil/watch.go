package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"coil/run"
	"coil/text"
	"coil/tui"
	"coil/tui/canvas"
	"coil/tui/terminal"

	"github.com/spf13/cobra"
)

func newWatch() *cobra.Command {
	var root, picture, size string
	var once, lines bool
	var appearance appearanceFlags
	cmd := &cobra.Command{
		Use:   "watch [RUN…]",
		Short: "Show runs in the dashboard, during training or later, and control them",
		Example: `  coil watch                              the newest run in training, or else the home screen
  coil watch 2026-11-23_18 2026-11-23_19  two runs in the same charts
  coil watch latest --once                the dashboard once, as text
  coil watch latest --picture run.svg --size 140x44
  coil watch latest --no-tui              follow it with lines of progress`,
		Long: "Shows a run as it trains, here or in the background. Keys pause it, save a checkpoint, evaluate and stop it; closing the " +
			"dashboard does not stop it. Without a terminal, coil watch prints lines of progress until the run ends.\n" + tui.KeysText(),
		ValidArgsFunction: completeRuns,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&root, "runs", defaultRoot, "`folder` of the runs")
	f.BoolVar(&lines, "no-tui", false, "lines of progress instead of the dashboard")
	f.BoolVar(&once, "once", false, "print the dashboard once, as text")
	f.StringVar(&picture, "picture", "", "draw the dashboard once, to this SVG `file`")
	f.StringVar(&size, "size", "", "`columns x lines` for --once and --picture, as in 120x40; by default, those of the terminal")
	appearance.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		style, err := appearance.style()
		if err != nil {
			return err
		}
		interactive := !once && !lines && picture == "" && canWatch()
		var parent *supervisor
		if interactive {
			if parent, err = supervise(cmd.ErrOrStderr(), nil); err != nil {
				return err
			}
		}
		if picture != "" {
			if err := checkPicture(picture); err != nil {
				return err
			}
		}
		switch {
		case len(args) > 0:
		case !interactive:
			args = []string{"latest"}
		default:
			now, err := trainedNow(root)
			if err != nil {
				return err
			}
			if now == "" {
				return home(cmd, parent, root, style)
			}
			args = []string{now}
		}
		if len(args) > mostWatched {
			return usageError{fmt.Errorf("%d runs: one picture shows at most %d", len(args), mostWatched)}
		}
		var runs []*run.Run
		for _, name := range args {
			path, err := run.Resolve(root, name)
			if err != nil {
				return inputError{err}
			}
			r, err := run.View(path)
			if err != nil {
				return err
			}
			warnOf(cmd.ErrOrStderr(), r)
			runs = append(runs, r)
		}
		o := tui.Options{Runs: runs, Style: style}
		switch {
		case once || picture != "":
			return draw(cmd.OutOrStdout(), o, picture, size)
		case size != "":
			return usageError{errors.New("--size is for --once and --picture")}
		case parent == nil:
			if len(runs) > 1 {
				return usageError{errors.New("without the dashboard, coil watch follows only one run; --once shows several as text")}
			}
			return follow(cmd.OutOrStdout(), cmd.ErrOrStderr(), runs[0])
		}
		leave := make(chan struct{})
		signals := watchSignals(io.Discard, "", "")
		defer signals.end()
		signals.first = func() { close(leave) }
		screen, err := parent.takeScreen()
		if err != nil {
			return err
		}
		outcome, err := tui.Run(o, os.Stdin, screen.terminal, leave)
		screen.giveBack(cmd.ErrOrStderr())
		if outcome == tui.AtOnce {
			return signals.err()
		}
		return err
	}
	return cmd
}

// trainedNow is the id of the newest run that a process trains, "" if there is none.
func trainedNow(root string) (string, error) {
	ids, err := run.List(root)
	if err != nil {
		return "", err
	}
	for _, id := range slices.Backward(ids) {
		r, err := run.View(filepath.Join(root, id))
		if err != nil {
			continue // coil list says why
		}
		if _, alive, err := r.Holder(); err == nil && alive {
			return id, nil
		}
	}
	return "", nil
}

// mostWatched is how many runs have colours of their own.
const mostWatched = 8

// canWatch reports whether the dashboard can be shown when asked for: on any terminal except a dumb one.
func canWatch() bool {
	if terminal.Dumb() {
		return false
	}
	_, _, in := terminal.Size(os.Stdin)
	w, h, ok := terminal.Size(os.Stdout)
	return in && ok && w >= leastWatch && h >= 5
}

const leastWatch = 20

// checkPicture returns an error unless a file's name is that of an SVG.
func checkPicture(name string) error {
	if strings.ToLower(filepath.Ext(name)) != ".svg" {
		return usageError{fmt.Errorf("--picture %s: the picture is an SVG, so its name must end in .svg", name)}
	}
	return nil
}

// draw draws the dashboard once.
func draw(w io.Writer, o tui.Options, picture, size string) error {
	width, height, ok := terminal.Size(os.Stdout)
	if !ok {
		width, height = 120, 40
	}
	if size != "" {
		var err error
		if width, height, err = parseSize(size); err != nil {
			return usageError{fmt.Errorf("--size %s: %w", size, err)}
		}
	}
	c, err := tui.Picture(o, width, height)
	if err != nil {
		return err
	}
	theme := o.Style.Theme
	if theme == nil {
		theme = canvas.Themes()[0]
	}
	if picture != "" {
		if err := os.WriteFile(picture, c.SVG(theme), 0o666); err != nil {
			return fileError("the picture", err)
		}
		return nil
	}
	if !ok || terminal.Dumb() { // to a file or a pipe
		_, err = io.WriteString(w, c.Plain())
		return err
	}
	if o, ok := w.(*output); ok { // the control characters are the picture's own
		w = o.raw
	}
	_, err = fmt.Fprintln(w, c.ANSI(theme, o.Style.Depth))
	return err
}

// parseSize reads columns x lines.
func parseSize(s string) (w, h int, err error) {
	a, b, ok := strings.Cut(s, "x")
	w, e1 := strconv.Atoi(a)
	h, e2 := strconv.Atoi(b)
	if !ok || e1 != nil || e2 != nil || w < 20 || h < 5 || w > 1000 || h > 1000 {
		return 0, 0, errors.New("want columns x lines, as in 120x40, of 20x5 to 1000x1000")
	}
	return w, h, nil
}

// followPoll is the interval at which a followed run is read.
const followPoll = 250 * time.Millisecond

// follow prints lines of progress, from the beginning, until the run has ended.
func follow(w, stderr io.Writer, r *run.Run) error {
	stop := watchSignals(io.Discard, "", "")
	defer stop.end()
	events, err := r.Events()
	if err != nil {
		return err
	}
	defer events.Close()
	p := newProgress(w)
	last := ""
	for !stop.asked() {
		e, err := events.Next()
		var garbled *run.LineError
		switch {
		case err == nil:
			p.event(e)
			last = endOf(e)
			continue
		case errors.As(err, &garbled):
			fmt.Fprintf(stderr, "%v\n", err)
			continue
		case !errors.Is(err, io.EOF):
			return err
		}
		if _, alive, err := r.Holder(); err == nil && !alive {
			if last == "" {
				last = "the process that trained it was killed"
				if c, ok := r.Crash(); ok {
					last = c.String()
				}
				last += "; continue with\n  coil resume " + text.Path(r.Path())
			}
			fmt.Fprintf(w, "%s: %s\n", filepath.Base(r.Path()), last)
			return nil
		}
		time.Sleep(followPoll)
	}
	return nil
}

// endOf says how an event ends a run, "" if it does not.
func endOf(e run.Event) string {
	switch e.Kind {
	case run.KindEnd:
		return fmt.Sprintf("all %d steps are done", e.Step)
	case run.KindStop:
		return fmt.Sprintf("stopped after step %d", e.Step)
	case run.KindError:
		return "failed: " + e.Text
	}
	return ""
}
