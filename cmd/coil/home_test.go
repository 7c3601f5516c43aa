package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"coil/run"
	"coil/thorough"
	"coil/tui"
)

// The form says of a draft what coil train says of the command line that it shows, and takes what that takes.
func TestDraftsAreCheckedAsTheCommandLine(t *testing.T) {
	presets, err := homePresets()
	if err != nil || presets[0].Name != "default" {
		t.Fatalf("%v, %v", presets, err)
	}
	for f, values := range map[tui.Field][]string{
		tui.FieldModel:   {"1x3", "1x(1,4,1)", "1xx", "", "0x4", "9999999x1"},
		tui.FieldTask:    {"group-word"},
		tui.FieldBackend: {"cpu", "metal"},
		tui.FieldSteps:   {"50", "0", "x", "1e3"},
		tui.FieldSeed:    {"7", "-1"},
		tui.FieldRate:    {"1e-3", "-1", "fast", "1e9"},
	} {
		for _, v := range values {
			d := presets[0].Values
			d[f] = v
			p := checkDraft(d)
			_, stderr, code := coil(t, "train", "--dry-run", "--preset", "default", "--"+f.String()+"="+v)
			said := strings.Join(append(p.Errors[:], p.Other...), "")
			if (code == exitOK) != (said == "") {
				t.Errorf("%s %q: the form says %q, and coil train, with code %d:\n%s", f, v, said, code, stderr)
			}
			for _, text := range append(p.Errors[:], p.Other...) {
				if first, _, _ := strings.Cut(text, ";"); !strings.Contains(stderr, strings.TrimPrefix(first, "train.")) && !strings.Contains(stderr, first) {
					t.Errorf("%s %q: the form says %q, and coil train\n%s", f, v, text, stderr)
				}
			}
		}
	}
	d := presets[0].Values
	if text, err := draftMemory(d); err != nil || !strings.Contains(text, "MiB of") || !strings.HasSuffix(text, " on cpu") && !strings.HasSuffix(text, " on metal") {
		t.Errorf("the memory is %q, %v", text, err)
	}
}

// Without a terminal, or on one that can't draw, coil prints help.
func TestHomeNeedsATerminal(t *testing.T) {
	stdout, _, code := coil(t)
	if code != exitOK || !strings.Contains(stdout, "Usage: coil") {
		t.Errorf("%d: %s", code, stdout)
	}
	p := startOnTerminal(t, 100, 30, []string{"TERM=dumb"}, "coil")
	p.wantExit(t, exitOK)
	if s := p.shown(); strings.Contains(s, "\x1b") || !strings.Contains(s, "Usage: coil") {
		t.Errorf("it writes %q", s)
	}
}

// From the home screen a run is begun in the background and here, watched, stopped, and moved to the trash.
func TestHome(t *testing.T) {
	thorough.Skip(t)
	folder := t.TempDir()
	t.Chdir(folder)
	p := startOnTerminal(t, 120, 40, nil, "coil")
	before := p.state(t)
	p.await(t, "no runs yet")
	p.press(t, "n")
	p.press(t, "\x1b[B\x1b[B\x1b[B0000000") // steps
	p.await(t, "steps=12000000000")
	p.press(t, "\x04") // Ctrl-D
	p.await(t, "running")
	p.press(t, "\t\x1b[H\r")
	p.await(t, "training") // the dashboard
	p.press(t, "q")
	runs := func() []string {
		ids, err := run.List("runs")
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	id := runs()[0]
	time.Sleep(100 * time.Millisecond)
	p.press(t, "ts")
	p.await(t, "stopped")
	for begin := time.Now(); ; { // its process ends a moment after it says so, and until then the run stays
		if r, err := run.View(filepath.Join("runs", id)); err == nil {
			if _, alive, err := r.Holder(); err == nil && !alive {
				break
			}
		}
		if time.Since(begin) > time.Minute {
			t.Fatal("the run's process does not end")
		}
		time.Sleep(10 * time.Millisecond)
	}
	for tries := 0; !strings.Contains(p.shown(), "Nothing is deleted"); tries++ {
		if tries == 20 {
			t.Fatal("it does not ask whether to move the run")
		}
		p.press(t, "x")
		for begin := time.Now(); time.Since(begin) < 2*time.Second && !strings.Contains(p.shown(), "Nothing is deleted"); {
			time.Sleep(10 * time.Millisecond)
		}
	}
	p.press(t, "y")
	p.await(t, "moved to runs/.trash/")
	if _, err := os.Stat(filepath.Join("runs", ".trash", id, "run.json")); err != nil || len(runs()) != 0 {
		t.Errorf("%v; left are %v", err, runs())
	}
	p.press(t, "n\x1b[B\r") // with as many steps, here
	p.await(t, "tokens/s")
	p.press(t, "\x03")
	p.awaitScreenAfter(t, "coil resume")
	for len(runs()) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	p.press(t, "\x03")
	p.wantExit(t, exitOK)
	if after := p.state(t); after != before {
		t.Errorf("the terminal is not what it was: %v, %v", after, before)
	}
	if _, err := view(t, filepath.Join("runs", runs()[0])).Latest(); err != nil {
		t.Error(err)
	}
}

// Nothing that ends the process of the home screen leaves the terminal as that had set it; a signal ends it, and a crash is said.
func TestHomeEnds(t *testing.T) {
	for _, k := range []struct {
		signal syscall.Signal
		code   int
		said   string
	}{{syscall.SIGTERM, 143, ""}, {syscall.SIGABRT, exitCrashed, "the process of the dashboard crashed"}} {
		for _, args := range [][]string{{}, {"watch", "--runs", t.TempDir()}} {
			t.Run(strings.Join(append(slices.Clone(args[:min(1, len(args))]), k.signal.String()), " "), func(t *testing.T) {
				t.Parallel()
				p := startOnTerminal(t, 120, 40, nil, append([]string{"coil"}, args...)...)
				before := freshState(t)
				p.await(t, "no runs yet")
				if p.state(t) == before {
					t.Error("the home screen has not set the terminal")
				}
				if err := p.Process.Signal(k.signal); err != nil {
					t.Fatal(err)
				}
				p.wantExit(t, k.code)
				if after := p.state(t); after != before {
					t.Errorf("the terminal is not what it was: %v, %v", after, before)
				}
				if tail := p.tail(t); !strings.Contains(tail, k.said) || (k.said == "") == strings.Contains(tail, "coil:") {
					t.Errorf("on the normal screen is %q", tail)
				}
			})
		}
	}
}

// Ctrl-C is for the command that runs on the terminal, and leaves the home screen only there. The terminal is too small for the
// dashboard, so the command leaves the keyboard as it was.
func TestCtrlCOnHome(t *testing.T) {
	thorough.Skip(t)
	t.Chdir(t.TempDir())
	p := startOnTerminal(t, 59, 40, nil, "coil")
	p.await(t, "no runs yet")
	p.press(t, "n")
	p.press(t, "\x1b[B\x1b[B\x1b[B0000000\r")
	p.await(t, "tokens/s")
	p.press(t, "\x03")
	p.awaitScreenAfter(t, "coil resume")
	p.press(t, "q")
	p.wantExit(t, exitOK)
}
