package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"coil/experiment"
	"coil/thorough"
)

// long is a grid of two cells that take long enough to be stopped, whose results are compared.
const long = `title = "Two cells"
seeds = [1]
[[axis]]
name = "model"
key = "model.layers"
values = ["2x1", "1x2"]
[config.model]
width = 16
heads = 2
hidden = 32
[config.task.p-hop]
letters = 3
length = 16
hops = 1
[config.train]
steps = 1200
batch = 8
report = 1
[config.evaluate]
every = 0
examples = 8
final = 64
[config.checkpoint]
every = 100
`

// begun reports whether both cells have done some steps.
func begun(folder string) bool {
	return steps(filepath.Join(folder, "cells", "2x1_s1")) > 20 && steps(filepath.Join(folder, "cells", "1x2_s1")) > 20
}

// An experiment that is stopped or killed continues, with the results of one that was not.
func TestExperimentGoesOn(t *testing.T) {
	thorough.Skip(t) // package experiment shows it for its cells
	root := t.TempDir()
	grid := filepath.Join(root, "long.toml")
	if err := os.WriteFile(grid, []byte(long), 0o666); err != nil {
		t.Fatal(err)
	}
	args := func(out string) []string {
		return []string{"experiment", grid, "--jobs", "2", "--out", filepath.Join(root, out)}
	}
	mustProcess(t, args("whole")...)
	folder := filepath.Join(root, "cut", "long")

	p := start(t, "coil", args("cut")...)
	p.await(t, "both cells had begun", func() bool { return begun(folder) })
	p.send(t, syscall.SIGINT)
	p.wantExit(t, 130)
	if s := p.stderr.String(); !strings.Contains(s, "stopped; the same command continues") {
		t.Errorf("it says %q", s)
	}
	f, err := experiment.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Cells {
		if s, _, err := f.State(c); s != experiment.Waiting || err != nil {
			t.Errorf("%s is %v, %v", c.Name, s, err)
		}
		if _, err := view(t, f.RunPath(c)).Latest(); err != nil {
			t.Error(err)
		}
	}

	before := steps(f.RunPath(f.Cells[0]))
	p = start(t, "coil", args("cut")...)
	p.await(t, "it had gone on", func() bool { return steps(f.RunPath(f.Cells[0])) > before+5 })
	p.send(t, syscall.SIGKILL) // its processes live on, and are left to finish
	<-p.ended
	last := mustProcess(t, args("cut")...)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(last, "2 of 2 cells finished"); last = mustProcess(t, append(args("cut"), "--results")...) {
		if time.Now().After(deadline) {
			t.Fatalf("not finished:\n%s", last)
		}
		time.Sleep(50 * time.Millisecond)
	}
	table := func(out string) string {
		r := mustProcess(t, append(args(out), "--results")...)
		r, _, _ = strings.Cut(r, "\nresults  ")
		return r
	}
	if a, b := table("whole"), table("cut"); a != b {
		t.Errorf("results are\n%s, want\n%s", b, a)
	}
}

// On a terminal the cells are in the dashboard; who leaves it gets lines of progress, and the table in the end.
func TestExperimentInDashboard(t *testing.T) {
	t.Parallel()
	thorough.Skip(t)
	root := t.TempDir()
	grid := filepath.Join(root, "long.toml")
	if err := os.WriteFile(grid, []byte(strings.Replace(long, "steps = 1200", "steps = 300", 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	p := startOnTerminal(t, 120, 40, nil, "coil", "experiment", grid, "--jobs", "2", "--out", root)
	p.await(t, "g cells")
	p.await(t, "of 2 cells")
	p.press(t, "q")
	p.await(t, "training continues; Ctrl-C stops it")
	p.await(t, "2 of 2 cells finished")
	p.wantExit(t, exitOK)
	if s := p.tail(t); strings.Contains(s, "\x1b[1;1H") {
		t.Error("the dashboard goes on on the normal screen")
	}
}

// A Kubernetes Job gives up a cell whose exit code says that it would fail again. The code with which Go ends a program that
// crashed, for want of memory perhaps, is none of these.
func TestManifestExitCodes(t *testing.T) {
	const crashed = 2
	dir := t.TempDir()
	grid := filepath.Join(dir, "grid.toml")
	if err := os.WriteFile(grid, []byte("seeds = [1]\n[[axis]]\nkey = \"model.layers\"\nvalues = [\"1x1\"]\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	mustCoil(t, "experiment", grid, "--out", dir, "--executor", "kubernetes", "--image", "image", "--claim", "claim")
	text, err := os.ReadFile(filepath.Join(dir, "grid", "kubernetes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("values: [%d, %d, %d]\n", exitDiverged, exitMismatch, exitUsage); !strings.Contains(string(text), want) {
		t.Errorf("the manifest does not have %s: %s", want, text)
	}
	for _, code := range []int{exitOK, exitFailed, exitUsage, exitDiverged, exitMismatch} {
		if code == crashed {
			t.Errorf("an exit code of coil is %d, that of a crash", code)
		}
	}
}
