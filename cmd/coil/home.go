package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"coil/config"
	"coil/config/schema"
	"coil/format"
	"coil/model"
	"coil/report"
	"coil/run"
	"coil/task"
	"coil/text"
	"coil/train"
	"coil/tui"

	"github.com/spf13/cobra"
)

// home shows the home screen, and runs what the user starts there, until the user leaves it.
func home(cmd *cobra.Command, parent *supervisor, root string, style tui.Style) error {
	program, err := ownProgram()
	if err != nil {
		return err
	}
	o := tui.HomeOptions{Root: root, Style: style,
		Runs: func() ([]tui.HomeStamp, error) { return stamps(root) }, Read: func(id string) tui.HomeRun { return homeRun(root, id) },
		Tasks: task.Names(), Backends: homeBackends, Check: checkDraft, Memory: draftMemory,
		Do:    func(args []string) (string, error) { return doQuietly(program, args) },
		Trash: func(id string) (string, error) { return run.Trash(root, id) },
	}
	if root != defaultRoot {
		o.Out = root
	}
	if o.Presets, err = homePresets(); err != nil {
		return err
	}
	h := tui.NewHome(o)
	for {
		screen, err := parent.takeScreen()
		if err != nil {
			return err
		}
		leave := make(chan struct{})
		signals := watchSignals(io.Discard, "", "")
		signals.first = func() { close(leave) }
		args, killed, err := h.Show(os.Stdin, screen.terminal, leave)
		signals.end()
		screen.giveBack(cmd.ErrOrStderr())
		switch {
		case killed:
			return signals.err()
		case err != nil || args == nil:
			return err
		}
		printed, err := doOnTerminal(cmd.ErrOrStderr(), program, args)
		if signal := (signalError{}); errors.As(err, &signal) {
			return err
		}
		var exit *exec.ExitError
		stopped := errors.As(err, &exit) && exit.ExitCode() == 128+int(syscall.SIGINT) // by the user
		h.Returned(args, err != nil && !stopped, printed)
	}
}

// doOnTerminal runs a command of coil that owns the terminal, and returns the end of what it wrote to standard error.
// A signal that asks this process to end ends the command first; Ctrl-C goes to the command.
func doOnTerminal(stderr io.Writer, program string, args []string) (printed string, err error) {
	var kept tail
	c := exec.Command(program, args...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, io.MultiWriter(stderr, &kept)
	asked := endingSignals()
	defer signal.Stop(asked)
	if err := c.Start(); err != nil {
		return err.Error(), err
	}
	var ending atomic.Int32
	ended := make(chan struct{})
	go forward(asked, ended, c.Process, func(s os.Signal) os.Signal {
		if s == syscall.SIGINT {
			return nil
		}
		ending.Store(int32(s.(syscall.Signal)))
		return s
	})
	err = c.Wait()
	close(ended)
	if n := int(ending.Load()); n != 0 {
		return "", signalError{n}
	}
	return kept.text(), err
}

// tail keeps the end of what is written.
type tail struct{ kept []byte }

const mostKept = 1500

func (t *tail) Write(b []byte) (int, error) {
	t.kept = append(t.kept, b...)
	t.kept = t.kept[max(0, len(t.kept)-mostKept):]
	return len(b), nil
}

// text is its last few lines.
func (t *tail) text() string {
	lines := strings.Split(strings.TrimSpace(text.Clean(string(t.kept))), "\n")
	return strings.Join(lines[max(0, len(lines)-6):], "\n")
}

// doQuietly runs a command of coil that does not need the terminal, and returns the first line of its output.
func doQuietly(program string, args []string) (string, error) {
	var stdout, stderr bytes.Buffer
	c := exec.Command(program, args...)
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		kept := tail{stderr.Bytes()}
		return "", errors.New(cmp.Or(kept.text(), err.Error()))
	}
	first, _, _ := strings.Cut(strings.TrimSpace(text.Clean(stdout.String())), "\n")
	return strings.Join(strings.Fields(first), " "), nil
}

// stamps are the runs of a folder, the newest first. A stamp changes with the run's events and with the process that trains it.
func stamps(root string) ([]tui.HomeStamp, error) {
	ids, err := run.List(root)
	if err != nil {
		return nil, err
	}
	var all []tui.HomeStamp
	for _, id := range slices.Backward(ids) {
		path := filepath.Join(root, id)
		stamp := "unreadable"
		if r, err := run.View(path); err == nil {
			_, alive, _ := r.Holder() // a run that can't be read is not in training
			stamp = fmt.Sprint(alive)
		}
		if fi, err := os.Stat(filepath.Join(path, "events.jsonl")); err == nil {
			stamp += fmt.Sprint(" ", fi.Size(), " ", fi.ModTime().UnixNano())
		}
		all = append(all, tui.HomeStamp{ID: id, Stamp: stamp})
	}
	return all, nil
}

