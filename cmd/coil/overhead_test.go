package main

import (
	"path/filepath"
	"slices"
	"testing"

	"coil/run"
)

// BenchmarkDashboard trains the default with lines of progress and in the dashboard, in turns, and reports medians: of the
// processor's time with the dashboard over that without, and of the tokens a second likewise, in percent.
//
//	go test ./cmd/coil -run xxx -bench Dashboard -benchtime 9x
func BenchmarkDashboard(b *testing.B) {
	var cpu, speed []float64
	for b.Loop() {
		linesCPU, linesSpeed := trainOnTerminal(b, "--no-tui")
		dashCPU, dashSpeed := trainOnTerminal(b)
		cpu, speed = append(cpu, 100*dashCPU/linesCPU), append(speed, 100*dashSpeed/linesSpeed)
	}
	b.ReportMetric(median(cpu), "%cpu-time")
	b.ReportMetric(median(speed), "%tokens/s")
}

// trainOnTerminal returns the processor's seconds of a short run, and its tokens a second.
func trainOnTerminal(b *testing.B, args ...string) (cpu, speed float64) {
	path := filepath.Join(b.TempDir(), "run")
	p := startOnTerminal(b, 150, 44, nil, append([]string{"coil", "train", "--steps", "400", "--run-dir", path, "--evaluate.every", "0", "--evaluate.final", "64"}, args...)...)
	if len(args) == 0 {
		p.await(b, "finished")
		p.press(b, "q")
	}
	<-p.ended
	r, err := run.View(path)
	if err != nil {
		b.Fatal(err)
	}
	h, err := r.History()
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range h {
		if e.Kind == run.KindTrain {
			speed = float64(e.Values["tokens"] / e.Values["seconds"])
		}
	}
	return (p.ProcessState.UserTime() + p.ProcessState.SystemTime()).Seconds(), speed
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
