// Package tui is the dashboard: a picture of a run's events, and the keys that control the run.
package tui

import (
	"errors"
	"fmt"
	"os"
	"time"

	"coil/run"
	"coil/tui/canvas"

	tea "github.com/charmbracelet/bubbletea"
)

// Options say what a dashboard shows, and how.
type Options struct {
	Runs     []*run.Run // to watch; none with Training
	Training *Training  // in this process, nil for none
	// Experiment, if not nil, reports the state of an experiment; the runs are then those of its cells. It is called
	// often, and must be quick.
	Experiment func() Experiment
	Style      Style
}

// Style is how a dashboard looks.
type Style struct {
	Theme *canvas.Theme // nil for the first of canvas.Themes
	Depth canvas.Depth
	ASCII bool // no characters but ASCII
}

// Training is a run that is trained in this process, on another goroutine.
type Training struct {
	Start    func()              // starts it; called once, when the first frame is on the screen
	Run      func() *run.Run     // nil as long as it is not made
	Activity func() run.Activity // what it is doing
	Done     <-chan struct{}     // closed when it has ended
	Signaled func() bool         // a signal has asked this process to stop
	Log      func() []string     // what was written to standard output and error in the meantime
	Control  *run.Control        // controls it
}

// Outcome is how the user left a dashboard.
type Outcome int

const (
	Left   Outcome = iota // nothing is asked
	Detach                // training has stopped, and is to go on in the background
	AtOnce                // without waiting for training
)

// The smallest terminal on which a command opens the dashboard by itself; once open, it takes any size.
const LeastWidth, LeastHeight = 60, 16

// framesPerSecond limits how often the screen is drawn. The runs are read every pollEvery while keys are pressed, and every
// restEvery after restAfter without keys: each reading takes a core from training for a moment.
const (
	framesPerSecond = 15
	pollEvery       = 200 * time.Millisecond
	restEvery       = time.Second
	restAfter       = 10 * time.Second
)

// Run shows a dashboard on a terminal until the user leaves it, or stop is closed. While it runs, nothing else may write to the terminal.
//
// A fault of the dashboard ends it with an error, and training, if any, continues.
func Run(o Options, input, screen *os.File, stop <-chan struct{}) (Outcome, error) {
	m := newModel(o, time.Now)
	defer m.close()
	switch killed, err := show(m, input, screen, stop); {
	case err != nil:
		return Left, err
	case killed:
		return AtOnce, nil
	}
	return m.outcome, nil
}

// show runs a screen on a terminal until it ends, or until stop is closed, which killed says.
func show(s screen, input, out *os.File, stop <-chan struct{}) (killed bool, err error) {
	p := tea.NewProgram(newProgram(s, out), tea.WithAltScreen(), tea.WithMouseCellMotion(), tea.WithFPS(rendererTicks),
		tea.WithoutSignalHandler(), tea.WithInput(&keyboard{File: input}), tea.WithOutput(output{out}))
	ended := make(chan struct{})
	go func() { // ends with this function
		select {
		case <-stop:
			p.Kill()
		case <-ended:
		}
	}()
	_, err = p.Run()
	close(ended)
	switch {
	case s.common().fault != nil:
		return false, s.common().fault
	case errors.Is(err, tea.ErrProgramKilled):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("dashboard: %w", err)
	}
	return false, nil
}