// homeRun returns a run as the home screen shows it.
func homeRun(root, id string) tui.HomeRun {
	l, record := listingOf(root, id)
	h := tui.HomeRun{State: string(l.Status), Alive: l.Status == report.Running || l.Status == report.Paused, Done: l.Status == report.Finished,
		Model: l.Model, Task: l.Task, Parameters: l.Parameters, Step: l.Steps, Steps: l.Planned, Problem: l.Error}
	if l.HeldOut != nil {
		h.HeldOut = l.Metric.Format(float64(*l.HeldOut))
	}
	if record != nil {
		h.Losses = record.Losses(60)
	}
	return h
}

// homePresets are the presets, the default first.
func homePresets() ([]tui.HomePreset, error) {
	var all []tui.HomePreset
	for _, name := range presetNames() {
		c, err := config.Preset(name)
		if err != nil {
			return nil, err
		}
		p := tui.HomePreset{Name: name, About: about(config.Presets()[name])}
		p.Values[tui.FieldPreset], p.Values[tui.FieldBackend] = name, "auto"
		for f, k := range draftKeys(&c) {
			p.Values[f] = k.Value()
		}
		if name == config.DefaultPreset {
			all = slices.Insert(all, 0, p)
		} else {
			all = append(all, p)
		}
	}
	return all, nil
}

// draftKeys are the keys of a configuration that have a field of the form, whose name is the key's alias.
func draftKeys(c *config.Config) map[tui.Field]schema.Key {
	keys := map[tui.Field]schema.Key{}
	for _, k := range c.Keys() {
		for f := range tui.Fields {
			if k.Alias != "" && k.Alias == tui.Field(f).String() {
				keys[tui.Field(f)] = k
			}
		}
	}
	return keys
}

// draftConfig is the configuration of a draft, and the keys that differ from the preset's. It calls wrong for each value that a
// key can't have.
func draftConfig(d tui.Draft, wrong func(f tui.Field, err error)) (c config.Config, set []string) {
	c, err := config.Preset(d[tui.FieldPreset])
	if err != nil {
		wrong(tui.FieldPreset, err)
		return c, nil
	}
	for f, k := range draftKeys(&c) {
		if k.Value() == d[f] {
			continue
		}
		set = append(set, k.Name)
		if err := c.Set(k.Name, d[f]); err != nil {
			wrong(f, err)
		}
	}
	return c, set
}

// checkDraft returns the errors and warnings that coil train would give for a draft.
func checkDraft(d tui.Draft) tui.Plan {
	var p tui.Plan
	bad := false
	c, set := draftConfig(d, func(f tui.Field, err error) { p.Errors[f], bad = err.Error(), true })
	backends := backendFlags{name: d[tui.FieldBackend]}
	if err := backends.available(); err != nil {
		p.Errors[tui.FieldBackend], bad = err.Error(), true
	}
	if bad {
		return p
	}
	t, made := c.Task.New()
	fields := map[string]tui.Field{}
	for f, k := range draftKeys(&c) {
		fields[k.Name] = f
	}
	for _, err := range each(c.CheckMade(made)) {
		var of *schema.Error
		if errors.As(err, &of) {
			if f, ok := fields[of.Key]; ok {
				p.Errors[f] = err.Error()
				continue
			}
		}
		p.Other = append(p.Other, err.Error())
	}
	p.Warnings = append(c.Warnings(), c.OtherTask(set)...)
	if p.Other != nil || p.Errors != ([tui.Fields]string{}) {
		return p
	}
	m, err := model.New(c.Model, c.Loops, len(t.Vocabulary()), t.Length())
	if err != nil {
		p.Other = append(p.Other, err.Error())
		return p
	}
	a := m.Architecture
	p.Setup = run.Setup{Model: a.String(), Blocks: a.Sizes, Loops: a.Loops, Looped: a.Looped(), Parameters: int64(m.Size), FLOPs: m.FLOPs(),
		Task: t.Name(), Kinds: t.Kinds(), Metric: t.Metric(), Steps: c.Train.Steps, Batch: c.Train.Batch, Length: t.Length()}
	return p
}

// each returns the errors that one error joins.
func each(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, each(e)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// draftMemory is the memory that training a draft takes, as its backend plans it.
func draftMemory(d tui.Draft) (string, error) {
	c, _ := draftConfig(d, func(tui.Field, error) {})
	backends := backendFlags{name: d[tui.FieldBackend]}
	b, err := backends.open(io.Discard)
	if err != nil {
		return "", err
	}
	defer b.Close()
	t, err := train.New(c, b, nil)
	if err != nil {
		return "", err
	}
	defer t.Close()
	return fmt.Sprintf("%s of %s on %s", format.Bytes(t.Memory.Total()), format.Bytes(b.Info().Memory), b.Info().Name), nil
}

// homeBackends are the choices of backend.
func homeBackends() []tui.HomeBackend {
	auto := tui.HomeBackend{Name: "auto", Available: true}
	var all []tui.HomeBackend
	for _, s := range backendList() {
		b := tui.HomeBackend{Name: s.Name, Available: s.Available, Text: "not available: " + s.Why}
		if s.Available {
			b.Text = describeDevice(s.Device, s.Kernels, s.Workers, s.Memory)
		}
		if s.Auto {
			auto.Text = s.Name + " here"
		}
		all = append(all, b)
	}
	return slices.Insert(all, 0, auto)
}
